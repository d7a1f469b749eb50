"""How much of the disk a state folder takes, and whether there is no more of it."""

import errno
import os
import sqlite3
from pathlib import Path


def is_full(error: Exception) -> bool:
    """Return whether *error*, of a file or of the database, says that there is no room."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return isinstance(error, sqlite3.OperationalError) and "disk is full" in str(error)


def occupied(folder: Path) -> int:
    """
    Return how many bytes deleting *folder* would free; 0 where it does not exist.

    A file with several names counts once, and what links lead to not at all. Files that disappear
    meanwhile, since a server is at work, are passed over.
    """
    seen: set[tuple[int, int]] = set()
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                about = os.lstat(os.path.join(parent, name))  # noqa: PTH118 - a Path for each of 100,000 files takes long
            except FileNotFoundError:
                continue
            if (about.st_dev, about.st_ino) not in seen:
                seen.add((about.st_dev, about.st_ino))
                total += about.st_blocks * 512  # the unit of st_blocks, whatever the file system
    return total
