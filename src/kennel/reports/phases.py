"""
Where a run's time went: in all, over the run, and how other charts show the phases beneath them.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby

from kennel.pages.areas import Layer, column, stacked
from kennel.pages.charts import Axis, Line, canvas, figure, plot, polyline, stretched
from kennel.pages.legends import marked, names
from kennel.pages.markup import Markup
from kennel.pages.scales import elapsed, linear
from kennel.pages.tables import Cell, Column, Row, table
from kennel.pages.words import duration, fine, percent
from kennel.profiling import timeline as phase
from kennel.profiling.timeline import Step, Timeline
from kennel.reports.bins import edges, thinned

# Phase → its words and the class of its colour, which no other has.
LOOKS: Mapping[str, tuple[str, str]] = {
    phase.INITIALISATION: ("initialisation", "k8"),
    phase.READING: ("reading the pictures first", "k13"),
    phase.FEATURES: ("computing features", "k7"),
    phase.DATA: ("waiting for data", "k1"),
    phase.COPY: ("copy to the device", "k6"),
    phase.FORWARD: ("forward", "k0"),
    phase.BACKWARD: ("backward", "k5"),
    phase.OPTIMIZER: ("optimizer", "k3"),
    phase.METRICS: ("metrics", "k14"),
    phase.EXCHANGE: ("waiting for other processes", "k10"),
    phase.DEBUG: ("debugger", "k4"),
    phase.EVALUATION: ("evaluation", "k2"),
    phase.CHECKPOINT: ("checkpoint", "k12"),
    phase.EXPORT: ("export", "k15"),
    phase.REPORT: ("report", "k11"),
    phase.OTHER: ("other", "k9"),
}
# From the ground up: what trains, then what it waits for, then what is beside it.
ORDER = (
    *(phase.FORWARD, phase.BACKWARD, phase.OPTIMIZER, phase.METRICS, phase.COPY, phase.DATA),
    *(phase.EXCHANGE, phase.DEBUG, phase.EVALUATION, phase.CHECKPOINT, phase.INITIALISATION),
    *(phase.READING, phase.FEATURES, phase.EXPORT, phase.REPORT, phase.OTHER),
)
# What other charts are shaded by: what is not the training of steps.
SHADED = frozenset(ORDER) - {phase.FORWARD, phase.BACKWARD, phase.OPTIMIZER, phase.METRICS}
PLACES = 240  # over a run
STEPS_DRAWN = 40_000  # of them a place has more than it can show

Shares = Sequence[Mapping[str, float]]


def words(name: str) -> str:
    """Return what a phase is called."""
    return LOOKS.get(name, (name, ""))[0]


def look(name: str) -> str:
    """Return the class of a phase's colour."""
    return LOOKS.get(name, ("", "k9"))[1]


def key(name: str) -> str:
    """Return what a phase's marks and its row have in common."""
    return f"phase-{name}"


def ranked(name: str) -> int:
    """Return the place of a phase among others."""
    return ORDER.index(name) if name in ORDER else len(ORDER)


def in_all(timeline: Timeline) -> Markup:
    """Draw the whole run as one bar."""
    totals = timeline.totals()
    whole = sum(totals.values()) or 1.0
    return strip(
        "Time by phase",
        [(name, totals[name] / whole) for name in sorted(totals, key=ranked)],
        lambda name, share: f"{words(name)}: {duration(totals[name])}, {percent(share)}",
    )


def strip(
    title: str, shares: Sequence[tuple[str, float]], said: Callable[[str, float], str]
) -> Markup:
    """Draw shares, which sum to 1 at most, beside each other."""
    x = linear(0, 1)
    at, lines = 0.0, []
    for name, share in shares:
        corners = column(at, at + share, 0, 1)
        lines.append(Line(corners, said(name, share), key(name), look(name), filled=True))
        at += share
    description = "; ".join(said(name, share) for name, share in shares)
    drawn = stretched(polyline(line, x, x) for line in lines)
    return canvas(title, description, drawn, look="strip")


def totals_table(timeline: Timeline) -> Markup:
    """Return the seconds of each phase; they sum to the wall time."""
    totals = timeline.totals()
    whole = sum(totals.values())
    per_step = means(timeline.steps)
    rows = [
        Row(
            [
                Cell(marked(look(name), words(name)), words(name)),
                Cell(fine(seconds), seconds),
                Cell(percent(seconds / whole) if whole else "", seconds),
                Cell(fine(per_step[name]), per_step[name])
                if name in per_step
                else Cell(None, None),
            ],
            key(name),
        )
        for name, seconds in sorted(totals.items(), key=lambda each: -each[1])
    ]
    columns = [
        Column("Phase"),
        Column("Time", numeric=True),
        Column("Share", numeric=True),
        Column("In a step, on average", numeric=True),
    ]
    caption = f"All of them together: {fine(whole)}, the whole run"
    return table(caption, columns, rows, ordered=(1, "descending"))


