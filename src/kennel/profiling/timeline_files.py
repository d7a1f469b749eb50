"""
Writes a timeline while it grows: trace events, and the sums that are exact.

The events are files as smdebug's LocalAlgorithmMetricsReader looks for them and Perfetto opens
them: ``framework/pevents/YYYYMMDDHH/LASTMICROSECOND_NODE_pythontimeline.json``, a JSON array each.
Beside them is ``framework/phases.json``, what timeline.py reads first. Of a long run every second,
fourth, … step is kept, so that it never comes to more than about 12 MB. A run that is killed leaves
all but its last seconds; one whose disk is full goes on, and all is written once there is room.
"""

import heapq
import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from kennel import documents
from kennel.profiling.phases import Settled
from kennel.profiling.timeline import (
    EVENTS,
    FOLDER,
    OTHER,
    PHASES,
    STEP,
    SUMMARY,
    Span,
    Step,
    Timeline,
)

AT_MOST = 10_000  # steps, and as many spans
IN_A_FILE = 2_000  # records
SLOWEST = 100  # steps that are kept whatever is thinned out
FLUSH_S = 5.0

TRACKS = {name: number for number, name in enumerate((STEP, *PHASES), start=1)}


@dataclass(slots=True)
class _Kept:
    """A record, ready to be written."""

    end: float
    seconds: float
    text: str
    index: int | None = None  # of a step: how many there were before


@dataclass(slots=True)
class _File:
    records: list[_Kept] = field(default_factory=list)
    path: Path | None = None  # under which it stands now
    written: int = 0  # records of it that are there


