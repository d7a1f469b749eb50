"""
Whether another process lives, asked of what cannot be mistaken: a lock that it holds, or its pidfd.

A pid alone is nobody's: after a reboot, or enough processes, it is somebody else's.
"""

import errno
import fcntl
import os
import select
import time
from pathlib import Path

POLL_S = 0.02


def is_locked(path: Path) -> bool:
    """Return whether somebody holds the lock, which outlives no process and no reboot."""
    try:
        file = os.open(path, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        # Shared, so that two who ask at the same moment do not take each other for its holder.
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def wait_for_exit(pid: int | None, timeout_s: float) -> None:
    """Sleep until the process is gone or *timeout_s* has passed; it need not be a child."""
    if pid is None:
        return
    try:
        handle = os.pidfd_open(pid)
    except OSError as error:
        if error.errno != errno.ESRCH:  # a kernel before 5.3, or one that forbids it
            time.sleep(min(timeout_s, POLL_S))
        return
    try:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        poll.poll(timeout_s * 1000)
    finally:
        os.close(handle)
