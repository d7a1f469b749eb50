"""
A whole search in one job: trials one after another, or side by side on several GPUs.

What is tried next and when a trial is cut short is kennel.tuning.search's. Lane 1 of P runs the
trials 1, P + 1, 2 P + 1 and so on, lane 2 the next ones. A trial is chosen by what those came to
that are P or more before it, and by the values of those between: so the trials do not depend on
which of them happens to be quicker, and a search that was interrupted goes on as it would have.
"""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from kennel.training import lines
from kennel.training.epochs import Epoch
from kennel.training.log import say
from kennel.training.search.answers import trial_name
from kennel.training.search.journal import Journal, Progress
from kennel.training.search.request import METRICS, Wanted
from kennel.training.search.trial import OnEpoch, Result, Task, Weights, curve
from kennel.training.stopping import Stop, Stopped
from kennel.tuning import completion
from kennel.tuning.search import Search
from kennel.tuning.trials import Trial, listed

LOOK_S = 0.2  # how often a lane that waits for others looks whether it is to stop


class Runner(Protocol):
    """Runs trials, one at a time."""

    def __call__(
        self, task: Task, folder: Path, on_epoch: OnEpoch, stop: Stop
    ) -> tuple[Result, Weights | None]:
        """
        Run a trial.

        Raises:
            Stopped: A stop was asked for.
        """
        ...


class Searching:
    """
    A search that runs.

    Args:
        wanted: What is searched.
        journal: Of it.
        progress: What it has come to in earlier starts.
        stop: Ends it between two steps of a trial.
    """

    def __init__(self, wanted: Wanted, journal: Journal, progress: Progress, stop: Stop) -> None:
        self.progress = progress
        self._wanted, self._journal, self._stop = wanted, journal, stop
        self._search = Search(
            wanted.document, static=wanted.static, name=progress.name, epoch_metrics=METRICS
        )
        self._values = {number: result.values for number, result in progress.results.items()}
        self._changed = threading.Condition(threading.RLock())
        self._end: str | None = None
        self._error: Exception | None = None

    def run(self, runners: Sequence[Runner]) -> str:
        """
        Run trials until there is a reason to end, a lane for each runner, and return the reason.

        Raises:
            Stopped: A stop was asked for; the trials that had ended are in the journal.
            JobError: The journal cannot be written.
        """
        self._journal.save(self.progress)
        if len(runners) == 1:
            self._lane(0, runners)
        else:
            lanes = [
                threading.Thread(target=self._guarded, args=(lane, runners), name=f"lane-{lane}")
                for lane in range(len(runners))
            ]
            for thread in lanes:
                thread.start()
            for thread in lanes:
                thread.join()
            if self._error:
                raise self._error
        return self._end or ""

    def _guarded(self, lane: int, runners: Sequence[Runner]) -> None:
        """Keep an error for the thread that started the lane, and let the others end."""
        try:
            self._lane(lane, runners)
        except Exception as error:  # noqa: BLE001 - raised again by run
            with self._changed:
                if self._error is None or isinstance(self._error, Stopped):
                    self._error = error
                self._changed.notify_all()

    def _lane(self, lane: int, runners: Sequence[Runner]) -> None:
        number = lane + 1
        while True:
            if number not in self.progress.results:
                task = self._task(number, len(runners))
                if task is None:
                    return
                folder = self._journal.folder / f"trial-{lane + 1}"
                on_epoch = self._judge(task, len(runners))
                self._ended(*runners[lane](task, folder, on_epoch, self._stop))
            number += len(runners)

    def _task(self, number: int, lanes: int) -> Task | None:
        """Wait until the trial can be chosen and choose it; None: there is none any more."""
        with self._changed:
            while not self._can_choose(number, lanes):
                if self._error or self._end is not None:
                    return None
                self._stop.check()
                self._changed.wait(LOOK_S)
            self._stop.check()
            told = self._told(number, lanes)
            elapsed_s = self._journal.elapsed_s(self.progress)
            values = self._values.get(number) or self._next(number, told, elapsed_s)
            self._changed.notify_all()
            if values is None:
                return None
            self._values[number] = values
            say(f"trial={number} begins {listed(values)}")
            runtime_s = self._wanted.configuration.limits.runtime_s
            return Task(number, values, None if runtime_s is None else runtime_s - elapsed_s)

    def _can_choose(self, number: int, lanes: int) -> bool:
        ended = all(before in self.progress.results for before in range(1, number - lanes + 1))
        return ended and all(before in self._values for before in range(1, number))

    def _next(self, number: int, told: Sequence[Trial], elapsed_s: float) -> dict[str, str] | None:
        """Return the values of the next trial, or None and note why there is none."""
        jobs = self._wanted.configuration.limits.jobs
        self._end = (
            self._end
            or self._search.is_complete(told, elapsed_s)
            or (f"all of {jobs} trials were run" if jobs and number > jobs else None)
            or ("none has succeeded" if completion.is_hopeless(told) else None)
        )
        if self._end is not None:
            return None
        drawn = self._search.suggest(told, 1)
        if not drawn:
            self._end = "all combinations were tried"
            return None
        return drawn[0]

    def _told(self, number: int, lanes: int) -> list[Trial]:
        """Return what the trial *number* may know of those before it."""
        return [
            self._trial(before)
            if before <= number - lanes
            else Trial(self._name(before), self._values[before])
            for before in range(1, number)
        ]

    def _trial(self, number: int) -> Trial:
        metric = self._wanted.metric
        return self.progress.results[number].trial(self._name(number), metric)

    def _name(self, number: int) -> str:
        return trial_name(self.progress.name, number)

    def _judge(self, task: Task, lanes: int) -> OnEpoch:
        """Return what is asked after each epoch of a trial."""
        number = task.number
        metric = self._wanted.metric
        epochs = self._wanted.chosen(task.values).epochs

        def on_epoch(history: Sequence[Epoch]) -> bool:
            line = lines.EPOCH.format(epochs=epochs, **vars(history[-1]))
            with self._changed:
                say(f"trial={number} {line}")
                own = Trial(self._name(number), task.values, curve=curve(history, metric))
                return self._search.should_stop([*self._told(number, lanes), own], own.name)

        return on_epoch

    def _ended(self, result: Result, weights: Weights | None) -> None:
        """Note what a trial came to, keep its weights if it is the best, and say so."""
        with self._changed:
            self.progress.results[result.number] = result
            metric = self._wanted.metric
            told = [self._trial(number) for number in sorted(self.progress.results)]
            best = self._search.best(told)
            if best and weights and best.name == self._name(result.number):
                self.progress.best, self.progress.weights = result.number, weights
            self._journal.save(self.progress)  # first: a trial that was told of is not lost
            say(self._line(result, metric))
            self._changed.notify_all()

    def _line(self, result: Result, metric: str) -> str:
        jobs = self._wanted.configuration.limits.jobs
        trial = self._trial(result.number)
        of = f"/{jobs}" if jobs else ""
        found = (
            f"failed: {result.reason.splitlines()[0]}"
            if result.state == "Failed"
            else f"{result.state.lower()} {metric}={shown(trial.objective)}"
        )
        best = self.progress.results.get(self.progress.best)
        so_far = (
            f"; best trial={best.number} {metric}={shown(self._trial(best.number).objective)}"
            if best
            else ""
        )
        return (
            f"trial={result.number}{of} {found} {listed(result.values)} "
            f"seconds={result.ended - result.started:.1f}{so_far}"
        )


def shown(objective: float | None) -> str:
    """Return an objective as the log lines give it."""
    return "none" if objective is None else f"{objective:.4f}"