class TimelineFiles:
    """
    Takes steps and spans, and writes them every few seconds.

    Args:
        folder: profiler-output.
        started: When the run began, in seconds since 1970.
        now: Seconds since then.
        node: That this is; smdebug's has the process in front.
        at_most: Steps and spans to keep, of each.
    """

    def __init__(
        self,
        folder: Path,
        started: float,
        now: Callable[[], float],
        node: str = "algo-1",
        at_most: int = AT_MOST,
    ) -> None:
        self._folder, self._started, self._now, self._node = folder / FOLDER, started, now, node
        self._at_most = at_most
        self._files = [_File()]
        self._obsolete: list[Path] = []
        self._flushed = now()
        self._kept_steps = self._kept_spans = 0
        self._slowest: list[tuple[float, int, Step]] = []
        self.sums: dict[str, float] = {}
        self.stride, self.steps_taken = 1, 0

    def step(self, step: Step, segments: Sequence[Settled]) -> None:
        """Take a step, and its phases one by one."""
        index, self.steps_taken = self.steps_taken, self.steps_taken + 1
        for phase, seconds in step.phases.items():
            self.spent(phase, seconds)
        heap, entry = self._slowest, (step.seconds, -index, step)
        if len(heap) < SLOWEST:
            heapq.heappush(heap, entry)
        elif entry > heap[0]:
            heapq.heapreplace(heap, entry)
        if index % self.stride == 0:
            self._keep(_Kept(step.end, step.seconds, _step_events(step, segments), index))
            self._kept_steps += 1
            if self._kept_steps > self._at_most:
                self._thin_steps()
        self._flush_if_due()

    def span(self, span: Span) -> None:
        """Take a stretch outside the steps."""
        self.spent(span.phase, span.seconds)
        self._keep(_Kept(span.end, span.seconds, _span_event(span)))
        self._kept_spans += 1
        if self._kept_spans > self._at_most:
            self._thin_spans()
        self._flush_if_due()

    def spent(self, phase: str, seconds: float) -> None:
        """Count time that is not told of by itself."""
        self.sums[phase] = self.sums.get(phase, 0.0) + seconds

    def timeline(self) -> Timeline:
        """Return the sums so far."""
        return Timeline(self._started, self._now(), sums=self.sums, steps_taken=self.steps_taken)

    def flush(self) -> None:
        """
        Write what there is.

        Raises:
            OSError: It cannot be written.
        """
        self._flushed = self._now()
        for file in self._files:
            if file.written < len(file.records):
                self._write(file)
        while self._obsolete:
            self._obsolete.pop().unlink(missing_ok=True)
        slowest = sorted(self._slowest, key=lambda entry: (-entry[0], -entry[1]))
        documents.write(
            self._folder / SUMMARY,
            {
                "started": self._started,
                "wall_s": round(self._flushed, 6),
                "sums": {
                    name: round(seconds, 6)
                    for name, seconds in self.sums.items()
                    if name != OTHER  # all that is left of the wall time
                },
                "steps_taken": self.steps_taken,
                "stride": self.stride,
                "slowest": [step.document() for _, _, step in slowest],
            },
        )

    def _flush_if_due(self) -> None:
        if self._now() - self._flushed > FLUSH_S:
            # A training is worth more than its profile; the last flush, at its end, says the cause
            with suppress(OSError):
                self.flush()

    def _keep(self, record: _Kept) -> None:
        if len(self._files[-1].records) >= IN_A_FILE:
            self._files.append(_File())
        self._files[-1].records.append(record)

    def _thin_steps(self) -> None:
        """Keep every second step of those that are left."""
        self.stride *= 2
        self._thin(lambda record: record.index is None or record.index % self.stride == 0)

    def _thin_spans(self) -> None:
        """Keep the longer half."""
        seconds = sorted(r.seconds for file in self._files for r in file.records if r.index is None)
        middle = seconds[len(seconds) // 2]
        self._thin(lambda record: record.index is not None or record.seconds > middle)

    def _thin(self, is_kept: Callable[[_Kept], bool]) -> None:
        """Drop records, and fill the files anew."""
        kept = [record for file in self._files for record in file.records if is_kept(record)]
        self._obsolete += [file.path for file in self._files if file.path]
        self._files = [
            _File(kept[first : first + IN_A_FILE]) for first in range(0, len(kept), IN_A_FILE)
        ] or [_File()]
        self._kept_steps = sum(record.index is not None for record in kept)
        self._kept_spans = len(kept) - self._kept_steps

    def _write(self, file: _File) -> None:
        """Write a file under the name of its last moment, and remove what it was before."""
        last = self._started + max(record.end for record in file.records)
        hour = time.strftime("%Y%m%d%H", time.gmtime(last))
        name = f"{round(last * 1e6)}_{self._node}_pythontimeline.json"
        path = self._folder / EVENTS / hour / name
        events = [*_heads(self._started), *(record.text for record in file.records)]
        documents.write_text(path, "[\n" + ",\n".join(events) + "\n]\n")
        if path in self._obsolete:
            self._obsolete.remove(path)
        if file.path and file.path != path:
            file.path.unlink(missing_ok=True)
        file.path, file.written = path, len(file.records)


def _heads(started: float) -> list[str]:
    """Return the events that say when the others' times begin, and what their tracks are called."""
    origin = {"start_time_since_epoch_in_micros": round(started * 1e6)}
    heads = [{"name": "process_name", "ph": "M", "pid": 0, "args": origin}]
    for name, number in TRACKS.items():
        for kind, args in (
            ("process_name", {"name": name}),
            ("process_sort_index", {"sort_index": number}),
        ):
            heads.append({"name": kind, "ph": "M", "pid": number, "args": args})
    return [json.dumps(head) for head in heads]


def _step_events(step: Step, segments: Sequence[Settled]) -> str:
    phases = ",".join(f'"{name}":{seconds:.6f}' for name, seconds in step.phases.items())
    args = f'{{"step_num":{step.number},"epoch":{step.epoch},"phases":{{{phases}}}}}'
    events = [_event(STEP, step.start, step.end, args)]
    own = f'{{"step_num":{step.number}}}'
    events += [_event(phase, start, end, own) for phase, start, end in segments if phase != OTHER]
    return ",\n".join(events)


def _span_event(span: Span) -> str:
    parts = {name: round(seconds, 6) for name, seconds in span.parts.items()}
    return _event(span.phase, span.start, span.end, json.dumps({"parts": parts}))


def _event(name: str, start: float, end: float, args: str) -> str:
    """Return a complete event, its times in microseconds."""
    ts, dur = round(start * 1e6), round((end - start) * 1e6)
    pid = TRACKS.get(name, TRACKS[OTHER])
    return f'{{"name":"{name}","ph":"X","ts":{ts},"dur":{dur},"pid":{pid},"tid":0,"args":{args}}}'
