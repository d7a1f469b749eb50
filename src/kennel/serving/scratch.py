"""
The folder and the settings that the server and its workers share.

Between them stands a Java process: what one says to the other goes through here.
"""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from kennel import contract

_FOLDER: Final = "KENNEL_SERVING_SCRATCH"
_THREADS: Final = "KENNEL_SERVING_THREADS"
_MAX_BYTES: Final = "KENNEL_SERVING_MAX_BYTES"


@dataclass(frozen=True)
class Scratch:
    """Settings of the workers, and the files in the scratch folder."""

    folder: Path
    threads: int  # of each worker
    max_bytes: int  # of a request's body
    backend: str  # one of kennel.serving.backends.CHOICES

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Return what the server put into the environment of its workers."""
        return cls(
            folder=Path(environment[_FOLDER]),
            threads=int(environment[_THREADS]),
            max_bytes=int(environment[_MAX_BYTES]),
            backend=environment[contract.SERVING_BACKEND_VARIABLE],
        )

    def environment(self) -> dict[str, str]:
        """Return the variables that ``from_environment`` reads."""
        return {
            _FOLDER: str(self.folder),
            _THREADS: str(self.threads),
            _MAX_BYTES: str(self.max_bytes),
            contract.SERVING_BACKEND_VARIABLE: self.backend,
        }

    @property
    def failure(self) -> Path:
        """Why the model cannot be served; written by the worker, ends the server."""
        return self.folder / "failure"

    @property
    def alive(self) -> Path:
        """Locked by the process that holds the model, as long as it lives."""
        return self.folder / "alive"

    @property
    def started(self) -> Path:
        """Locked, shared, by every worker that has started the model, as long as it lives."""
        return self.folder / "started"

    @property
    def busy(self) -> Path:
        """Locked, shared, by every worker that answers a request."""
        return self.folder / "busy"


# Locks, and not files alone: a lock ends with its process, however that dies.


@contextmanager
def sharing(path: Path) -> Iterator[None]:
    """Hold a lock on *path* together with others."""
    lock = share(path)
    try:
        yield
    finally:
        os.close(lock)


def share(path: Path) -> int:
    """Lock *path* together with others until this process ends, or closes what is returned."""
    lock = os.open(path, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_SH)
    return lock


def hold(path: Path) -> None:
    """Make *path*, locked from its first moment, until this process ends; its forks don't count."""
    unlocked = path.with_suffix(f".{os.getpid()}")
    lock = os.open(unlocked, os.O_RDONLY | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_SH)
    os.register_at_fork(after_in_child=lambda: os.close(lock))
    unlocked.rename(path)


def is_locked(path: Path) -> bool:
    """Whether any process holds a lock on *path*."""
    with path.open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
