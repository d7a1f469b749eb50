"""
Heatmaps: rows of cells whose colour is their value, over an axis that other charts may share.

All cells of one colour are one path, so that ten thousand of them are some hundred kilobytes. A row
is a subject: the page's script walks through rows, and each has its title without it.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from kennel.pages.charts import Axis, Key, Line, canvas, grid, polyline, stretched
from kennel.pages.markup import Markup, element
from kennel.pages.scales import Scale, Tick

NAMED = 8  # rows whose number stands beside them, at most
TALL_ROWS, LOW_ROWS = 24, 6  # from how many rows on a heatmap is given its full height, and half

# A row goes from end to end.
_ACROSS = Scale(lambda fraction: fraction, ())


@dataclass(frozen=True)
class Stripe:
    """
    A row.

    Args:
        looks: The class of each cell; an empty one draws nothing.
        title: What it is and what it came to, in words.
        name: What stands beside it.
    """

    looks: Sequence[str]
    title: str
    name: str
    key: Key = None


def heatmap(title: str, description: str, x: Axis, label: str, stripes: Sequence[Stripe]) -> Markup:
    """
    Return the chart.

    Args:
        title: Its accessible name.
        description: What a reader who does not see it should know.
        x: The axis that the cells divide into equal parts.
        label: What the rows are.
        stripes: From top to bottom, all with as many cells.
    """
    rows = len(stripes)
    height = "rows-many" if rows >= TALL_ROWS else "rows-some" if rows >= LOW_ROWS else "rows-few"
    y = Axis(label, _rows([stripe.name for stripe in stripes]))
    lines = [
        Line([(0.0, i), (1.0, i)], stripe.title, stripe.key, "row")
        for i, stripe in enumerate(stripes)
    ]
    return canvas(
        title,
        description,
        grid(x, y),
        cells([stripe.looks for stripe in stripes]),
        stretched(polyline(line, _ACROSS, y.scale) for line in lines),
        look=f"heat {height}",
    )


def cells(rows: Sequence[Sequence[str]]) -> Markup:
    """Return a box of cells by their classes, stretched over the whole chart."""
    paths: dict[str, list[str]] = defaultdict(list)
    for y, looks in enumerate(rows):
        x = 0
        for look, run in groupby(looks):
            wide = len(list(run))
            if look:
                paths[look].append(f"M{x} {y}h{wide}v1h-{wide}z")
            x += wide
    columns = max((len(looks) for looks in rows), default=0)
    return element(
        "svg",
        (element("path", d="".join(parts), class_=look) for look, parts in sorted(paths.items())),
        viewBox=f"0 0 {max(columns, 1)} {max(len(rows), 1)}",
        preserveAspectRatio="none",
        width="100%",
        height="100%",
    )


def _rows(names: Sequence[str]) -> Scale:
    """Return the scale of rows from the top, of which a few are named."""
    share = 1 / max(len(names), 1)

    def place(row: float) -> float:
        return 1 - (row + 0.5) * share

    step = -(-len(names) // NAMED)
    return Scale(place, tuple(Tick(place(i), names[i]) for i in range(0, len(names), step or 1)))
