"""
Areas of a chart: bands between two lines, areas on top of each other, columns, stretches of time.

They are corners only; kennel.pages.charts draws them among its lines and dots.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from kennel.pages.charts import Key, Line


@dataclass(frozen=True)
class Layer:
    """One of several areas on top of each other: a height for each place; the rest is a line's."""

    heights: Sequence[float]
    title: str
    key: Key = None
    look: str = ""


def band(points: Sequence[tuple[float, float, float]], title: str, look: str = "") -> Line:
    """
    Return the area between two lines.

    Args:
        points: Place, lower end, upper end.
    """
    lower = [(x, low) for x, low, _ in points]
    upper = [(x, high) for x, _, high in reversed(points)]
    return Line([*lower, *upper], title, None, f"band {look}".strip(), filled=True)


def stacked(edges: Sequence[float], layers: Sequence[Layer]) -> Iterator[Line]:
    """
    Yield areas that lie on each other, the first one lowest.

    Args:
        edges: Where the places begin, and where the last one ends: one more than heights.
    """
    below = [0.0] * (len(edges) - 1)
    for layer in layers:
        above = [low + high for low, high in zip(below, layer.heights, strict=True)]
        if any(layer.heights):
            corners = [*_steps(edges, above), *reversed(_steps(edges, below))]
            yield Line(corners, layer.title, layer.key, layer.look, filled=True)
        below = above


def column(left: float, right: float, low: float, high: float) -> list[tuple[float, float]]:
    """Return the corners of a rectangle."""
    return [(left, low), (left, high), (right, high), (right, low)]


def _steps(edges: Sequence[float], heights: Sequence[float]) -> list[tuple[float, float]]:
    """Return the line over columns, without the corners where nothing changes."""
    line = [
        point
        for (left, right), height in zip(pairwise(edges), heights, strict=True)
        for point in ((left, height), (right, height))
    ]
    inner = [
        here
        for (_, before), here, (_, after) in zip(line, line[1:], line[2:], strict=False)
        if not before == here[1] == after
    ]
    return [*line[:1], *inner, *line[-1:]]
