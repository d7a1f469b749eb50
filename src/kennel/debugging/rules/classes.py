"""Rules about labels and predictions: ClassImbalance, Confusion."""

import math
from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

from kennel.debugging.reading import Trial
from kennel.debugging.rules import tensors
from kennel.debugging.rules.judge import EVAL, NOTHING, Setting, Step, Steps, Values, Verdict
from kennel.debugging.statistics import Array
from kennel.rules.outcome import Finding

Labels = npt.NDArray[np.int64]
Pairs = Counter[tuple[int, int]]  # (label, prediction) -> how often


class LastPairs:
    """
    Labels with their predictions: those of the last evaluation, or all where there is none.

    What a model got wrong while it was learning is no fault of it.
    """

    def __init__(self) -> None:
        self._mode = ""
        self._is_over = False
        self.pairs: Pairs = Counter()

    def add(self, step: Step, labels: Labels, predictions: Labels) -> None:
        """Take a step's pairs; the first of an evaluation drops what was there."""
        starts = step.mode == EVAL and (self._is_over or self._mode != EVAL)
        if starts:
            self.pairs.clear()
        if self._mode == EVAL and step.mode != EVAL:
            return
        self._mode, self._is_over = step.mode, False
        self.pairs.update(zip(labels.tolist(), predictions.tolist(), strict=True))

    def pass_by(self, step: Step) -> None:
        """Take note of a step without pairs: training again, so the evaluation is over."""
        self._is_over |= step.mode != EVAL


class Imbalance(Steps):
    """
    Finds classes with far fewer labels than the largest, and classes that are nearly always missed.

    Labels are counted as they come, in training where they are saved there; predictions are judged
    by the last evaluation.
    """

    def __init__(self, values: Values, run: Setting) -> None:
        self._values, self._run = values, run
        self._last = LastPairs()
        self._counts: Counter[int] = Counter()
        self._is_trained = False

    def at(self, trial: Trial, step: Step) -> Verdict:
        """Judge a step."""
        labels = _tensor(trial, self._values["labels_regex"], step.number)
        if step.mode != EVAL:
            self._last.pass_by(step)
        if labels is None:
            return NOTHING
        self._count(step, _numbers(labels))
        predicted = _tensor(trial, self._values["predictions_regex"], step.number)
        if predicted is not None:
            self._last.add(
                step, _numbers(labels), _classes(predicted, is_many=self._values["argmax"])
            )
        return Verdict(labels.size, self._unbalanced(step))

    def ended(self, trial: Trial) -> Verdict:
        """Judge the last evaluation's predictions."""
        pairs = self._last.pairs
        if pairs.total() < min(self._values["samples"], self._counts.total()):
            return NOTHING
        if self._counts.total() < self._values["samples"]:
            return NOTHING
        rows = _rows(pairs)
        threshold = self._values["threshold_misprediction"]
        missed = {label: 1 - row[label] / row.total() for label, row in rows.items()}
        step = _last_training(trial)
        return Verdict(
            0,
            tuple(
                Finding(
                    f"class {label}",
                    f"{100 * share:.3g} % of its {rows[label].total()} pictures are taken for"
                    " others",
                    "weight the loss by class, or draw the class more often",
                    share,
                    threshold,
                    step,
                )
                for label, share in sorted(missed.items())
                if share > threshold
            ),
        )

    def details(self) -> dict[str, Any]:
        """Return how often each label was seen."""
        return {"labels": {str(label): count for label, count in sorted(self._counts.items())}}

    def _count(self, step: Step, labels: Labels) -> None:
        if step.mode != EVAL and not self._is_trained:
            self._is_trained = True
            self._counts.clear()
        if step.mode != EVAL or not self._is_trained:
            self._counts.update(labels.tolist())

    def _unbalanced(self, step: Step) -> tuple[Finding, ...]:
        threshold = self._values["threshold_imbalance"]
        if self._counts.total() < self._values["samples"]:
            return ()
        ordered = self._counts.most_common()
        (largest, most), (smallest, least) = ordered[0], ordered[-1]
        ratio = most / least
        if ratio <= threshold:
            return ()
        finding = Finding(
            f"class {smallest}",
            f"was seen {least} times, class {largest} {most} times: {ratio:.3g} to 1",
            "weight the loss by class, draw rare classes more often, or add pictures of them",
            ratio,
            threshold,
            step.training,
        )
        return (finding,)


