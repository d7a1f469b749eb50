"""
Kennel's own training program: the whole run, from the job's files to the artifact.

It is started by entry.py, through sagemaker-training. What it is made of is put together in
prepare.py, and the steps are in loop.py.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import nn

from kennel.contract import ContainerPaths
from kennel.errors import HyperparameterError, JobError, KennelError
from kennel.profiling.timeline import CHECKPOINT, DEBUG, EVALUATION, EXPORT, INITIALISATION
from kennel.rules import doubts
from kennel.training import (
    channels,
    config,
    debugging,
    export,
    lines,
    loop,
    prepare,
    profiling,
    reporting,
    threads,
)
from kennel.training.channels import Data
from kennel.training.checkpoint import Keeper
from kennel.training.debugging import Debugging, Stopper
from kennel.training.epochs import Epoch
from kennel.training.export import Outcome
from kennel.training.group import ALONE, Group
from kennel.training.hyperparameters import Hyperparameters, parse
from kennel.training.log import say
from kennel.training.loop import Stage, State, evaluate, fit
from kennel.training.metrics import Evaluation
from kennel.training.observer import OFF, Observer, together
from kennel.training.prepare import Job
from kennel.training.profiling import NotProfiled, Profile
from kennel.training.stopping import Stop, Stopped
from kennel.vision import trained
from kennel.vision.artifact import Artifact


def main(paths: ContainerPaths, stop: Stop, group: Group = ALONE) -> None:
    """
    Train, and leave the best model, its figures and a checkpoint behind.

    Args:
        paths: Of the container.
        stop: When it is requested, the checkpoint is of that very step and the artifact is the
            best so far.
        group: Whose processes all run this. The first alone writes; what the others say goes
            unheard (rank.py).

    Raises:
        KennelError: The hyperparameters, the data or the weights are not usable.
    """
    chosen = parse(config.hyperparameters(paths))
    say(f"hyperparameters: {chosen}")
    for doubt in doubts.of(chosen.texts()):
        say(f"warning: {doubt}")
    profile = profiling.start(paths, chosen, group)
    end = End("failed")
    try:
        end = _run(paths, chosen, stop, group, profile)
    except KennelError as error:
        end = End(f"failed: {error.problem}")  # for the pages: they are written before anyone else
        raise
    finally:
        profile.close(end.how)
        if isinstance(profile, NotProfiled) and paths.debug.is_dir() and not group.rank:
            reporting.write_or_say(paths)
    if end.why:
        say(f"{end.how}: {end.why}")


@dataclass(frozen=True)
class End:
    """How a run has ended."""

    how: str  # what run.json says: finished, early stopping, diverged, stopped, failed: REASON, …
    why: str = ""  # what a rule that has stopped it has found


def _run(
    paths: ContainerPaths,
    chosen: Hyperparameters,
    stop: Stop,
    group: Group,
    profile: Profile | NotProfiled,
) -> End:
    """Do all of it, and return how it ended."""
    watch = profile.observer
    with watch.phase(INITIALISATION):
        try:
            model, job = begin(paths, chosen, stop, group, watch)
        except Stopped:
            say("stopped before the training began: there is nothing to save")
            return End("stopped")
        if chosen.features_only:
            say("features-only=true: nothing is trained")
            return End("finished")
        say(
            f"device={job.reading.device} processes={group.size} "
            f"threads={torch.get_num_threads()} workers={job.reading.workers}"
        )
        profile.tell(job, group)
        state = prepare.state(model, job)
        folder = config.checkpoint_folder(paths)
        keeper = Keeper(folder, prepare.identity(paths, job, model), group)
        stage = prepare.stage(state.model, job, group, watch)
    with watch.phase(CHECKPOINT):
        keeper.restore(state)
    end = _debugged(paths, state, stage, keeper, job=job, stop=stop)
    if state.best is None and not loop.is_sound(state, stage):
        raise loop.diverged(chosen.lr, "the weights of the first epoch make no numbers")
    leave(paths, Trained(job, state, end.how), stop, group, watch)
    return end


@dataclass(frozen=True)
class Trained:
    """A run that has ended."""

    job: Job
    state: State
    ended: str  # as End has it


def leave(
    paths: ContainerPaths,
    run: Trained,
    stop: Stop,
    group: Group = ALONE,
    watch: Observer = OFF,
) -> None:
    """
    Measure the best weights of a run, and leave them and their figures behind.

    Args:
        paths: Of the container.
        run: Its state is that of the best epoch afterwards.
        stop: When it is requested, the test split is not measured.
        group: Of which the first writes.
        watch: Told what takes the time.
    """
    job, state = run.job, run.state
    if state.best is not None:
        loop.restore(state.model, state.best)
    if state.best_epoch:
        say(best_line(state.best_epoch, job.chosen.epochs))
    with watch.phase(EVALUATION):
        measured = _measure(state, job, stop, group)
    if group.rank:
        return
    with watch.phase(EXPORT):
        _export(paths, run, measured)


def _export(paths: ContainerPaths, run: Trained, measured: Evaluation | None) -> None:
    """Write the artifact, its figures and its pictures."""
    job, state = run.job, run.state
    split = _measured_split(job.data)
    outcome = Outcome(run.ended, state.history, state.best_epoch, measured, split)
    described = Artifact(
        job.chosen.model, job.data.class_names, job.reading.preprocessing, outcome.figures()
    )
    trained.save(paths.model, state.model, described)
    export.write_report(paths.output_data, outcome, job.chosen, job.data)
    export.convert_or_say(paths.model)
    say(f"{run.ended}: artifact in {paths.model}, figures and pictures in {paths.output_data}")


def epoch_line(epoch: Epoch, epochs: int) -> str:
    """Return what is printed of an epoch; contract.METRIC_DEFINITIONS reads it."""
    return lines.EPOCH.format(epochs=epochs, **vars(epoch))


def best_line(epoch: Epoch, epochs: int) -> str:
    """Return what is printed of the epoch whose weights are kept: what the run is judged by."""
    return lines.BEST.format(epochs=epochs, **vars(epoch))


def final_lines(measured: Evaluation) -> list[str]:
    """Return what is printed of the test split; contract.METRIC_DEFINITIONS reads it."""
    return [line.format(loss=measured.loss, accuracy=measured.accuracy) for line in lines.TEST]


def begin(
    paths: ContainerPaths,
    chosen: Hyperparameters,
    stop: Stop,
    group: Group = ALONE,
    watch: Observer = OFF,
) -> tuple[nn.Module, Job]:
    """
    Build the model, read what it is trained on, and say so.

    Raises:
        KennelError: See ``prepare.begin``.
        Stopped: A stop was asked for.
    """
    model, job = prepare.begin(paths, chosen, stop, group, watch)
    data = job.data
    counts = " ".join(f"{split}={count}" for split, count in data.counts().items())
    say(f"data: classes={len(data.class_names)} {counts} skipped={len(data.skipped)}")
    for path, reason in data.skipped[: channels.NAMED_AT_MOST]:
        say(f"skipped {path}: {reason}")
    if not group.rank:
        export.write_skipped(paths.output_data, paths.data, data.skipped)
    return model, job


def _debugged(  # noqa: PLR0913 - what _train needs, and where to leave findings
    paths: ContainerPaths, state: State, stage: Stage, keeper: Keeper, *, job: Job, stop: Stop
) -> End:
    """
    Train, with its tensors saved and judged if that is asked for.

    Raises:
        JobError: A rule has stopped it before it came to a good epoch.
        HyperparameterError: It has diverged, and no rule that stops it has seen that.
    """
    watch = stage.observer
    with watch.phase(DEBUG):
        debug = debugging.start(paths, job, state, stage, stop)
    stage = replace(stage, observer=together([watch, debug.observer]))
    try:
        with _closed(debug, watch):
            ended = _train(state, stage, keeper, job, stop)
            stopper = debug.stopper if ended == "stopped" else None  # later is too late
    except HyperparameterError as error:
        if debug.stopper:
            raise _nothing(debug.stopper) from error
        raise
    if stopper is None:
        return End(ended)
    if state.best is None:
        raise _nothing(stopper)
    return End(f"stopped by rule {stopper.name}", stopper.found)


@contextmanager
def _closed(debug: Debugging, watch: Observer) -> Iterator[None]:
    """Let it judge the rest when it is left, however that is."""
    try:
        yield
    finally:
        with watch.phase(DEBUG):
            debug.close()


def _nothing(stopper: Stopper) -> JobError:
    return JobError(
        f"stopped by rule {stopper.name}: {stopper.found}: nothing to export",
        expected="an epoch that ends well before a rule stops the training",
        remedy=stopper.advice,
    )


def _train(state: State, stage: Stage, keeper: Keeper, job: Job, stop: Stop) -> str:
    """Train until there is a reason to end, leave a checkpoint, and return the reason."""
    watch = stage.observer

    def on_epoch(epoch: Epoch) -> None:
        with watch.phase(CHECKPOINT):
            keeper.save(state)  # first: an epoch that was told of is not lost
        say(epoch_line(epoch, job.chosen.epochs))

    try:
        with threads.befitting(stage.module, job.chosen.batch_size):
            return fit(state, stage, prepare.recipe(job), stop, on_epoch)
    except Stopped:
        with watch.phase(CHECKPOINT):
            state.totals = state.totals.over(stage.group)
            name = keeper.save(state)
        say(f"stopped: {name}: epoch {len(state.history) + 1}, {state.step} steps")
        return "stopped"


def _measured_split(data: Data) -> str:
    return "test" if data.test else "valid"


def _measure(state: State, job: Job, stop: Stop, group: Group) -> Evaluation | None:
    """Measure the best weights on the test split: for the first time, and the only one."""
    try:
        measured = evaluate(*prepare.measured(state.model, job), stop, group)
    except Stopped:
        say("stopped: the test split was not measured")
        return None
    for text in final_lines(measured) if job.data.test else ["no test split: no test accuracy"]:
        say(text)
    return measured
