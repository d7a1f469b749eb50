"""
Measures of a classifier: means over examples, a confusion matrix, and what follows from it.

Sums are taken over examples and divided once, so a short last batch weighs what it should. What is
printed is in main.py, what is drawn in report.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from kennel.training.group import Group


class Totals:
    """
    Running sums over examples, kept on the device: reading them stalls a GPU.

    The loss is the plain cross-entropy, whatever the training minimises, so that the figures of
    training and validation can be compared.
    """

    def __init__(self, device: torch.device) -> None:
        self.sums = torch.zeros(3, dtype=torch.float64, device=device)

    @classmethod
    def of(cls, sums: Tensor) -> Self:
        """Return totals that came to *sums*."""
        totals = cls(sums.device)
        totals.sums += sums
        return totals

    def over(self, group: Group) -> Self:
        """Return the totals of all ranks."""
        return self.of(group.sum(self.sums))

    @torch.no_grad()
    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Count a batch: logits (N, C), labels (N,)."""
        loss = F.cross_entropy(logits.float(), labels, reduction="sum")
        correct = (logits.argmax(dim=1) == labels).sum()
        seen = torch.tensor(len(labels), device=self.sums.device)
        self.sums += torch.stack([loss.double(), correct.double(), seen.double()])

    @property
    def loss(self) -> float:
        """Mean cross-entropy in nats."""
        return float(self.sums[0] / self.sums[2])

    @property
    def accuracy(self) -> float:
        """Fraction, 0 to 1."""
        return float(self.sums[1] / self.sums[2])

    @property
    def seen(self) -> int:
        """Number of examples."""
        return int(self.sums[2])


@dataclass(frozen=True)
class Evaluation:
    """A model measured on a split."""

    loss: float  # mean cross-entropy in nats
    confusion: Tensor  # (C, C) int64: rows are the true class, columns the predicted one

    @property
    def accuracy(self) -> float:
        """Fraction, 0 to 1."""
        return float(self.confusion.trace() / self.confusion.sum())


def confusion(logits: Tensor, labels: Tensor) -> Tensor:
    """Count a batch: logits (N, C) and labels (N,) → (C, C) int64, rows true."""
    classes = logits.shape[1]
    pairs = labels * classes + logits.argmax(dim=1)
    return torch.bincount(pairs, minlength=classes * classes).view(classes, classes)


@dataclass(frozen=True)
class ClassMeasures:
    """How well one class is found."""

    precision: float  # of what was called this class, the share that is; 0 if nothing was
    recall: float  # of what is this class, the share that was found; 0 if there is none
    f1: float
    support: int  # examples of this class


def per_class(matrix: Tensor, class_names: Sequence[str]) -> dict[str, ClassMeasures]:
    """Return the measures of each class, from a confusion matrix (C, C) with true rows."""
    right, real, called = matrix.diagonal().tolist(), matrix.sum(1).tolist(), matrix.sum(0).tolist()
    return {
        name: ClassMeasures(
            precision=_ratio(right[label], called[label]),
            recall=_ratio(right[label], real[label]),
            f1=_ratio(2 * right[label], called[label] + real[label]),
            support=real[label],
        )
        for label, name in enumerate(class_names)
    }


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
