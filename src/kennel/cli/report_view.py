"""How the report of a job looks in a terminal, and as a document. Pure; ``reported`` makes it."""

from collections.abc import Sequence
from typing import Any

from kennel.cli import hints, show
from kennel.cli.reported import Report
from kennel.profiling.verdict import Waste
from kennel.reports.debugger import gravity
from kennel.reports.findings import is_untold
from kennel.rules.outcome import ERROR, Finding, Outcome

SHARE = 0.01  # of the wall time: a phase below is left out of the line
TOLD = 5  # findings of a terminal; the pages have all


def document(report: Report) -> dict[str, Any]:
    """Return what a script wants to know."""
    return {
        "job": report.job,
        "status": report.status,
        "stopped_by": report.stopped_by,
        "folder": str(report.folder),
        "pages": [str(path) for path in report.pages],
        "phases_s": phases(report),
        "verdict": [_waste(waste) for waste in report.wastes],
        "profiler": {outcome.name: _outcome(outcome) for outcome in report.profiler},
        "debugger": {outcome.name: _outcome(outcome) for outcome in report.debugger},
    }


def brief(report: Report) -> dict[str, Any]:
    """Return what a script wants to know of it at the end of a training."""
    return {
        "folder": str(report.folder),
        "pages": [str(path) for path in report.pages],
        "verdict": [_waste(waste) for waste in report.wastes],
        "broken": broken(report),
    }


def broken(report: Report) -> list[str]:
    """Return the names of the rules that have found something, the debugger's worst first."""
    return [one.name for one in (*_wrong(report), *report.profiler) if one.is_violated]


def _wrong(report: Report) -> list[Outcome]:
    """Return what is wrong with the training itself, the worst first, as its page has it."""
    return sorted((one for one in report.debugger if one.is_violated), key=gravity)


def _waste(waste: Waste) -> dict[str, Any]:
    return {
        "rule": waste.rule,
        "problem": waste.problem,
        "advice": waste.advice,
        "cost_s": waste.cost_s,
        "share": waste.share,
        "settings": dict(waste.settings),
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    whole = outcome.document()
    kept = ("RuleEvaluationStatus", "StatusDetails", "Violations", "Datapoints", "Findings")
    return {key: whole[key] for key in kept}


def text(report: Report) -> str:
    """Render it for people: where the time went, what is wrong, what to do, where the pages are."""
    stopped = f"stopped by rule {report.stopped_by}" if report.stopped_by else ""
    parts = [stopped, time_line(report), *verdict(report), counts(report), pages(report)]
    return "\n".join(part for part in parts if part)


def phases(report: Report) -> dict[str, float]:
    """Return phase → seconds."""
    timeline = report.evidence.timeline if report.evidence else None
    return timeline.totals() if timeline else {}


def time_line(report: Report) -> str:
    """Say on a line where the time went; empty: nobody knows."""
    seconds = phases(report)
    whole = sum(seconds.values())
    if not whole:
        return ""
    ranked = sorted(seconds.items(), key=lambda item: -item[1])
    shares = [f"{name} {part / whole:.0%}" for name, part in ranked if part / whole >= SHARE]
    return f"time: {show.duration(whole)}: {', '.join(shares)}"


def verdict(report: Report) -> list[str]:
    """Say what is wrong, the worst first: with the training itself, then with its time."""
    told = [
        *map(told_of, _wrong(report)),
        *(_told_of_waste(waste, report.job) for waste in report.wastes),
    ]
    left = len(told) - TOLD
    return [*told[:TOLD], *([f"and {left} more: see the pages"] if left > 0 else [])]


def told_of(outcome: Outcome) -> str:
    """Say what a rule has found first, and what to do about it."""
    if not outcome.findings:
        return f"rule {outcome.name}: {outcome.reason or outcome.status}"
    first = outcome.findings[0]
    return f"rule {outcome.name}: {sentence(first)}\n  try: {first.advice}"


def sentence(finding: Finding) -> str:
    """Say where something is wrong, and what."""
    step = "" if finding.step is None else f"step {finding.step}: "
    return f"{step}{finding.subject}: {finding.problem}"


def _told_of_waste(waste: Waste, job: str) -> str:
    cost = f" ({show.duration(waste.cost_s)}" if waste.cost_s else ""
    share = f", {waste.share:.0%} of the time)" if cost and waste.share else ")" if cost else ""
    said = f"rule {waste.rule}: {waste.problem}{cost}{share}\n  try: {waste.advice}"
    if not waste.options:
        return said
    return f"{said}: {hints.typed(f'kennel train --like {job} {waste.options}')}"


def compared(reports: Sequence[Report], said: Sequence[str]) -> str:
    """Render two: which is A and which is B, what their difference comes to, and each in short."""
    parts = [
        *(f"{letter}: {one.job}" for letter, one in zip("AB", reports, strict=True)),
        "",
        *(said or ["What they have in common says nothing of their difference."]),
        "",
    ]
    for letter, one in zip("AB", reports, strict=True):
        parts += [f"{letter}: {line}" for line in (time_line(one), counts(one)) if line]
    return "\n".join(parts)


def counts(report: Report) -> str:
    """Say how many rules were judged, which are broken, and which could not be judged."""
    rules = [*report.debugger, *report.profiler]
    if not rules:
        return ""
    failed = [outcome.name for outcome in rules if outcome.status == ERROR]
    idle = sum(is_untold(outcome) for outcome in rules) - len(failed)
    names = ", ".join(broken(report))
    parts = [
        f"rules: {len(rules) - idle - len(failed)} judged",
        f"broken: {names}" if names else "none is broken",
        f"{idle} had nothing to judge" if idle else "",
        f"failed: {', '.join(failed)}" if failed else "",
    ]
    return "; ".join(filter(None, parts))


def pages(report: Report) -> str:
    """Say where the pages are."""
    return "\n".join(f"report: {show.near(path.absolute())}" for path in report.pages)
