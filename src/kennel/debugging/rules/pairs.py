"""Labels with their predictions, as the rules about classes read them."""

import math
from collections import Counter

import numpy as np
import numpy.typing as npt

from kennel.debugging.reading import Trial
from kennel.debugging.rules.judge import EVAL, TRAIN, Step
from kennel.debugging.statistics import Array

Labels = npt.NDArray[np.int64]
Pairs = Counter[tuple[int, int]]  # (label, prediction) -> how often

FEWEST = 10  # pictures of a class: of fewer nobody can tell
NOISE = 2.0  # standard errors within which a share is the same as its threshold
LEARN = "more epochs while the loss falls, trained weights, or another learning rate"


class LastPairs:
    """
    Labels with their predictions: those of the last evaluation, or all where nobody says a mode.

    What a model gets wrong while it is learning is no fault of it: batches of training are none.
    """

    def __init__(self) -> None:
        self._mode = ""
        self._is_over = False
        self.pairs: Pairs = Counter()

    def add(self, step: Step, labels: Labels, predictions: Labels) -> None:
        """Take a step's pairs; the first of an evaluation drops what was there."""
        if step.mode == TRAIN:
            return
        starts = step.mode == EVAL and (self._is_over or self._mode != EVAL)
        if starts:
            self.pairs.clear()
        if self._mode == EVAL and step.mode != EVAL:
            return
        self._mode, self._is_over = step.mode, False
        self.pairs.update(zip(labels.tolist(), predictions.tolist(), strict=True))

    def pass_by(self, step: Step) -> None:
        """Take note of a step without pairs: training again, so the evaluation is over."""
        self._is_over |= step.mode != EVAL


def rows_of(pairs: Pairs) -> dict[int, Counter[int]]:
    """Return label -> how often each class was predicted for it."""
    rows: dict[int, Counter[int]] = {}
    for (label, predicted), count in pairs.items():
        rows.setdefault(label, Counter())[predicted] += count
    return rows


def interval(count: int, total: int) -> tuple[float, float]:
    """
    Return Wilson's interval of a share, ``NOISE`` standard errors wide to each side.

    It has a width where nothing or all was counted too. Of fewer than ``FEWEST`` it is all of 0..1.
    """
    if total < FEWEST:
        return 0.0, 1.0
    share, part = count / total, NOISE**2 / total
    wide = NOISE * math.sqrt(share * (1 - share) / total + part / (4 * total))
    return (share + part / 2 - wide) / (1 + part), (share + part / 2 + wide) / (1 + part)


def numbers(labels: Array) -> Labels:
    """Return labels as they are saved, of any shape and type, as (N,)."""
    return labels.reshape(-1).astype(np.int64)


def classes(predicted: Array, *, is_many: bool) -> Labels:
    """Return the predicted classes: of a value per class (N, C) that of the largest."""
    if is_many or (predicted.ndim > 1 and predicted.shape[-1] > 1):
        return np.asarray(predicted.argmax(axis=-1), dtype=np.int64).reshape(-1)
    return np.rint(predicted.reshape(-1).astype(np.float64)).astype(np.int64)


def last_training(trial: Trial) -> int:
    """Return the last training step that was saved; 0: there is none."""
    steps = trial.steps("TRAIN") or trial.steps()
    return trial.mode_step(steps[-1]) if steps else 0
