"""How a training job ends, decided from how its containers did. Pure, but for the failure file."""

import math
import os
import stat
from pathlib import Path

from kennel.contract import FAILURE_REASON_CHARS
from kennel.local.resources import LOCAL, Document
from kennel.local.runtimes.protocol import State
from kennel.local.sagemaker.training import limits

VANISHED = (
    "InternalServerError: the container is gone, and nobody saw how it ended: the machine was"
    " restarted, its disk was full, or it or its supervisor was killed. Start the job again; a"
    " checkpoint in S3 is where it goes on"
)


def outcome(
    job: Document, state: State, failure: str, last_words: str, *, host: str = ""
) -> tuple[str, str]:
    """
    Return the last secondary status of a job, and the reason if it failed.

    Args:
        state: Of the host that was the first to fail; of any, when none did.
        failure: That host's failure file, empty when it wrote none.
        last_words: The end of its output.
        host: What it is called, when there are several.
    """
    if job["TrainingJobStatus"] == "Stopping" and not limits.has_failed(job):
        return job[LOCAL].get("Exceeded") or "Stopped", ""
    if state.exit_code is None:
        return "Failed", VANISHED + (f" (host: {host})" if host else "")
    if state.exit_code == 0:
        return "Completed", ""
    known = ", ".join(filter(None, [host and f"host: {host}", state.reason]))
    return "Failed", algorithm_error(failure, state.exit_code, last_words, known)


def failing(job: Document, index: int) -> Document:
    """Return *job* with which host was the first to fail; one that is being ended does not."""
    if limits.is_asked(job):
        return job
    return job | {LOCAL: job[LOCAL] | {"FailedHost": index}}


def failed_at(state: State, failure: Path) -> float:
    """
    Return when a host failed, to compare with others that were seen to fail at the same time.

    Who was killed, and so wrote no failure file, comes first: the others tell of connections that
    broke with it. Who only wrote none comes last: it says the least.
    """
    try:
        return failure.lstat().st_mtime
    except OSError:
        return 0.0 if state.was_killed else math.inf


def algorithm_error(failure: str, exit_code: int, last_words: str, reason: str = "") -> str:
    """Word the failure of a container: the cause first, the exit code never cut off."""
    told = failure.strip() or f"no failure file was written. The log ends with: {last_words}"
    ending = f", exit code: {exit_code}" + (f" ({reason})" if reason else "")
    return f"AlgorithmError: {told}"[: FAILURE_REASON_CHARS - len(ending)] + ending


def wants_model(secondary: str, *, is_empty: bool) -> bool:
    """Return whether a job that ended so has its model stored; a stopped one if there is any."""
    return secondary == "Completed" or (secondary != "Failed" and not is_empty)


def read_failure(path: Path) -> str:
    """Return as much of the failure file as a reason can hold; empty when there is none."""
    try:
        # Without blocking: it may be a pipe, which nobody ever writes to.
        with open(path, errors="replace", opener=open_at_once) as file:
            is_file = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            return file.read(FAILURE_REASON_CHARS) if is_file else ""
    except OSError:
        return ""


def open_at_once(path: str, flags: int) -> int:
    """Open a file without waiting for anybody at its other end."""
    return os.open(path, flags | os.O_NONBLOCK)
