"""
Parallel coordinates: an axis for each of several measures, and a line for each subject.
"""

from collections.abc import Iterable, Sequence

from kennel.pages.charts import Axis, Line, across, canvas, corners, down, stretched
from kennel.pages.markup import Markup, element


def parallel(title: str, description: str, axes: Sequence[Axis], lines: Iterable[Line]) -> Markup:
    """
    Return the chart; later lines lie over earlier ones.

    Args:
        lines: Their points are (position of the axis, value in that axis' scale).
    """
    last = max(len(axes) - 1, 1)
    return element(
        "div",
        canvas(
            title,
            description,
            (upright(axis, i / last) for i, axis in enumerate(axes)),
            stretched(
                corners(
                    [(at / last, axes[round(at)].scale.place(value)) for at, value in line.points],
                    line,
                )
                for line in lines
            ),
            (ticks(axis, i / last) for i, axis in enumerate(axes)),
        ),
        class_=f"scroll parallel axes{min(len(axes), 12)}",
    )


def upright(axis: Axis, at: float) -> Markup:
    """Return one axis with its name above it."""
    return element(
        "g",
        element("line", x1=across(at), x2=across(at), y1=0, y2="100%", class_="axis"),
        element("text", axis.label, x=across(at), y=0, dy=-14, class_="label name"),
    )


def ticks(axis: Axis, at: float) -> Markup:
    """Return an axis' ticks, with a rim that keeps them readable over lines."""
    return element(
        "g",
        (
            element("text", tick.label, x=across(at), dx=6, y=down(tick.at), class_="rim")
            for tick in axis.scale.ticks
        ),
    )
