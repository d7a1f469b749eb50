"""
A measure of every layer over the steps: all of them as a heatmap, the strangest as lines.

What is strange is far from the middle of all layers, by factors: a thousandth is as far as a
thousandfold. What is no number is stranger than anything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite, log10
from statistics import median
from typing import Self

from kennel.pages.charts import Axis, Line, colour, figure, kind, plot
from kennel.pages.heatmap import Stripe, heatmap
from kennel.pages.legends import legend, names
from kennel.pages.markup import Markup, element, joined
from kennel.pages.page import folded
from kennel.pages.scales import linear, logarithmic
from kennel.pages.tables import Cell, Column, Row, table
from kennel.pages.words import counted, number
from kennel.reports.bins import edges, quantile, thinned
from kennel.reports.series import Points

CELLS = 120  # of a row
STRIPES = 120  # rows; of more layers, several share one
LINES = 6  # drawn one by one
WORST = 8  # rows of the table that are seen at once
TABLED = 1000  # of more layers those nearest to the others are left out
NOTHING = 1e-30  # what is less is nothing
DECADES = 12.0  # that the colours span at most
FAR = 1e9  # decades from the middle: what is no number


@dataclass(frozen=True)
class Measure:
    """
    A measure of layers.

    Args:
        title: What it is: gradient norm.
        points: Layer → its points, the network's input first; none is empty.
        middle: Of all layers' values, 1 where there are none above 0.
        low: The least that colours tell apart.
        high: The greatest.
    """

    title: str
    points: Mapping[str, Points]
    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, title: str, points: Mapping[str, Points]) -> Self:
        """Measure what the values of all layers come to."""
        values = sorted(
            v for each in points.values() for _, v in thinned(each, CELLS) if is_some(v)
        )
        if not values:
            return cls(title, points, 1.0, 0.1, 10.0)
        low, high = quantile(values, 0.005), quantile(values, 0.995)
        low = max(low, high / 10**DECADES)
        low, high = (low, high) if high > low * 1.01 else (low / 2, high * 2)
        return cls(title, points, quantile(values, 0.5), low, high)


def is_some(value: float) -> bool:
    """Say whether a value has a logarithm worth drawing."""
    return isfinite(value) and value > NOTHING


def strangeness(points: Points, middle: float) -> float:
    """Return by how many powers of ten a layer is away from the middle, at its worst."""
    return max((distance(value, middle) for _, value in points), default=0.0)


def distance(value: float, middle: float) -> float:
    """Return by how many powers of ten a value is away from the middle."""
    if not isfinite(value):
        return FAR
    return abs(log10(max(abs(value), NOTHING)) - log10(middle))


def measure(found: Measure, note: str) -> list[Markup]:
    """
    Return the heatmap of a measure, the strangest layers as lines, and a table of them.

    Args:
        note: How to read it.
    """
    if not found.points:
        return []
    strange = {name: strangeness(each, found.middle) for name, each in found.points.items()}
    order = sorted(strange, key=lambda name: -strange[name])
    return [
        element("h3", found.title),
        element("div", overview(found), lines(found, order[:LINES]), class_="charts wide"),
        element("p", note, class_="note"),
        listing(found, order),
    ]


def key(found: Measure, name: str) -> str:
    """Return what a layer's marks and its row have in common."""
    return f"{found.title}-{name}"


