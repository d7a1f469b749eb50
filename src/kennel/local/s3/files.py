"""Files of objects: a digest of their bytes, a time that no other file has, and copying them."""

import hashlib
import threading
import time
from pathlib import Path
from typing import BinaryIO

BLOCK_BYTES = 2**20  # as much of an object is in memory at a time


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


def copy_bytes(source: BinaryIO, target: BinaryIO, count: int) -> str:
    """Copy *count* bytes from where *source* is, and return the ETag of these."""
    digest = hashlib.md5(usedforsecurity=False)
    while block := source.read(min(count, BLOCK_BYTES)):
        target.write(block)
        digest.update(block)
        count -= len(block)
    return digest.hexdigest()
