"""
A frozen backbone for reading only: from the pixels of pictures to what the head is given.

OpenVINO computes on a CPU, torch on a GPU and where there is little to do. Which pictures pass
through it is feature_pass.py's.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from kennel.training import precision
from kennel.training.log import say
from kennel.vision import models, openvino_model, trained
from kennel.vision.preprocessing import Preprocessing

TOLERANCE = 1e-3  # between the logits of the whole model and those of its head
WORTH_CONVERTING = 25_000_000  # pixels, 500 pictures of 224 px; fewer are done before it is
PRECISIONS = {None: "f32", torch.bfloat16: "bf16", torch.float16: "fp16"}

Done = Callable[[NDArray[np.float32]], None]  # takes features (N, D), and copies them


class Engine(Protocol):
    """Computes features; batches may be under way side by side until it is told to finish."""

    precision: str  # f32, bf16 or fp16
    batch: int  # views that it is best given together

    def __call__(self, batch: NDArray[np.uint8], done: Done) -> None:
        """Begin with a batch of pixels (N, H, W, 3), and hand its features to *done*."""

    def finish(self) -> None:
        """Wait until every batch is done."""


class TorchEngine:
    """Computes at once, on the device of *module*, in float32 or with autocast to *dtype*."""

    batch = 32

    def __init__(self, module: nn.Module, device: torch.device, dtype: torch.dtype | None) -> None:
        self._module, self._device, self._dtype = module, device, dtype
        self.precision = PRECISIONS[dtype]

    @torch.inference_mode()
    def __call__(self, batch: NDArray[np.uint8], done: Done) -> None:
        """Compute, and hand over."""
        pixels = torch.from_numpy(batch).to(self._device, non_blocking=True)
        with precision.autocast(self._device, self._dtype):
            features = self._module(pixels)
        done(features.float().cpu().numpy())

    def finish(self) -> None:
        """Return: nothing is under way."""


@dataclass(frozen=True)
class Engines:
    """Of one backbone: for training pictures, and for those that are evaluated, in float32."""

    training: Engine
    evaluation: Engine


def headless(model: nn.Module) -> nn.Module:
    """Return a copy that answers what the head would be given, its BatchNorms merged."""
    copy = _fused(model)
    copy.set_submodule(models.head_name(model), nn.Identity())
    return copy.requires_grad_(requires_grad=False)


@torch.inference_mode()
def ends_in_its_head(model: nn.Module, body: nn.Module, images: Tensor) -> bool:
    """
    Tell whether the head, given what *body* answers, makes the model's own logits.

    SqueezeNet pools after its head; there the plain path is the only one.

    Args:
        model: In eval mode.
        body: Its own, from ``headless``.
        images: A batch, (N, 3, H, W).
    """
    head = models.head(model)
    if not isinstance(head, nn.Linear):
        return False
    with torch.backends.cudnn.flags(allow_tf32=False):  # which rounds more than the tolerance
        made, own = head(body(images)), model(images)
    return made.shape == own.shape and bool(
        torch.allclose(made, own, atol=TOLERANCE, rtol=TOLERANCE)
    )


def engines(
    body: nn.Module,
    preprocessing: Preprocessing,
    *,
    amp: str,
    views: int,
    device: torch.device,
) -> Engines:
    """
    Decide what computes the features.

    Args:
        body: From ``headless``, on the device.
        preprocessing: Whose normalisation comes first.
        amp: The hyperparameter.
        views: Of all pictures, that are to be computed.
        device: Of the run.
    """
    module = FromPixels(body, preprocessing).to(device).eval()
    if device.type == "cpu" and views * preprocessing.crop_px**2 >= WORTH_CONVERTING:
        try:
            return _openvino(module, preprocessing.crop_px, amp)
        except Exception as error:  # noqa: BLE001 - whatever OpenVINO makes of the model
            say(f"OpenVINO cannot take this backbone, torch computes instead: {error}")
    dtype = precision.choose_dtype(amp, device)
    return Engines(TorchEngine(module, device, dtype), TorchEngine(module, device, None))


def _openvino(module: nn.Module, size: int, amp: str) -> Engines:
    model = trained.converted(module, torch.zeros(2, size, size, 3, dtype=torch.uint8))
    threads = torch.get_num_threads()
    wanted = {"off": "f32"}.get(amp, amp)
    return Engines(
        openvino_model.Stream(model, threads=threads, precision=wanted),
        openvino_model.Stream(model, threads=threads, precision="f32"),
    )


class FromPixels(nn.Module):
    """A backbone that takes pixels (N, H, W, 3) uint8, normalised as Preprocessing does it."""

    mean: Tensor
    std: Tensor

    def __init__(self, body: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.body = body
        self.register_buffer("mean", torch.tensor(preprocessing.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(preprocessing.std).view(1, 3, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        """Return features (N, D)."""
        images = pixels.permute(0, 3, 1, 2).to(torch.float32) / 255
        features: Tensor = self.body((images - self.mean) / self.std)
        return features


def _fused(model: nn.Module) -> nn.Module:
    """Return a copy with each BatchNorm merged into its convolution, if it can be traced."""
    copy = deepcopy(model).eval()
    try:
        traced = fx.symbolic_trace(copy)
    except Exception:  # noqa: BLE001 - tracing raises nearly anything, and the model itself will do
        return copy
    for norm in list(traced.graph.nodes):
        _merge(traced, norm)
    traced.recompile()
    return traced


def _merge(traced: fx.GraphModule, norm: fx.Node) -> None:
    """Take *norm* out of the graph if it is a BatchNorm that follows a convolution of its own."""
    before = norm.args[0] if norm.op == "call_module" and norm.args else None
    if not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) > 1:
        return
    conv = traced.get_submodule(str(before.target))
    batch_norm = traced.get_submodule(str(norm.target))
    if isinstance(conv, nn.Conv2d) and isinstance(batch_norm, nn.BatchNorm2d):
        traced.set_submodule(str(before.target), fuse_conv_bn_eval(conv, batch_norm))
        norm.replace_all_uses_with(before)
        traced.graph.erase_node(norm)
