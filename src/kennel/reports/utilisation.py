"""
What the machine did over the run: processors, memory, disks, network and GPUs, on every host.

Each kind of metric is one chart over the same time, with what was no training shaded beneath it.
The kinds are ``metrics``'.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite

from kennel.pages.areas import band
from kennel.pages.charts import Axis, Line, colour, figure, kind, plot
from kennel.pages.heatmap import Stripe, heatmap
from kennel.pages.legends import legend, names
from kennel.pages.markup import Markup
from kennel.pages.scales import elapsed, linear
from kennel.pages.tables import Cell, Column, Row, table
from kennel.pages.words import counted
from kennel.profiling import system
from kennel.profiling.system import Series
from kennel.reports.bins import Bin, binned, edges, quantile
from kennel.reports.metrics import FULL, Kind, grouped, known, name_of, of_hundred

PLACES = 240  # over the run
CELLS = 160  # of a heatmap's row
STRIPES = 128  # rows of a heatmap; of more, several share one
LINES = 16  # of a chart
TABLED = 60  # rows


@dataclass(frozen=True)
class Window:
    """
    The time that all charts are over.

    Args:
        started: In seconds since 1970.
        wall_s: From there on.
    """

    started: float
    wall_s: float


def window(series: Sequence[Series], started: float | None, wall_s: float | None) -> Window:
    """Return the run's time as it is known, that of the samples where it is not."""
    times = [each.times[at] for each in series if each.times for at in (0, -1)]
    begun = started if started is not None else min(times, default=0.0)
    return Window(begun, wall_s or max(0.0, max(times, default=begun) - begun))


def charts(series: Sequence[Series], over: Window, shading: Sequence[Line]) -> Iterator[Markup]:
    """Yield a chart for each kind of metric, and for many cores a heatmap."""
    for name, members in grouped(series).items():
        shown = known(name)
        if name == (system.CPU, system.UTILIZATION):
            yield mean_and_busiest(shown, members, over, shading)
            if len(members) > 1:
                yield by_core(members, over)
        elif name[0] == system.CPU:
            yield mean_and_busiest(shown, members, over, shading)
        else:
            yield over_time(shown, members, over, shading)


def mean_and_busiest(
    shown: Kind, members: Sequence[Series], over: Window, shading: Sequence[Line]
) -> Markup:
    """Draw the mean of all cores, and the one that does most at each time."""
    ends = edges(0, over.wall_s, PLACES)
    found = [placed(each, over, ends) for each in members]
    points: list[tuple[float, float, float]] = []
    for at, (left, right) in enumerate(pairwise(ends)):
        there = [bins[at] for bins in found]
        real = [each for each in there if each]
        if real:
            mean = sum(each.mean for each in real) / len(real)
            points.append(((left + right) / 2, mean, max(each.mean for each in real)))
    highest = max((high for _, _, high in points), default=0.0)
    mean_line = Line([(x, mean) for x, mean, _ in points], "mean of the cores", look="mean")
    marks = [band(points, "from the mean of the cores to the busiest"), mean_line]
    title = f"{shown.heading}: mean of {counted(len(members), 'core')}, and the busiest"
    if len(members) == 1:
        title = shown.heading
    description = f"The busiest core comes to {shown.written(highest)}."
    return drawn(title, description, shown, over, [*shading, *marks], highest)


def over_time(
    shown: Kind, members: Sequence[Series], over: Window, shading: Sequence[Line]
) -> Markup:
    """Draw a line for each device or host; a single one with its least and greatest."""
    ends = edges(0, over.wall_s, PLACES)
    found = {name_of(each, members): placed(each, over, ends) for each in members}
    most = {name: max((b.high for b in bins if b), default=0.0) for name, bins in found.items()}
    kept = sorted(found, key=lambda name: -most[name])[:LINES]
    chosen = [name for name in found if name in kept]
    marks = []
    if len(found) == 1:
        marks.append(band(middles(next(iter(found.values())), ends), "least to greatest"))
    for i, name in enumerate(chosen):
        points = [(x, place.mean) for x, place in at_middles(found[name], ends)]
        look = kind(i) if len(found) > 1 else "mean"
        key = f"{shown.heading}-{name}" if len(found) > 1 else None
        marks.append(Line(points, f"{name}: at most {shown.written(most[name])}", key, look))
    highest = max(most.values(), default=0.0)
    left = len(found) - len(chosen)
    return drawn(
        shown.heading,
        f"{counted(len(found), 'line')}, at most {shown.written(highest)}.",
        shown,
        over,
        [*shading, *marks],
        highest,
        names((f"{shown.heading}-{name}", kind(i), name) for i, name in enumerate(chosen))
        if len(found) > 1
        else None,
        f"Not drawn: {left} more, none of which goes higher." if left else None,
    )


