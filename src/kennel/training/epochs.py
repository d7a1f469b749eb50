"""
What an epoch came to, and which of several was the best.

Epochs are made in loop.py; checkpoints, reports and observers know them from here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Epoch:
    """What an epoch came to; losses in nats, accuracies as fractions."""

    epoch: int  # counted from 1
    train_loss: float
    train_accuracy: float
    valid_loss: float
    valid_accuracy: float
    lr: float  # of its last step
    images_per_s: float  # while training, validation aside
    seconds: float  # with the validation

    @property
    def rank(self) -> tuple[float, float]:
        """More is better: accuracy first, and of equals the lower loss; not finite is the worst."""
        if not math.isfinite(self.valid_loss):
            return -math.inf, -math.inf
        return self.valid_accuracy, -self.valid_loss


def best_of(history: Sequence[Epoch]) -> Epoch | None:
    """Return the first of the epochs that did best on validation, if one came to a finite loss."""
    best = max(history, key=lambda epoch: epoch.rank, default=None)
    return best if best and math.isfinite(best.valid_loss) else None
