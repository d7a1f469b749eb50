"""
What is wrong with a run, what it costs, and what to change: the worst first.

It is put together from what the rules have found (kennel.profiling.rules). How it is shown is for
the report, the log and the command line.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kennel.profiling.evidence import Evidence
from kennel.rules.outcome import Finding, Outcome

CAUTION = "OverallSystemUsage"  # says first what makes all other numbers doubtful
SUMMARIES = ("OverallFrameworkMetrics",)  # each of its findings is about something else


@dataclass(frozen=True)
class Waste:
    """
    One thing that a run is worse for.

    Args:
        rule: What has found it.
        problem: What is wrong, in a sentence with its numbers.
        advice: What to change, and what that would come to.
        cost_s: Seconds of the run that it cost; None: that cannot be told.
        share: The same as a fraction of the wall time.
        settings: Hyperparameters that mend it, as texts.
    """

    rule: str
    problem: str
    advice: str
    cost_s: float | None = None
    share: float | None = None
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def options(self) -> str:
        """What to add to ``kennel train``, e.g. ``--set workers=3``; empty: nothing."""
        return " ".join(f"--set {name}={text}" for name, text in self.settings.items())

    def __str__(self) -> str:
        """Say it on a line: rule, problem, advice."""
        return f"{self.rule}: {self.problem}: {self.advice}"


def verdict(outcomes: Sequence[Outcome], evidence: Evidence | None = None) -> tuple[Waste, ...]:
    """
    Rank what the rules have found: by what it cost, and behind that what has no known cost.

    Before all of it comes that the machine had other things to do.

    Rules that would have the same changed are one entry, that of the costliest.

    Args:
        outcomes: Of the profiler's rules.
        evidence: Of the same run; None: no shares.
    """
    wall_s = evidence.wall_s if evidence else None
    found = [
        _waste(outcome.rule, finding, wall_s)
        for outcome in outcomes
        for finding in (outcome.findings if outcome.rule in SUMMARIES else outcome.findings[:1])
    ]
    ranked = sorted(found, key=lambda waste: (waste.rule != CAUTION, -(waste.cost_s or 0.0)))
    kept: list[Waste] = []
    for waste in ranked:
        if not waste.settings or all(waste.settings != other.settings for other in kept):
            kept.append(waste)
    return tuple(kept)


def _waste(rule: str, finding: Finding, wall_s: float | None) -> Waste:
    known = finding.cost_s is not None and bool(wall_s)
    share = min(1.0, (finding.cost_s or 0.0) / wall_s) if known and wall_s else None
    return Waste(rule, finding.problem, finding.advice, finding.cost_s, share, finding.settings)
