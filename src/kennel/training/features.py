"""
Features in memory: what a frozen backbone made of each picture, and all that its head needs.

Where only the head is trained, what it is given never changes but for the augmentation: computed
once (feature_pass.py) and kept on disk (feature_cache.py), it makes an epoch take milliseconds.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from kennel.training.loop import Batch


class FeatureSource:
    """
    A split in memory.

    Args:
        features: (N, D), of the first view, which is the one that is evaluated.
        labels: (N,) int64.
        batch_size: Of evaluation.
        others: (N, D) each, further views: the epochs of training take all of them by turns.
    """

    def __init__(
        self,
        features: Tensor,
        labels: Tensor,
        batch_size: int,
        others: Sequence[Tensor] = (),
    ) -> None:
        self._views, self._labels = (features, *others), labels
        self._batch_size = batch_size

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self._labels)

    def training(self, batches: Sequence[Tensor], epoch: int, _first_step: int) -> Iterator[Batch]:
        """Yield the batches with these indices, in the view that it is the epoch's turn for."""
        features = self._views[epoch % len(self._views)]
        for batch in batches:
            indices = batch.to(self._labels.device)
            yield features.index_select(0, indices), self._labels.index_select(0, indices)

    def evaluation(self, rank: int = 0, size: int = 1) -> Iterator[Batch]:
        """Yield every *size*-th example from *rank* on, in order."""
        features = torch.split(self._views[0][rank::size], self._batch_size)
        labels = torch.split(self._labels[rank::size], self._batch_size)
        return ((part, own) for part, own in zip(features, labels, strict=True) if len(own))


@dataclass(frozen=True)
class Features:
    """The features of every split: (N, views, D) float32 each, on one device; labels (N,) int64."""

    values: Mapping[str, Tensor]
    labels: Mapping[str, Tensor]

    def source(self, split: str, batch_size: int, views: int = 1) -> FeatureSource:
        """Return a split, of which training takes so many views by turns."""
        first, *others = self.values[split].unbind(1)[:views]
        return FeatureSource(first, self.labels[split], batch_size, others)

    def to(self, device: torch.device) -> Self:
        """Return them on *device*."""
        values = {split: part.to(device) for split, part in self.values.items()}
        return type(self)(values, {split: part.to(device) for split, part in self.labels.items()})
