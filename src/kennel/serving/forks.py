"""
Forks: ask something in one, because asking leaves behind what a later fork cannot use; and leave
none behind.
"""

import ctypes
import os
import signal
import traceback
from collections.abc import Callable
from typing import Final, NoReturn

from kennel.errors import KennelError

_PR_SET_PDEATHSIG: Final = 1


class ForkError(KennelError):
    """What was called in a fork failed; the text is that of its error, or a bug's traceback."""


def call(function: Callable[[], str]) -> str:
    """
    Return what *function* returns in a fork of this process.

    Raises:
        ForkError: It raised, or the fork was killed.
    """
    reader, writer = os.pipe()
    bind = end_with_parent()
    pid = os.fork()
    if not pid:
        bind()
        os.close(reader)
        _answer(function, writer)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as file:
        text = file.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status < 0:
        raise ForkError(
            f"the process that tried the model was killed by signal {-status}",
            expected="enough memory for the model",
        )
    if status:
        raise ForkError(text)
    return text


def _answer(function: Callable[[], str], writer: int) -> NoReturn:
    """Write the answer or the error, and end without what the parent registered for its exit."""
    status = 1
    try:
        text = function()
        status = 0
    except KennelError as error:
        text = str(error)
    except BaseException:  # noqa: BLE001 - the fork must never go on as its parent would
        text = traceback.format_exc()
    try:
        with os.fdopen(writer, "w", encoding="utf-8") as file:
            file.write(text)
    finally:
        os._exit(status)


def end_with_parent() -> Callable[[], None]:
    """Return what a fork of this process calls first, so that it is killed when this one ends."""
    libc, parent = ctypes.CDLL(None), os.getpid()

    def bind() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before it was bound to
            os._exit(1)

    return bind
