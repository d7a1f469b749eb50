"""PoorWeightInitialization: what the first steps say of the weights that a training began with."""

import math
from typing import Any

import numpy as np

from kennel.debugging.collections import INPUTS, PERCENTILES, RELU_INPUTS
from kennel.debugging.reading import Trial
from kennel.debugging.rules import tensors
from kennel.debugging.rules.judge import EVAL, NOTHING, Setting, Step, Steps, Values, Verdict
from kennel.debugging.rules.passes import loss_at
from kennel.rules import debugger
from kennel.rules.outcome import Finding

ENDS = (5, 95)
NAME = "PoorWeightInitialization"


class PoorInitialisation(Steps):
    """
    Finds first steps at which layers see inputs of very different size, or no gradient to speak of.

    Largest over smallest variance of the activations' inputs above ``threshold`` is a finding. A
    gradient narrower than ``distribution_range`` is one only where the loss, too, has not fallen
    for ``patience`` of the first ``steps`` steps: layers of many weights have narrow gradients in
    every run that is well.
    """

    def __init__(self, values: Values, run: Setting) -> None:
        self._values, self._run = values, run
        self._seen = 0
        self._losses: list[float] = []
        self._narrowest: dict[str, float] = {}
        self._ratio = 0.0

    def at(self, trial: Trial, step: Step) -> Verdict:
        """Judge a step."""
        if step.mode == EVAL or self._seen >= self._values["steps"]:
            return NOTHING
        loss = loss_at(trial, step.number)
        if loss is not None:
            self._losses.append(loss)
        self._narrow(trial, step)
        verdict = self._variances(trial, step)
        self._seen += 1
        if self._seen < self._values["steps"]:
            return verdict
        stuck = self._stuck(step.training)
        return Verdict(verdict.datapoints + stuck.datapoints, verdict.findings + stuck.findings)

    def ended(self, trial: Trial) -> Verdict:
        """Judge a run that was shorter than ``steps``."""
        if self._seen >= self._values["steps"]:
            return NOTHING
        steps = trial.steps("TRAIN") or trial.steps()
        return self._stuck(trial.mode_step(steps[-1]) if steps else 0)

    def details(self) -> dict[str, Any]:
        """Return the largest ratio of variances, and the narrowest gradients."""
        narrowest = sorted(self._narrowest.items(), key=lambda pair: pair[1])[:10]
        return {"ratio": self._ratio, "narrowest": dict(narrowest)}

    def _variances(self, trial: Trial, step: Step) -> Verdict:
        regex = self._values["activation_inputs_regex"]
        is_default = regex == debugger.default(NAME, "activation_inputs_regex")
        collections, prefix = ([RELU_INPUTS, "relu_input"], INPUTS) if is_default else ([], "")
        names = tensors.of_layers(trial, regex, collections, prefix)
        found = {name: variance(trial, name, step.number) for name in names}
        known = {name: value for name, value in found.items() if value is not None}
        if len(known) < 2:  # noqa: PLR2004 - a ratio needs two
            return Verdict(len(known))
        largest, smallest = (choose(known, key=lambda name: known[name]) for choose in (max, min))
        ratio = known[largest] / known[smallest] if known[smallest] > 0 else math.inf
        self._ratio = max(self._ratio, ratio)
        threshold = self._values["threshold"]
        if ratio <= threshold:
            return Verdict(len(known))
        finding = Finding(
            largest,
            f"its variance {known[largest]:.3g} is {ratio:.3g} times that of {smallest}"
            f" ({known[smallest]:.3g}), above {threshold:g}",
            "draw the weights by Kaiming (before ReLU) or Xavier (before sigmoid and tanh), or put"
            " BatchNorm before the activations",
            ratio,
            threshold,
            step.training,
        )
        return Verdict(len(known), (finding,))

    def _narrow(self, trial: Trial, step: Step) -> None:
        for name in tensors.weights(trial, trial.names("gradients")):
            width = width_of(trial, name, step.number)
            if width is not None:
                self._narrowest[name] = min(width, self._narrowest.get(name, math.inf))

    def _stuck(self, step: int) -> Verdict:
        if not self._narrowest or not self._losses:
            return NOTHING
        best = min(range(len(self._losses)), key=lambda at: self._losses[at])
        idle = len(self._losses) - 1 - best
        name = min(self._narrowest, key=lambda name: self._narrowest[name])
        width, threshold = self._narrowest[name], self._values["distribution_range"]
        judged = len(self._narrowest)
        if width >= threshold or idle < self._values["patience"]:
            return Verdict(judged)
        finding = Finding(
            name,
            f"90 % of its gradient lie within {width:.3g}, below {threshold:g}, and the loss has"
            f" not fallen in the last {idle} of the first {len(self._losses)} saved steps",
            "draw the weights wider (Kaiming before ReLU, Xavier before sigmoid and tanh), each"
            " differently, or put BatchNorm between the layers",
            width,
            threshold,
            step,
        )
        return Verdict(judged, (finding,))


def variance(trial: Trial, name: str, step: int) -> float | None:
    """Return the variance of an activation's input, from a small tensor of ours or its own."""
    saved = trial.value(f"{INPUTS}{name}", step)
    if saved is not None:
        return float(saved.reshape(-1)[0])
    return trial.reduction(name, step, "variance")


def width_of(trial: Trial, name: str, step: int) -> float | None:
    """Return the distance from a gradient's 5th to its 95th percentile."""
    ends = trial.value(f"{PERCENTILES}{name}", step)
    if ends is None:
        value = trial.value(name, step)
        if value is None or not value.size:
            return None
        ends = np.percentile(value.astype(np.float64), ENDS)
    return float(ends[1] - ends[0])
