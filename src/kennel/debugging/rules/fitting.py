"""Rules about an epoch's training loss and its evaluation's: Overfit, Overtraining."""

import math
from typing import Any

from kennel.debugging.reading import Trial
from kennel.debugging.rules import tensors
from kennel.debugging.rules.judge import (
    EVAL,
    NOTHING,
    Setting,
    Step,
    Steps,
    Values,
    Verdict,
    finite,
)
from kennel.debugging.rules.passes import BLOCK, NOISE, SETTLED, Mean, Passes, loss_at
from kennel.rules.outcome import Finding

HARDLY = 0.5  # of the first training loss: a validation loss above it has learnt little


class Overfit(Steps):
    """
    Finds evaluations whose loss is far above the training loss, and no longer falls or hardly has.

    (validation - training) / training above ``ratio_threshold`` at more than ``patience``
    evaluations running, and by more than the noise of the validation loss. A training loss near
    zero makes any ratio large, so an evaluation better than all before is no overfitting, unless
    training has come to a tenth of its first loss and the validation not to half of it: then what
    is learnt is learnt by heart, though it may still get a little better.
    """

    def __init__(self, values: Values, run: Setting) -> None:
        self._values, self._run = values, run
        self._passes = Passes()
        self._first: float | None = None  # loss of the training's first saved step
        self._train: Mean | None = None
        self._best = math.inf
        self._beyond = 0
        self._ratios: list[tuple[int, float]] = []

    def at(self, trial: Trial, step: Step) -> Verdict:
        """Judge a step."""
        names = tensors.asked(trial, self._values, "losses")
        loss = loss_at(trial, step.number, names)
        if self._first is None and step.mode != EVAL:
            self._first = loss
        return self._done(self._passes.add(step, loss))

    def ended(self, trial: Trial) -> Verdict:  # noqa: ARG002 - all losses are gathered
        """Judge the last evaluation."""
        return self._done(self._passes.rest())

    def details(self) -> dict[str, Any]:
        """Return the ratio of each evaluation, by training step."""
        return {"ratios": self._ratios}

    def _done(self, done: tuple[str, Mean] | None) -> Verdict:
        if done is None:
            return NOTHING
        mode, mean = done
        if mode != EVAL:
            self._train = mean
            return NOTHING
        if self._train is None or self._train.value <= 0:
            return NOTHING
        return self._evaluation(mean, self._train)

    def _evaluation(self, valid: Mean, train: Mean) -> Verdict:
        ratio = (valid.value - train.value) / train.value
        self._ratios.append((valid.training, finite(ratio)))
        threshold = self._values["ratio_threshold"]
        surely = (valid.value - NOISE * valid.error - train.value) / train.value
        is_better = valid.value < self._best
        by_heart = self._is_by_heart(valid.value - NOISE * valid.error, train.value)
        is_beyond = surely > threshold and (by_heart or not is_better)
        self._best = min(self._best, valid.value)
        self._beyond = self._beyond + 1 if is_beyond else 0
        if self._beyond <= self._values["patience"]:
            return Verdict(1)
        finding = Finding(
            "losses",
            f"the validation loss {valid.value:.4g} is {100 * ratio:.3g} % above the training loss"
            f" {train.value:.4g} and {'hardly' if is_better else 'no longer'} falls, after step"
            f" {valid.training}",
            _against_it(self._run),
            ratio,
            threshold,
            valid.training,
        )
        return Verdict(1, (finding,))

    def _is_by_heart(self, valid: float, train: float) -> bool:
        first = self._first or 0.0
        return train < SETTLED * first and valid > HARDLY * first


class Overtraining(Steps):
    """
    Finds training that goes on after its losses have stopped to fall.

    A loss has stopped when it was not lower than its best by ``delta`` for more epochs than
    ``patience_train``, or more evaluations than ``patience_validation``. Without evaluations ten
    saved losses are taken for an epoch.
    """

    def __init__(self, values: Values, run: Setting) -> None:
        self._values, self._run = values, run
        self._passes = Passes(0)
        self._blocks = Passes(2 * BLOCK)
        self._evaluated = False
        self._best: dict[bool, float] = {}
        self._idle = {True: 0, False: 0}

    def at(self, trial: Trial, step: Step) -> Verdict:
        """Judge a step."""
        loss = loss_at(trial, step.number)
        self._evaluated |= step.mode == EVAL and loss is not None
        by_evaluation, by_block = self._passes.add(step, loss), self._blocks.add(step, loss)
        return self._done(by_evaluation if self._evaluated else by_block)

    def ended(self, trial: Trial) -> Verdict:  # noqa: ARG002 - all losses are gathered
        """Judge the last evaluation."""
        return self._done((self._passes if self._evaluated else self._blocks).rest())

    def _done(self, done: tuple[str, Mean] | None) -> Verdict:
        if done is None:
            return NOTHING
        mode, mean = done
        is_validation = mode == EVAL
        best = self._best.get(is_validation, math.inf)
        if mean.value < best - self._values["delta"]:
            self._best[is_validation] = mean.value
            self._idle[is_validation] = 0
            return Verdict(1)
        self._idle[is_validation] += 1
        patience = self._values["patience_validation" if is_validation else "patience_train"]
        if self._idle[is_validation] <= patience:
            return Verdict(1)
        return Verdict(1, (self._finding(mean, best, patience, is_validation=is_validation),))

    def _finding(self, mean: Mean, best: float, patience: int, *, is_validation: bool) -> Finding:
        kind = "validation" if is_validation else "training"
        idle, delta = self._idle[is_validation], self._values["delta"]
        return Finding(
            f"{kind} loss",
            f"has not fallen by {delta:g} below {best:.4g} for {idle} epochs, up to step"
            f" {mean.training}",
            f"stop earlier: {idle} epochs brought nothing; the artifact is that of the best epoch",
            float(idle),
            float(patience),
            mean.training,
        )


def _against_it(run: Setting) -> str:
    """Say what keeps a training from learning by heart; what it does already is left out."""
    augmented = run.get("augment", "none") != "none"
    return "; ".join(
        [
            f"more pictures, or {'stronger augmentation' if augmented else 'augmentation'}",
            "weight decay or dropout",
            "a smaller model" if run.get("freeze") == "true" else "a frozen backbone",
            "or stop earlier",
        ]
    )
