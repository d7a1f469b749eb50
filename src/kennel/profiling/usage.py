"""
What of the cores a process and those that it has started have used: not what the machine did.

Readers that still run are asked one by one; those that have ended are in their parent's sums.
"""

import time
from contextlib import suppress
from typing import NamedTuple

import psutil


class Usage(NamedTuple):
    """Seconds of a core that were used until a moment, in seconds of a clock."""

    at: float
    used_s: float


def now() -> Usage:
    """Look at this process and all below it."""
    own = psutil.Process()
    used_s = 0.0
    for process in (own, *own.children(recursive=True)):
        with suppress(psutil.Error):  # it has just ended
            used_s += sum(process.cpu_times()[:4])  # user, system, and the same of ended children
    return Usage(time.monotonic(), used_s)


def cores(before: Usage, after: Usage) -> float | None:
    """Return how many cores were busy between two looks, on average; None: in no time."""
    seconds = after.at - before.at
    return max(0.0, after.used_s - before.used_s) / seconds if seconds > 0 else None