def means(steps: Sequence[Step]) -> dict[str, float]:
    """Return phase → seconds of a step, on average."""
    sums: dict[str, float] = defaultdict(float)
    for step in steps:
        for name, seconds in step.phases.items():
            sums[name] += seconds
    return {name: seconds / len(steps) for name, seconds in sums.items()}


def over_time(timeline: Timeline, shares: Shares) -> Markup:
    """Draw which part each phase had at any time of the run."""
    title = "Phases over the run"
    there = sorted({name for each in shares for name in each}, key=ranked)
    layers = [
        Layer([each.get(name, 0.0) for each in shares], words(name), key(name), look(name))
        for name in there
    ]
    areas = stacked(edges(0, timeline.wall_s, len(shares)), layers)
    x = Axis("time since the start", elapsed(timeline.wall_s))
    y = Axis("share of the time", linear(0, 1, name=percent))
    description = f"From the ground up: {', '.join(words(name) for name in there)}."
    return figure(title, plot(title, description, x, y, areas), legend(there))


def legend(there: Iterable[str]) -> Markup:
    """Return the names of phases with their colours."""
    return names((key(name), look(name), words(name)) for name in there)


def shading(wall_s: float, shares: Shares) -> list[Line]:
    """Return what lies under a chart over time: the phases that are no training of steps."""
    if not shares:
        return []
    ends = edges(0, wall_s, len(shares))
    widest = [max(each, key=lambda name: each[name], default="") for each in shares]
    areas, at = [], 0
    for name, run in groupby(widest):
        last = at + len(list(run))
        if name in SHADED:
            corners = column(ends[at], ends[last], 0, 1)
            areas.append(Line(corners, words(name), None, f"{look(name)} shade", filled=True))
        at = last
    return areas


def shares_over_time(timeline: Timeline, count: int = PLACES) -> Shares:
    """
    Return for each of *count* equal parts of the run: phase → its share, summing to 1.

    Where steps were thinned out, what nothing is known of is taken to be like the steps that are
    known there.
    """
    if timeline.wall_s <= 0:
        return []
    wide = timeline.wall_s / count
    spans: list[dict[str, float]] = [defaultdict(float) for _ in range(count)]
    steps: list[dict[str, float]] = [defaultdict(float) for _ in range(count)]
    for span in timeline.spans:
        spread(spans, wide, span.start, span.end, {span.phase: 1.0})
    known = thinned(timeline.steps, STEPS_DRAWN)
    seen = {step.number for step in known}
    for step in [*known, *(each for each in timeline.slowest if each.number not in seen)]:
        if step.seconds > 0:
            parts = {name: part / step.seconds for name, part in step.phases.items()}
            spread(steps, wide, step.start, step.end, parts)
    is_thinned = timeline.stride > 1 or len(known) < len(timeline.steps)
    pairs = zip(spans, steps, strict=True)
    return [filled(outside, inside, wide, is_thinned=is_thinned) for outside, inside in pairs]


def spread(
    places: list[dict[str, float]],
    wide: float,
    start: float,
    end: float,
    parts: Mapping[str, float],
) -> None:
    """Add the seconds from *start* to *end*, divided into *parts*, to the places they lie in."""
    first = min(max(int(start / wide), 0), len(places) - 1)
    last = min(max(int(end / wide), 0), len(places) - 1)
    for at in range(first, last + 1):
        inside = min(end, (at + 1) * wide) - max(start, at * wide)
        if inside > 0:
            place = places[at]
            for name, part in parts.items():
                place[name] += inside * part


def filled(
    outside: Mapping[str, float], inside: Mapping[str, float], wide: float, *, is_thinned: bool
) -> dict[str, float]:
    """Return the shares of one place; its rest is other, or like the steps where some are gone."""
    named, stepped = sum(outside.values()), sum(inside.values())
    rest = max(0.0, wide - named - stepped)
    growth = (stepped + rest) / stepped if is_thinned and stepped else 1.0
    sums: dict[str, float] = defaultdict(float, outside)
    for name, seconds in inside.items():
        sums[name] += seconds * growth
    if growth == 1.0 and rest > wide * 1e-6:
        sums[phase.OTHER] += rest
    whole = sum(sums.values())
    return {name: seconds / whole for name, seconds in sums.items() if seconds > 0}
