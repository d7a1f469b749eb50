"""What SageMaker expects of a training that failed: exit code 1, and the reason in a file."""

import traceback
from collections.abc import Callable

from kennel.contract import ContainerPaths
from kennel.errors import KennelError
from kennel.training.log import say


def run(program: Callable[[], int], paths: ContainerPaths) -> int:
    """
    Call *program* and turn its failure into what SageMaker expects.

    Returns:
        What it returned, or 1 after writing the failure file. Its first line is the cause, since
        FailureReason keeps only the first 1024 characters.
    """
    try:
        return program()
    except Exception as error:  # noqa: BLE001 - the boundary
        return fail(paths, reason(error))


def cause(error: Exception) -> str:
    """Return what went wrong, without the way there."""
    if isinstance(error, KennelError):
        return f"{type(error).__name__}: {error}"
    return "".join(traceback.format_exception_only(error)).strip()


def reason(error: Exception) -> str:
    """Return the cause, and of a bug its traceback."""
    if isinstance(error, KennelError):
        return cause(error)
    return f"{cause(error)}\n\n{''.join(traceback.format_exception(error))}"


def fail(paths: ContainerPaths, reason: str) -> int:
    """Record *reason* where SageMaker looks for it, and return the exit code."""
    say(reason)
    try:
        paths.failure.parent.mkdir(parents=True, exist_ok=True)
        paths.failure.write_text(reason)
    except OSError as error:
        say(f"cannot write {paths.failure}: {error}")
    return 1


def note(paths: ContainerPaths, reason: str) -> int:
    """Record *reason* unless there is one already, nearer to the cause; return the exit code."""
    if paths.failure.exists():
        say(reason)
        return 1
    return fail(paths, reason)
