"""Confusion: classes that are not recognised, and pairs of them that are mixed up."""

from collections import Counter
from typing import Any

from kennel.debugging.about import About
from kennel.debugging.reading import Trial
from kennel.debugging.rules.judge import EVAL, NOTHING, TRAIN, Setting, Step, Steps, Values, Verdict
from kennel.debugging.rules.pairs import (
    LEARN,
    LastPairs,
    classes,
    interval,
    last_training,
    numbers,
    rows_of,
)
from kennel.debugging.statistics import Array
from kennel.rules.outcome import Finding


class Confusion(Steps):
    """
    Finds classes of which too few are recognised, and pairs of which too many are mixed up.

    The share is that of a class's own labels, of the last evaluation; one whose interval of two
    standard errors has the threshold in it is as good as the threshold: 22 of 27 may be 90 %. Where
    most classes are missed, it is not for the single class that the model is bad, and the advice
    is about the training.
    """

    def __init__(self, values: Values, run: Setting) -> None:
        self._values, self._run = values, run
        self._last = LastPairs()

    def at(self, trial: Trial, step: Step) -> Verdict:
        """Gather a step."""
        if step.mode != EVAL:
            self._last.pass_by(step)
        if step.mode == TRAIN:
            return NOTHING
        found = [
            _member(trial, self._values[f"{kind}_collection"], self._values[kind], step.number)
            for kind in ("labels", "predictions")
        ]
        labels, predicted = found
        if labels is None or predicted is None:
            return NOTHING
        self._last.add(step, numbers(labels), classes(predicted, is_many=False))
        return Verdict(labels.size)

    def ended(self, trial: Trial) -> Verdict:
        """Judge the matrix of the last evaluation."""
        step = last_training(trial)
        rows = rows_of(self._last.pairs)
        missed = {label for label, row in rows.items() if self._is_missed(label, row)}
        advice = f"{len(missed)} of {len(rows)} classes are, so it is the training: {LEARN}"
        is_general = 2 * len(missed) > len(rows)
        findings = []
        for label, row in sorted(rows.items()):
            findings += self._of(label, row, step, advice if is_general else "", trial.about)
        return Verdict(0, tuple(findings))

    def details(self) -> dict[str, Any]:
        """Return the matrix: labels down, predictions across."""
        pairs = self._last.pairs
        seen = 1 + max((max(pair) for pair in pairs), default=-1)
        size = max(seen, self._values["category_no"])
        return {
            "confusion": [[pairs[row, column] for column in range(size)] for row in range(size)]
        }

    def _is_missed(self, label: int, row: Counter[int]) -> bool:
        return bool(interval(row[label], row.total())[1] < self._values["min_diag"])

    def _of(
        self, label: int, row: Counter[int], step: int, general: str, about: About
    ) -> list[Finding]:
        name = about.named(label)
        total = row.total()
        least, most = self._values["min_diag"], self._values["max_off_diag"]
        right = row[label] / total
        findings = []
        if self._is_missed(label, row):
            advice = general or (
                "look at the pictures of it that are missed: wrong labels, too few, too alike"
            )
            problem = f"{100 * right:.3g} % of its {total} pictures are recognised"
            findings.append(Finding(f"class {name}", problem, advice, right, least, step))
        for other, count in sorted(row.items()):
            share = count / total
            if other == label or interval(count, total)[0] <= most:
                continue
            findings.append(
                Finding(
                    f"class {name} as {about.named(other)}",
                    f"{100 * share:.3g} % of the pictures of class {name} are taken for"
                    f" {about.named(other)}",
                    general
                    or "look at both for wrong labels; more pictures of them, or larger ones",
                    share,
                    most,
                    step,
                )
            )
        return findings


def _member(trial: Trial, collection: str, name: str, step: int) -> Array | None:
    """Return a tensor by its name, or by being alone in its collection."""
    members = trial.names(collection)
    for candidate in dict.fromkeys((*(m for m in members if name in m), *members, name)):
        value = trial.value(candidate, step)
        if value is not None:
            return value
    return None
