"""
What computes: torch on a GPU, OpenVINO on a CPU, torch on a CPU where nothing else is there.

A backend is prepared once, in the process that forks the workers, and started in each of them:
neither OpenVINO's threads nor CUDA survive a fork.
"""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Protocol

from kennel.errors import ArtifactError, MissingToolError
from kennel.serving import forks
from kennel.vision import artifact
from kennel.vision.artifact import Artifact
from kennel.vision.openvino_model import Logits

AUTO: Final = "auto"
TORCH: Final = "torch"
OPENVINO: Final = "openvino"
CHOICES: Final = (AUTO, OPENVINO, TORCH)
_GPUS: Final = ("nvidia[0-9]*", "dxg")  # in /dev; the second in Windows' Linux


class Backend(Protocol):
    """A model that is ready to be started in any number of forks."""

    def start(self, threads: int) -> Logits:
        """Return the model as a function of this process, which computes with *threads* threads."""


def choose(wanted: str, described: Artifact, *, cuda: Callable[[], bool], torch: bool) -> str:
    """
    Return the backend that serves an artifact.

    Args:
        wanted: One of CHOICES.
        described: The artifact.
        cuda: Whether torch can use a GPU; asked only where the answer matters.
        torch: Whether torch is installed.

    Raises:
        ArtifactError: It has no OpenVINO model, and that is wanted, or nothing else is installed.
        MissingToolError: torch is wanted, and not installed.
    """
    if wanted == TORCH and not torch:
        raise MissingToolError(
            "torch is to serve this model, and is not installed",
            expected=f"an OpenVINO model in the artifact, and {OPENVINO} or {AUTO}",
            remedy="serve it with the gpu variant of the image, which has torch",
        )
    if wanted == TORCH or (wanted == AUTO and torch and cuda()):
        return TORCH
    if described.openvino:
        return OPENVINO
    if wanted == AUTO and torch:
        return TORCH
    raise ArtifactError(
        f"the artifact has no OpenVINO model: {artifact.DESCRIPTION_FILE} names none",
        expected=f"{' and '.join(artifact.OPENVINO_FILES)} beside {artifact.WEIGHTS_FILE}",
        remedy="train it again, and look for a WARNING at the end of the job's log; or serve it "
        "with the gpu variant of the image, which has torch",
    )


def prepare(folder: Path, described: Artifact, wanted: str) -> tuple[str, Backend]:
    """
    Read what all workers share.

    Returns:
        The backend's name, and the backend.

    Raises:
        ArtifactError: A file of the artifact is missing or torn, or see ``choose``.
    """
    chosen = choose(wanted, described, cuda=_cuda, torch=_has_torch())
    # The cpu image has no torch, and where it is, it takes seconds to import.
    if chosen == TORCH:
        from kennel.serving import torch_backend  # noqa: PLC0415 - see above

        return chosen, torch_backend.load(folder)
    from kennel.serving import openvino_backend  # noqa: PLC0415 - see above

    return chosen, openvino_backend.load(folder, described)


def _has_torch() -> bool:
    return all(find_spec(name) for name in ("torch", "torchvision"))


def _cuda() -> bool:
    """Whether torch can use a GPU, asked in a fork: CUDA would not survive another after that."""
    if not any(found for pattern in _GPUS for found in Path("/dev").glob(pattern)):
        return False  # said without torch, which takes seconds to import
    from kennel.serving import torch_backend  # noqa: PLC0415 - see above

    return forks.call(torch_backend.device) == torch_backend.CUDA
