"""GPUMemoryIncrease: memory that goes on growing, or leaps, once the training runs evenly."""

from collections.abc import Sequence
from dataclasses import replace

from kennel.profiling import quantiles
from kennel.profiling.evidence import Evidence
from kennel.profiling.rules import samples
from kennel.profiling.rules.rule import (
    GIVEN,
    PATIENCE,
    SCAN,
    Judgement,
    Rule,
    Values,
    count,
    percent,
)
from kennel.profiling.rules.samples import NO_GPU, Stretch, too_short
from kennel.profiling.system import Series
from kennel.rules.outcome import Finding

FULL = 100  # per cent


def increase(evidence: Evidence, values: Values) -> Judgement:
    """Judge GPUMemoryIncrease: each GPU's moving average against the lowest before it."""
    within = _even(evidence) if "patience" not in values[GIVEN] else samples.training(evidence)
    memories = samples.of(evidence, samples.GPU_MEMORY, within)
    if not memories:
        return Judgement(reason=NO_GPU)
    size = values["window"]
    skipped = values["patience"] if "patience" in values[GIVEN] else 0
    ready = [
        replace(memory, times=memory.times[skipped:], values=memory.values[skipped:])
        for memory in memories
        if len(memory.values) > max(values["patience"], skipped + 2 * size)
    ]
    if not ready:
        return Judgement(reason=too_short(memories, max(values["patience"], 2 * size)))
    grown = [(memory, _rises(memory.values, size, values["increase"])) for memory in ready]
    found = sorted(
        (_finding(memory, rises, evidence, values) for memory, rises in grown if rises),
        key=lambda finding: -finding.value,
    )
    details: dict[str, dict[str, object]] = {}
    for memory, rises in grown:
        figures = {"gpu_max": max(memory.values), **quantiles.box(memory.values)}
        worst = max((by for _, by in rises), default=0.0)
        details.setdefault(memory.node, {})[memory.name] = {"increase": worst, **figures}
    return Judgement(
        datapoints=sum(len(memory.values) for memory in ready),
        violations=sum(len(rises) for _, rises in grown),
        findings=tuple(found),
        details=details,
    )


def _even(evidence: Evidence) -> Stretch | None:
    """
    Return the training without its first epoch, or the first tenth where there is one only.

    Buffers grow with the first steps and the first validation, and stay.
    """
    whole = samples.training(evidence)
    if whole is None or evidence.timeline is None:
        return None
    steps = evidence.timeline.steps
    later = next((step for step in steps if step.epoch > steps[0].epoch), None)
    if later is None:
        return replace(whole, start=whole.start + (whole.end - whole.start) / 10)
    return replace(whole, start=evidence.timeline.started + later.start)


def _rises(values: Sequence[float], size: int, least: float) -> list[tuple[int, float]]:
    """
    Return (index, points) of each average of *size* values that is above the lowest before it.

    The next rise is counted from there: a leap is one, and steady growth one for each *least*.
    """
    averages = [quantiles.mean(part) for part in samples.windows(values, size)]
    rises, lowest = [], averages[0]
    for number, average in enumerate(averages[1:], 1):
        if average - lowest > least:
            rises.append((number * size, average - lowest))
            lowest = average
        lowest = min(lowest, average)
    return rises


def _finding(
    memory: Series, rises: Sequence[tuple[int, float]], evidence: Evidence, values: Values
) -> Finding:
    index, worst = max(rises, key=lambda rise: rise[1])
    subject = f"{memory.name} of {memory.node}"
    begin = evidence.timeline.started if evidence.timeline else memory.times[0]
    at_s = memory.times[index] - begin
    top = max(memory.values)
    if len(rises) == 1:
        problem = f"the memory of {subject} leaps by {worst:.0f} points {at_s:.0f} s into the run"
    else:
        problem = f"the memory of {subject} grows {len(rises)} times, by up to {worst:.0f} points"
    hours = (memory.times[-1] - memory.times[0]) / 3600
    by = sum(points for _, points in rises)
    pace = f": at this pace it is full after {(FULL - top) / by * hours:.1f} more hours"
    return Finding(
        subject,
        f"{problem}, to {top:.0f} %{pace if len(rises) > 1 else ''}",
        "keep no tensor with its graph from step to step (detach losses before adding them up), "
        "and look for batches that are larger than the others",
        worst,
        values["increase"],
        at_s=at_s,
    )


RULES = (
    Rule(
        "GPUMemoryIncrease",
        "a GPU's memory grows or leaps in the middle of the training",
        (
            percent("increase", 5, "points between two moving averages"),
            PATIENCE,
            count("window", 10, "samples of a moving average", low=1),
            SCAN,
        ),
        increase,
    ),
)
