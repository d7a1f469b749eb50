"""OpenVINO on a CPU: each worker compiles the model for itself, over the same file in memory."""

from dataclasses import dataclass
from pathlib import Path

from kennel.vision import openvino_model
from kennel.vision.artifact import Artifact
from kennel.vision.openvino_model import Logits


def load(folder: Path, described: Artifact) -> "OpenvinoBackend":
    """
    Import the library, which the workers then share, and judge the files.

    Raises:
        ArtifactError: See ``kennel.vision.openvino_model.verify``.
    """
    openvino_model.library()
    openvino_model.verify(folder, described)
    return OpenvinoBackend(folder)


@dataclass(frozen=True)
class OpenvinoBackend:
    """An artifact whose OpenVINO files are whole."""

    folder: Path

    def start(self, threads: int) -> Logits:
        """Compile the model: a tenth of a second for a ResNet-18."""
        return openvino_model.compiled(self.folder, threads=threads)
