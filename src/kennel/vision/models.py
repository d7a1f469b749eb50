"""
Any of torchvision's classifiers by name, with a head for the data's classes.

Built without downloading anything; pretrained weights are loaded over it from a state dict.
Detection, segmentation, video and quantised models are not here. The artifact on disk is
kennel.vision.artifact.
"""

import re
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.vision_transformer import interpolate_embeddings

from kennel.errors import DataError, HyperparameterError
from kennel.vision import classifiers

StateDict = Mapping[str, Tensor]

# Training these two would return a tuple of three logits. Their ImageNet weights were trained on
# other statistics, which transform_input converts to.
_INCEPTION: Final = {"aux_logits": False, "transform_input": True, "init_weights": True}
_AUXILIARY: Final = re.compile(r"^(AuxLogits|aux[12])\.")
_WRAPPERS: Final = ("state_dict", "model", "model_state_dict")
_PREFIXES: Final = re.compile(r"^(module\.|_orig_mod\.)+")  # DistributedDataParallel, torch.compile
_OLD_DENSENET: Final = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")
_NAMED_AT_MOST: Final = 3
_UNPICKLER: Final = "WeightsUnpickler error:"  # what torch finds wrong stands behind it
_ADVICE: Final = re.compile(r"\. Please |\n\nCheck the documentation")  # and then how to trust it


def names() -> list[str]:
    """Return the name of every classifier, sorted."""
    return sorted(torchvision.models.list_models(module=torchvision.models))


def build(name: str, num_classes: int, *, image_size: int = 224) -> nn.Module:
    """
    Return a randomly initialised classifier: (N, 3, H, W) float in, logits (N, num_classes) out.

    Args:
        name: One of ``names()``.
        num_classes: Size of the head, at least 1.
        image_size: Side of the square inputs in px. Only the ViT and MaxViT families are built for
            one size; the others take any that is large enough, see ``require_image_size``.

    Raises:
        HyperparameterError: No such model, or it cannot be built for that size.
    """
    if name not in names():
        raise classifiers.unknown(name)
    try:
        model: nn.Module = torchvision.models.get_model(
            name, weights=None, num_classes=num_classes, **_arguments(name, image_size)
        )
    except (ValueError, AssertionError, RuntimeError) as error:
        raise _wrong_size(name, image_size, error) from error
    return model


def _arguments(name: str, image_size: int) -> dict[str, Any]:
    match name.partition("_")[0]:
        case "googlenet" | "inception":
            return dict(_INCEPTION)
        case "vit":
            return {"image_size": image_size}
        case "maxvit":
            return {"input_size": (image_size, image_size)}
        case _:
            return {}


def require_image_size(model: nn.Module, image_size: int) -> None:
    """
    Try the model on one blank picture, so that a size it cannot take is an error before training.

    Raises:
        HyperparameterError: Its layers shrink such a picture to nothing, or expect another size.
    """
    was_training = model.training
    example = next(model.parameters())
    blank = torch.zeros(1, 3, image_size, image_size, device=example.device, dtype=example.dtype)
    try:
        with torch.inference_mode():
            model.eval()(blank)
    except (ValueError, AssertionError, RuntimeError) as error:
        raise _wrong_size(type(model).__name__, image_size, error) from error
    finally:
        model.train(was_training)


def _wrong_size(name: str, image_size: int, error: Exception) -> HyperparameterError:
    return HyperparameterError(
        f"{name} cannot take pictures of {image_size} px: {str(error).splitlines()[0]}",
        expected="a multiple of 32 px; 224 suits every model",
        remedy="set image-size to 224",
    )


def head_name(model: nn.Module) -> str:
    """Return the qualified name of the layer that makes the logits."""
    layers: list[str] = [
        name for name, module in model.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)
    ]
    return layers[-1]  # true of every torchvision classifier; a test builds them all


def head(model: nn.Module) -> nn.Module:
    """Return the layer that makes the logits: Linear, or Conv2d for SqueezeNet."""
    return model.get_submodule(head_name(model))


def freeze_backbone(model: nn.Module) -> None:
    """Leave only the head trainable."""
    model.requires_grad_(requires_grad=False)
    head(model).requires_grad_(requires_grad=True)


def train_mode(model: nn.Module, *, frozen: bool) -> None:
    """Enter training mode; a frozen backbone stays in eval mode, or its BatchNorm would drift."""
    model.train(not frozen)
    head(model).train()


