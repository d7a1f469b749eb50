"""
Two runs side by side, as one page that needs nothing but a browser.

What their difference comes to is ``sides``'.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import isfinite
from pathlib import Path

from kennel.pages.charts import Axis, Line, figure, plot, stairs
from kennel.pages.legends import marked, names
from kennel.pages.markup import Content, Markup, element, joined
from kennel.pages.page import drawn, page, section
from kennel.pages.scales import elapsed, linear
from kennel.pages.tables import Cell, Column, Row, facts, listing, table
from kennel.pages.words import counted, duration, fine, number, percent
from kennel.reports import curves, phases, utilisation
from kennel.reports.bins import binned, counts, edges, quantile
from kennel.reports.curves import Curve
from kennel.reports.findings import named, result
from kennel.reports.machine import described
from kennel.reports.sides import Side, figures, missing, ratio, verdict
from kennel.reports.steps import ends_of, scale
from kennel.reports.utilisation import known

PLACES = 160
LEAST_S = 1e-6  # that two sums of seconds differ by: less is how floats add


def html(runs: Sequence[tuple[str, Path]]) -> str:
    """
    Return the comparison.

    Args:
        runs: Two of them: what each is called, and its output data, unpacked.
    """
    (first, a_folder), (second, b_folder) = runs
    a, b = Side.read("A", first, a_folder), Side.read("B", second, b_folder)
    return page(
        f"{first} and {second}",
        element("h1", "Two runs side by side"),
        facts({side.letter: marked(side.look, side.name) for side in (a, b)}),
        answer(a, b),
        drawn("Where the time went", *time_by_phase(a, b)),
        drawn("Steps", step_times(a, b)),
        drawn("What the machines did", *machines(a, b)),
        drawn("How they learnt", *learning(a, b)),
        rules(a, b),
        settings(a, b),
    )


def answer(a: Side, b: Side) -> Markup:
    """Return what a reader came for."""
    is_fair = all(side.is_whole and not side.is_lost for side in (a, b))
    faster = ratio(a, b) if is_fair else None
    said = list(verdict(a, b))
    return section(
        "The difference",
        headline(faster) if faster else None,
        element("ul", (element("li", sentence) for sentence in said)) if said else None,
        listing("In figures", ["", "A", "B"], both(figures(a), figures(b))),
        [element("p", words, class_="note") for words in missing((a, b))],
    )


def headline(faster: float) -> Markup:
    """Return the ratio of both throughputs."""
    quick, slow = ("B", "A") if faster >= 1 else ("A", "B")
    times = number(max(faster, 1 / faster), 2)
    words = f"times as many pictures a second in {quick} as in {slow}"
    return element("div", element("strong", times), element("span", words), class_="headline")


def both(a: dict[str, str], b: dict[str, str]) -> list[tuple[str, str, str]]:
    """Return the rows of what either has."""
    return [(name, a.get(name, ""), b.get(name, "")) for name in {**a, **b}]


def time_by_phase(a: Side, b: Side) -> Iterator[Markup]:
    """Yield both runs as bars of the same scale, and their seconds."""
    totals = {side.letter: totals_of(side) for side in (a, b)}
    longest = max((sum(each.values()) for each in totals.values()), default=0.0)
    if not longest:
        return
    for letter, sums in totals.items():
        if sums:
            yield bar(letter, sums, longest)
    there = sorted({name for each in totals.values() for name in each}, key=phases.ranked)
    yield phases.legend(there)
    yield phase_table(totals["A"], totals["B"], there)


def bar(letter: str, sums: dict[str, float], longest: float) -> Markup:
    """Draw a run's phases as a bar whose whole is the longer run."""
    parts = [(name, sums[name] / longest) for name in sorted(sums, key=phases.ranked)]

    def said(name: str, _: float) -> str:
        return f"{phases.words(name)}: {fine(sums[name])}"

    title = f"Time by phase, {letter}"
    return joined(
        element("h3", f"{letter}: {duration(sum(sums.values()))}"),
        phases.strip(title, parts, said),
    )


def totals_of(side: Side) -> dict[str, float]:
    """Return the seconds of each phase, nothing where they are not known."""
    timeline = side.evidence.timeline
    return timeline.totals() if timeline and side.is_profiled else {}


def phase_table(a: dict[str, float], b: dict[str, float], there: Sequence[str]) -> Markup:
    """Return the seconds and shares of each phase in both runs."""
    wholes = [sum(each.values()) or 1.0 for each in (a, b)]
    rows = [
        Row(
            [
                Cell(marked(phases.look(name), phases.words(name)), phases.words(name)),
                *(
                    cell
                    for each, whole in zip((a, b), wholes, strict=True)
                    for cell in seconds_and_share(each.get(name), whole)
                ),
                difference(a.get(name), b.get(name), is_known=bool(a and b)),
            ],
            phases.key(name),
        )
        for name in there
    ]
    headings = ("A", "A, share", "B", "B, share", "B less A")
    columns = [Column("Phase"), *(Column(heading, numeric=True) for heading in headings)]
    return table("Both runs by phase", columns, rows, ordered=(0, "none"))


