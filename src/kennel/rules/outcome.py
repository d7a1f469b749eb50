"""
What a rule has found: its findings, its status, and the document that both are kept in.

The document is the one that AWS's ProfilerReport writes for each rule (RuleTriggered, Violations,
Details, Datapoints, RuleParameters), with the findings beside it.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

IN_PROGRESS = "InProgress"
NO_ISSUES = "NoIssuesFound"
ISSUES = "IssuesFound"
ERROR = "Error"
STOPPED = "Stopped"


@dataclass(frozen=True)
class Finding:
    """
    One thing that is wrong.

    Args:
        subject: What it is about: a tensor, a core, a phase of the loop.
        problem: What is wrong, in a sentence with its numbers.
        advice: What to do about it, in a sentence with numbers where they can be told.
        value: What was found; NaN and infinity are null in a document, and NaN when it is read.
        threshold: What it was judged by.
        step: Of the run, counted from 0; None where it belongs to no step.
        at_s: Seconds since the run began; None where it belongs to no moment.
        cost_s: Seconds of the run that it cost, as far as that can be told.
        settings: Hyperparameters that would mend it, as texts: {"workers": "3"}.
    """

    subject: str
    problem: str
    advice: str
    value: float
    threshold: float
    step: int | None = None
    at_s: float | None = None
    cost_s: float | None = None
    settings: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Return what ``document`` has kept; members that are not known are left out."""
        known = {spec.name for spec in fields(cls)}
        given = {name: value for name, value in document.items() if name in known}
        if given.get("value", 0.0) is None:
            given["value"] = math.nan
        return cls(**given)

    def document(self) -> dict[str, Any]:
        """Return it as it is kept: JSON's types only."""
        kept = asdict(self)
        return kept if math.isfinite(self.value) else {**kept, "value": None}


@dataclass(frozen=True)
class Outcome:
    """
    What came of one rule.

    Args:
        name: RuleConfigurationName: one rule may be asked for twice, with other parameters.
        rule: The rule's own name, AWS's where AWS has it.
        status: A RuleEvaluationStatus.
        parameters: The rule's parameters, all of them, as texts.
        datapoints: How many numbers, steps or samples were judged.
        violations: How often the rule was broken; *findings* may name only the worst of them.
        findings: The worst first.
        details: The rule's own figures, for its report; what JSON can hold.
        reason: Why it could not be judged (Error), or why there is nothing to say (NoIssuesFound
            without datapoints): what is missing, and how to have it saved.
    """

    name: str
    rule: str
    status: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    datapoints: int = 0
    violations: int = 0
    findings: tuple[Finding, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""

    @property
    def is_violated(self) -> bool:
        """Tell whether the rule has found something."""
        return self.status == ISSUES

    def document(self) -> dict[str, Any]:
        """Return it as it is kept: JSON's types only."""
        return {
            "RuleTriggered": self.violations,
            "Violations": self.violations,
            "Details": dict(self.details),
            "Datapoints": self.datapoints,
            "RuleParameters": "\n".join(f"{key}:{text}" for key, text in self.parameters.items()),
            "RuleConfigurationName": self.name,
            "Rule": self.rule,
            "RuleEvaluationStatus": self.status,
            "StatusDetails": self.reason,
            "Findings": [finding.document() for finding in self.findings],
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Return what ``document`` has kept."""
        lines = str(document.get("RuleParameters", "")).splitlines()
        given = (line.partition(":") for line in lines)
        rule = str(document.get("Rule", ""))
        violations = int(document.get("Violations", 0))
        return cls(
            name=str(document.get("RuleConfigurationName", rule)),
            rule=rule,
            status=str(document.get("RuleEvaluationStatus", ISSUES if violations else NO_ISSUES)),
            parameters={key.strip(): text.strip() for key, _, text in given if key.strip()},
            datapoints=int(document.get("Datapoints", 0)),
            violations=violations,
            findings=tuple(Finding.of(found) for found in document.get("Findings", [])),
            details=dict(document.get("Details", {})),
            reason=str(document.get("StatusDetails", "")),
        )
