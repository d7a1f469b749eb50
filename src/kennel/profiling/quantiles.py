"""Quantiles, histograms and distances of plain numbers: what the rules compute, without numpy."""

import math
from collections.abc import Mapping, Sequence

BINS = 50  # of a histogram of per cents


def quantile(ordered: Sequence[float], share: float) -> float:
    """
    Return a quantile, between two values in proportion, as numpy has it by default.

    Args:
        ordered: Ascending, at least one.
        share: 0…1.
    """
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def mean(values: Sequence[float]) -> float:
    """Return the mean of at least one value."""
    return math.fsum(values) / len(values)


def deviation(values: Sequence[float]) -> float:
    """Return the standard deviation, of them as all there are."""
    centre = mean(values)
    return math.sqrt(math.fsum((value - centre) ** 2 for value in values) / len(values))


def quantiles(values: Sequence[float]) -> Mapping[str, float]:
    """Return max, p99, p95, p50 and min, as AWS's summaries name them; empty without values."""
    if not values:
        return {}
    ordered = sorted(values)
    shares = {"max": 1.0, "p99": 0.99, "p95": 0.95, "p50": 0.5, "min": 0.0}
    return {name: round(quantile(ordered, share), 6) for name, share in shares.items()}


def box(values: Sequence[float]) -> Mapping[str, float]:
    """Return what a box plot draws: p05, p25, p50, p75, p95, and the whiskers' ends."""
    ordered = sorted(values)
    shares = {"p05": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95}
    found = {name: quantile(ordered, share) for name, share in shares.items()}
    reach = 1.5 * (found["p75"] - found["p25"])
    found["upper"] = min(found["p75"] + reach, ordered[-1])
    found["lower"] = max(found["p25"] - reach, ordered[0])
    return {name: round(value, 6) for name, value in found.items()}


def histogram(values: Sequence[float], low: float, high: float, bins: int) -> list[int]:
    """Count *values* in *bins* of equal width; what lies outside is in the first or the last."""
    counts = [0] * bins
    width = (high - low) / bins or 1.0
    for value in values:
        counts[min(bins - 1, max(0, int((value - low) / width)))] += 1
    return counts


def distance(one: Sequence[int], other: Sequence[int]) -> float:
    """
    Return the Jensen-Shannon distance of two histograms, in nats: 0 (the same) … 0.83 (disjoint).

    Args:
        one: Counts, at least one of them above 0; *other* as many of them.
    """
    shares = [[count / sum(counts) for count in counts] for counts in (one, other)]
    middle = [(a + b) / 2 for a, b in zip(*shares, strict=True)]
    halves = [
        math.fsum(p * math.log(p / m) for p, m in zip(part, middle, strict=True) if p)
        for part in shares
    ]
    return math.sqrt(max(0.0, sum(halves) / 2))


def bins_for(count: int) -> int:
    """Return how many bins so many values can fill: few values differ by chance alone."""
    return max(5, min(BINS, count // 10))