def seconds_and_share(seconds: float | None, whole: float) -> tuple[Cell, Cell]:
    """Return both cells of a phase."""
    if seconds is None:
        return Cell(None, None), Cell(None, None)
    return Cell(fine(seconds), seconds), Cell(percent(seconds / whole), seconds / whole)


def difference(a: float | None, b: float | None, *, is_known: bool) -> Cell:
    """Return the cell of what a phase takes longer in B."""
    if not is_known:
        return Cell(None, None)
    more = (b or 0.0) - (a or 0.0)
    if abs(more) < LEAST_S:
        return Cell("0 s", 0.0)
    return Cell(f"{'+' if more > 0 else ''}{fine(more)}", more)


def step_times(a: Side, b: Side) -> Markup | None:
    """Draw how long the steps of both took, as shares of all steps."""
    there = [side for side in (a, b) if side.steps]
    if not there:
        return None
    ends = ends_of([seconds for side in there for seconds in side.steps])
    lines = []
    highest = 0.0
    for side in there:
        found = counts(side.steps, ends)
        shares = [count / len(side.steps) for count in found]
        highest = max(highest, *shares)
        middle = fine(quantile(side.steps, 0.5))
        corners = stairs([*zip(ends, [*shares, 0.0], strict=True)])
        lines.append(
            Line(
                [(ends[0], 0.0), *corners],
                f"{side.letter}: {middle} in the middle",
                key(side),
                side.look,
            )
        )
    title = "How long steps took"
    description = "; ".join(line.title for line in lines)
    y = Axis("share of the steps", linear(0, highest, name=percent))
    return figure(
        title,
        plot(title, description, Axis("seconds", scale(ends)), y, lines),
        legend(there),
    )


def legend(sides: Sequence[Side]) -> Markup:
    """Return which colour is which run, in every chart of both."""
    return names((key(side), side.look, f"{side.letter}: {side.name}") for side in sides)


def key(side: Side) -> str:
    """Return what a run's lines have in common."""
    return f"run-{side.letter}"


def machines(a: Side, b: Side) -> Iterator[Markup]:
    """Yield what both machines did: over the time, and in figures."""
    there = [side for side in (a, b) if any(each.times for each in side.evidence.system)]
    if not there:
        return
    kinds = list(
        dict.fromkeys(name for side in there for name in utilisation.grouped(side.evidence.system))
    )
    yield legend(there)
    yield element("div", (over_time(name, there) for name in kinds), class_="charts wide")
    rows = [metric_row(name, (a, b)) for name in kinds]
    headings = ("A, mean", "B, mean", "A, 95 of 100 below", "B, 95 of 100 below")
    columns = [Column("Metric"), *(Column(heading, numeric=True) for heading in headings)]
    yield table("All devices and hosts together", columns, rows, ordered=(0, "none"))


def values_of(side: Side, name: tuple[str, str]) -> list[float]:
    """Return all values of a kind of metric, rising."""
    series = utilisation.grouped(side.evidence.system).get(name, [])
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
        members = utilisation.grouped(side.evidence.system).get(name, [])
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


def learning(a: Side, b: Side) -> Iterator[Markup]:
    """Yield the curves of both."""
    losses = [curve for side in (a, b) for curve in of_side(side, curves.losses(side.drawn))]
    accuracies = [
        curve for side in (a, b) for curve in of_side(side, curves.accuracies(side.drawn))
    ]
    charts = [curves.loss_chart(losses), curves.accuracy_chart(accuracies)]
    there = [chart for chart in charts if chart is not None]
    if there:
        yield element("div", there, class_="charts wide")


def of_side(side: Side, found: Sequence[Curve]) -> list[Curve]:
    """Return a run's curves in its own colours, what was validated in the stronger one."""
    shades = {"A": ("k7", "k0"), "B": ("k6", "k1")}[side.letter]
    measured = [curve for curve in found if not curve.is_dense] or list(found)
    return [curves.renamed(curve, side.letter, shades["valid" in curve.key]) for curve in measured]


def rules(a: Side, b: Side) -> Markup | None:
    """Return the rules that came out differently."""
    outcomes = [{named(each): result(each) for each in side.outcomes} for side in (a, b)]
    if not any(outcomes):
        return None
    all_names = sorted({**outcomes[0], **outcomes[1]})
    pairs = [(name, *(each.get(name, "not asked for") for each in outcomes)) for name in all_names]
    differing = [pair for pair in pairs if pair[1] != pair[2]]
    same = len(pairs) - len(differing)
    words = f"{counted(same, 'rule')} came out the same in both." if same else ""
    content: list[Content] = []
    if differing:
        content.append(listing("Rules that came out differently", ["Rule", "A", "B"], differing))
    return section("Rules", content, element("p", words, class_="note") if words else None)


def settings(a: Side, b: Side) -> Markup | None:
    """Return what the runs were, where they differ."""
    pairs = both(described(a.evidence.run), described(b.evidence.run))
    if not pairs:
        return None
    differing = [pair for pair in pairs if pair[1] != pair[2]]
    same = counted(len(pairs) - len(differing), "setting")
    return section(
        "What was different",
        listing("Settings and machines", ["", "A", "B"], differing)
        if differing
        else element("p", "No setting and nothing of the machine, as far as is known."),
        element("p", f"{same} the same in both.", class_="note"),
    )