def overview(found: Measure) -> Markup:
    """Draw all layers: a row each, from the input to the output."""
    layers = list(found.points)
    steps = [step for each in found.points.values() for step in (each[0][0], each[-1][0])]
    first, last = min(steps), max(steps)
    count = min(CELLS, most_points(found))
    cuts = edges(first, last + (last - first or 1.0) / max(count - 1, 1), count)
    together = -(-len(layers) // STRIPES)
    stripes = []
    for at in range(0, len(layers), together):
        part = layers[at : at + together]
        places = [placed(found.points[name], cuts) for name in part]
        worst = [extreme([each[i] for each in places], found.middle) for i in range(count)]
        name = part[0] if together == 1 else f"{part[0]} to {part[-1]}"
        stripes.append(
            Stripe(
                [look(value, found.low, found.high) for value in worst],
                f"{name}: {told([value for each in part for _, value in found.points[each]])}",
                str(at + 1),
                key(found, name),
            )
        )
    shared = f"Each row has the strangest values of {together} layers. " if together > 1 else ""
    return figure(
        f"{found.title} of every layer",
        heatmap(
            f"{found.title} of every layer",
            f"{counted(len(layers), 'layer')} from the input, above, to the output.",
            Axis("step", linear(first, cuts[-1], whole=True)),
            "layer",
            stripes,
        ),
        legend(number(found.low, 2), number(found.high, 2)),
        f"{shared}From the input, above, to the output, as the layers' names tell."
        + (" What is no number is red." if is_broken(found) else ""),
    )


def is_broken(found: Measure) -> bool:
    """Say whether any value is no number."""
    return any(not isfinite(value) for each in found.points.values() for _, value in each)


def most_points(found: Measure) -> int:
    """Return how many points the longest series has."""
    return max(len(each) for each in found.points.values())


def placed(points: Points, cuts: Sequence[float]) -> list[list[float]]:
    """Return the values that lie between each two of *cuts*."""
    found, at = [], 0
    for _, right in pairwise(cuts):
        inside = []
        while at < len(points) and points[at][0] < right:
            inside.append(points[at][1])
            at += 1
        found.append(inside)
    return found


def extreme(values: Sequence[Sequence[float]], middle: float) -> float | None:
    """Return the strangest of values, None where there are none."""
    flat = [value for each in values for value in each]
    return max(flat, key=lambda value: distance(value, middle), default=None)


def look(value: float | None, low: float, high: float) -> str:
    """Return the class of a cell."""
    if value is None:
        return ""
    if not isfinite(value):
        return "bad"
    size = min(max(abs(value), low), high)
    return colour((log10(size) - log10(low)) / (log10(high) - log10(low)))


def told(values: Sequence[float]) -> str:
    """Return what values came to, in words."""
    known = [value for value in values if isfinite(value)]
    if not known:
        return "no numbers"
    broken = len(values) - len(known)
    more = f", {counted(broken, 'value')} no number" if broken else ""
    ends = f"{number(min(known), 3)} to {number(max(known), 3)}"
    return f"{number(median(known), 3)} in the middle, {ends}{more}"


def lines(found: Measure, chosen: Sequence[str]) -> Markup | None:
    """Draw the strangest layers one by one."""
    low, high = found.low, found.high
    drawn = {
        name: [(x, max(v, low)) for x, v in thinned(found.points[name], CELLS) if isfinite(v)]
        for name in chosen
    }
    there = [name for name in chosen if drawn[name]]
    if not there:
        return None
    title = f"{found.title}: the layers furthest from the others"
    places = [x for name in there for x, _ in drawn[name]]
    return figure(
        title,
        plot(
            title,
            "; ".join(f"{name}: {told([v for _, v in found.points[name]])}" for name in there),
            Axis("step", linear(min(places), max(places), whole=True)),
            Axis("", logarithmic(low, high, name=lambda value: number(value, 2))),
            [
                Line(
                    drawn[name],
                    f"{name}: {told([v for _, v in drawn[name]])}",
                    key(found, name),
                    kind(i),
                )
                for i, name in enumerate(there)
            ],
        ),
        names((key(found, name), kind(i), name) for i, name in enumerate(there)),
    )


def listing(found: Measure, order: Sequence[str]) -> Markup:
    """Return what each layer came to, the strangest first; all but the worst are folded away."""
    places = {name: at for at, name in enumerate(found.points, 1)}
    has_broken = is_broken(found)
    rows = [row(found, name, places[name], has_broken=has_broken) for name in order[:TABLED]]
    columns = [
        Column("Layer", numeric=True),
        Column("Tensor"),
        *(Column(name, numeric=True) for name in ("First", "Last", "Least", "Most")),
        *([Column("No numbers", numeric=True)] if has_broken else []),
    ]
    left = len(order) - len(rows)
    worst, others = rows[:WORST], rows[WORST:]
    caption = counted(len(worst), "layer") + ", those furthest from the others first"
    more = f"{counted(len(others), 'layer')} nearer to the others"
    rest = f"; {left} still nearer are left out" if left else ""
    return joined(
        table(caption, columns, worst, ordered=(0, "none")),
        folded(more, table(more + rest, columns, others, ordered=(0, "none"))) if others else None,
    )


def row(found: Measure, name: str, place: int, *, has_broken: bool) -> Row:
    """Return what a layer came to."""
    values = [value for _, value in found.points[name]]
    known = [value for value in values if isfinite(value)]
    measures = [known[0], known[-1], min(known), max(known)] if known else [None] * 4
    broken = (len(values) - len(known)) or None
    cells = [
        Cell(place, place),
        Cell(name),
        *(Cell(None, None) if each is None else Cell(number(each, 3), each) for each in measures),
        *([Cell(broken, broken)] if has_broken else []),
    ]
    return Row(cells, key(found, name))
