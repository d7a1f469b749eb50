"""
A trained classifier on disk: everything needed to use it, and nothing to guess.

    model.pth               the state dict, for torch.load(weights_only=True)
    model.xml, model.bin    the same model for OpenVINO, where it could be converted
    artifact.json           architecture, class names, preprocessing, metrics, versions

Here is the description, which needs no torch. The files for torch are written and read by
kennel.vision.trained, those for OpenVINO are read by kennel.vision.openvino_model. Packing this
folder into model.tar.gz is the platform's business; checkpoints of a training under way are
kennel.training's.
"""

import json
import math
import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import IO, Any, Final

from kennel.errors import ArtifactError
from kennel.vision.preprocessing import Preprocessing

WEIGHTS_FILE: Final = "model.pth"
OPENVINO_FILES: Final = ("model.xml", "model.bin")  # the second is found beside the first
DESCRIPTION_FILE: Final = "artifact.json"
FORMAT: Final = 1  # raise it when a reader of the last one would go wrong
REMEDY: Final = "unpack the job's model.tar.gz again, or train the model again"
_LISTED_AT_MOST: Final = 8
_RECORDED: Final = ("kennel", "torch", "torchvision", "openvino")


def _versions() -> dict[str, str]:
    packages = {name: metadata.version(name) for name in _RECORDED}
    return packages | {"python": platform.python_version()}


@dataclass(frozen=True)
class Artifact:
    """What one has to know of a model besides its weights."""

    architecture: str  # one of kennel.vision.models.names()
    class_names: tuple[str, ...]  # label -> name
    preprocessing: Preprocessing
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=_versions)  # of what trained it
    openvino: Mapping[str, str] = field(default_factory=dict)  # file -> SHA-256; empty: none

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-able document; a metric that is not finite becomes null."""
        return {
            "format": FORMAT,
            "architecture": self.architecture,
            "class_names": list(self.class_names),
            "preprocessing": self.preprocessing.to_dict(),
            "metrics": {name: _finite(value) for name, value in self.metrics.items()},
            "versions": dict(self.versions),
            "openvino": dict(self.openvino),
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "Artifact":
        """
        Return what ``to_dict`` described.

        Raises:
            ArtifactError: Of another format, or a member is missing or wrong.
        """
        if document.get("format") != FORMAT:
            raise ArtifactError(
                f"the artifact has format {document.get('format')!r}", expected=f"format {FORMAT}"
            )
        try:
            return cls(
                architecture=str(document["architecture"]),
                class_names=_class_names(document["class_names"]),
                preprocessing=Preprocessing.from_dict(document["preprocessing"]),
                metrics=dict(document["metrics"]),
                versions=dict(document["versions"]),
                openvino=dict(document.get("openvino", {})),  # the first artifacts had none
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(
                f"{DESCRIPTION_FILE} has a missing or wrong member: {type(error).__name__} {error}",
                remedy=REMEDY,
            ) from error


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _class_names(value: object) -> tuple[str, ...]:
    if isinstance(value, list) and value and all(isinstance(name, str) for name in value):
        return tuple(value)
    raise ValueError(f"class_names {value!r} is no list of names")


def write_description(folder: Path, artifact: Artifact) -> None:
    """Write artifact.json, whole or not at all."""
    text = json.dumps(artifact.to_dict(), indent=2, ensure_ascii=False) + "\n"
    write(folder / DESCRIPTION_FILE, lambda file: file.write(text.encode()))


def write(path: Path, fill: Callable[[IO[bytes]], object]) -> None:
    """Replace *path* at once: a reader, or a crash, finds the old file or the new one."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def describe(folder: Path) -> Artifact:
    """
    Read all but the weights.

    Raises:
        ArtifactError: There is no artifact, or its description is torn.
    """
    path = folder / DESCRIPTION_FILE
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise ArtifactError(
            f"no artifact in {folder}: cannot read {DESCRIPTION_FILE}: {error.strerror}",
            expected=f"{DESCRIPTION_FILE} and {WEIGHTS_FILE}; it holds {_listing(folder)}",
        ) from error
    except ValueError as error:
        raise ArtifactError(f"{path} is torn: {error}", remedy=REMEDY) from error
    if not isinstance(document, dict):
        raise ArtifactError(f"{path} holds no JSON object", remedy=REMEDY)
    return Artifact.from_dict(document)


def _listing(folder: Path) -> str:
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError:
        names = []
    return ", ".join(names[:_LISTED_AT_MOST]) or "nothing"
