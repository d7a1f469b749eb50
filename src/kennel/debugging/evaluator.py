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
from kennel.rules import keeping
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
        self._seen: set[int] = set()
        self._training = 0
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
        return tuple(judged.outcome(stopped=stopped) for judged in self._judged)

    def news(self) -> tuple[tuple[Configuration, Finding], ...]:
        """Return the findings that are new since this was last asked."""
        return tuple(
            (judged.configuration, finding) for judged in self._judged for finding in judged.news()
        )

    def stopper(self) -> Outcome | None:
        """Return the first outcome whose configuration stops the training; None: go on."""
        stops = (judged for judged in self._judged if judged.configuration.stops)
        return next((judged.outcome() for judged in stops if judged.is_violated), None)

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
        mode = self._trial.mode(number)
        if mode != EVAL:
            self._training = self._trial.mode_step(number)
        return Step(number, mode, self._training)


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
