"""LossNotDecreasing: losses that rise or stand still."""

import math

from kennel.debugging.reading import Trial
from kennel.debugging.rules import tensors
from kennel.debugging.rules.advice import higher, joined, lower, small_batch
from kennel.debugging.rules.judge import EVAL, NOTHING, TRAIN, Setting, Step, Steps, Values, Verdict
from kennel.debugging.rules.passes import BLOCK, NOISE, SETTLED, Mean, Passes, value_of
from kennel.rules.outcome import Finding

SILENCE = 2  # looks running without a fall
HARDLY = 0.95  # of the first loss: one above it has learnt next to nothing


class NotDecreasing(Steps):
    """
    Finds losses that do not fall.

    Every ``num_steps`` steps the mean of the losses since is held against that of the look before;
    of evaluations each is one look, and where there are any they alone count, so that what training
    says by itself is told at its end (or as it comes, with ``mode`` TRAIN). A rise by more than
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
        self._torn: dict[str, Step] = {}  # loss -> where it was no number for the first time
        self._held: list[Verdict] = []  # of training, as long as evaluations may come

    def at(self, trial: Trial, step: Step) -> Verdict:
        """Judge a step."""
        self._evaluated |= step.mode == EVAL
        verdicts = []
        for name in self._names(trial):
            passes = self._passes.setdefault(name, Passes(BLOCK))
            loss = value_of(trial, name, step.number)
            if loss is not None and not math.isfinite(loss):
                self._torn.setdefault(name, step)
            done = passes.add(step, loss)
            verdicts.append(self._look(name, *done) if done else NOTHING)
        return _together(verdicts)

    def ended(self, trial: Trial) -> Verdict:  # noqa: ARG002 - all losses are gathered
        """Judge the last stretch."""
        rest = ((name, passes.rest()) for name, passes in self._passes.items())
        last = [self._look(name, *done) if done else NOTHING for name, done in rest]
        return _together([*([] if self._evaluated else self._held), *last])

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
        # That of training is nearer to where it began: a first evaluation may be far out
        start = min(now.value, self._first.get((name, TRAIN), now.value))
        first = self._first.setdefault(key, start)
        if not math.isfinite(now.value) and self._mode in {"", mode}:
            return Verdict(1, (self._no_number(name),))
        if before is None or mode != wanted:
            return NOTHING
        finding = self._judge(key, before, now, is_settled=now.value < SETTLED * first)
        verdict = Verdict(1, (finding,) if finding else ())
        if mode == TRAIN and not self._mode:
            self._held.append(verdict)
            return NOTHING
        return verdict

    def _no_number(self, name: str) -> Finding:
        since = self._torn[name]
        advice = joined([lower(self._run), small_batch(self._run), "clip the gradients"])
        threshold = self._values["increase_threshold_percent"]
        told = f"the loss is no number since {since}"
        return Finding(name, told, advice, math.nan, threshold, since.training)

    def _judge(
        self, key: tuple[str, str], before: Mean, now: Mean, *, is_settled: bool
    ) -> Finding | None:
        change = 100 * (now.value - before.value) / (abs(before.value) or 1e-12)
        allowed = self._values["increase_threshold_percent"]
        noise = NOISE * math.hypot(now.error, before.error)
        fitting = "see that labels belong to their pictures"
        if change > allowed and now.value - before.value > noise:
            told = f"rose by {change:.3g} % ({before.value:.4g} to {now.value:.4g})"
            return self._finding(key, now, (change, allowed), told, fitting)
        least = self._values["diff_percent"]
        is_silent = change > -least and not is_settled
        self._silent[key] = self._silent.get(key, 0) + 1 if is_silent else 0
        if self._silent[key] < SILENCE:
            return None
        told = f"did not fall by {least:g} % twice running ({before.value:.4g} to {now.value:.4g})"
        resting = f"{fitting} and that the parameters are in the optimizer"
        if now.value > HARDLY * self._first[key]:
            rate = higher(self._run)
            resting = joined([rate and f"if it hardly moves, {rate}", resting])
        else:
            resting = f"{resting}; stop here if it has converged"
        return self._finding(key, now, (-change, least), told, resting)

    def _finding(
        self, key: tuple[str, str], now: Mean, found: tuple[float, float], told: str, besides: str
    ) -> Finding:
        name, mode = key
        advice = joined([lower(self._run), small_batch(self._run), besides])
        where = f"{told} in mode {mode}, up to step {now.training}"
        return Finding(name, where, advice, *found, now.training)


def _together(verdicts: list[Verdict]) -> Verdict:
    return Verdict(
        sum(verdict.datapoints for verdict in verdicts),
        tuple(finding for verdict in verdicts for finding in verdict.findings),
    )
