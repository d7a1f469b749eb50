"""
The state that is not files: one SQLite database, shared by every service.

Each service creates its own tables. WAL and ``synchronous=NORMAL``: a commit survives the death of
the process at any moment; a power cut may take the last seconds, never the consistency.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BUSY_TIMEOUT_S = 30
PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=NORMAL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA cache_size=-1024",  # KiB for each connection: many threads must not cost much memory
)


class Database:
    """
    A pool of connections, safe to use from any thread; rows are ``sqlite3.Row``.

    Args:
        path: The file, created with its folder when missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._idle: list[sqlite3.Connection] = []  # append and pop are atomic
        self._current = threading.local()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._idle.append(connect(path))

    def create(self, schema: str) -> None:
        """Run the statements of *schema*, separated by semicolons: ``CREATE … IF NOT EXISTS``."""
        with self.transaction() as connection:
            for statement in schema.split(";"):
                connection.execute(statement)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """
        Hold the write lock: commit at the end, roll back on an exception.

        Inside another transaction of the same thread this joins it; the outer one decides.
        """
        outer = getattr(self._current, "connection", None)
        if outer is not None:
            yield outer
            return
        with self._borrowed() as connection:
            connection.execute("BEGIN IMMEDIATE")
            self._current.connection = connection
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                self._current.connection = None
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Read without the write lock; each statement sees what was committed before it."""
        outer = getattr(self._current, "connection", None)
        if outer is not None:
            yield outer
            return
        with self._borrowed() as connection:
            yield connection

    def close(self) -> None:
        """Close the idle connections; call it when no thread uses the database any more."""
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def _borrowed(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = connect(self.path)
        try:
            yield connection
        finally:
            self._idle.append(connection)


def connect(path: Path) -> sqlite3.Connection:
    """Open *path* in autocommit mode, so that transactions are said in so many words."""
    connection = sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
    connection.row_factory = sqlite3.Row
    for pragma in PRAGMAS:
        connection.execute(pragma)
    return connection
