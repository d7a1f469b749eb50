"""For how long a process has been running: what it did before anybody could take the time."""

import os
import time
from pathlib import Path

PROC = Path("/proc")
STARTED = 19  # the 22nd field of a process's state, counted behind its name


def of(pid: int, proc: Path = PROC) -> float:
    """Return the age of a process in seconds, to a hundredth; 0 where that is not told."""
    try:
        state = (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
        began = int(state[STARTED]) / os.sysconf("SC_CLK_TCK")
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - began)
    except (OSError, IndexError, ValueError, AttributeError):
        return 0.0
