"""What judges a rule while a trial is read step by step, and what one step says."""

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from kennel.debugging.about import About
from kennel.debugging.reading import Trial
from kennel.rules.outcome import Finding

Values = Mapping[str, Any]  # a rule's parameters, read
Setting = Mapping[str, str]  # the training's hyperparameters, as far as they are known

TRAIN, EVAL = "TRAIN", "EVAL"


@dataclass(frozen=True)
class Step:
    """
    One saved step.

    Args:
        number: In the trial, batches of evaluations counted too.
        mode: TRAIN, EVAL, PREDICT or GLOBAL (nobody said).
        training: The training step that it is, or that came last before it; counted from 0.
        evaluation: The evaluation that it is of, counted from 1.
    """

    number: int
    mode: str
    training: int
    evaluation: int = 0

    def __str__(self) -> str:
        """Say which one it is, e.g. ``step 119`` or ``evaluation 3 (after step 119)``."""
        step = f"step {self.training}"
        return f"evaluation {self.evaluation} (after {step})" if self.mode == EVAL else step


@dataclass(frozen=True)
class Verdict:
    """
    What a step says.

    Args:
        datapoints: How many numbers were judged.
        findings: What is wrong with them.
    """

    datapoints: int = 0
    findings: tuple[Finding, ...] = ()


NOTHING = Verdict()


class Judge(Protocol):
    """One rule with its parameters, over one trial."""

    def at(self, trial: Trial, step: Step) -> Verdict:
        """Judge a step; each comes once, in order."""
        ...

    def ended(self, trial: Trial) -> Verdict:
        """Judge what only the end tells: called once, after the last step."""
        ...

    def details(self) -> dict[str, Any]:
        """Return the rule's own figures, for its report; what JSON can hold."""
        ...

    def lacking(self, about: About) -> str:
        """Say what the model or the request lacks, without which there is nothing to judge."""
        ...


class Steps:
    """A judge for whom each step stands alone, and the end says nothing. Others derive from it."""

    def at(self, trial: Trial, step: Step) -> Verdict:  # noqa: ARG002 - nothing is judged
        """Judge a step."""
        return NOTHING

    def ended(self, trial: Trial) -> Verdict:  # noqa: ARG002 - the steps have said all
        """Judge nothing more."""
        return NOTHING

    def details(self) -> dict[str, Any]:
        """Return nothing beside the findings."""
        return {}

    def lacking(self, about: About) -> str:  # noqa: ARG002 - every model has what is looked at
        """Say nothing."""
        return ""


class Each(Steps):
    """A judge that is a pure function of a trial and a step."""

    def __init__(
        self,
        judge: Callable[[Trial, Step, Values, Setting], Verdict],
        values: Values,
        run: Setting,
        lacking: Callable[[Values, About], str] = lambda _values, _about: "",
    ) -> None:
        self._judge, self._values, self._run, self._lacking = judge, values, run, lacking

    def at(self, trial: Trial, step: Step) -> Verdict:
        """Judge a step."""
        return self._judge(trial, step, self._values, self._run)

    def lacking(self, about: About) -> str:
        """Say what the model or the request lacks."""
        return self._lacking(self._values, about)


def finite(value: float) -> float:
    """Return *value*, or the largest there is for what JSON has no word for."""
    return value if math.isfinite(value) else sys.float_info.max


def severity(finding: Finding) -> float:
    """Return how many powers of ten a value lies from its threshold; no number: farthest."""
    if not math.isfinite(finding.value):
        return math.inf
    tiny = 1e-30
    ratio = (abs(finding.value) + tiny) / (abs(finding.threshold) + tiny)
    return abs(math.log10(ratio))
