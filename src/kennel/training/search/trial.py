"""
One trial of a search in one job: a training, what it came to, and why it ended.

Which trials there are and when one is cut short is decided in run.py; the models and features
that trials share are bench.py's.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from torch import Tensor

from kennel.contract import METRIC_DEFINITIONS
from kennel.errors import DataError, HyperparameterError, KennelError
from kennel.training import checkpoint_files, epochs, failure, loop, threads
from kennel.training.checkpoint import Identity, Keeper
from kennel.training.epochs import Epoch
from kennel.training.log import say
from kennel.training.search.bench import Bench, Ready
from kennel.training.stopping import Stop, Stopped
from kennel.tuning.trials import State, Trial

SAVE_EVERY_S = 10.0  # what is sooner done again than written is not written
METRICS = tuple(name for name in METRIC_DEFINITIONS if name in Epoch.__dataclass_fields__)

Weights = Mapping[str, Tensor]
OnEpoch = Callable[[Sequence[Epoch]], bool]  # takes the epochs so far, and says if that is enough


class Cut(Exception):  # noqa: N818 - an event, not an error
    """The search wants no more of this trial."""


class Until(Stop):
    """A stop that is asked for where another one is, and that cuts a trial when its time is up."""

    def __init__(self, outer: Stop, seconds: float | None) -> None:
        super().__init__()
        self._outer = outer
        self._end = math.inf if seconds is None else time.monotonic() + seconds

    def check(self) -> None:
        """
        Return, unless the trial is to end.

        Raises:
            Stopped: A stop was asked for.
            Cut: The time is up.
        """
        self._outer.check()
        if time.monotonic() > self._end:
            raise Cut


@dataclass(frozen=True)
class Task:
    """A trial to run."""

    number: int  # from 1
    values: Mapping[str, str]  # of the hyperparameters that are searched
    seconds: float | None = None  # that are left to the search


@dataclass(frozen=True)
class Result:
    """What a trial came to."""

    number: int
    values: Mapping[str, str]
    state: State
    history: Sequence[Epoch]
    reason: str  # of a failure
    started: float  # seconds since 1970
    ended: float

    @property
    def best(self) -> Epoch | None:
        """The epoch whose weights are kept."""
        return epochs.best_of(self.history) if self.state != "Failed" else None

    def trial(self, name: str, metric: str) -> Trial:
        """Return what a search is told: the objective is that of the weights that are kept."""
        measured = metrics(self.best) if self.best else {}
        return Trial(
            name=name,
            values=self.values,
            state=self.state,
            objective=measured.get(metric),
            curve=curve(self.history, metric),
            seconds=self.ended - self.started,
            reason=self.reason,
            started=datetime.fromtimestamp(self.started, UTC),
            ended=datetime.fromtimestamp(self.ended, UTC),
            metrics=measured,
        )


def metrics(epoch: Epoch) -> dict[str, float]:
    """Return name → value of an epoch's metrics, those that are finite."""
    measured = {name: float(getattr(epoch, name)) for name in METRICS}
    return {name: value for name, value in measured.items() if math.isfinite(value)}


def curve(history: Sequence[Epoch], metric: str) -> tuple[float, ...]:
    """Return the metric after each epoch."""
    return tuple(float(getattr(epoch, metric)) for epoch in history)


def run(
    task: Task, bench: Bench, folder: Path, on_epoch: OnEpoch, stop: Stop
) -> tuple[Result, Weights | None]:
    """
    Train once.

    Args:
        task: What to try.
        bench: Of the search.
        folder: For the trial's own checkpoint, if it takes long enough to have one.
        on_epoch: Called after each.
        stop: Leaves a checkpoint.

    Returns:
        What it came to, and the weights of its best epoch: what a single training with these
        hyperparameters comes to. Whatever goes wrong in it is its result and no error.

    Raises:
        DataError: The pictures, which all trials share, are not usable.
        Stopped: A stop was asked for.
    """
    started = time.time()
    until = Until(stop, task.seconds)
    ready: Ready | None = None
    state: State = "Completed"
    reason = ""
    try:
        ready = bench.ready(task.values, until)
        started = time.time()  # what is made ready for all trials is none's own
        _fit(ready, Checkpoints(folder, task.number, ready), on_epoch, until)
    except Stopped:
        raise
    except Cut:
        state = "Stopped"
    except Exception as error:  # the boundary: the search goes on with the next
        if isinstance(error, DataError) and bench.opened is None:
            raise
        state, reason = "Failed", failure.cause(error)
        if not isinstance(error, KennelError):
            say(failure.reason(error))
    history = tuple(ready.state.history) if ready else ()
    weights = ready.state.best if ready and state != "Failed" else None
    return (
        Result(task.number, task.values, state, history, reason, started, time.time()),
        weights,
    )


def _fit(ready: Ready, checkpoints: "Checkpoints", on_epoch: OnEpoch, stop: Stop) -> None:
    """
    Train until the end, or until it is enough.

    Raises:
        Cut: It is.
        Stopped: A stop was asked for, and the checkpoint is written.
    """
    state = ready.state
    checkpoints.restore()

    def after(_epoch: Epoch) -> None:
        checkpoints.save_if_due()
        enough = on_epoch(state.history)
        if enough and len(state.history) < ready.recipe.epochs:
            raise Cut

    try:
        with threads.befitting(ready.stage.module, ready.recipe.batch_size):
            loop.fit(state, ready.stage, ready.recipe, stop, after)
    except Stopped:
        checkpoints.save()
        raise


class Checkpoints:
    """The checkpoints of the trial that runs, which only a trial that takes long has."""

    def __init__(self, folder: Path, number: int, ready: Ready) -> None:
        # Pictures and fixed weights are those of the search, whose own record says so.
        trial = f"trial {number}"
        identity = Identity(ready.job.chosen, ready.job.data.class_names, trial, "")
        self._folder, self._state = folder, ready.state
        self._keeper = Keeper(folder, identity)
        self._saved = time.monotonic()

    def restore(self) -> None:
        """Go on where this trial was stopped; what another one has left is removed."""
        if not checkpoint_files.newest_first(self._folder):
            return
        try:
            self._keeper.restore(self._state)
        except HyperparameterError:
            for path in checkpoint_files.newest_first(self._folder):
                path.unlink()

    def save(self) -> None:
        """Write one."""
        self._keeper.save(self._state)
        self._saved = time.monotonic()

    def save_if_due(self) -> None:
        """Write one, unless the last is so young that going on from it loses next to nothing."""
        if time.monotonic() - self._saved > SAVE_EVERY_S:
            self.save()
