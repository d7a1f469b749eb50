"""
Judge a run's saved tensors, each step once: beside the training, or afterwards.

The rules are kennel.debugging.rules', a user's own kennel.debugging.custom's. What the debugger's
page draws is gathered on the way (series.py), so that no step is read twice.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kennel.debugging import series
from kennel.debugging.judged import Judged
from kennel.debugging.reading import Trial
from kennel.debugging.rules.judge import EVAL, Step
from kennel.rules import causes, doubts, keeping
from kennel.rules.configuration import Configuration
from kennel.rules.outcome import Finding, Outcome

RULES_FOLDER = "rules"


class Evaluator:
    """
    The rules over one run.

    Args:
        folder: Of the tensors, as smdebug lays them out; may still be empty.
        configurations: The rules that are asked for. One that is unknown or malformed is an Error.
        hyperparameters: Of the training, for advice with its own numbers; may be left out.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        folder: Path,
        configurations: Sequence[Configuration],
        hyperparameters: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.folder = folder
        self._trial = Trial(folder)
        self._judged = [Judged(each, folder, hyperparameters or {}) for each in configurations]
        self._gatherer = series.Gatherer()
        self._doubts = doubts.of(hyperparameters or {})
        self._seen: set[int] = set()
        self._last = Step(-1, "", 0)
        self._clock, self._since = clock, clock()

    @property
    def is_ended(self) -> bool:
        """Tell whether the training has said that there is no more to come."""
        return self._trial.is_ended

    def advance(self) -> tuple[Outcome, ...]:
        """Judge what was saved since; return how each rule stands, in the configurations' order."""
        self._read()
        if not self._trial.is_ended:
            now = self._clock()
            for judged in self._judged:
                judged.waiting(self._since, now)
        return self.outcomes()

    def finish(self) -> tuple[Outcome, ...]:
        """Judge the rest, and say how each rule has ended."""
        self._read()
        for judged in self._judged:
            judged.ended(self._trial)
        return self.outcomes()

    def outcomes(self, *, stopped: bool = False) -> tuple[Outcome, ...]:
        """Return how each rule stands; *stopped*: judging ends before the training does."""
        found = tuple(judged.outcome(stopped=stopped) for judged in self._judged)
        return causes.explained(found, self._doubts)

    def news(self) -> tuple[tuple[Configuration, Finding], ...]:
        """Return the findings that are new since this was last asked: causes first, then worst."""
        known = causes.found([judged.outcome() for judged in self._judged])
        ordered = sorted(self._judged, key=lambda each: causes.place(each.configuration.rule))
        return tuple(
            (each.configuration, causes.told(each.configuration.rule, one, known, self._doubts))
            for each in ordered
            for one in each.news()
        )

    def stopper(self) -> Outcome | None:
        """Return the outcome that stops the training, of several the cause; None: go on."""
        stops = (judged for judged in self._judged if judged.configuration.stops)
        broken = (judged.outcome() for judged in stops if judged.is_violated)
        return min(broken, key=lambda outcome: causes.place(outcome.rule), default=None)

    def series(self) -> dict[str, Any]:
        """Return what the debugger's page draws, of the steps judged so far."""
        return self._gatherer.document()

    def write(self, output: Path, *, stopped: bool = False) -> tuple[Outcome, ...]:
        """
        Keep the outcomes and the series.

        Args:
            output: debug-output; gets rules/NAME.json for each configuration, and series.json.
            stopped: Judging ends before the training does.
        """
        outcomes = self.outcomes(stopped=stopped)
        keeping.write(output / RULES_FOLDER, outcomes)
        series.write(output, self.series())
        return outcomes

    def _read(self) -> None:
        self._trial.refresh()
        new = [step for step in self._trial.steps() if step not in self._seen]
        for number in new:
            self._seen.add(number)
            step = self._step(number)
            self._gatherer.at(self._trial, step)
            for judged in self._judged:
                judged.at(self._trial, step)

    def _step(self, number: int) -> Step:
        mode, last = self._trial.mode(number), self._last
        is_evaluated = mode == EVAL
        training = last.training if is_evaluated else self._trial.mode_step(number)
        evaluation = last.evaluation + (is_evaluated and last.mode != EVAL)
        self._last = Step(number, mode, training, evaluation)
        return self._last


def judge(
    folder: Path,
    configurations: Sequence[Configuration],
    output: Path,
    hyperparameters: Mapping[str, str] | None = None,
) -> tuple[Outcome, ...]:
    """
    Judge a trial that is complete, and keep what comes of it.

    Args:
        folder: Of the tensors.
        configurations: The rules.
        output: debug-output, as ``Evaluator.write`` has it.
        hyperparameters: Of the training.
    """
    evaluator = Evaluator(folder, configurations, hyperparameters)
    evaluator.finish()
    return evaluator.write(output)
