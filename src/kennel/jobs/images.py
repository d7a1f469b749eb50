"""
Which images the jobs take: those that the settings name, else those that were pushed last.

A push leaves a record, by account and region, since an image must be in those of its job. Pure but
for reading and writing that file; what ECR says of an image stands in ``registry``.
"""

import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from kennel.errors import SettingsError
from kennel.settings import Settings

TRAIN, SERVE, SERVE_GPU = "kennel-train", "kennel-serve", "kennel-serve-gpu"
GPU_FAMILIES = re.compile(r"ml\.(g|gr|p)\d")


@dataclass(frozen=True)
class Image:
    """An image that was pushed."""

    uri: str  # with its digest, so that a job gets just this one
    tag: str  # the commit
    pushed: str  # ISO 8601


Record = Mapping[str, Mapping[str, Image]]  # ACCOUNT/REGION → repository → image


@dataclass(frozen=True)
class Choice:
    """The image that a job takes, and why; None where there is none."""

    uri: str | None
    reason: str
    recorded: bool = False


def place(account: str, region: str) -> str:
    """Return what a record calls the registry of an account in a region."""
    return f"{account}/{region}"


def read(path: Path) -> Record:
    """
    Return what was pushed, nothing where there is no record.

    Raises:
        SettingsError: The file is no record.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return {
            place: {name: Image(**image) for name, image in images.items()}
            for place, images in document.items()
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise SettingsError(
            f"{path} is no record of pushed images: {error}",
            expected="what make push writes",
            remedy=f"rm {path}, then make push",
        ) from error


def write(path: Path, place: str, pushed: Mapping[str, Image]) -> None:
    """
    Add to a record what was pushed to one place, in one step: a reader sees all or nothing.

    Raises:
        SettingsError: The file there is no record, or it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with held(path.parent):
            record = {known: dict(images) for known, images in read(path).items()}
            record[place] = {**record.get(place, {}), **pushed}
            draft = path.with_suffix(".new")
            draft.write_text(text_of(record), encoding="utf-8")
            draft.replace(path)
    except OSError as error:
        raise SettingsError(
            f"cannot write the record of pushed images: {error}",
            remedy="name another as [images] record, and then make push again",
        ) from error


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold *folder*, so that of two pushes at once neither undoes what the other has noted."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def text_of(record: Record) -> str:
    """Return a record as its file has it."""
    document = {
        place: {name: asdict(image) for name, image in images.items()}
        for place, images in record.items()
    }
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def for_training(settings: Settings, pushed: Mapping[str, Image]) -> Choice:
    """Choose the image of a training job."""
    return _chosen("train", settings.images.train, [TRAIN], settings.images.record, pushed)


def for_serving(settings: Settings, pushed: Mapping[str, Image]) -> Choice:
    """Choose the image of an endpoint: for a GPU where its instances have one, if there is one."""
    has_gpu = GPU_FAMILIES.match(settings.deploy.instance_type) is not None
    names = [SERVE_GPU, SERVE] if has_gpu else [SERVE]
    return _chosen("serve", settings.images.serve, names, settings.images.record, pushed)


def named_otherwise(settings: Settings) -> list[str]:
    """Return the settings that name other images than kennel's own, and win over a push."""
    named = {"train": (settings.images.train, TRAIN), "serve": (settings.images.serve, SERVE)}
    return [
        f"[images] {key} = {uri}" for key, (uri, own) in named.items() if uri not in (None, own)
    ]


def _chosen(
    key: str, explicit: str | None, names: list[str], path: Path, pushed: Mapping[str, Image]
) -> Choice:
    if explicit:
        return Choice(explicit, f"set as [images] {key} or KENNEL_IMAGES_{key.upper()}")
    for name in names:
        if image := pushed.get(name):
            return Choice(image.uri, _reason(image, path), recorded=True)
    return Choice(None, f"none is set as [images] {key}, and none was pushed (make push)")


def _reason(image: Image, path: Path) -> str:
    return f"pushed {image.pushed} from commit {image.tag}, says {path}"
