"""
Two runs side by side, as one page that needs nothing but a browser.

What their difference comes to is ``sides``', the time by phase ``compared_phases``', the machines
are ``compared_machines``'.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from kennel.pages.charts import Axis, Line, figure, plot, stairs
from kennel.pages.legends import marked
from kennel.pages.markup import Content, Markup, element
from kennel.pages.page import drawn, page, section
from kennel.pages.scales import linear
from kennel.pages.tables import facts, listing
from kennel.pages.words import counted, fine, number, percent
from kennel.reports import compared_machines, compared_phases, curves
from kennel.reports.bins import counts, quantile
from kennel.reports.curves import Curve
from kennel.reports.findings import named, result
from kennel.reports.machine import described
from kennel.reports.sides import Side, figures, missing, ratio, verdict
from kennel.reports.steps import ends_of, scale


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
        drawn("Where the time went", *compared_phases.time_by_phase(a, b)),
        drawn("Steps", step_times(a, b)),
        drawn("What the machines did", *compared_machines.machines(a, b)),
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
                compared_machines.key(side),
                side.look,
            )
        )
    title = "How long steps took"
    description = "; ".join(line.title for line in lines)
    y = Axis("share of the steps", linear(0, highest, name=percent))
    return figure(
        title,
        plot(title, description, Axis("seconds", scale(ends)), y, lines),
        compared_machines.legend(there),
    )


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
