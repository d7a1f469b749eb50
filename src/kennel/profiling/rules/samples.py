"""
The samples that a rule looks at: those of the training, of whichever sampler.

The platform's metrics and kennel's own have the same names. What a run does before its first step
and after its last one is not the training; where no steps are known (a program of the user's own),
everything is.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from kennel.profiling import quantiles, system
from kennel.profiling.evidence import Evidence
from kennel.profiling.system import Series

CPU, IO_WAIT = system.UTILIZATION, system.IO_WAIT
GPU, GPU_MEMORY = system.GPU_UTILIZATION, system.GPU_MEMORY

NO_GPU = "no GPU was sampled: the model computes on the cores"
MOST_INSTANTS = 20_000  # looked at of a long run, evenly spaced


@dataclass(frozen=True)
class Stretch:
    """From when to when, in seconds of the epoch."""

    start: float
    end: float


def training(evidence: Evidence) -> Stretch | None:
    """Return from the first step's start to the last one's end; None: no steps are known."""
    timeline = evidence.timeline
    if timeline is None or not timeline.steps:
        return None
    first, last = timeline.steps[0], timeline.steps[-1]
    return Stretch(timeline.started + first.start, timeline.started + last.end)


def of(evidence: Evidence, dimension: str, within: Stretch | None) -> tuple[Series, ...]:
    """Return the series of *dimension* with a sample *within*, by node and then by name."""
    found = (_finite(series) for series in evidence.system if series.dimension == dimension)
    cut = (_cut(series, within) for series in found)
    return tuple(sorted((series for series in cut if series.times), key=_order))


def gpus(evidence: Evidence) -> tuple[Series, ...]:
    """Return the utilisation of each GPU while training."""
    return of(evidence, GPU, training(evidence))


def has_gpu(evidence: Evidence) -> bool:
    """Tell whether any GPU was sampled at all."""
    return any(series.dimension == GPU for series in evidence.system)


def by_node(found: Sequence[Series]) -> dict[str, list[Series]]:
    """Return node → its series."""
    nodes: dict[str, list[Series]] = {}
    for series in found:
        nodes.setdefault(series.node, []).append(series)
    return nodes


def instants(series: Series) -> tuple[float, ...]:
    """Return when *series* was sampled; of a very long one, evenly thinned."""
    stride = -(-len(series.times) // MOST_INSTANTS)
    return series.times[::stride]


def at(series: Series, times: Sequence[float]) -> list[float]:
    """
    Return the value that *series* had next to each of *times*.

    The platform's sampler has a thread for each kind of metric: what belongs together differs by
    some milliseconds.
    """
    return [series.values[_nearest(series.times, time)] for time in times]


def average(found: Sequence[Series]) -> Series:
    """Return the mean of several series of one node, such as all its cores, at each instant."""
    times = instants(found[0])
    columns = [at(series, times) for series in found]
    values = tuple(sum(row) / len(found) for row in zip(*columns, strict=True))
    return replace(found[0], name="", times=times, values=values)


def busy_share(evidence: Evidence) -> float | None:
    """Return how busy the cores of the first node were on average while training, 0…1."""
    cores = of(evidence, CPU, training(evidence))
    if not cores:
        return None
    first = by_node(cores)[cores[0].node]
    return quantiles.mean([quantiles.mean(core.values) for core in first]) / 100


def windows(values: Sequence[float], size: int) -> Iterator[Sequence[float]]:
    """Yield *values* in parts of *size*; a rest that is shorter goes with the part before it."""
    count = max(1, len(values) // size)
    for number in range(count):
        yield values[number * size : None if number == count - 1 else (number + 1) * size]


def too_short(found: Sequence[Series], patience: int) -> str:
    """Return why there is nothing to judge."""
    most = max(len(series.values) for series in found)
    return (
        f"{most} samples of the training, and more than {patience} are needed: "
        "a longer run, or a shorter profile-interval-ms"
    )


def _finite(series: Series) -> Series:
    """Leave out what is no number."""
    if all(map(math.isfinite, series.values)):
        return series
    pairs = zip(series.times, series.values, strict=True)
    kept = [(time, value) for time, value in pairs if math.isfinite(value)]
    return replace(series, times=tuple(t for t, _ in kept), values=tuple(v for _, v in kept))


def _cut(series: Series, within: Stretch | None) -> Series:
    if within is None:
        return series
    low, high = bisect_left(series.times, within.start), bisect_left(series.times, within.end)
    return replace(series, times=series.times[low:high], values=series.values[low:high])


def _order(series: Series) -> tuple[str, int, str]:
    """Order gpu2 before gpu10."""
    digits = "".join(letter for letter in series.name if letter.isdigit())
    return series.node, int(digits or 0), series.name


def _nearest(times: Sequence[float], wanted: float) -> int:
    place = bisect_left(times, wanted)
    if place == len(times):
        return place - 1
    if place and wanted - times[place - 1] < times[place] - wanted:
        return place - 1
    return place