class Confusion(Steps):
    """
    Finds classes of which too few are recognised, and pairs of which too many are mixed up.

    The share is that of a class's own labels, of the last evaluation; one that is not further from
    its threshold than its standard error is as good as the threshold: 24 of 27 are no less than
    90 %.
    """

    def __init__(self, values: Values, run: Setting) -> None:
        self._values, self._run = values, run
        self._last = LastPairs()

    def at(self, trial: Trial, step: Step) -> Verdict:
        """Gather a step."""
        if step.mode != EVAL:
            self._last.pass_by(step)
        found = [
            _member(trial, self._values[f"{kind}_collection"], self._values[kind], step.number)
            for kind in ("labels", "predictions")
        ]
        labels, predicted = found
        if labels is None or predicted is None:
            return NOTHING
        self._last.add(step, _numbers(labels), _classes(predicted, is_many=False))
        return Verdict(labels.size)

    def ended(self, trial: Trial) -> Verdict:
        """Judge the matrix of the last evaluation."""
        step = _last_training(trial)
        findings = []
        for label, row in sorted(_rows(self._last.pairs).items()):
            findings += self._of(label, row, step)
        return Verdict(0, tuple(findings))

    def details(self) -> dict[str, Any]:
        """Return the matrix: labels down, predictions across."""
        pairs = self._last.pairs
        seen = 1 + max((max(pair) for pair in pairs), default=-1)
        size = max(seen, self._values["category_no"])
        return {
            "confusion": [[pairs[row, column] for column in range(size)] for row in range(size)]
        }

    def _of(self, label: int, row: Counter[int], step: int) -> list[Finding]:
        total = row.total()
        shares = {other: count / total for other, count in row.items()}
        least, most = self._values["min_diag"], self._values["max_off_diag"]
        right = shares.get(label, 0.0)
        findings = []
        if right < least - _error(least, total):
            advice = "look at the pictures of it that are missed: wrong labels, too few, too alike"
            problem = f"{100 * right:.3g} % of its {total} pictures are recognised"
            findings.append(Finding(f"class {label}", problem, advice, right, least, step))
        for other, share in sorted(shares.items()):
            if other == label or share <= most + _error(most, total):
                continue
            findings.append(
                Finding(
                    f"class {label} as {other}",
                    f"{100 * share:.3g} % of the pictures of class {label} are taken for {other}",
                    "look at the pictures of both for wrong labels; more of both, or larger ones",
                    share,
                    most,
                    step,
                )
            )
        return findings


def _error(share: float, count: int) -> float:
    """Return the standard error of a share, of *count* labels."""
    return math.sqrt(share * (1 - share) / count)


def _rows(pairs: Pairs) -> dict[int, Counter[int]]:
    rows: dict[int, Counter[int]] = {}
    for (label, predicted), count in pairs.items():
        rows.setdefault(label, Counter())[predicted] += count
    return rows


def _tensor(trial: Trial, regex: str, step: int) -> Array | None:
    for name in tensors.matching(regex, trial.names()):
        value = trial.value(name, step)
        if value is not None:
            return value
    return None


def _member(trial: Trial, collection: str, name: str, step: int) -> Array | None:
    """Return a tensor by its name, or by being alone in its collection."""
    members = trial.names(collection)
    for candidate in dict.fromkeys((*(m for m in members if name in m), *members, name)):
        value = trial.value(candidate, step)
        if value is not None:
            return value
    return None


def _numbers(labels: Array) -> Labels:
    return labels.reshape(-1).astype(np.int64)


def _classes(predicted: Array, *, is_many: bool) -> Labels:
    """Return the predicted classes: of a value per class (N, C) that of the largest."""
    if is_many or (predicted.ndim > 1 and predicted.shape[-1] > 1):
        return np.asarray(predicted.argmax(axis=-1), dtype=np.int64).reshape(-1)
    return np.rint(predicted.reshape(-1).astype(np.float64)).astype(np.int64)


def _last_training(trial: Trial) -> int:
    steps = trial.steps("TRAIN") or trial.steps()
    return trial.mode_step(steps[-1]) if steps else 0
