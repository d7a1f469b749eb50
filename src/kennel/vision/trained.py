"""
The files of an artifact that torch writes: its own, and those for OpenVINO made from them.

What an artifact is, and its description, is kennel.vision.artifact.
"""

import dataclasses
import hashlib
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from kennel.errors import ArtifactError, KennelError
from kennel.vision import artifact, models, openvino_model
from kennel.vision.artifact import Artifact

TOLERANCE: Final = 1e-4  # between the probabilities of torch and OpenVINO
_TRACED, _TRIED = 2, 3  # batches; two sizes, and neither 1, which tracing may take for a constant


def save(folder: Path, model: nn.Module, described: Artifact) -> None:
    """
    Write the artifact into *folder*, each file whole or not at all.

    Args:
        folder: Made if need be; what else it holds is left alone, but for the OpenVINO files of an
            earlier artifact.
        model: On any device, wrapped in DistributedDataParallel or torch.compile or not.
        described: Its class names as many as the model has logits.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = models.unwrapped(
        {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    )
    artifact.write(folder / artifact.WEIGHTS_FILE, lambda file: torch.save(weights, file))
    artifact.write_description(folder, described)
    for name in artifact.OPENVINO_FILES:
        (folder / name).unlink(missing_ok=True)


def load(folder: Path) -> tuple[nn.Module, Artifact]:
    """
    Return the model, in eval mode on the CPU, and its description.

    Raises:
        ArtifactError: A part is missing or torn, or the parts do not fit together.
    """
    described = artifact.describe(folder)
    try:
        weights = models.read_state_dict(folder / artifact.WEIGHTS_FILE)
        model = models.build(
            described.architecture,
            len(described.class_names),
            image_size=described.preprocessing.crop_px,
        )
        models.load_exactly(model, weights)
    except KennelError as error:
        raise ArtifactError(
            f"cannot load the artifact in {folder}: {error.problem}", remedy=artifact.REMEDY
        ) from error
    return model.eval(), described


def convert(folder: Path) -> None:
    """
    Add the model to the artifact in the form that a CPU serves without torch.

    It is recorded only after it has answered as torch does, to TOLERANCE; the artifact is as it was
    until then.

    Raises:
        ArtifactError: The artifact cannot be loaded, or OpenVINO's answers are others.
        Exception: Whatever OpenVINO raises of a model that it cannot take.
    """
    model, described = load(folder)
    size = described.preprocessing.crop_px
    with tempfile.TemporaryDirectory(prefix=".openvino-", dir=folder) as temporary:
        partial = Path(temporary)
        _write_openvino(model, size, partial)
        _require_equal(model, size, partial)
        digests = {name: _synced_digest(partial / name) for name in artifact.OPENVINO_FILES}
        for name in digests:
            (partial / name).replace(folder / name)
    artifact.write_description(folder, dataclasses.replace(described, openvino=digests))


def converted(model: nn.Module, example: torch.Tensor) -> Any:  # noqa: ANN401 - of a module without types
    """
    Return *model* as OpenVINO has it, for batches of any number.

    Args:
        model: In eval mode, on the CPU.
        example: A batch of two, or more.

    Raises:
        Exception: Whatever OpenVINO or torch raise of a model that they cannot take.
    """
    with warnings.catch_warnings(), torch.no_grad():
        # Tracing is what OpenVINO converts from. It is deprecated, and warns of what it makes
        # constant; whether that does harm is seen from the answers, and so it need not check.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined] # not in its __all__
        traced = torch.jit.trace(model, example, check_trace=False)  # type: ignore[no-untyped-call] # torch types little of it
        return openvino_model.library().convert_model(
            traced, example_input=example, input=[(-1, *example.shape[1:])]
        )


def _write_openvino(model: nn.Module, size: int, folder: Path) -> None:
    openvino = openvino_model.library()
    of_any_batch = converted(model, torch.zeros(_TRACED, 3, size, size))
    openvino.save_model(of_any_batch, folder / artifact.OPENVINO_FILES[0], compress_to_fp16=False)


def _require_equal(model: nn.Module, size: int, folder: Path) -> None:
    images = torch.randn(_TRIED, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        wanted = model(images).softmax(dim=1)
    logits = openvino_model.compiled(folder, threads=torch.get_num_threads())
    given = torch.from_numpy(logits(images.numpy())).softmax(dim=1)
    difference = float((given - wanted).abs().max())
    if not difference <= TOLERANCE:  # nor NaN
        raise ArtifactError(
            f"OpenVINO's probabilities differ from torch's by {difference}",
            expected=f"at most {TOLERANCE}",
        )


def _synced_digest(path: Path) -> str:
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()