def load_pretrained(model: nn.Module, state_dict: StateDict) -> None:
    """
    Load all weights but the head's, which keeps its fresh initialisation.

    A ViT's position embeddings are interpolated when its image size differs from the weights'.

    Args:
        model: From ``build``.
        state_dict: Weights of the same architecture, with a head of any size.

    Raises:
        DataError: A weight is missing, unknown or of another shape; names the first few.
    """
    own = model.state_dict()
    head_prefix = head_name(model) + "."
    weights = _resized_positions(model, unwrapped(state_dict))
    given = {
        name: weight
        for name, weight in weights.items()
        if not name.startswith(head_prefix) and not _AUXILIARY.match(name)
    }
    _require_fit(given, {k: v for k, v in own.items() if not k.startswith(head_prefix)})
    load_exactly(model, {**own, **given})


def load_exactly(model: nn.Module, state_dict: StateDict) -> None:
    """
    Load all weights, the head's too.

    Raises:
        DataError: A weight is missing, unknown or of another shape; names the first few.
    """
    own = model.state_dict()
    _require_fit(state_dict, own)
    complete = OrderedDict(own, **state_dict)
    # Beside the tensors stand the versions of the layers; MNASNet refuses to load without.
    vars(complete)["_metadata"] = vars(own)["_metadata"]
    model.load_state_dict(complete)


def unwrapped(state_dict: StateDict) -> dict[str, Tensor]:
    """Undo what DistributedDataParallel, torch.compile and old torchvisions did to the names."""
    return {
        _OLD_DENSENET.sub(r"\1\2", _PREFIXES.sub("", name)): weight
        for name, weight in state_dict.items()
    }


def _resized_positions(model: nn.Module, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    if (
        isinstance(model, torchvision.models.VisionTransformer)
        and "encoder.pos_embedding" in weights
    ):
        return dict(interpolate_embeddings(model.image_size, model.patch_size, weights))
    return weights


def _require_fit(given: StateDict, own: StateDict) -> None:
    """Compare names and shapes; BatchNorm's batch counter may be missing, old weights lack it."""
    missing = [n for n in own if n not in given and not n.endswith("num_batches_tracked")]
    unknown = [n for n in given if n not in own]
    misshapen = [
        f"{n} {tuple(given[n].shape)} for {tuple(own[n].shape)}"
        for n in given
        if n in own and given[n].shape != own[n].shape
    ]
    kinds = {"missing": missing, "unknown": unknown, "misshapen": misshapen}
    problems = [_count(kind, found) for kind, found in kinds.items() if found]
    if problems:
        raise DataError(
            f"the weights do not fit the model: {'; '.join(problems)}",
            expected=f"a state dict of the same architecture, {len(own)} tensors",
            remedy="set the hyperparameter model to the architecture of the weights",
        )


def _count(kind: str, found: list[str]) -> str:
    more = ", …" if len(found) > _NAMED_AT_MOST else ""
    return f"{len(found)} {kind} ({', '.join(found[:_NAMED_AT_MOST])}{more})"


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """
    Read weights without unpickling code, whether saved alone or inside a checkpoint.

    Raises:
        DataError: Missing, torn, or not a state dict.
    """
    try:
        document = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise DataError(
            f"cannot read the weights {path}: {_reason(error)}",
            expected="a state dict written by torch.save(model.state_dict(), path)",
        ) from error
    return _state_dict_in(document, path)


def _reason(error: Exception) -> str:
    """Return what torch found, without its advice to run whatever code the file brings."""
    text = _ADVICE.split(str(error).rpartition(_UNPICKLER)[2])[0].strip()
    return text.splitlines()[0] if text else type(error).__name__


def _state_dict_in(document: object, path: Path) -> dict[str, Tensor]:
    if isinstance(document, dict):
        for wrapper in _WRAPPERS:
            if isinstance(document.get(wrapper), dict):
                return _state_dict_in(document[wrapper], path)
        if document and all(isinstance(value, Tensor) for value in document.values()):
            return document
    raise DataError(
        f"{path} holds no state dict but {type(document).__name__}",
        expected="a state dict written by torch.save(model.state_dict(), path)",
    )


def imagenet_state_dict(name: str) -> dict[str, Tensor]:
    """
    Return torchvision's best ImageNet weights, downloaded once to TORCH_HOME and verified by hash.

    Raises:
        HyperparameterError: No such model.
        DataError: They are neither cached nor to be had over the network.
    """
    if name not in names():
        raise classifiers.unknown(name)
    weights = torchvision.models.get_model_weights(name).DEFAULT
    try:
        return dict(weights.get_state_dict(progress=False, check_hash=True))
    except (OSError, RuntimeError) as error:  # URLError is an OSError; RuntimeError: wrong hash
        raise DataError(
            f"cannot get the ImageNet weights of {name} from {weights.url}: {error}",
            expected="network access, or the file in $TORCH_HOME/hub/checkpoints",
            remedy="put the file into a channel called weights, or set weights to none",
        ) from error
