"""Rules about a tensor from one saved step to the next: UnchangedTensor, WeightUpdateRatio."""

import math
import statistics
from collections import deque
from collections.abc import Mapping

import numpy as np

from kennel.debugging.collections import UPDATES
from kennel.debugging.reading import Trial
from kennel.debugging.rules import tensors
from kennel.debugging.rules.advice import UPDATE, higher, lower
from kennel.debugging.rules.judge import EVAL, NOTHING, Setting, Step, Steps, Values, Verdict
from kennel.debugging.statistics import Array, Numbers
from kennel.rules.outcome import Finding

_COMPARED = ("mean", "variance", "std", "l1", "l2", "abs_mean", "abs_max", "min", "max", "sum")

STILL = 5  # saved steps
REACHED = "see that the optimizer has it, that it requires a gradient and that the loss reaches it"

State = Array | Mapping[str, float]


class Unchanged(Steps):
    """
    Finds tensors that are the same over the last ``num_steps`` steps at which they were saved.

    Values are compared by numpy.allclose. Of a tensor whose reductions alone were saved these have
    to be equal to the last digit: a tensor at rest gives the same numbers again, one that learns
    slowly gives numbers that are only close; and where the hook has saved how much the optimizer
    changed (update/NAME), that has to be nothing.
    """

    def __init__(self, values: Values, run: Setting) -> None:
        self._values, self._run = values, run
        self._before: dict[str, deque[State]] = {}

    def at(self, trial: Trial, step: Step) -> Verdict:
        """Judge a step."""
        if step.mode == EVAL:  # weights rest in evaluations
            return NOTHING
        names = tensors.asked(trial, self._values, "weights")
        if not tensors.is_named(self._values):
            names = _watched(trial, tensors.weights(trial, names))
        judged = {name: self._at_rest(trial, name, step.number) for name in names}
        still = tuple(name for name, at_rest in judged.items() if at_rest)
        return Verdict(
            sum(at_rest is not None for at_rest in judged.values()),
            tuple(self._finding(name, step) for name in still),
        )

    def _at_rest(self, trial: Trial, name: str, step: int) -> bool | None:
        state = _state(trial, name, step)
        if state is None:
            return None
        update = trial.value(f"{UPDATES}{name}", step)
        if update is not None and update.any():
            self._before.pop(name, None)
            return False
        count = self._values["num_steps"]
        before = self._before.setdefault(name, deque(maxlen=count - 1))
        still = len(before) == count - 1 and all(self._same(other, state) for other in before)
        before.append(state)
        return still

    def _same(self, before: State, now: State) -> bool:
        if isinstance(before, Mapping) or isinstance(now, Mapping):
            return (
                before == now if isinstance(before, Mapping) == isinstance(now, Mapping) else False
            )
        tolerances = {name: self._values[name] for name in ("rtol", "atol", "equal_nan")}
        return before.shape == now.shape and np.allclose(
            now.astype(np.float64), before.astype(np.float64), **tolerances
        )

    def _finding(self, name: str, step: Step) -> Finding:
        count = self._values["num_steps"]
        return Finding(
            name,
            f"has not changed over the last {count} saved steps, up to step {step.training}",
            f"{REACHED}; else {rate}" if (rate := higher(self._run)) else REACHED,
            0.0,
            self._values["rtol"],
            step.training,
        )


class UpdateRatio(Steps):
    """
    Finds weights whose change over their size lies outside of the two thresholds.

    The ratio is that of l2 norms: ||change|| / (||weight|| + epsilon). The change is that of one
    step where the hook has saved it (update/NAME), or that between weights saved ``num_steps``
    saves apart. A ratio too large counts at once, one too small when it is so at ``STILL`` saved
    steps running: at the end of its schedule a learning rate is next to nothing.
    """

    def __init__(self, values: Values, run: Setting) -> None:
        self._values, self._run = values, run
        self._before: dict[str, deque[Numbers]] = {}
        self._small: dict[str, int] = {}

    def at(self, trial: Trial, step: Step) -> Verdict:
        """Judge a step."""
        if step.mode == EVAL:
            return NOTHING
        found = {}
        for name in tensors.weights(trial, trial.names("weights")):
            ratio = self._ratio(trial, name, step.number)
            if ratio is not None:
                found[name] = ratio
        usual = statistics.median(found.values()) if found else math.nan
        findings = (self._finding(name, ratio, usual, step) for name, ratio in found.items())
        return Verdict(len(found), tuple(finding for finding in findings if finding))

    def _ratio(self, trial: Trial, name: str, step: int) -> float | None:
        if self._values["num_steps"] == 1:
            known = update_ratio(trial, name, step, self._values["epsilon"])
            if known is not None:
                return known
        saved = trial.value(name, step)
        if saved is None:
            return None
        value = saved.astype(np.float64)
        before = self._before.setdefault(name, deque(maxlen=self._values["num_steps"]))
        ratio = None
        if len(before) == self._values["num_steps"] and before[0].shape == value.shape:
            change = float(np.linalg.norm(value - before[0]))
            ratio = change / (float(np.linalg.norm(before[0])) + self._values["epsilon"])
        before.append(value)
        return ratio

    def _finding(self, name: str, ratio: float, usual: float, step: Step) -> Finding | None:
        large, small = self._values["large_threshold"], self._values["small_threshold"]
        is_small = ratio < small
        self._small[name] = self._small.get(name, 0) + 1 if is_small else 0
        if small <= ratio <= large or 0 < self._small[name] < STILL:
            return None
        bound = small if is_small else large
        told = f"{ratio:.3g} of its size, {'below' if is_small else 'above'} {bound:g}"
        problem = f"its update is {'no number' if math.isnan(ratio) else told}"
        return Finding(
            name,
            problem,
            self._advice(usual, is_small=is_small),
            ratio,
            bound,
            step.training,
        )

    def _advice(self, usual: float, *, is_small: bool) -> str:
        """Say which learning rate to try, by the ratio that is usual among this step's weights."""
        bounds = (0.0, UPDATE) if is_small else (UPDATE, math.inf)
        ratio = usual if bounds[0] < usual < bounds[1] else math.nan
        rate = higher(self._run, ratio) if is_small else lower(self._run, ratio)
        return rate or "see that the optimizer has it, and how its learning rate is scheduled"


def update_ratio(trial: Trial, name: str, step: int, epsilon: float) -> float | None:
    """Return ||update|| / (||weight|| + epsilon) of one step, where the hook has saved both."""
    update = trial.value(f"{UPDATES}{name}", step)
    if update is None:
        return None
    size = trial.reduction(name, step, "l2")
    return None if size is None else float(update.reshape(-1)[0]) / (size + epsilon)


def _watched(trial: Trial, names: tuple[str, ...]) -> tuple[str, ...]:
    """
    Return those of *names* that the hook has saved updates of, or all where it has saved none.

    It leaves out the weights of BatchNorm: at the end of a schedule they change by less than their
    reductions show.
    """
    updated = tuple(name for name in names if trial.saved(f"{UPDATES}{name}"))
    return updated or names


def _state(trial: Trial, name: str, step: int) -> State | None:
    value = trial.value(name, step)
    if value is not None:
        return value
    found = ((statistic, trial.reduction(name, step, statistic)) for statistic in _COMPARED)
    return {statistic: number for statistic, number in found if number is not None} or None
