"""
A frozen backbone sees every picture once.

Where only the head is trained and pictures are not augmented, what the head is given never changes:
compute it once, keep it in memory, and an epoch takes milliseconds. The result is that of the plain
path up to rounding (a fused backbone sums in another order).
"""

from collections.abc import Iterator, Sequence
from copy import deepcopy

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from kennel.training.group import ALONE, Group
from kennel.training.loop import Batch, Source
from kennel.training.stopping import Stop
from kennel.vision import models

TOLERANCE = 1e-3  # between the logits of the whole model and those of its head


class FeatureSource:
    """A split in memory: what the head is given, and the labels."""

    def __init__(self, features: Tensor, labels: Tensor, batch_size: int) -> None:
        self._features, self._labels, self._batch_size = features, labels, batch_size

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self._labels)

    def training(self, batches: Sequence[Tensor], _epoch: int, _first_step: int) -> Iterator[Batch]:
        """Yield the batches with these indices."""
        for batch in batches:
            indices = batch.to(self._labels.device)
            yield self._features.index_select(0, indices), self._labels.index_select(0, indices)

    def evaluation(self, rank: int = 0, size: int = 1) -> Iterator[Batch]:
        """Yield every *size*-th example from *rank* on, in order."""
        features = torch.split(self._features[rank::size], self._batch_size)
        labels = torch.split(self._labels[rank::size], self._batch_size)
        return ((part, own) for part, own in zip(features, labels, strict=True) if len(own))


class Backbone:
    """
    A model up to its head, for reading only: in float32, as validation is measured.

    Args:
        model: On its device, in channels_last; its head may go on learning.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = _fused(model)
        self._device = next(model.parameters()).device
        self._seen: list[Tensor] = []
        models.head(self._model).register_forward_pre_hook(self._keep)

    def _keep(self, _head: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._seen.append(inputs[0])

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        """Return what the head is given, (N, D) float32."""
        self._model(images)
        return self._seen.pop()

    def features(
        self, source: Source, batch_size: int, stop: Stop, group: Group = ALONE
    ) -> FeatureSource:
        """
        Compute the features of a split: each rank those of its share, and all have all of them.

        Raises:
            Stopped: A stop was asked for.
        """
        features, labels = [], []
        with group.together():
            for images, batch_labels in source.evaluation(group.rank, group.size):
                stop.check()
                features.append(self(images))
                labels.append(batch_labels)
        # Cloned, for what inference mode made cannot take part in training.
        return FeatureSource(
            group.interleave(self._joined(features).clone(), len(source)),
            group.interleave(self._joined(labels), len(source)),
            batch_size,
        )

    def _joined(self, parts: Sequence[Tensor]) -> Tensor:
        """Return the rows of all parts; of few pictures some ranks have none."""
        return torch.cat([*parts]) if parts else torch.empty(0, device=self._device)


@torch.inference_mode()
def ends_in_its_head(model: nn.Module, backbone: Backbone, images: Tensor) -> bool:
    """
    Tell whether the head, given the backbone's features, makes the model's own logits.

    SqueezeNet pools after its head; there the plain path is the only one.

    Args:
        model: In eval mode.
        backbone: Of that model.
        images: A batch, (N, 3, H, W).
    """
    with torch.backends.cudnn.flags(allow_tf32=False):  # which rounds more than the tolerance
        made, own = models.head(model)(backbone(images)), model(images)
    return made.shape == own.shape and bool(
        torch.allclose(made, own, atol=TOLERANCE, rtol=TOLERANCE)
    )


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
