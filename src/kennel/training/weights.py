"""
The weights that training starts from: torchvision's, a file of the channel ``weights``, or none.

What fits into which model is judged in kennel.vision.models.
"""

import hashlib
from pathlib import Path

import torch
from torch import nn

from kennel.contract import ContainerPaths
from kennel.datasets import folders
from kennel.errors import DataError
from kennel.training import loop
from kennel.training.channels import WEIGHTS_CHANNEL
from kennel.vision import models

NONE, IMAGENET, AUTO = "none", "imagenet", "auto"


def source(paths: ContainerPaths, weights: str) -> str | Path:
    """
    Return what the hyperparameter asks for: ``none``, ``imagenet`` or a file.

    Raises:
        DataError: The channel does not have that file; or with ``auto``, not exactly one.
    """
    if weights in (NONE, IMAGENET):
        return weights
    folder = paths.channel(WEIGHTS_CHANNEL)
    files = list(folders.files(folder)) if folder.is_dir() else []
    if weights == AUTO:
        if len(files) > 1:
            raise _unclear(f"the channel weights holds {len(files)} files", files, folder)
        return files[0] if files else IMAGENET
    chosen = [path for path in files if weights in (str(path.relative_to(folder)), path.name)]
    if len(chosen) != 1:
        raise _unclear(f"weights={weights}: no such file in the channel weights", files, folder)
    return chosen[0]


def described(origin: str | Path) -> str:
    """Name what ``source`` returned, for the log."""
    if isinstance(origin, Path):
        return origin.name
    return "random weights" if origin == NONE else "torchvision's ImageNet weights"


def load(model: nn.Module, architecture: str, origin: str | Path) -> None:
    """
    Load all but the head from *origin*, see ``source``.

    Raises:
        DataError: The weights cannot be had, are torn, or do not fit.
    """
    if isinstance(origin, Path):
        models.load_pretrained(model, models.read_state_dict(origin))
    elif origin == IMAGENET:
        models.load_pretrained(model, models.imagenet_state_dict(architecture))


def fixed(model: nn.Module) -> str:
    """Return the digest of the weights that training never changes, which no checkpoint holds."""
    changing = loop.changing(model)
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        if name not in changing:
            digest.update(name.encode())
            digest.update(tensor.cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _unclear(problem: str, files: list[Path], folder: Path) -> DataError:
    names = ", ".join(str(path.relative_to(folder)) for path in files) or "no files"
    return DataError(
        problem,
        expected=f"imagenet, none, or the name of a file of that channel, which has {names}",
        remedy="set the hyperparameter weights",
    )
