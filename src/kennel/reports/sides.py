"""
Two runs beside each other, and what their difference comes to in words.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Self

from kennel.pages.words import duration, fine, number, percent
from kennel.profiling import judging
from kennel.profiling.evidence import Evidence
from kennel.profiling.timeline import OTHER
from kennel.reports import beside, debugger, endings
from kennel.reports.bins import quantile
from kennel.reports.curves import of_epochs
from kennel.reports.phases import means, words
from kennel.reports.series import Drawn
from kennel.reports.steps import durations
from kennel.reports.verdicts import throughput
from kennel.rules import keeping
from kennel.rules.outcome import Outcome

LIKE = 0.03  # what differs by less is as fast


@dataclass(frozen=True)
class Side:
    """
    One of two runs.

    Args:
        letter: What it is called in charts and tables: A or B.
        name: Its own.
    """

    letter: str
    name: str
    evidence: Evidence
    outcomes: tuple[Outcome, ...]
    drawn: Drawn

    @classmethod
    def read(cls, letter: str, name: str, folder: Path) -> Self:
        """Read the output data of a run, unpacked."""
        profile, debug = folder / beside.PROFILER_OUTPUT, folder / beside.DEBUG_OUTPUT
        outcomes = (*judging.read(profile), *keeping.read(debug / debugger.RULES))
        return cls(letter, name, Evidence.read(profile), outcomes, Drawn.read(debug))

    @property
    def look(self) -> str:
        """The class of its colour."""
        return "k0" if self.letter == "A" else "k1"

    @property
    def is_whole(self) -> bool:
        """Whether it came to its end, as far as that is known."""
        return endings.is_whole(self.evidence.run.ended)

    @property
    def is_lost(self) -> bool:
        """Whether its loss was no number at last."""
        last = [points[-1][1] for points in self.drawn.losses.values()]
        return any(not isfinite(value) for value in last)

    @property
    def is_profiled(self) -> bool:
        """Whether its phases are known."""
        timeline = self.evidence.timeline
        return timeline is not None and timeline.wall_s > 0

    @property
    def steps(self) -> list[float]:
        """How long its steps took, in seconds, rising."""
        return sorted(durations(self.evidence.timeline.steps if self.evidence.timeline else ()))

    @property
    def picture_s(self) -> dict[str, float]:
        """Phase → seconds of a step for one picture; of a step where nobody knows the batch."""
        timeline = self.evidence.timeline
        if timeline is None or not timeline.steps:
            return {}
        batch = self.evidence.run.batch_size or 1
        return {name: seconds / batch for name, seconds in means(timeline.steps).items()}


def ratio(a: Side, b: Side) -> float | None:
    """Return how many times as many pictures a second B trains as A; None: that is not known."""
    rates = [throughput(side.evidence) for side in (a, b)]
    if None in rates:
        both = [side.steps for side in (a, b)]
        same = a.evidence.run.batch_size == b.evidence.run.batch_size
        means_ = [sum(each) / len(each) if each else 0.0 for each in both]
        return means_[0] / means_[1] if same and all(means_) else None
    first, second = (rate or 0.0 for rate in rates)
    return second / first if first else None


def verdict(a: Side, b: Side) -> Iterator[str]:
    """Yield what there is to say of two runs, a sentence each."""
    yield from broken(a, b)
    faster = ratio(a, b)
    if faster is not None:
        yield speed(a, b, faster)
    yield from whole(a, b)
    yield from learnt(a, b)


def broken(a: Side, b: Side) -> Iterator[str]:
    """Say which of them did not come to its end, or learnt nothing: that counts before speed."""
    for side in (a, b):
        ended = side.evidence.run.ended
        if ended and not side.is_whole:
            said = endings.words(ended)
            yield f"{side.letter} did not come to its end. {said}."
        elif side.is_lost:
            yield f"{side.letter} diverged: its loss is no number at its end."


def speed(a: Side, b: Side, faster: float) -> str:
    """Say which run is faster, and which phase that is due to."""
    if abs(faster - 1) < LIKE:
        return "A and B train as fast as each other."
    quick, slow = (b, a) if faster > 1 else (a, b)
    times = max(faster, 1 / faster)
    return f"{quick.letter} is {number(times, 2)} times as fast: {why(slow, quick)}."


def why(slow: Side, quick: Side) -> str:
    """Return the phase that saves the most, by its share or, if that stays, its time."""
    before, after = slow.picture_s, quick.picture_s
    name = max(
        (name for name in {**before, **after} if name != OTHER),
        key=lambda name: before.get(name, 0.0) - after.get(name, 0.0),
        default=OTHER,
    )
    then, now = (each.get(name, 0.0) for each in (before, after))
    shares = [part / (sum(each.values()) or 1.0) for part, each in ((then, before), (now, after))]
    if abs(shares[0] - shares[1]) >= LIKE:
        ends = f"{percent(shares[1])} of its steps instead of {percent(shares[0])}"
        return f"{words(name)} takes {ends}"
    unit = "a picture" if slow.evidence.run.batch_size else "a step"
    return f"most of it in {words(name)}, {fine(now)} {unit} instead of {fine(then)}"


def whole(a: Side, b: Side) -> Iterator[str]:
    """Say how long both took in all."""
    first, second = a.evidence.wall_s, b.evidence.wall_s
    if first and second:
        yield f"From start to end A took {duration(first)}, B {duration(second)}."


def learnt(a: Side, b: Side) -> Iterator[str]:
    """Say how well both learnt."""
    best = [best_accuracy(side) for side in (a, b)]
    if None not in best:
        first, second = (each or 0.0 for each in best)
        yield f"The best accuracy in validation is {percent(first)} in A, {percent(second)} in B."


def best_accuracy(side: Side) -> float | None:
    """Return the best accuracy in validation."""
    values = [value for _, value in of_epochs(side.drawn.epochs, "valid_accuracy")]
    return max(filter(isfinite, values), default=None)


def missing(sides: Sequence[Side]) -> Iterator[str]:
    """Say what a run has nothing of, where the other has."""
    parts = {
        "phases": [side.is_profiled for side in sides],
        "system metrics": [bool(side.evidence.system) for side in sides],
        "rules": [bool(side.outcomes) for side in sides],
        "curves of its training": [side.drawn != Drawn() for side in sides],
    }
    for name, there in parts.items():
        if not any(there):
            yield f"Neither run has {name}."
        for side, is_there in zip(sides, there, strict=True):
            if not is_there and any(there):
                yield f"{side.letter} has no {name}, so these are shown of the other alone."


def figures(side: Side) -> dict[str, str]:
    """Return what a run came to."""
    rate, steps, wall_s = throughput(side.evidence), side.steps, side.evidence.wall_s
    best = best_accuracy(side)
    known = {
        "From start to end": duration(wall_s) if wall_s else "",
        "Pictures a second": f"{rate:,.0f}" if rate else "",
        "A step, median": fine(quantile(steps, 0.5)) if steps else "",
        "A step, 95 of 100 within": fine(quantile(steps, 0.95)) if steps else "",
        "Best accuracy in validation": percent(best) if best is not None else "",
    }
    return {name: text or "not known" for name, text in known.items()}
