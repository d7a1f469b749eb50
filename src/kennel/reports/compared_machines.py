"""
What the machines of two runs did over their time, and the legend of both runs.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import isfinite

from kennel.pages.charts import Axis, Line, figure, plot
from kennel.pages.legends import names
from kennel.pages.markup import Markup, element
from kennel.pages.scales import elapsed, linear
from kennel.pages.tables import Cell, Column, Row, table
from kennel.reports import metrics, utilisation
from kennel.reports.bins import binned, edges, quantile
from kennel.reports.metrics import known
from kennel.reports.sides import Side

PLACES = 160


def machines(a: Side, b: Side) -> Iterator[Markup]:
    """Yield what both machines did: over the time, and in figures."""
    there = [side for side in (a, b) if any(each.times for each in side.evidence.system)]
    if not there:
        return
    kinds = list(
        dict.fromkeys(name for side in there for name in metrics.grouped(side.evidence.system))
    )
    yield legend(there)
    yield element("div", (over_time(name, there) for name in kinds), class_="charts wide")
    rows = [metric_row(name, (a, b)) for name in kinds]
    headings = ("A, mean", "B, mean", "A, 95 of 100 below", "B, 95 of 100 below")
    columns = [Column("Metric"), *(Column(heading, numeric=True) for heading in headings)]
    yield table("All devices and hosts together", columns, rows, ordered=(0, "none"))


def values_of(side: Side, name: tuple[str, str]) -> list[float]:
    """Return all values of a kind of metric, rising."""
    series = metrics.grouped(side.evidence.system).get(name, [])
    return sorted(value for each in series for value in each.values if isfinite(value))


def metric_row(name: tuple[str, str], sides: Sequence[Side]) -> Row:
    """Return what a kind of metric came to in both."""
    found = [values_of(side, name) for side in sides]
    measures = [
        *(sum(each) / len(each) if each else None for each in found),
        *(quantile(each, 0.95) if each else None for each in found),
    ]
    shown = known(name)
    cells = [
        Cell(None, None) if each is None else Cell(shown.written(each), each) for each in measures
    ]
    return Row([Cell(shown.heading), *cells])


def over_time(name: tuple[str, str], sides: Sequence[Side]) -> Markup:
    """Draw the mean of a kind of metric in both runs, each from its own start."""
    shown, lines = known(name), []
    windows = [
        utilisation.window(
            side.evidence.system,
            side.evidence.timeline.started if side.evidence.timeline else side.evidence.run.started,
            side.evidence.wall_s,
        )
        for side in sides
    ]
    longest = max(over.wall_s for over in windows)
    ends = edges(0, longest, PLACES)
    for side, over in zip(sides, windows, strict=True):
        members = metrics.grouped(side.evidence.system).get(name, [])
        times = [time - over.started for each in members for time in each.times]
        found = binned(times, [value for each in members for value in each.values], ends)
        points = [
            ((left + right) / 2, place.mean)
            for (left, right), place in zip(pairwise(ends), found, strict=True)
            if place
        ]
        if points:
            lines.append(
                Line(
                    points,
                    f"{side.letter}: {side.name}",
                    key(side),
                    side.look,
                )
            )
    top = shown.highest or max((y for line in lines for _, y in line.points), default=0.0) or 1.0
    y = Axis("", linear(0, top, wanted=3, name=shown.written))
    description = f"The mean of {shown.heading} in each run."
    drawn_ = plot(shown.heading, description, Axis("", elapsed(longest)), y, lines, look="low")
    return figure(shown.heading, drawn_)


def legend(sides: Sequence[Side]) -> Markup:
    """Return which colour is which run, in every chart of both."""
    return names((key(side), side.look, f"{side.letter}: {side.name}") for side in sides)


def key(side: Side) -> str:
    """Return what a run's lines have in common."""
    return f"run-{side.letter}"
