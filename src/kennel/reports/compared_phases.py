"""
Where the time of two runs went: a bar each, of one scale, and their seconds.
"""

from collections.abc import Iterator, Sequence

from kennel.pages.legends import marked
from kennel.pages.markup import Markup, element, joined
from kennel.pages.tables import Cell, Column, Row, table
from kennel.pages.words import duration, fine, percent
from kennel.reports import phases
from kennel.reports.sides import Side

LEAST_S = 1e-6  # that two sums of seconds differ by: less is how floats add


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
