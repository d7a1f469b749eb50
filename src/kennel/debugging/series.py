"""
What the debugger's page draws, gathered while a trial is judged, and kept as series.json.

    losses                 {"train": [[step, loss], …], "eval": […]}; of an evaluation its mean
    gradient_norms         {layer: [[step, l2 norm], …]}
    weight_update_ratios   {layer: [[step, ||update|| / ||weight||], …]}
    epochs                 [{epoch, step, train_loss, train_accuracy, valid_loss, …}, …]

What was not saved is left out; a value that is no number is null. Steps are training steps, counted
from 0. The page itself is kennel.reports'.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kennel import documents
from kennel.debugging.collections import EPOCH_FIGURES, EPOCHS
from kennel.debugging.reading import Trial
from kennel.debugging.rules import tensors
from kennel.debugging.rules.changes import update_ratio
from kennel.debugging.rules.judge import EVAL, Step
from kennel.debugging.rules.passes import Mean, Passes, loss_at

Point = tuple[int, float | None]  # None: the value is no number

FILE = "series.json"
EPSILON = 1e-9
MOST = 600  # points of a line, a multiple of four: more than a page has columns


class Line:
    """
    Points of one line, in stretches: each has its least and its greatest, or what is no number.

    Where there are too many stretches two and two become one, so that a lone explosion is there
    however long the run.
    """

    def __init__(self) -> None:
        self._stretches: list[tuple[Point, ...]] = []
        self._each = 1  # points of a stretch
        self._count = 0

    def add(self, step: int, value: float) -> None:
        """Take a point."""
        point = step, value if math.isfinite(value) else None
        if self._count % self._each:
            self._stretches[-1] = _ends((*self._stretches[-1], point))
        else:
            self._join()
            self._stretches.append((point,))
        self._count += 1

    def points(self) -> list[list[float | None]]:
        """Return the points by step: [step, value], null where it is no number."""
        return [list(point) for stretch in self._stretches for point in stretch]

    def _join(self) -> None:
        if len(self._stretches) < MOST // 2:
            return
        pairs = zip(self._stretches[::2], self._stretches[1::2], strict=True)
        self._stretches = [_ends((*one, *other)) for one, other in pairs]
        self._each *= 2


def _ends(points: Sequence[Point]) -> tuple[Point, ...]:
    """Return the least and the greatest in order of steps, or the first that is no number."""
    numbers = [(value, step) for step, value in points if value is not None]
    if len(numbers) < len(points):
        return (next(point for point in points if point[1] is None),)
    ends = {(step, value) for value, step in (min(numbers), max(numbers))}
    return tuple(sorted(ends))


class Gatherer:
    """Takes steps as they come, and gives the document."""

    def __init__(self) -> None:
        self._passes = Passes(1)
        self._losses: dict[str, Line] = {}
        self._norms: dict[str, Line] = {}
        self._ratios: dict[str, Line] = {}
        self._epochs: list[dict[str, float]] = []

    def at(self, trial: Trial, step: Step) -> None:
        """Take what a step has saved."""
        self._lost(self._passes.add(step, loss_at(trial, step.number)))
        self._epoch(trial, step)
        if step.mode == EVAL:
            return
        for name in tensors.weights(trial, trial.names("gradients")):
            layer = name.removeprefix(tensors.GRADIENT)
            _add(self._norms, layer, step.training, trial.reduction(name, step.number, "l2"))
        for name in tensors.weights(trial, trial.names("weights")):
            ratio = update_ratio(trial, name, step.number, EPSILON)
            _add(self._ratios, name, step.training, ratio)

    def document(self) -> dict[str, Any]:
        """Return what was gathered; the last evaluation may still be under way."""
        self._lost(self._passes.rest())
        found = {
            "losses": _drawn(self._losses),
            "gradient_norms": _drawn(self._norms),
            "weight_update_ratios": _drawn(self._ratios),
            "epochs": self._epochs,
        }
        return {name: part for name, part in found.items() if part}

    def _lost(self, done: tuple[str, Mean] | None) -> None:
        if done is None:
            return
        mode, mean = done
        kind = "eval" if mode == EVAL else "train"
        _add(self._losses, kind, mean.training, mean.value)

    def _epoch(self, trial: Trial, step: Step) -> None:
        found: dict[str, float] = {}
        for name in trial.names(EPOCH_FIGURES):
            value = trial.reduction(name, step.number, "mean")
            if value is not None:
                found[name.removeprefix(EPOCHS)] = value
        if not found:
            return
        number = int(found.pop("number", len(self._epochs)))
        kept = {name: value for name, value in found.items() if math.isfinite(value)}
        self._epochs.append({"epoch": number, "step": step.training, **kept})


def write(folder: Path, document: Mapping[str, Any]) -> Path:
    """
    Keep the series, at once.

    Args:
        folder: debug-output; is made when it is missing.
    """
    path = folder / FILE
    documents.write_text(path, json.dumps(document))
    return path


def _add(lines: dict[str, Line], name: str, step: int, value: float | None) -> None:
    if value is not None:
        lines.setdefault(name, Line()).add(step, value)


def _drawn(lines: Mapping[str, Line]) -> dict[str, list[list[float | None]]]:
    return {name: line.points() for name, line in lines.items()}
