"""
Long series in as many places as a chart has: the least, the mean and the greatest of each.

So nothing that stands out is lost, whatever is left of the rest. Values that are no numbers are
left out here; who draws says so.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import fsum, isfinite
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Bin:
    """What a series came to between two places."""

    low: float
    mean: float
    high: float
    count: int


def edges(low: float, high: float, count: int) -> list[float]:
    """Return the ends of *count* equal parts, one more than parts."""
    wide = (high - low) / count
    return [low + i * wide for i in range(count)] + [high]


def growing_edges(low: float, high: float, count: int) -> list[float]:
    """Return the ends of *count* parts that grow by the same factor; *low* is above 0."""
    factor = (high / low) ** (1 / count)
    return [low * factor**i for i in range(count)] + [high]


def binned(
    places: Sequence[float], values: Sequence[float], ends: Sequence[float]
) -> list[Bin | None]:
    """
    Return what *values* came to between each two of *ends*; None where there are none.

    Args:
        places: Where each value is, in any order.
        ends: Rising; what lies outside is left out, but at the last end it is in.
    """
    places, values = in_order(places, values)
    cuts = [bisect_left(places, end) for end in ends]
    if cuts and places and places[-1] == ends[-1]:
        cuts[-1] = len(places)
    return [summed(values[first:last]) for first, last in pairwise(cuts)]


def in_order(
    places: Sequence[float], values: Sequence[float]
) -> tuple[Sequence[float], Sequence[float]]:
    """Return both by rising place, as they are where they are so already."""
    if all(a <= b for a, b in pairwise(places)):
        return places, values
    order = sorted(range(len(places)), key=places.__getitem__)
    return [places[i] for i in order], [values[i] for i in order]


def summed(values: Sequence[float]) -> Bin | None:
    """Return what *values* came to, None where none is a number."""
    if not values:
        return None
    known = values if isfinite(sum(values)) else [value for value in values if isfinite(value)]
    if not known:
        return None
    return Bin(min(known), fsum(known) / len(known), max(known), len(known))


def counts(values: Sequence[float], ends: Sequence[float]) -> list[int]:
    """Return how many of *values* lie between each two of *ends*."""
    ordered = sorted(value for value in values if isfinite(value))
    cuts = [bisect_left(ordered, end) for end in ends[:-1]] + [len(ordered)]
    return [last - first for first, last in pairwise(cuts)]


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which *share* of *ordered* lies, between its neighbours."""
    at = share * (len(ordered) - 1)
    below = int(at)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (at - below)


def thinned(items: Sequence[T], most: int) -> Sequence[T]:
    """Return at most *most* of *items*, at equal distances, the last one among them."""
    if len(items) <= most:
        return items
    step = (len(items) - 1) / (most - 1)
    return [items[round(i * step)] for i in range(most)]
