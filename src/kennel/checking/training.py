"""
Judge what an image does with ``train``; ``training_runs`` runs it.

What depends on a training that worked is skipped where none did: one mistake is one failure.
"""

import json
import re
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any, Final

from kennel import contract
from kennel.checking.catalogue import FAILURE, MODEL, TRAINING, of_part
from kennel.checking.findings import Finding, failed, passed, skipped, warned
from kennel.checking.training_runs import ANYBODY, Run, Stopped, Trainings

TRACEBACK: Final = "Traceback (most recent call last)"
_CAUSE = re.compile(r"^[A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt|Warning)\b.*", re.MULTILINE)
_QUOTED_AT_MOST: Final = 160
_LIKE_THE_WHOLE: Final = 0.9  # of the time of a training that nobody stopped

Say = Callable[[str], object]


def check(trainings: Trainings, say: Say) -> Generator[Finding, None, Run | None]:
    """
    Train in several ways, and yield what is found.

    Args:
        say: Called with what is going on.

    Returns:
        The training that worked, for its model; None if none did.
    """
    say("training: one run from start to end")
    normal = trainings.normal()
    yield start(normal)
    if normal.problem:
        for check_id in of_part(TRAINING)[1:]:
            yield skipped(check_id, "the container did not start")
        return None
    typed = _typed_run(trainings, normal, say)
    good = next((run for run in (normal, typed) if run and run.ok), None)
    yield hyperparameters(trainings.hyperparameters, normal, typed)
    yield exit_code(good or normal, is_given=trainings.is_given)
    yield model(good)
    yield from _failure(trainings, normal, say)
    say("training: SIGTERM")
    yield stop(trainings.stopped(), good)
    yield from _restricted(trainings, normal, say)
    return good


def _typed_run(trainings: Trainings, normal: Run, say: Say) -> Run | None:
    """Train with numbers for strings, where that could be what the image expects."""
    values = typed(trainings.hyperparameters)
    if normal.ok or normal.ended is None or values == trainings.hyperparameters:
        return None
    say("training: once more, with hyperparameters that are numbers")
    return trainings.normal(values)


def typed(hyperparameters: Mapping[str, str]) -> dict[str, Any]:
    """Return what the strings would be if they were JSON."""
    return {name: _parsed(value) for name, value in hyperparameters.items()}


def _parsed(text: str) -> Any:  # noqa: ANN401 - whatever JSON can be
    try:
        return json.loads(text)
    except ValueError:
        return text


def start(run: Run) -> Finding:
    """Judge whether the engine could start it."""
    if run.problem:
        return failed("train-start", run.problem)
    return passed("train-start", f"PID 1: {run.first_process or 'ended at once'}")


def hyperparameters(given: Mapping[str, str], normal: Run, typed_run: Run | None) -> Finding:
    """Judge whether strings are taken."""
    shown = ", ".join(f'{name}="{value}"' for name, value in given.items())
    if typed_run and typed_run.ok:
        told = f"fails with {shown}, works with numbers: {cause(normal)}"
        return failed("train-hyperparameters", told)
    if not given:
        return skipped("train-hyperparameters", "none are known: --set NAME=VALUE gives some")
    if normal.ok:
        return passed("train-hyperparameters", f"trained with {shown}")
    return skipped("train-hyperparameters", "the training failed, with strings as with numbers")


def exit_code(run: Run, *, is_given: bool) -> Finding:
    """
    Judge how a training ended that should end well.

    Args:
        is_given: The user, or the image by its label, has said what it trains on. Else it may
            be that it cannot train on pictures of ours; but one that leaves a model could.
    """
    if run.ended is None:
        told = f"it still trained after {run.seconds:.0f} s: --set NAME=VALUE makes it shorter"
        return skipped("train-exit-code", told)
    if run.ok:
        told = f"exit code 0 after {run.seconds:.1f} s"
        return passed("train-exit-code", told, seconds=round(run.seconds, 1))
    told = f"{run.ended} after {run.seconds:.1f} s: {cause(run)}"
    if is_given or run.model_files:
        return failed("train-exit-code", told, exit_code=run.ended.exit_code)
    remedy = "--data DIR and --set NAME=VALUE give what it trains on, in place of our pictures"
    return warned("train-exit-code", told, remedy=remedy, exit_code=run.ended.exit_code)


def model(run: Run | None) -> Finding:
    """Judge what a training has left."""
    if run is None:
        return skipped("train-model", "no training has ended well")
    if run.model_files == 0:
        return failed("train-model", f"exit code 0, and no file in {MODEL}")
    files = "1 file" if run.model_files == 1 else f"{run.model_files} files"
    told = f"{files}, {run.model_bytes / 1e6:.1f} MB"
    return passed("train-model", told, files=run.model_files, bytes=run.model_bytes)


def _failure(trainings: Trainings, normal: Run, say: Say) -> Iterator[Finding]:
    run = next((run for run in _failures(trainings, normal, say) if is_failure(run)), normal)
    yield failure_exit(run)
    yield failure_file(run)


