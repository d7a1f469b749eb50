"""
What stands first on a page: what is wrong, what it costs, what to change.
"""

from collections.abc import Sequence

from kennel.pages.markup import Content, Markup, element
from kennel.pages.page import section
from kennel.pages.tables import facts
from kennel.pages.words import counted, duration, percent
from kennel.profiling import timeline as phase
from kennel.profiling.evidence import Evidence
from kennel.profiling.verdict import Waste, verdict
from kennel.reports import endings
from kennel.reports.findings import ended, is_untold
from kennel.reports.phases import words
from kennel.rules.outcome import Outcome

FIRST = 5  # that are said; the rest stand among the rules
LITTLE = 0.05  # of the run
TRAINING = (phase.FORWARD, phase.BACKWARD, phase.OPTIMIZER)


def of_profile(outcomes: Sequence[Outcome], evidence: Evidence) -> Markup:
    """Return the profiler's verdict."""
    wastes, ended = verdict(outcomes, evidence), evidence.run.ended
    judged = [outcome for outcome in outcomes if not is_untold(outcome)]
    if wastes:
        first = most(wastes[0]) if endings.is_whole(ended) else None
        said: Content = [
            first,
            changes(wastes[:FIRST], evidence.run.job),
            more(len(wastes) - FIRST),
        ]
        heading = "Little to change" if all(map(is_little, wastes)) else "What to change"
    elif judged:
        said, heading = element("p", nothing(len(judged), len(outcomes))), "Nothing to change"
    else:
        said = element("p", "No rule has judged this run.", class_="warning")
        heading = "Not judged"
    if not endings.is_whole(ended):
        heading = "It did not come to its end"
        said = [element("p", "What follows is of the time until then.", class_="note"), said]
    return section(heading, endings.told(ended), said, facts(figures(evidence)))


def is_little(waste: Waste) -> bool:
    """Say whether a cost is known, and hardly worth a change."""
    return waste.share is not None and waste.share < LITTLE


def most(waste: Waste) -> Markup | None:
    """Return the largest cost as a figure, if it is worth one."""
    if waste.share is None or not waste.cost_s or is_little(waste):
        return None
    return element(
        "div",
        element("strong", percent(waste.share)),
        element("span", f"of the run, {duration(waste.cost_s)}, may be saved: {waste.rule}"),
        class_="headline",
    )


def changes(wastes: Sequence[Waste], job: str | None) -> Markup:
    """Return what is wrong and what to change, the worst first."""
    return element("ol", (element("li", change(waste, job)) for waste in wastes), class_="changes")


def change(waste: Waste, job: str | None) -> Content:
    """Return one thing to change, with the command that trains *job* again with it."""
    cost = None
    command = f"kennel train --like {job}" if job else "kennel train"
    if waste.cost_s:
        share = f", {percent(waste.share)} of the run" if waste.share is not None else ""
        cost = element("span", f" It costs about {duration(waste.cost_s)}{share}.", class_="cost")
    return [
        element("strong", ended(waste.problem)),
        cost,
        " ",
        ended(waste.advice),
        element("pre", element("code", f"{command} {waste.options}")) if waste.options else None,
    ]


def more(count: int) -> Markup | None:
    """Say that there is more below."""
    return element("p", f"{counted(count, 'finding')} more below.") if count > 0 else None


def nothing(judged: int, asked: int) -> str:
    """Say that nothing was found, and by how many."""
    rest = f"; {asked - judged} had nothing to judge by" if asked > judged else ""
    return f"None of {counted(judged, 'rule')} found anything that wastes time{rest}."


def figures(evidence: Evidence) -> dict[str, Content]:
    """Return what the run came to, in a few figures."""
    known: dict[str, Content] = {}
    if evidence.wall_s:
        known["From start to end"] = duration(evidence.wall_s)
    timeline = evidence.timeline
    if timeline is None:
        return known
    totals = timeline.totals()
    whole = sum(totals.values())
    if not whole:
        return known
    training = sum(totals.get(name, 0.0) for name in TRAINING)
    known["Forward, backward, optimizer"] = percent(training / whole)
    others = {name: seconds for name, seconds in totals.items() if name not in TRAINING}
    largest = max(others, key=lambda name: others[name])
    if others[largest]:
        known["Most of the rest"] = f"{words(largest)}, {percent(others[largest] / whole)}"
    if rate := throughput(evidence):
        of = ", as features in memory" if evidence.run.features else ""
        known["Throughput"] = f"{rate:,.0f} pictures/s{of}"
    return known


def throughput(evidence: Evidence) -> float | None:
    """Return how many pictures a second the steps of training took in, None if nobody knows."""
    timeline, batch = evidence.timeline, evidence.run.batch_size
    if timeline is None or not batch or not timeline.steps:
        return None
    seconds = sum(step.seconds for step in timeline.steps)
    return len(timeline.steps) * batch / seconds if seconds > 0 else None
