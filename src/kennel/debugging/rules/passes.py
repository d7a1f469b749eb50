"""
Losses as the rules over them read them: by evaluation, and by what was trained between two.

One batch's loss is noise. The mean of an evaluation's batches is the validation loss, that of the
training steps saved between two evaluations the training loss of an epoch.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kennel.debugging.reading import Trial
from kennel.debugging.rules.judge import EVAL, Step

BLOCK = 5  # training losses that one look takes together, at least: a single one is noise
NOISE = 2.0  # standard errors within which two means are the same
SETTLED = 0.1  # of the first loss: one that has come so far has done its falling


@dataclass(frozen=True)
class Mean:
    """
    Losses of several steps, taken together.

    Args:
        value: Their mean, in the loss's unit.
        error: Its standard error; 0 of a single one.
        first: The first step in the trial.
        last: The last one.
        training: The training step of the last one.
    """

    value: float
    error: float
    first: int
    last: int
    training: int


class Passes:
    """Gathers losses, and gives back what is complete: an evaluation, or a stretch of training."""

    def __init__(self, block: int = 0) -> None:
        """Take *block* saved losses of training as a stretch; 0: what lies between evaluations."""
        self._block = block
        self._mode = ""
        self._taken: list[tuple[Step, float]] = []

    def add(self, step: Step, loss: float | None) -> tuple[str, Mean] | None:
        """Take a step's loss; return the mode and the mean of what it completes."""
        done = None
        is_full = 0 < self._block <= len(self._taken) and step.mode != EVAL
        if is_full or (self._taken and step.mode != self._mode):
            done = self.rest()
        self._mode = step.mode
        if loss is not None:
            self._taken.append((step, loss))
        return done

    def rest(self) -> tuple[str, Mean] | None:
        """Return what is not complete yet, as if it were."""
        if not self._taken:
            return None
        taken, self._taken = self._taken, []
        return self._mode, mean(taken)


def mean(taken: Sequence[tuple[Step, float]]) -> Mean:
    """Return the mean of losses by step, which are in order and at least one."""
    losses = [loss for _, loss in taken]
    count = len(losses)
    centre = sum(losses) / count
    spread = sum((loss - centre) ** 2 for loss in losses) / max(count - 1, 1)
    first, last = taken[0][0], taken[-1][0]
    return Mean(centre, math.sqrt(spread / count), first.number, last.number, last.training)


def loss_at(trial: Trial, step: int, names: Iterable[str] = ()) -> float | None:
    """Return the mean of the losses that were saved at a step; None: none was."""
    values = (value_of(trial, name, step) for name in names or trial.names("losses"))
    found = [value for value in values if value is not None]
    return sum(found) / len(found) if found else None


def value_of(trial: Trial, name: str, step: int) -> float | None:
    """Return one loss; of one by example the mean."""
    return trial.reduction(name, step, "mean")
