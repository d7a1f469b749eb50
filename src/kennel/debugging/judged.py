"""One rule as it is judged: its judge, what it has found, and the outcome that comes of both."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from kennel.debugging import about
from kennel.debugging.custom import CustomRule
from kennel.debugging.reading import Trial
from kennel.debugging.rules import RULES
from kennel.debugging.rules.judge import Judge, Setting, Step, Verdict, severity
from kennel.debugging.rules.stalled import Stalled
from kennel.errors import KennelError
from kennel.rules import debugger, parameters
from kennel.rules.configuration import END, START, Configuration
from kennel.rules.outcome import (
    ERROR,
    IN_PROGRESS,
    ISSUES,
    NO_ISSUES,
    STOPPED,
    Finding,
    Outcome,
)

MOST = 50  # findings that an outcome names; each subject once, by its first
STOP_ON_FIRE = "stop_training_on_fire"


class Judged:
    """
    One configuration over one trial.

    A rule that fails, or cannot be made, is an Error with its reason from then on, and harms no
    other.
    """

    def __init__(self, configuration: Configuration, folder: Path, run: Setting) -> None:
        self.configuration = configuration
        self._judge: Judge | None = None
        self._parameters: Mapping[str, str] = configuration.parameters
        self._first, self._end = 0, -1
        self._datapoints = self._violations = 0
        self._findings: dict[str, Finding] = {}
        self._times: dict[str, int] = {}
        self._news: list[Finding] = []
        self._about = about.NOTHING
        self._reason = ""
        self._is_done = False
        try:
            self._judge = self._made(folder, run)
        except KennelError as error:
            self._reason = str(error)
        except Exception as error:  # noqa: BLE001 - a user's own file may raise anything
            self._reason = f"{type(error).__name__}: {error}"

    @property
    def is_violated(self) -> bool:
        """Tell whether anything was found."""
        return self._violations > 0

    def at(self, trial: Trial, step: Step) -> None:
        """Judge a step, where the rule looks at it."""
        if step.number >= self._first and not 0 <= self._end <= step.number:
            self._take(lambda judge: judge.at(trial, step))

    def waiting(self, since: float, now: float) -> None:
        """Judge how long the trial has been silent, where the rule asks for that."""
        if isinstance(self._judge, Stalled):
            stalled = self._judge
            self._take(lambda _: stalled.waiting(since, now))

    def ended(self, trial: Trial) -> None:
        """Judge what the end tells; a second time it tells nothing."""
        if not self._is_done:
            self._is_done = True
            self._about = trial.about
            self._take(lambda judge: judge.ended(trial))

    def news(self) -> list[Finding]:
        """Return the findings that are new since this was last asked, the worst first."""
        new, self._news = self._news, []
        return sorted(new, key=severity, reverse=True)

    def outcome(self, *, stopped: bool = False) -> Outcome:
        """Return how the rule stands; *stopped*: judging ended before the trial did."""
        found = sorted(self._findings.values(), key=severity, reverse=True)
        return Outcome(
            name=self.configuration.name,
            rule=self.configuration.rule,
            status=self._status(stopped=stopped),
            parameters=self._parameters,
            datapoints=self._datapoints,
            violations=self._violations,
            findings=tuple(found[:MOST]),
            details=self._details(),
            reason=self._why(),
        )

    def _made(self, folder: Path, run: Setting) -> Judge:
        if self.configuration.source:
            given = dict(self.configuration.parameters)
            self._first, self._end = int(given.pop(START, "0")), int(given.pop(END, "-1"))
            return CustomRule(replace(self.configuration, parameters=given), folder)
        values = debugger.values(self.configuration)
        self._first, self._end = int(values[START]), int(values[END])
        self._parameters = parameters.texts(values)
        if values.get(STOP_ON_FIRE):
            self.configuration = replace(self.configuration, stops=True)
        return RULES[debugger.named(self.configuration.rule)](values, run)

    def _take(self, judging: Any) -> None:  # noqa: ANN401 - Callable[[Judge], Verdict]
        if self._judge is None or self._reason:
            return
        try:
            verdict: Verdict = judging(self._judge)
        except KennelError as error:
            self._reason = str(error)
            return
        except Exception as error:  # noqa: BLE001 - one rule's fault is not the others'
            self._reason = f"{type(error).__name__}: {error}"
            return
        self._datapoints += verdict.datapoints
        self._violations += len(verdict.findings)
        for finding in verdict.findings:
            self._times[finding.subject] = self._times.get(finding.subject, 0) + 1
            if finding.subject not in self._findings:
                self._findings[finding.subject] = finding
                self._news.append(finding)

    def _status(self, *, stopped: bool) -> str:
        if self._violations:
            return ISSUES
        if self._reason:
            return ERROR
        if self._is_done:
            return NO_ISSUES
        return STOPPED if stopped else IN_PROGRESS

    def _details(self) -> dict[str, Any]:
        own = {} if self._judge is None else self._judge.details()
        often = sorted(self._times.items(), key=lambda pair: -pair[1])[:MOST]
        return {**own, "times": dict(often)} if often else own

    def _why(self) -> str:
        if self._reason or self._datapoints or not self._is_done:
            return self._reason
        lacking = self._judge.lacking(self._about) if self._judge else ""
        if lacking:
            return f"does not apply: {lacking}"
        rule = debugger.ALIASES.get(self.configuration.rule, self.configuration.rule)
        table = debugger.TABLES.get(rule)
        if table is None or self.configuration.source:
            return "no step had the tensors that this rule wants"
        return f"nothing to judge: it needs {table.needs} (debug-collections says what is saved)"
