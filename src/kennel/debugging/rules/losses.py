"""Rules about the course of losses: LossNotDecreasing, Overfit, Overtraining."""

import math
from typing import Any

from kennel.debugging.reading import Trial
from kennel.debugging.rules import tensors
from kennel.debugging.rules.advice import learning_rate
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
from kennel.debugging.rules.passes import Mean, Passes, loss_at, value_of
from kennel.rules.outcome import Finding

BLOCK = 5  # training losses that one look takes together, at least: a single one is noise
NOISE = 2.0  # standard errors within which two means are the same
SILENCE = 2  # looks running without a fall
SETTLED = 0.1  # of the first loss: one that has come so far has done its falling


class NotDecreasing(Steps):
    """
    Finds losses that do not fall.

    Every ``num_steps`` steps the mean of the losses since is held against that of the look before;
    of evaluations, which come first where there are any, each is one look. A rise by more than
    ``increase_threshold_percent`` counts at once where it is more than noise; a fall by less than
    ``diff_percent`` when it is found twice running, of a loss that is not yet a tenth of the
    first: what comes after that is Overtraining's.
    """

    def __init__(self, values: Values, run: Setting) -> None:
        self._values, self._run = values, run
        self._mode = str(values["mode"]).upper()
        self._evaluated = False
        self._passes: dict[str, Passes] = {}
        self._looks: dict[tuple[str, str], Mean] = {}
        self._silent: dict[tuple[str, str], int] = {}
        self._first: dict[tuple[str, str], float] = {}

    def at(self, trial: Trial, step: Step) -> Verdict:
        """Judge a step."""
        self._evaluated |= step.mode == EVAL
        verdicts = []
        for name in self._names(trial):
            passes = self._passes.setdefault(name, Passes(BLOCK))
            done = passes.add(step, value_of(trial, name, step.number))
            verdicts.append(self._look(name, *done) if done else NOTHING)
        return _together(verdicts)

    def ended(self, trial: Trial) -> Verdict:  # noqa: ARG002 - all losses are gathered
        """Judge the last stretch."""
        rest = ((name, passes.rest()) for name, passes in self._passes.items())
        return _together([self._look(name, *done) if done else NOTHING for name, done in rest])

    def _names(self, trial: Trial) -> tuple[str, ...]:
        names = tensors.asked(trial, self._values) if tensors.is_named(self._values) else ()
        losses = trial.names("losses") if self._values["use_losses_collection"] else ()
        return tuple(sorted({*names, *losses}))

    def _look(self, name: str, mode: str, now: Mean) -> Verdict:
        wanted = self._mode or (EVAL if self._evaluated else mode)
        key = name, mode
        before = self._looks.get(key)
        if before is not None and now.last - before.last < self._values["num_steps"]:
            return NOTHING
        self._looks[key] = now
        first = self._first.setdefault(key, now.value)
        if before is None or mode != wanted:
            return NOTHING
        finding = self._judge(key, before, now, is_settled=now.value < SETTLED * first)
        return Verdict(1, (finding,) if finding else ())

    def _judge(
        self, key: tuple[str, str], before: Mean, now: Mean, *, is_settled: bool
    ) -> Finding | None:
        change = 100 * (now.value - before.value) / (abs(before.value) or 1e-12)
        allowed = self._values["increase_threshold_percent"]
        noise = NOISE * math.hypot(now.error, before.error)
        if not math.isfinite(now.value):
            return self._finding(key, now, math.inf, allowed, f"the loss is {now.value}")
        if change > allowed and now.value - before.value > noise:
            told = f"rose by {change:.3g} % ({before.value:.4g} to {now.value:.4g})"
            return self._finding(key, now, change, allowed, told)
        least = self._values["diff_percent"]
        is_silent = change > -least and not is_settled
        self._silent[key] = self._silent.get(key, 0) + 1 if is_silent else 0
        if self._silent[key] < SILENCE:
            return None
        told = f"did not fall by {least:g} % twice running ({before.value:.4g} to {now.value:.4g})"
        return self._finding(key, now, -change, least, told)

    def _finding(
        self, key: tuple[str, str], now: Mean, value: float, threshold: float, told: str
    ) -> Finding:
        name, mode = key
        advice = (
            f"try {learning_rate(self._run, 0.1)}; see that labels belong to their pictures and"
            " that the parameters are in the optimizer; stop here if it has converged"
        )
        where = f"{told} in mode {mode}, up to step {now.training}"
        return Finding(name, where, advice, value, threshold, now.training)


class Overfit(Steps):
    """
    Finds evaluations whose loss is far above the training loss and no longer falls.

    (validation - training) / training above ``ratio_threshold`` at more than ``patience``
    evaluations running, and by more than the noise of the validation loss. An evaluation better
    than all before is no overfitting, however far it is behind: a training loss near zero makes
    any ratio large.
    """

    def __init__(self, values: Values, run: Setting) -> None:
        self._values, self._run = values, run
        self._passes = Passes()
        self._train: Mean | None = None
        self._best = math.inf
        self._beyond = 0
        self._ratios: list[tuple[int, float]] = []

    def at(self, trial: Trial, step: Step) -> Verdict:
        """Judge a step."""
        names = tensors.asked(trial, self._values, "losses")
        return self._done(self._passes.add(step, loss_at(trial, step.number, names)))

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
        is_beyond = surely > threshold and valid.value >= self._best
        self._best = min(self._best, valid.value)
        self._beyond = self._beyond + 1 if is_beyond else 0
        if self._beyond <= self._values["patience"]:
            return Verdict(1)
        finding = Finding(
            "losses",
            f"the validation loss {valid.value:.4g} is {100 * ratio:.3g} % above the training loss"
            f" {train.value:.4g} and no longer falls, after step {valid.training}",
            "more pictures or stronger augmentation, weight decay or dropout, a smaller model or a"
            " frozen backbone; or stop earlier",
            ratio,
            threshold,
            valid.training,
        )
        return Verdict(1, (finding,))


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


def _together(verdicts: list[Verdict]) -> Verdict:
    return Verdict(
        sum(verdict.datapoints for verdict in verdicts),
        tuple(finding for verdict in verdicts for finding in verdict.findings),
    )
