"""
Times the phases of a run while it runs.

Nothing is asked of a GPU that would make it wait: kernels run later than they are launched, so
inside of steps the moments between phases are events in the GPU's own queue, whose times are read
when they have come. A phase is then the time in which the GPU did what that phase had launched, and
the waiting for data the time in which it had nothing to do. Without a GPU, and outside of steps,
the moments are the clock's.

What becomes of the times is timeline_files.py's; how they are read again, timeline.py's.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from kennel.profiling.timeline import DATA, EVALUATION, FEATURES, OTHER, Span, Step

T = TypeVar("T")

FOLDED = frozenset({EVALUATION, FEATURES})  # all that is in them counts for them
SHORT_S = 1e-4  # between two phases outside of steps; shorter ones are not told of, but counted


class Event(Protocol):
    """A moment in a GPU's queue: torch.cuda.Event."""

    def query(self) -> bool:
        """Tell whether it has come."""
        ...

    def synchronize(self) -> None:
        """Wait until it has come."""
        ...

    def elapsed_time(self, later: "Event", /) -> float:
        """Return the milliseconds from this one to a later one; both have come."""
        ...


@dataclass(frozen=True, slots=True)
class Moment:
    """Seconds by the clock, and the event that was queued then."""

    at: float
    event: Event | None = None


Segment = tuple[str, Moment, Moment]  # phase, from, to
Settled = tuple[str, float, float]


@dataclass(frozen=True, slots=True)
class _Record:
    """A step (number and epoch) or what came between steps, whose times may not have come yet."""

    segments: list[Segment]
    number: int | None = None
    epoch: int = 0
    folded: str = ""  # the phase that all of it counts for


class Sink(Protocol):
    """Takes what has been timed, in order."""

    def step(self, step: Step, segments: Sequence[Settled]) -> None:
        """Take a step, and its phases one by one."""
        ...

    def span(self, span: Span) -> None:
        """Take a stretch outside the steps."""
        ...

    def spent(self, phase: str, seconds: float) -> None:
        """Count time that is too short to be told of."""
        ...


class Recorder:
    """
    A stack of phases, and what has been timed.

    Args:
        sink: Takes it.
        age_s: For how long the run has been running already.
        clock: In seconds.
        events: Makes an event and queues it; None: there is no GPU.
    """

    def __init__(
        self,
        sink: Sink,
        age_s: float = 0.0,
        clock: Callable[[], float] = time.perf_counter,
        events: Callable[[], Event] | None = None,
    ) -> None:
        self._sink, self._clock = sink, clock
        self.events = events
        self._zero = clock() - age_s
        self._stack: list[str] = []
        self._last = Moment(0.0)
        self._segments: list[Segment] = []
        self._waited: list[Segment] = []  # for the batch of the step that follows
        self._pending: deque[_Record] = deque()
        self._floor = 0.0  # where the last record has ended
        self._queued: tuple[Event, float] | None = None  # the last event of a step, and its time
        self._phases: dict[str, _Phase] = {}

    def now(self) -> float:
        """Return the seconds since the run began."""
        return self._clock() - self._zero

    def phase(self, name: str) -> AbstractContextManager[None]:
        """Enter a phase; what it contains counts once, for the innermost."""
        if name not in self._phases:
            self._phases[name] = _Phase(self, name)
        return self._phases[name]

    def step(self, epoch: int, number: int) -> AbstractContextManager[None]:
        """Enter a step; what was waited for just before belongs to it."""
        return _Step(self, epoch, number)

    def batches(self, source: Iterator[T]) -> Iterator[T]:
        """Pass on what *source* yields, and time the waiting."""
        phase, end = self.phase(DATA), object()
        while True:
            with phase:
                batch = next(source, end)
            if batch is end:
                return
            yield batch  # type: ignore[misc] # it is not the end

    def since(self, phase: str, start: float) -> None:
        """Say that from *start*, in seconds since the run began, until now all was one phase."""
        self._close(_Record([(phase, Moment(start), Moment(self.now()))]))

    def settle(self, *, wait: bool = False) -> None:
        """Hand over what has come; at the end, *wait* for the rest of it."""
        if wait:
            self._nothing_came_of_waiting()
        while self._pending:
            last = self._pending[0].segments[-1][2].event
            if last is not None and not last.query():
                if not wait:
                    return
                last.synchronize()
            self._hand_over(self._pending.popleft())

    def enter(self, name: str) -> None:
        """Begin a phase: what the context manager does."""
        if self._stack:
            self._cut()
        else:
            self._nothing_came_of_waiting()
            self._last = self._moment(queued=name == DATA)
        self._stack.append(name)

    def leave(self) -> None:
        """End the innermost phase."""
        self._cut()
        name = self._stack.pop()
        if self._stack:
            return
        if name == DATA:
            self._waited += self._segments
        else:
            self._close(_Record(self._segments, folded=name if name in FOLDED else ""))
        self._segments = []

    def enter_step(self) -> None:
        """Begin a step."""
        self._last = self._moment(queued=True)
        self._segments, self._waited = self._waited, []
        self._stack.append(OTHER)

    def leave_step(self, epoch: int, number: int | None) -> None:
        """End it; without a number it did not come to its end."""
        self._cut()
        self._stack.clear()
        self._close(_Record(self._segments, number, epoch))
        self._segments = []

    def _nothing_came_of_waiting(self) -> None:
        """Close what was waited for in vain: at the end of an epoch there is no batch."""
        self._close(_Record(self._waited))
        self._waited = []

    def _cut(self) -> None:
        """End a segment, and begin the next one where it ends."""
        bottom = self._stack[0]
        now = self._moment(queued=self._last.event is not None)
        segments, top = self._segments, self._stack[-1]
        if bottom in FOLDED and segments and len(segments) > _MANY:
            self._segments = segments = _folded(segments)
        segments.append((top, self._last, now))
        self._last = now

    def _moment(self, *, queued: bool) -> Moment:
        event = self.events() if queued and self.events else None
        return Moment(self._clock() - self._zero, event)

    def _close(self, record: _Record) -> None:
        if record.segments:
            self._pending.append(record)
            self.settle()

    def _hand_over(self, record: _Record) -> None:
        times = self._times(record.segments)
        if record.number is not None:
            self._sink.step(_step(record.number, record.epoch, times), times)
        elif record.folded:
            self._sink.span(_folded_span(record.folded, times))
        else:
            for phase, start, end in _merged(times):
                if phase == OTHER or end - start < SHORT_S:
                    self._sink.spent(phase, end - start)
                else:
                    self._sink.span(Span(phase, start, end))

    def _times(self, segments: Sequence[Segment]) -> list[Settled]:
        """Return the segments in seconds since the run began, behind all that came before."""
        settled = []
        for phase, begin, end in segments:
            start = max(self._floor, self._time(begin))
            self._floor = max(start, self._time(end))
            settled.append((phase, start, self._floor))
        return settled

    def _time(self, moment: Moment) -> float:
        if moment.event is None:
            self._queued = None
            return moment.at
        at = moment.at  # where the queue was empty, an event comes as soon as it is queued
        if self._queued:
            before, time_ = self._queued
            later = 0.0 if before is moment.event else before.elapsed_time(moment.event) / 1000
            at = max(at, time_ + later)
        self._queued = moment.event, at
        return at


