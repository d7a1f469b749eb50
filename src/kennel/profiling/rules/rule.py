"""What a rule of the profiler is: a table of parameters, and a pure function over the evidence."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kennel.profiling.evidence import Evidence
from kennel.rules import parameters
from kennel.rules.outcome import ISSUES, NO_ISSUES, Finding, Outcome
from kennel.rules.parameters import Parameter

SCAN = Parameter(
    "scan_interval_us",
    60_000_000,
    "how often AWS's evaluator looks; taken, and without effect: a run is judged as a whole",
    low=1,
)


def percent(name: str, default: int, help_: str) -> Parameter:
    """Return a parameter of 0…100, whole or not."""
    return Parameter(name, float(default), help_, low=0, high=100)


def count(name: str, default: int, help_: str, low: int = 0) -> Parameter:
    """Return a parameter that is a whole number."""
    return Parameter(name, default, help_, low=low)


PATIENCE = count(
    "patience", 20, "samples of the training that are needed (AWS: 1000, as it has no phases)"
)


@dataclass(frozen=True)
class Judgement:
    """
    What a rule's function returns.

    Args:
        datapoints: How many numbers were judged.
        violations: How often the rule was broken.
        findings: The worst first.
        details: Figures, in AWS's words where AWS has them.
        reason: Why there is nothing to judge; empty: there was.
        parameters: What a rule judged by instead of a default, by name.
    """

    datapoints: int = 0
    violations: int = 0
    findings: tuple[Finding, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)


Values = Mapping[str, Any]
Decide = Callable[[Evidence, Values], Judgement]


@dataclass(frozen=True)
class Rule:
    """
    One rule.

    Args:
        name: AWS's.
        help: What triggers it, in a sentence.
        parameters: AWS's names and defaults, and ours behind them.
        decide: Judges evidence by values of *parameters*. It finds ``given`` among them: the names
            that the request gave.
    """

    name: str
    help: str
    parameters: tuple[Parameter, ...]
    decide: Decide

    def judge(
        self, evidence: Evidence, given: Mapping[str, str] | None = None, name: str = ""
    ) -> Outcome:
        """
        Judge a run.

        Args:
            evidence: What it has left.
            given: Parameters as a request has them.
            name: RuleConfigurationName; default: the rule's own.

        Raises:
            RuleError: A parameter is unknown, malformed or out of its range.
        """
        values = parameters.read(self.name, self.parameters, given or {})
        found = self.decide(evidence, {**values, GIVEN: frozenset(given or {})})
        return Outcome(
            name=name or self.name,
            rule=self.name,
            status=ISSUES if found.violations else NO_ISSUES,
            parameters=parameters.texts({**values, **found.parameters}),
            datapoints=found.datapoints,
            violations=found.violations,
            findings=found.findings,
            details=found.details,
            reason=found.reason,
        )


GIVEN = "given"
