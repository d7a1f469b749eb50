"""PoorWeightInitialization: what the first steps say of the weights that a training began with."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from kennel.debugging.collections import INPUTS, LABELS, PERCENTILES, RELU_INPUTS
from kennel.debugging.reading import Trial
from kennel.debugging.rules import tensors
from kennel.debugging.rules.judge import EVAL, NOTHING, Setting, Step, Steps, Values, Verdict
from kennel.debugging.rules.passes import loss_at
from kennel.rules import debugger
from kennel.rules.outcome import Finding

ENDS = (5, 95)
LEAST_FALL = 0.001  # of the loss: less is none
STILL = 0.02  # of the loss: batches differ by more where the network tells them apart
NAME = "PoorWeightInitialization"


class PoorInitialisation(Steps):
    """
    Finds first steps at which layers see inputs of very different size, or no gradient to speak of,
    while the loss does not get anywhere.

    Largest over smallest variance of the activations' inputs above ``threshold``, or a gradient
    narrower than ``distribution_range``, is a finding where the loss agrees: it has stood still for
    ``patience`` of the first ``steps`` steps, or began at more than ``threshold`` times what
    guessing costs (log of the number of classes). A trained backbone has such ratios and layers of
    many weights have such gradients in every run that is well. Without losses the variances alone
    decide. A loss that began where guessing is, and moves without falling, has a learning rate or
    labels to blame, which other rules find.
    """

    def __init__(self, values: Values, run: Setting) -> None:
        self._values, self._run = values, run
        self._seen = 0
        self._losses: list[float] = []
        self._classes = 0
        self._narrowest: dict[str, float] = {}
        self._widest: Finding | None = None  # the largest ratio above the threshold
        self._ratio = 0.0

    def at(self, trial: Trial, step: Step) -> Verdict:
        """Judge a step."""
        if step.mode == EVAL or self._seen >= self._values["steps"]:
            return NOTHING
        loss = loss_at(trial, step.number)
        if loss is not None:
            self._losses.append(loss if math.isfinite(loss) else math.inf)
        labels = trial.value(LABELS, step.number)
        if labels is not None and labels.size:
            self._classes = max(self._classes, int(labels.max()) + 1)
        for name in tensors.weights(trial, trial.names("gradients")):
            width = width_of(trial, name, step.number)
            if width is not None and math.isfinite(width):
                self._narrowest[name] = min(width, self._narrowest.get(name, math.inf))
        datapoints = self._variances(trial, step)
        self._seen += 1
        is_last = self._seen == self._values["steps"]
        return Verdict(datapoints, self._findings(step.training) if is_last else ())

    def ended(self, trial: Trial) -> Verdict:
        """Judge a run that was shorter than ``steps``."""
        if self._seen >= self._values["steps"]:
            return NOTHING
        steps = trial.steps("TRAIN") or trial.steps()
        return Verdict(0, self._findings(trial.mode_step(steps[-1]) if steps else 0))

    def details(self) -> dict[str, Any]:
        """Return the largest ratio of variances, the narrowest gradients, the first losses."""
        narrowest = sorted(self._narrowest.items(), key=lambda pair: pair[1])[:10]
        losses = [loss for loss in self._losses if math.isfinite(loss)]
        ratio = self._ratio if math.isfinite(self._ratio) else None
        return {"ratio": ratio, "narrowest": dict(narrowest), "losses": losses}

    def _variances(self, trial: Trial, step: Step) -> int:
        """Take note of the largest ratio; return how many variances there were."""
        regex = self._values["activation_inputs_regex"]
        is_default = regex == debugger.default(NAME, "activation_inputs_regex")
        collections, prefix = ([RELU_INPUTS, "relu_input"], INPUTS) if is_default else ([], "")
        names = tensors.of_layers(trial, regex, collections, prefix)
        found = {name: variance(trial, name, step.number) for name in names}
        known = {
            name: value
            for name, value in found.items()
            if value is not None and math.isfinite(value)
        }
        if len(known) < 2:  # noqa: PLR2004 - a ratio needs two
            return len(known)
        largest, smallest = (choose(known, key=lambda name: known[name]) for choose in (max, min))
        ratio = known[largest] / known[smallest] if known[smallest] > 0 else math.inf
        if ratio > max(self._ratio, self._values["threshold"]):
            self._widest = self._wide(largest, smallest, known, ratio, step.training)
        self._ratio = max(self._ratio, ratio)
        return len(known)

    def _wide(
        self, largest: str, smallest: str, known: Mapping[str, float], ratio: float, step: int
    ) -> Finding:
        threshold = self._values["threshold"]
        return Finding(
            largest,
            f"its variance {known[largest]:.3g} is {ratio:.3g} times that of {smallest}"
            f" ({known[smallest]:.3g}), above {threshold:g}",
            "draw the weights by Kaiming (before ReLU) or Xavier (before sigmoid and tanh), or put"
            " BatchNorm before the activations",
            ratio,
            threshold,
            step,
        )

    def _findings(self, step: int) -> tuple[Finding, ...]:
        told = self._trouble()
        if told is None:
            return ()
        found = [] if self._widest is None else [self._widest]
        found += self._narrow(step) if self._losses else []
        return tuple(replace(each, problem=f"{each.problem}{told}") for each in found)

    def _trouble(self) -> str | None:
        """Say what is wrong with the first losses; None: nothing to blame the weights for."""
        if not self._losses:
            return ""
        first, idle = self._losses[0], _idle(self._losses)
        guess = math.log(max(self._classes, 2))
        if self._classes and first > self._values["threshold"] * guess:
            return f"; the loss began at {first:.4g}, where guessing costs {guess:.3g}"
        if idle >= self._values["patience"] and _stands_still(self._losses):
            return f"; the loss stood still in the last {idle} of {len(self._losses)} first steps"
        return None

    def _narrow(self, step: int) -> list[Finding]:
        name = min(self._narrowest, key=lambda name: self._narrowest[name], default="")
        threshold = self._values["distribution_range"]
        if not name or self._narrowest[name] >= threshold:
            return []
        width = self._narrowest[name]
        return [
            Finding(
                name,
                f"90 % of its gradient lie within {width:.3g}, below {threshold:g}",
                "draw the weights wider (Kaiming before ReLU, Xavier before sigmoid and tanh),"
                " each differently, or put BatchNorm between the layers",
                width,
                threshold,
                step,
            )
        ]


def _idle(losses: Sequence[float]) -> int:
    """Return how many losses have come since the last one that was lower than all before."""
    idle, best = 0, math.inf
    for loss in losses:
        best, idle = (loss, 0) if loss < best * (1 - LEAST_FALL) else (best, idle + 1)
    return idle


def _stands_still(losses: Sequence[float]) -> bool:
    """Tell whether losses hardly differ, and do not fall from their first half to their second."""
    half = len(losses) // 2
    before, after = losses[:half], losses[half:]
    falls = before and sum(after) / len(after) < (1 - LEAST_FALL) * sum(before) / len(before)
    return not falls and max(losses) - min(losses) <= STILL * abs(min(losses))


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
