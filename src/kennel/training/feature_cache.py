"""
Features on disk: what a frozen backbone made of the pictures, kept for later runs.

    features.json       what they are of, which files were no pictures, and the digests of the rest
    train.npy, …        a split each: (pictures, views, D) float32

A run keeps them below its checkpoints, so that they are synced while it runs and are there again
when it resumes; a later job gets that folder as its channel ``features``. Whether they are those
that a run needs is judged here by their identity; how they are computed is in feature_pass.py.
"""

import hashlib
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from kennel.datasets.verify import BadFile

FOLDER = "features"  # below the checkpoints
DESCRIPTION = "features.json"
PARTIAL = ".features.partial"
FORMAT = 1
VERSION = 1  # of the code that computes them: raise it when it would compute others

Values = Mapping[str, NDArray[np.float32]]  # split → (pictures, views, D)


@dataclass(frozen=True)
class Identity:
    """What features depend on, apart from the bytes of the pictures."""

    files: str  # digest of the names and labels of all files
    division: str  # how what is not given is held out
    weights: str  # digest of the frozen ones
    model: str
    preprocessing: str
    augmentation: str
    views: int  # of each training picture
    precision: str  # of training pictures: f32, bf16, fp16; in what is wanted, also auto
    version: int = VERSION

    def differences(self, wanted: "Identity") -> list[str]:
        """Name what is another than is *wanted*; more views than that are no difference."""
        checks = {
            "other files": self.files == wanted.files,
            "another division into splits": self.division == wanted.division,
            "other weights": self.weights == wanted.weights,
            f"model={self.model}": self.model == wanted.model,
            "another preprocessing": self.preprocessing == wanted.preprocessing,
            f"augment={self.augmentation}": self.augmentation == wanted.augmentation,
            f"{self.views} views instead of {wanted.views}": self.views >= wanted.views,
            f"precision {self.precision}": wanted.precision in ("auto", self.precision),
            "another version of kennel": self.version == wanted.version,
        }
        return [name for name, holds in checks.items() if not holds]


@dataclass(frozen=True)
class Kept:
    """What a folder of features holds."""

    values: Values
    skipped: tuple[BadFile, ...]


class Unusable(Exception):  # noqa: N818 - an event, not an error: they are computed again
    """Features are stale or torn; the text says why."""


def read(folder: Path, wanted: Identity, data: Path, digest: Callable[[], str]) -> Kept | None:
    """
    Return the features that are kept in *folder*, None where there are none.

    Args:
        folder: May be missing.
        wanted: What they have to be of.
        data: What the paths of skipped files are relative to.
        digest: Of the pictures' bytes; called when all else is as it has to be.

    Raises:
        Unusable: They are of something else, or not whole.
    """
    path = folder / DESCRIPTION
    if not path.is_file():
        return None
    try:
        document = json.loads(path.read_bytes())
        _require_same(document, wanted, digest)
        values = {split: _array(folder, split, document) for split in document["files"]}
        skipped = tuple(BadFile(data / name, reason) for name, reason in document["skipped"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unusable(f"torn: {error}") from error
    return Kept(values, skipped)


def write(folder: Path, identity: Identity, digest: str, kept: Kept, data: Path) -> None:
    """
    Keep features in *folder*; the description comes last, and tells torn files from whole ones.

    Args:
        folder: Made if need be; what it held is replaced.
        identity: Of the features.
        digest: Of the pictures' bytes.
        kept: The features.
        data: What the paths of skipped files become relative to.

    Raises:
        OSError: The disk has no room for them, or the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        files = {split: _save(folder, split, values) for split, values in kept.values.items()}
        document = {
            "format": FORMAT,
            "identity": vars(identity),
            "pictures": digest,
            "files": files,
            "skipped": [[os.path.relpath(path, data), why] for path, why in kept.skipped],
        }
        text = json.dumps(document, indent=2) + "\n"
        _replace(folder, DESCRIPTION, lambda file: file.write(text.encode()))
    finally:
        (folder / PARTIAL).unlink(missing_ok=True)


def digest_of(places: Sequence[str], digests: Sequence[bytes]) -> str:
    """Return the digest of pictures: where each is, and the digest of its bytes."""
    whole = hashlib.sha256()
    for place, digest in zip(places, digests, strict=True):
        whole.update(place.encode(errors="surrogateescape") + b"\0" + digest + b"\n")
    return whole.hexdigest()


def _require_same(document: Any, wanted: Identity, digest: Callable[[], str]) -> None:  # noqa: ANN401 - straight from JSON
    if document["format"] != FORMAT:
        raise Unusable("of another version of kennel")
    if different := Identity(**document["identity"]).differences(wanted):
        raise Unusable(f"of {', '.join(different)}")
    if document["pictures"] != digest():
        raise Unusable("of pictures that have changed")


def _array(folder: Path, split: str, document: Any) -> NDArray[np.float32]:  # noqa: ANN401 - straight from JSON
    contents = (folder / f"{split}.npy").read_bytes()
    if hashlib.sha256(contents).hexdigest() != document["files"][split]["sha256"]:
        raise Unusable(f"torn: {split}.npy is not what was written")
    values: NDArray[np.float32] = np.load(io.BytesIO(contents), allow_pickle=False)
    return values


def _save(folder: Path, split: str, values: NDArray[np.float32]) -> dict[str, object]:
    name = f"{split}.npy"
    _replace(folder, name, lambda file: np.save(file, values, allow_pickle=False))
    with (folder / name).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": (folder / name).stat().st_size, "sha256": digest}


def _replace(folder: Path, name: str, fill: Callable[[BinaryIO], object]) -> None:
    """Write a file whole or not at all, by way of one name: S3 keeps every name ever synced."""
    with (folder / PARTIAL).open("wb") as file:
        fill(file)
        file.flush()
        os.fsync(file.fileno())
    (folder / PARTIAL).replace(folder / name)
