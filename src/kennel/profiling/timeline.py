"""
Where a run's time went: its phases, and its steps one by one.

Read from what phases.py and timeline_files.py have written; the standard library is all it needs.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from kennel import documents

# In the order in which a report tells of them
INITIALISATION = "initialisation"  # from the start of the process: imports, model, optimizer
READING = "reading"  # pictures are found and verified before the training
FEATURES = "features"  # the pass through a frozen backbone
DATA = "data"  # waiting for the next batch
COPY = "copy"  # of a batch to the device, in the memory format that it wants
FORWARD = "forward"
BACKWARD = "backward"
OPTIMIZER = "optimizer"
METRICS = "metrics"  # counting loss and accuracy, keeping the best weights
EXCHANGE = "exchange"  # waiting for other ranks, but for the gradients' means: they are in backward
DEBUG = "debug"  # the debugger's hook and rules
EVALUATION = "evaluation"
CHECKPOINT = "checkpoint"
EXPORT = "export"  # artifact, figures and pictures
REPORT = "report"  # judging, and the pages
OTHER = "other"  # all that has no name

PHASES = (
    INITIALISATION,
    READING,
    FEATURES,
    DATA,
    COPY,
    FORWARD,
    BACKWARD,
    OPTIMIZER,
    METRICS,
    EXCHANGE,
    DEBUG,
    EVALUATION,
    CHECKPOINT,
    EXPORT,
    REPORT,
    OTHER,
)

FOLDER = "framework"
SUMMARY = "phases.json"  # exact sums, and what thinning has left out of the events
EVENTS = "pevents"  # trace events, as smdebug's readers look for them
STEP = "Step:ModeKeys.TRAIN"  # what smdebug calls a training step


@dataclass(frozen=True)
class Span:
    """
    A stretch of time outside the steps that was all of one phase.

    Args:
        phase: One of PHASES.
        start: Seconds since the run began.
        end: The same.
        parts: What it contains of phases that a step has too, in seconds: the waiting for data of
            an evaluation, say. It counts for the phase of the span.
    """

    phase: str
    start: float
    end: float
    parts: Mapping[str, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """How long it was."""
        return self.end - self.start


@dataclass(frozen=True)
class Step:
    """
    A training step, with the waiting for its batch.

    Args:
        number: Counted over the whole run from 0.
        epoch: Counted from 0.
        start: Seconds since the run began.
        end: The same.
        phases: Phase → seconds, none counted twice; OTHER is the rest, and they sum to the step.
    """

    number: int
    epoch: int
    start: float
    end: float
    phases: Mapping[str, float]

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.start

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Return what ``document`` has made."""
        phases = {str(name): float(seconds) for name, seconds in document["phases"].items()}
        return cls(
            int(document["number"]),
            int(document["epoch"]),
            float(document["start"]),
            float(document["end"]),
            phases,
        )

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "number": self.number,
            "epoch": self.epoch,
            "start": round(self.start, 6),
            "end": round(self.end, 6),
            "phases": {name: round(seconds, 6) for name, seconds in self.phases.items()},
        }


@dataclass(frozen=True)
class Timeline:
    """
    A run's time.

    Args:
        started: When the run began, in seconds since 1970.
        wall_s: Seconds from then to its end, or to the last word of it.
        spans: What was outside the steps, in order; of a long run the longest ones.
        steps: In order; of a long run every *stride*-th.
        sums: Phase → seconds of the whole run, whatever was thinned out of spans and steps.
        steps_taken: Of the whole run.
        stride: 1: no step is left out.
        slowest: The slowest steps of the whole run, the slowest first.
    """

    started: float
    wall_s: float
    spans: tuple[Span, ...] = ()
    steps: tuple[Step, ...] = ()
    sums: Mapping[str, float] = field(default_factory=dict)
    steps_taken: int = 0
    stride: int = 1
    slowest: tuple[Step, ...] = ()

    def totals(self) -> dict[str, float]:
        """Return phase → seconds in the order of PHASES; with OTHER they sum to the wall time."""
        known = self.sums or _sums(self.spans, self.steps)
        named = {name: known[name] for name in PHASES if known.get(name) and name != OTHER}
        return {**named, OTHER: max(0.0, self.wall_s - sum(named.values()))}


def read(folder: Path) -> Timeline | None:
    """
    Return the timeline of a run, None where there is none.

    Args:
        folder: profiler-output. What of it is torn or missing is passed over.
    """
    files = sorted((folder / FOLDER).glob(f"{EVENTS}/*/*.json"))
    events = [found for found in map(_read, files) if found]
    summary = documents.read(folder / FOLDER / SUMMARY)
    if not events and not summary:
        return None
    records = [record for _, found in events for record in found]
    steps = sorted((r for r in records if isinstance(r, Step)), key=lambda step: step.start)
    spans = sorted((r for r in records if isinstance(r, Span)), key=lambda span: span.start)
    return Timeline(
        float(summary.get("started", min((origin for origin, _ in events), default=0.0))),
        float(summary.get("wall_s", max((record.end for record in records), default=0.0))),
        tuple(spans),
        tuple(steps),
        {str(name): float(seconds) for name, seconds in summary.get("sums", {}).items()},
        int(summary.get("steps_taken", len(steps))),
        int(summary.get("stride", 1)),
        tuple(map(Step.of, summary.get("slowest", []))),
    )


def _sums(spans: tuple[Span, ...], steps: tuple[Step, ...]) -> dict[str, float]:
    sums: dict[str, float] = {}
    for span in spans:
        sums[span.phase] = sums.get(span.phase, 0.0) + span.seconds
    for step in steps:
        for name, seconds in step.phases.items():
            sums[name] = sums.get(name, 0.0) + seconds
    return sums


def _read(path: Path) -> tuple[float, list[Span | Step]] | None:
    """Return when the times of a file of trace events begin, and what they tell of."""
    try:
        events = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(events, list):
        return None
    origin = 0.0
    for event in events:
        origin = event.get("args", {}).get("start_time_since_epoch_in_micros", origin)
    return origin / 1e6, list(_records(events))


def _records(events: list[dict[str, Any]]) -> Iterator[Span | Step]:
    for event in events:
        if event.get("ph") != "X":
            continue
        args, start = event.get("args", {}), event["ts"] / 1e6
        end = start + event["dur"] / 1e6
        if event["name"] == STEP:
            phases = args.get("phases", {})
            number, epoch = int(args.get("step_num", 0)), int(args.get("epoch", 0))
            yield Step(number, epoch, start, end, phases)
        elif "step_num" not in args and event["name"] in PHASES:
            yield Span(event["name"], start, end, args.get("parts", {}))
