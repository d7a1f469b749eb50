"""
Charts as SVG: dots, lines and areas over two axes.

A chart fills the width that it is given while its text and dots keep their size: places are
percentages, and lines lie in an inner box that is stretched. What belongs to one subject (a trial,
a phase) carries its key; the page's script shows what it is and makes it stand out in every chart
that has it. Without the script its title says what it is. Colours are the style sheet's classes.
How areas are put together is kennel.pages.areas'.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from kennel.pages.markup import Content, Markup, element, joined
from kennel.pages.scales import Scale

# Classes c0 … c8 of the style sheet, from the worst to the best.
COLOURS = 9
# Classes k0 … k15, of what has no order: phases, devices, runs.
KINDS = 16
# Shapes that the page's skeleton defines, by what they say.
SHAPES = ("dot", "ring", "crown", "cross", "square", "up", "down")
# The inner box of lines is as long and high as this; a line's corners are whole numbers in it.
BOX = 1000

Key = int | str | None


@dataclass(frozen=True)
class Axis:
    """One side of a chart."""

    label: str
    scale: Scale


@dataclass(frozen=True)
class Dot:
    """
    A mark at a point.

    Args:
        x: In the scale's values.
        y: In the scale's values.
        title: What it is, in words.
        key: Of the subject that it belongs to; None where there is none.
        look: Classes of the style sheet.
        shape: One of SHAPES.
    """

    x: float
    y: float
    title: str
    key: Key = None
    look: str = ""
    shape: str = "dot"


@dataclass(frozen=True)
class Line:
    """
    A line through points, in the scales' values; the members that are not named are a dot's.

    Args:
        filled: Whether the points are an area's corners.
    """

    points: Sequence[tuple[float, float]]
    title: str
    key: Key = None
    look: str = ""
    filled: bool = False


def colour(fraction: float) -> str:
    """Return the class of a place between the worst, 0, and the best, 1."""
    return f"c{min(int(min(max(fraction, 0.0), 1.0) * COLOURS), COLOURS - 1)}"


def kind(number: int) -> str:
    """Return the class of the *number*-th of what has no order; there are not endlessly many."""
    return f"k{number % KINDS}"


def stairs(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the corners of a line that keeps each value until the next one comes."""
    corners = list(points[:1])
    for (_, before), (x, y) in pairwise(points):
        corners += [(x, before), (x, y)]
    return corners


def figure(title: str, chart: Content, *notes: Content, look: str = "") -> Markup:
    """Return a chart under its title, with what explains it below."""
    return element(
        "figure",
        element("figcaption", title),
        chart,
        *(element("p", note, class_="note") for note in notes if note),
        class_=look or None,
    )


def plot(  # noqa: PLR0913 - what a chart is, and how it looks
    title: str,
    description: str,
    x: Axis,
    y: Axis,
    marks: Iterable[Dot | Line],
    *,
    look: str = "",
) -> Markup:
    """
    Return a plot; later marks lie over earlier ones, dots over lines.

    Args:
        title: Its accessible name.
        description: What a reader who does not see it should know.
        look: Classes of the whole: ``low`` for one of several below each other.
    """
    drawn = list(marks)
    lines = [mark for mark in drawn if isinstance(mark, Line)]
    return canvas(
        title,
        description,
        grid(x, y),
        stretched(polyline(line, x.scale, y.scale) for line in lines),
        (dot(mark, x.scale, y.scale) for mark in drawn if isinstance(mark, Dot)),
        look=look,
    )


def canvas(title: str, description: str, *content: Content, look: str = "") -> Markup:
    """Return a chart's drawing surface, with its name and description for who does not see it."""
    svg = element(
        "svg", element("title", title), element("desc", description), *content, role="img"
    )
    return element("div", svg, class_=f"plot {look}".strip(), data_name=title)


def grid(x: Axis, y: Axis) -> Markup:
    """Return both axes with their ticks and labels."""
    return joined(
        (
            (
                element("line", x1=0, x2="100%", y1=down(tick.at), y2=down(tick.at)),
                element("text", tick.label, x=0, dx=-8, y=down(tick.at), class_="y"),
            )
            for tick in y.scale.ticks
        ),
        (
            element("text", tick.label, x=across(tick.at), y="100%", dy=20, class_="x")
            for tick in x.scale.ticks
        ),
        element("line", x1=0, x2="100%", y1="100%", y2="100%", class_="axis"),
        element("text", x.label, x="100%", y="100%", dy=38, class_="label end"),
        element("text", y.label, x=0, dx=-52, y=0, dy=-14, class_="label"),
    )


def stretched(lines: Iterable[Markup]) -> Markup | None:
    """Return lines in the box that is stretched over the whole chart."""
    content = list(lines)
    if not content:
        return None
    return element(
        "svg",
        content,
        viewBox=f"0 0 {BOX} {BOX}",
        preserveAspectRatio="none",
        width="100%",
        height="100%",
    )


def polyline(line: Line, x: Scale, y: Scale) -> Markup:
    """Return a line as the box has it."""
    return corners([(x.place(a), y.place(b)) for a, b in line.points], line)


def corners(places: Sequence[tuple[float, float]], line: Line) -> Markup:
    """Return a line through places that are fractions of the box, from its lower left corner."""
    points = " ".join(f"{a * BOX:.0f},{(1 - b) * BOX:.0f}" for a, b in places)
    return element(
        "polygon" if line.filled else "polyline",
        element("title", line.title),
        points=points,
        class_=line.look or None,
        data_key=line.key,
    )


def dot(mark: Dot, x: Scale, y: Scale) -> Markup:
    """Return a mark where its values are."""
    return element(
        "use",
        element("title", mark.title),
        href=f"#{mark.shape}",
        x=across(x.place(mark.x)),
        y=down(y.place(mark.y)),
        class_=mark.look or None,
        data_key=mark.key,
    )


def across(fraction: float) -> str:
    """Return a place from the left."""
    return f"{fraction * 100:.4g}%"


def down(fraction: float) -> str:
    """Return a place from the top, of one from the bottom."""
    return across(1 - fraction)
