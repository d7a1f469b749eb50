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
    except KennelError as error:
        return fail(paths, f"{type(error).__name__}: {error}")
    except Exception as error:  # noqa: BLE001 - the boundary
        cause = "".join(traceback.format_exception_only(error)).strip()
        return fail(paths, f"{cause}\n\n{traceback.format_exc()}")


def fail(paths: ContainerPaths, reason: str) -> int:
    """Record *reason* where SageMaker looks for it, and return the exit code."""
    say(reason)
    try:
        paths.failure.parent.mkdir(parents=True, exist_ok=True)
        paths.failure.write_text(reason)
    except OSError as error:
        say(f"cannot write {paths.failure}: {error}")
    return 1
