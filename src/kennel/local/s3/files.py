"""What every file of an object has: a digest of its bytes, and a time that no other file has."""

import hashlib
import threading
import time
from pathlib import Path


class Clock:
    """Nanoseconds since 1970 that never repeat, so that each file of a process has its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def now_ns(self) -> int:
        """Return the time, or a little more where the clock has not moved on."""
        with self._lock:
            self._last = max(self._last + 1, time.time_ns())
            return self._last


def md5_hex(content: bytes) -> str:
    """Return the ETag of an object of these bytes."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def file_md5_hex(path: Path) -> str:
    """Return the ETag of a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
    return digest.hexdigest()
