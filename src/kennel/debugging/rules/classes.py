"""ClassImbalance: classes with few labels, and classes that are nearly always missed."""

from collections import Counter
from typing import Any

from kennel.debugging.reading import Trial
from kennel.debugging.rules import tensors
from kennel.debugging.rules.judge import EVAL, NOTHING, Setting, Step, Steps, Values, Verdict
from kennel.debugging.rules.pairs import (
    LEARN,
    Labels,
    LastPairs,
    classes,
    interval,
    last_training,
    numbers,
    rows_of,
)
from kennel.debugging.statistics import Array
from kennel.rules.outcome import Finding

RARE = 0.5  # of a class's even share of the labels


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
        self._count(step, numbers(labels))
        predicted = _tensor(trial, self._values["predictions_regex"], step.number)
        if predicted is not None:
            self._last.add(
                step, numbers(labels), classes(predicted, is_many=self._values["argmax"])
            )
        return Verdict(labels.size, self._unbalanced(step, trial))

    def ended(self, trial: Trial) -> Verdict:
        """Judge the last evaluation's predictions."""
        pairs = self._last.pairs
        if pairs.total() < min(self._values["samples"], self._counts.total()):
            return NOTHING
        if self._counts.total() < self._values["samples"]:
            return NOTHING
        rows = rows_of(pairs)
        threshold = self._values["threshold_misprediction"]
        missed = {label: row.total() - row[label] for label, row in rows.items()}
        step, about = last_training(trial), trial.about
        return Verdict(
            0,
            tuple(
                Finding(
                    f"class {about.named(label)}",
                    f"{100 * count / rows[label].total():.3g} % of its {rows[label].total()}"
                    " pictures are taken for others",
                    self._advice(label),
                    count / rows[label].total(),
                    threshold,
                    step,
                )
                for label, count in sorted(missed.items())
                if interval(count, rows[label].total())[0] > threshold
            ),
        )

    def details(self) -> dict[str, Any]:
        """Return how often each label was seen."""
        return {"labels": {str(label): count for label, count in sorted(self._counts.items())}}

    def _advice(self, label: int) -> str:
        """Say what to do about a class that is missed: only a rare one is for being rare."""
        total, count = self._counts.total(), self._counts[label]
        if count * len(self._counts) < RARE * total:
            return "weight the loss by class, or draw the class more often"
        return (
            f"{count} of {total} labels are its, so it is not for being rare: Confusion has the"
            f" classes that it is taken for; {LEARN}"
        )

    def _count(self, step: Step, labels: Labels) -> None:
        if step.mode != EVAL and not self._is_trained:
            self._is_trained = True
            self._counts.clear()
        if step.mode != EVAL or not self._is_trained:
            self._counts.update(labels.tolist())

    def _unbalanced(self, step: Step, trial: Trial) -> tuple[Finding, ...]:
        threshold = self._values["threshold_imbalance"]
        if self._counts.total() < self._values["samples"]:
            return ()
        ordered = self._counts.most_common()
        (largest, most), (smallest, least) = ordered[0], ordered[-1]
        ratio = most / least
        if ratio <= threshold:
            return ()
        about = trial.about
        finding = Finding(
            f"class {about.named(smallest)}",
            f"was seen {least} times, class {about.named(largest)} {most} times: {ratio:.3g} to 1",
            "weight the loss by class, draw rare classes more often, or add pictures of them",
            ratio,
            threshold,
            step.training,
        )
        return (finding,)


def _tensor(trial: Trial, regex: str, step: int) -> Array | None:
    for name in tensors.matching(regex, trial.names()):
        value = trial.value(name, step)
        if value is not None:
            return value
    return None
