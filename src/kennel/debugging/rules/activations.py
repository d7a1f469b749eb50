"""Rules about what layers pass on: DeadRelu, SaturatedActivation."""

import numpy as np
import numpy.typing as npt

from kennel.debugging.about import About
from kennel.debugging.collections import ACTIVITY
from kennel.debugging.reading import Trial
from kennel.debugging.rules import tensors
from kennel.debugging.rules.advice import batch_size, joined, lower
from kennel.debugging.rules.judge import Setting, Step, Steps, Values, Verdict
from kennel.debugging.statistics import Numbers
from kennel.rules import debugger
from kennel.rules.outcome import Finding

ALL = 100.0
DEAD_RELUS = debugger.default("DeadRelu", "tensor_regex")
SATURATING = ("tanh_input", "sigmoid_input")
RELUS = ("ReLU", "ReLU6", "LeakyReLU", "PReLU", "RReLU")
SIGMOIDS = ("Sigmoid", "Tanh")
PICTURES = 64  # over which a ReLU that is dead puts out nothing


class DeadRelu(Steps):
    """
    Finds layers of which more than ``threshold_layer`` percent of the ReLUs are dead.

    A ReLU (one channel, one feature) is dead at a step when less than ``threshold_inactivity``
    percent of what it puts out is not zero. It has to be so at two saved steps running, and over
    ``PICTURES`` where the batch size is known: a batch has not every class in it, and one of two
    pictures hardly anything.
    """

    def __init__(self, values: Values, run: Setting) -> None:
        self._values, self._run = values, run
        self._pictures = min(batch_size(run) or PICTURES, PICTURES // 2)
        # Layer -> over how many pictures each of its units has been inactive by now
        self._idle: dict[str, npt.NDArray[np.int64]] = {}

    def at(self, trial: Trial, step: Step) -> Verdict:
        """Judge a step."""
        regex = self._values["tensor_regex"]
        collections = ["relu_output"] if regex == DEAD_RELUS else []
        prefix = ACTIVITY if regex == DEAD_RELUS else ""
        names = tensors.of_layers(trial, regex, collections, prefix)
        judged, findings = 0, []
        for name in names:
            share = activity(trial, name, step.number)
            if share is None:
                continue
            is_idle = ALL * share < self._values["threshold_inactivity"]
            before = self._idle.get(name)
            if before is None or before.shape != is_idle.shape:
                self._idle[name] = np.where(is_idle, self._pictures, 0)
                continue
            idle = self._idle[name] = np.where(is_idle, before + self._pictures, 0)
            judged += 1
            dead = ALL * float((idle >= PICTURES).mean())
            if dead > self._values["threshold_layer"]:
                findings.append(self._finding(name, dead, step))
        return Verdict(judged, tuple(findings))

    def lacking(self, about: About) -> str:
        """Say that the model has no ReLU."""
        return "this model has no ReLU" if about.lacks(RELUS) else ""

    def _finding(self, name: str, dead: float, step: Step) -> Finding:
        return Finding(
            name,
            f"{dead:.3g} % of its ReLUs pass nothing on",
            joined(
                [
                    lower(self._run),
                    "Kaiming initialisation with biases of zero",
                    "BatchNorm before the ReLU, or LeakyReLU",
                ]
            ),
            dead,
            self._values["threshold_layer"],
            step.training,
        )


def saturated(trial: Trial, step: Step, values: Values, _: Setting) -> Verdict:
    """
    Find layers of which more than ``threshold_layer`` percent of the units are saturated.

    A unit is saturated where less than ``threshold_inactivity`` percent of its inputs lie between
    the two thresholds of its function.
    """
    collections = tensors.parts(values["collection_names"]) or SATURATING
    tanhs = trial.names("tanh_input")
    judged, findings = 0, []
    for name in tensors.of_layers(trial, values["tensor_regex"], collections):
        kind = "tanh" if "tanh" in name.lower() or name in tanhs else "sigmoid"
        low, high = values[f"threshold_{kind}_min"], values[f"threshold_{kind}_max"]
        stuck = _stuck(trial, name, step.number, (low, high), values["threshold_inactivity"])
        if stuck is None:
            continue
        judged += 1
        if stuck > values["threshold_layer"]:
            findings.append(_saturation(name, kind, stuck, values["threshold_layer"], step))
    return Verdict(judged, tuple(findings))


def unsaturable(_: Values, about: About) -> str:
    """Say that the model has nothing that could saturate."""
    return "this model has no sigmoid or tanh layers" if about.lacks(SIGMOIDS) else ""


def activity(trial: Trial, name: str, step: int) -> Numbers | None:
    """Return the share (units,) of each unit's outputs that is not zero, 0 to 1."""
    saved = trial.value(f"{ACTIVITY}{name}", step)
    if saved is not None:
        return saved.reshape(-1).astype(np.float64)
    value = _numbers(trial, name, step)
    return None if value is None else _by_unit(value != 0)


def _numbers(trial: Trial, name: str, step: int) -> Numbers | None:
    value = trial.value(name, step)
    return None if value is None or not value.size else value.astype(np.float32)


def _by_unit(is_so: npt.NDArray[np.bool_]) -> Numbers:
    """Return the share of each unit, which is the second dimension (N, C, …); of one: the last."""
    units = 1 if is_so.ndim > 1 else 0
    others = tuple(axis for axis in range(is_so.ndim) if axis != units)
    return np.asarray(is_so.mean(axis=others), dtype=np.float64)


def _stuck(
    trial: Trial, name: str, step: int, bounds: tuple[float, float], inactivity: float
) -> float | None:
    low, high = bounds
    value = _numbers(trial, name, step)
    if value is not None:
        free = _by_unit((value > low) & (value < high))
        return ALL * float((ALL * free < inactivity).mean())
    least, most = (trial.reduction(name, step, statistic) for statistic in ("min", "max"))
    if least is None or most is None:
        return None
    if most < low or least > high:
        return ALL
    return 0.0 if low < least and most < high else None  # in between nobody can tell


def _saturation(name: str, kind: str, stuck: float, threshold: float, step: Step) -> Finding:
    return Finding(
        name,
        f"{stuck:.3g} % of its {kind} units are stuck where their slope is nothing",
        f"use ReLU instead of {kind}, BatchNorm before it, or smaller first weights (Xavier)",
        stuck,
        threshold,
        step.training,
    )