def _failures(trainings: Trainings, normal: Run, say: Say) -> Iterator[Run]:
    """Make a training fail, as far as that can be done from outside."""
    limit_s = trainings.limits.again(normal.seconds)
    say("training: empty channels")
    yield trainings.with_empty_channels(limit_s)
    say("training: a torn hyperparameters.json")
    yield trainings.with_torn_hyperparameters(limit_s)


def is_failure(run: Run) -> bool:
    """Return whether a training could not do its work, as its exit code or it itself tells."""
    return bool(run.ended and (run.ended.exit_code or run.failure or TRACEBACK in run.log))


def failure_exit(run: Run) -> Finding:
    """Judge the exit code of a training that could not do its work."""
    if not is_failure(run) or run.ended is None:
        told = "neither empty channels nor a torn hyperparameters.json made it fail"
        return skipped("train-failure-exit", told)
    if run.ended.exit_code == 0:
        return failed("train-failure-exit", f"exit code 0, with {cause(run)}")
    return passed("train-failure-exit", str(run.ended), exit_code=run.ended.exit_code)


def failure_file(run: Run) -> Finding:
    """Judge what a training that failed has told."""
    if not is_failure(run):
        return skipped("train-failure-file", "it could not be made to fail")
    if not (run.failure or "").strip():
        told = "no such file" if run.failure is None else "it is empty"
        return failed("train-failure-file", f"{FAILURE}: {told}; the log ends: {cause(run)}")
    text = (run.failure or "").strip()
    if not text.startswith(TRACEBACK):
        return passed("train-failure-file", quoted(text), characters=len(text))
    found = list(_CAUSE.finditer(text))
    begins = found[-1].start() if found else len(text)
    if begins >= contract.FAILURE_REASON_CHARS:
        told = f"the cause begins at character {begins + 1}, behind a traceback"
        return failed("train-failure-file", told, cause_at=begins)
    told = f"a traceback first; the cause begins at character {begins + 1}"
    return warned("train-failure-file", told, cause_at=begins)


def stop(stopped: Stopped, good: Run | None) -> Finding:
    """Judge what a training makes of SIGTERM."""
    if stopped.after_s == 0:
        ended = stopped.run.ended or stopped.run.problem
        return skipped("train-stop", f"it ended by itself ({ended}) before it could be stopped")
    sent_s, took_s = round(stopped.after_s, 1), round(stopped.took_s, 1)
    if stopped.run.ended is None:
        told = f"SIGTERM after {sent_s} s, and {stopped.took_s:.0f} s later it still ran"
        return failed("train-stop", told, sent_after_s=sent_s, took_s=took_s)
    told = f"{stopped.run.ended}, {took_s} s after SIGTERM"
    whole_s = good.seconds if good and not stopped.is_longer else 0
    if took_s > 1 and stopped.run.seconds >= _LIKE_THE_WHOLE * whole_s > 0:
        told += f", about when it would have ended anyway ({whole_s:.1f} s)"
        return warned("train-stop", told, sent_after_s=sent_s, took_s=took_s)
    return passed("train-stop", told, sent_after_s=sent_s, took_s=took_s)


def _restricted(trainings: Trainings, normal: Run, say: Say) -> Iterator[Finding]:
    ids = ("train-any-uid", "train-read-only-root")
    if not normal.ok:
        for check_id in ids:
            yield skipped(check_id, "no training has ended well as root")
        return
    limit_s = trainings.limits.again(normal.seconds)
    say(f"training: as user {ANYBODY}, on a read-only root")
    both = trainings.restricted(limit_s, user=ANYBODY, read_only=True)
    if both.ok:
        yield passed("train-any-uid", f"as user {ANYBODY}")
        yield passed("train-read-only-root", f"as user {ANYBODY}")
        return
    say("training: the two one by one")
    yield restricted(ids[0], trainings.restricted(limit_s, user=ANYBODY, read_only=False))
    yield restricted(ids[1], trainings.restricted(limit_s, user=None, read_only=True))


def restricted(check_id: str, run: Run) -> Finding:
    """Judge a training with fewer rights: SageMaker gives it more."""
    if run.ok:
        return passed(check_id, "exit code 0")
    how = run.problem or run.ended or f"still running after {run.seconds:.0f} s"
    return warned(check_id, f"{how}: {cause(run)}")


def cause(run: Run) -> str:
    """Return what a run said of its end: in its failure file, else at the end of its log."""
    told = (run.failure or "").strip()
    if told and not told.startswith(TRACEBACK):
        return quoted(told)
    text = told or run.log
    found = _CAUSE.findall(text)
    lines = [line for line in text.splitlines() if line.strip()]
    return quoted(found[-1] if found else lines[-1] if lines else "it wrote nothing")


def quoted(text: str) -> str:
    """Return the first line of *text*, cut where it is long."""
    line = text.strip().splitlines()[0] if text.strip() else ""
    return line if len(line) <= _QUOTED_AT_MOST else f"{line[: _QUOTED_AT_MOST - 1]}…"
