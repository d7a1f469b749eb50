"""Ask something in a fork, because asking leaves behind what a later fork cannot use."""

import os
import traceback
from collections.abc import Callable
from typing import NoReturn

from kennel.errors import KennelError


class ForkError(KennelError):
    """What was called in a fork failed; the text is that of its error, or a bug's traceback."""


def call(function: Callable[[], str]) -> str:
    """
    Return what *function* returns in a fork of this process.

    Raises:
        ForkError: It raised, or the fork was killed.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
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
