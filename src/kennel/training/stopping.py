"""
A stop that was asked for: SIGTERM sets a flag, and the run looks at it where it is safe to stop.

What a stop leaves behind (checkpoint, artifact) is decided in main.py; passing the signal on to a
program of the user's is in script_mode.py.
"""

import signal
from types import FrameType
from typing import Self


class Stopped(Exception):  # noqa: N818 - an event, not an error
    """The platform asked the run to stop."""


class Stop:
    """Remembers that SIGTERM came. As PID 1, a process without a handler would ignore it."""

    def __init__(self) -> None:
        self.requested = False

    def __call__(self, _signum: int = signal.SIGTERM, _frame: FrameType | None = None) -> None:
        """Take note: this is the signal handler, so it does nothing else."""
        self.requested = True

    def check(self) -> None:
        """
        Return, unless a stop was asked for.

        Raises:
            Stopped: It was; whoever calls this has nothing half done.
        """
        if self.requested:
            raise Stopped

    @classmethod
    def installed(cls) -> Self:
        """
        Return this process's SIGTERM handler, installing one where there is none yet.

        The entry point installs it before the slow imports; the run, which sagemaker-training
        calls without arguments, finds it here.
        """
        handler = signal.getsignal(signal.SIGTERM)
        if not isinstance(handler, cls):
            handler = cls()
            signal.signal(signal.SIGTERM, handler)
        return handler