_MANY = 4096  # segments of an evaluation; more are added up


class _Phase(AbstractContextManager[None]):
    """One phase of a recorder, to be entered again and again."""

    __slots__ = ("_name", "_recorder")

    def __init__(self, recorder: Recorder, name: str) -> None:
        self._recorder, self._name = recorder, name

    def __enter__(self) -> None:
        self._recorder.enter(self._name)

    def __exit__(self, *_error: object) -> None:
        self._recorder.leave()


class _Step(AbstractContextManager[None]):
    """One step of a recorder."""

    __slots__ = ("_epoch", "_number", "_recorder")

    def __init__(self, recorder: Recorder, epoch: int, number: int) -> None:
        self._recorder, self._epoch, self._number = recorder, epoch, number

    def __enter__(self) -> None:
        self._recorder.enter_step()

    def __exit__(self, kind: object, *_error: object) -> None:
        self._recorder.leave_step(self._epoch, self._number if kind is None else None)


def _step(number: int, epoch: int, times: Sequence[Settled]) -> Step:
    phases: dict[str, float] = {}
    for phase, start, end in times:
        phases[phase] = phases.get(phase, 0.0) + end - start
    start, end = times[0][1], times[-1][2]
    named = sum(phases.values()) - phases.get(OTHER, 0.0)
    return Step(number, epoch, start, end, phases | {OTHER: max(0.0, end - start - named)})


def _folded_span(phase: str, times: Sequence[Settled]) -> Span:
    parts: dict[str, float] = {}
    for part, start, end in times:
        if part != phase:
            parts[part] = parts.get(part, 0.0) + end - start
    return Span(phase, times[0][1], times[-1][2], parts)


def _merged(times: Sequence[Settled]) -> list[Settled]:
    """Join neighbours of the same phase."""
    merged: list[Settled] = []
    for phase, start, end in times:
        if merged and merged[-1][0] == phase and start - merged[-1][2] < SHORT_S:
            merged[-1] = (phase, merged[-1][1], end)
        else:
            merged.append((phase, start, end))
    return merged


def _folded(segments: Sequence[Segment]) -> list[Segment]:
    """Return one segment for each phase, of the same length together and one behind the other."""
    sums: dict[str, float] = {}
    for phase, begin, end in segments:
        sums[phase] = sums.get(phase, 0.0) + end.at - begin.at
    at, folded = segments[0][1].at, []
    for phase, seconds in sums.items():
        folded.append((phase, Moment(at), Moment(at + seconds)))
        at += seconds
    return folded