def drawn(  # noqa: PLR0913, PLR0917 - what a chart is, and what it is over
    title: str,
    description: str,
    shown: Kind,
    over: Window,
    marks: Sequence[Line],
    highest: float,
    *notes: Markup | str | None,
) -> Markup:
    """Return a chart over the run's time; areas that shade it reach its top."""
    top = shown.highest or highest * 1.05 or 1.0
    scaled = [
        Line([(x, y * top) for x, y in mark.points], mark.title, None, mark.look, filled=True)
        if mark.look.endswith("shade")
        else mark
        for mark in marks
    ]
    y = Axis("", linear(0, top, wanted=3, name=shown.written))
    x = Axis("", elapsed(over.wall_s))
    return figure(title, plot(title, description, x, y, scaled, look="low"), *notes)


def by_core(members: Sequence[Series], over: Window) -> Markup:
    """Draw each core as a row whose colour is what it does."""
    count = max(1, min(CELLS, *(len(each.times) for each in members)))
    ends = edges(0, over.wall_s, count)
    title = "CPU by core"
    nodes = {each.node for each in members}
    rows = [(name_of(each, members), placed(each, over, ends)) for each in members]
    together = -(-len(rows) // STRIPES)
    stripes = []
    for first in range(0, len(rows), together):
        part = rows[first : first + together]
        name = part[0][0] if together == 1 else f"{part[0][0]} to {part[-1][0]}"
        places = [busiest([bins[at] for _, bins in part]) for at in range(count)]
        real = [value for value in places if value is not None]
        mean = sum(real) / len(real) if real else 0.0
        stripes.append(
            Stripe(
                ["" if value is None else colour(value / FULL) for value in places],
                f"{name}: {of_hundred(mean)} on average",
                part[0][0].partition(" ")[0] if len(nodes) > 1 else part[0][0],
                f"core-{name}",
            )
        )
    description = f"{counted(len(rows), 'core')} from top to bottom."
    notes = [f"Each row is the busiest of {together} cores."] if together > 1 else []
    return figure(
        title,
        heatmap(title, description, Axis("", elapsed(over.wall_s)), "", stripes),
        legend("idle", "busy"),
        *notes,
    )


def busiest(bins: Sequence[Bin | None]) -> float | None:
    """Return the highest of the means."""
    return max((each.mean for each in bins if each), default=None)


def placed(series: Series, over: Window, ends: Sequence[float]) -> list[Bin | None]:
    """Return a series in the parts of the run."""
    return binned([time - over.started for time in series.times], series.values, ends)


def at_middles(bins: Sequence[Bin | None], ends: Sequence[float]) -> list[tuple[float, Bin]]:
    """Return the middle of each part that has something, with what it has."""
    parts = zip(ends, ends[1:], bins, strict=False)
    return [((left + right) / 2, place) for left, right, place in parts if place]


def middles(bins: Sequence[Bin | None], ends: Sequence[float]) -> list[tuple[float, float, float]]:
    """Return the corners of a band."""
    return [(x, place.low, place.high) for x, place in at_middles(bins, ends)]


def quantiles_table(series: Sequence[Series]) -> Markup | None:
    """Return what each metric came to; of very many devices those that did most and least."""
    rows = []
    for name, members in grouped(series).items():
        for each in chosen(members):
            ordered = sorted(value for value in each.values if isfinite(value))
            if not ordered:
                continue
            mean = sum(ordered) / len(ordered)
            shown = known(name)
            measures = [
                mean,
                *(quantile(ordered, share) for share in (0.05, 0.5, 0.95)),
                ordered[-1],
            ]
            rows.append(
                Row(
                    [
                        Cell(shown.heading),
                        Cell(name_of(each, members)),
                        *(Cell(shown.written(value), value) for value in measures),
                    ],
                    f"{shown.heading}-{name_of(each, members)}",
                )
            )
    if not rows:
        return None
    headings = ("Mean", "5 of 100 below", "Median", "95 of 100 below", "Highest")
    columns = [
        Column("Metric"),
        Column("Of"),
        *(Column(heading, numeric=True) for heading in headings),
    ]
    left = sum(len(members) for members in grouped(series).values()) - len(rows)
    more = f"; {left} more devices are between these" if left else ""
    return table(f"What each came to{more}", columns, rows, ordered=(0, "none"))


def chosen(members: Sequence[Series]) -> list[Series]:
    """Return all of few devices, and of many those that did most and least."""
    few = 8
    if len(members) <= few:
        return list(members)
    by_mean = sorted(members, key=lambda each: sum(each.values) / len(each.values))
    return [*by_mean[: few // 2], *by_mean[-few // 2 :]]
