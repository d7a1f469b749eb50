"""
Log groups, streams and events as rows.

Events are in order of (timestamp, row): a Position names a place between two of them, and survives
a restart. What the API makes of it (tokens, errors, patterns) is in operations.
"""

import heapq
import sqlite3
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from kennel.local.database import Database
from kennel.local.wire.errors import ApiError

SCHEMA = """
CREATE TABLE IF NOT EXISTS log_groups (
    name TEXT PRIMARY KEY, created_ms INTEGER NOT NULL, retention_days INTEGER
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS log_streams (
    id INTEGER PRIMARY KEY, group_name TEXT NOT NULL REFERENCES log_groups (name) ON DELETE CASCADE,
    name TEXT NOT NULL, created_ms INTEGER NOT NULL,
    first_ms INTEGER, last_ms INTEGER, last_ingestion_ms INTEGER,
    UNIQUE (group_name, name)
);
CREATE TABLE IF NOT EXISTS log_events (
    id INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL REFERENCES log_streams (id) ON DELETE CASCADE,
    timestamp_ms INTEGER NOT NULL, ingestion_ms INTEGER NOT NULL, message TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS log_events_order ON log_events (stream, timestamp_ms, id)
"""
BATCH = 200  # events of each stream in memory at a time


class Position(NamedTuple):
    """A place in a stream, just after the event of this time and row."""

    timestamp_ms: int
    row: int


START = Position(-1, 0)
END = Position(2**62, 0)


@dataclass(frozen=True)
class Group:
    """One log group."""

    name: str
    created_ms: int
    retention_days: int | None


@dataclass(frozen=True)
class Stream:
    """One log stream; its times are None while it is empty."""

    row: int
    name: str
    created_ms: int
    first_ms: int | None
    last_ms: int | None
    last_ingestion_ms: int | None


@dataclass(frozen=True)
class Event:
    """One line of log."""

    row: int
    stream: int
    timestamp_ms: int
    ingestion_ms: int
    message: str

    @property
    def position(self) -> Position:
        """Return the place just after it."""
        return Position(self.timestamp_ms, self.row)


@dataclass(frozen=True)
class Span:
    """From *start_ms* on, and before *end_ms*."""

    start_ms: int = 0
    end_ms: int = 2**62


class Logs:
    """Every log of local mode; safe to use from any thread."""

    def __init__(self, database: Database) -> None:
        self.database = database
        database.create(SCHEMA)

    def append(self, group: str, stream: str, events: Iterable[tuple[int, str]]) -> None:
        """
        Write (milliseconds since 1970, message) pairs, making group and stream when missing.
        """
        now_ms = time.time_ns() // 10**6
        with self.database.transaction() as connection:
            create_group(connection, group, now_ms)
            create_stream(connection, group, stream, now_ms)
            insert(connection, find_stream(connection, group, stream).row, events, now_ms)

    def delete_group(self, group: str) -> None:
        """Forget a group with all that is in it; one that is not there is fine."""
        with self.database.transaction() as connection:
            connection.execute("DELETE FROM log_groups WHERE name = ?", (group,))

    def delete_stream(self, group: str, stream: str) -> None:
        """Forget a stream; one that is not there is fine."""
        delete = "DELETE FROM log_streams WHERE group_name = ? AND name = ?"
        with self.database.transaction() as connection:
            connection.execute(delete, (group, stream))


def create_group(connection: sqlite3.Connection, name: str, now_ms: int) -> bool:
    """Make a group; return False where it was there already."""
    statement = "INSERT OR IGNORE INTO log_groups (name, created_ms) VALUES (?, ?)"
    return connection.execute(statement, (name, now_ms)).rowcount == 1


def create_stream(connection: sqlite3.Connection, group: str, name: str, now_ms: int) -> bool:
    """Make a stream; return False where it was there already."""
    statement = "INSERT OR IGNORE INTO log_streams (group_name, name, created_ms) VALUES (?, ?, ?)"
    return connection.execute(statement, (group, name, now_ms)).rowcount == 1


def insert(
    connection: sqlite3.Connection, stream: int, events: Iterable[tuple[int, str]], now_ms: int
) -> None:
    """Add events to a stream, and to its first and last times."""
    rows = [(stream, timestamp_ms, now_ms, message) for timestamp_ms, message in events]
    if not rows:
        return
    statement = "INSERT INTO log_events (stream, timestamp_ms, ingestion_ms, message)"
    connection.executemany(f"{statement} VALUES (?, ?, ?, ?)", rows)
    times = [row[1] for row in rows]
    connection.execute(
        "UPDATE log_streams SET first_ms = MIN(IFNULL(first_ms, ?1), ?1),"
        " last_ms = MAX(IFNULL(last_ms, ?2), ?2), last_ingestion_ms = ?3 WHERE id = ?4",
        (min(times), max(times), now_ms, stream),
    )


def groups(connection: sqlite3.Connection, prefix: str = "") -> list[Group]:
    """Return the groups that start with *prefix*, by name."""
    query = "SELECT * FROM log_groups WHERE SUBSTR(name, 1, LENGTH(?1)) = ?1 ORDER BY name"
    return [Group(*row) for row in connection.execute(query, (prefix,))]


def streams(connection: sqlite3.Connection, group: str, prefix: str = "") -> list[Stream]:
    """
    Return a group's streams that start with *prefix*, by name.

    Raises:
        ApiError: ``ResourceNotFoundException``, when there is no such group.
    """
    if not connection.execute("SELECT 1 FROM log_groups WHERE name = ?", (group,)).fetchone():
        raise not_found("log group")
    query = (
        "SELECT id, name, created_ms, first_ms, last_ms, last_ingestion_ms FROM log_streams"
        " WHERE group_name = ?1 AND SUBSTR(name, 1, LENGTH(?2)) = ?2 ORDER BY name"
    )
    return [Stream(*row) for row in connection.execute(query, (group, prefix))]


def find_stream(connection: sqlite3.Connection, group: str, name: str) -> Stream:
    """
    Return one stream.

    Raises:
        ApiError: ``ResourceNotFoundException``, when the group or the stream is not there.
    """
    query = (
        "SELECT id, name, created_ms, first_ms, last_ms, last_ingestion_ms FROM log_streams"
        " WHERE group_name = ? AND name = ?"
    )
    row = connection.execute(query, (group, name)).fetchone()
    if row is None:
        streams(connection, group, name)  # says so when it is the group that is missing
        raise not_found("log stream")
    return Stream(*row)


def after(
    connection: sqlite3.Connection, ids: Iterable[int], position: Position, span: Span
) -> Iterator[Event]:
    """Yield the events of the streams *ids* that come after *position*, oldest first."""
    each = (after_in(connection, stream, position, span) for stream in ids)
    return heapq.merge(*each, key=lambda event: event.position)


def after_in(
    connection: sqlite3.Connection, stream: int, position: Position, span: Span
) -> Iterator[Event]:
    """Yield the events of one stream that come after *position*, oldest first."""
    query = (
        "SELECT id, stream, timestamp_ms, ingestion_ms, message FROM log_events WHERE stream = ?"
        " AND (timestamp_ms, id) > (?, ?) AND timestamp_ms >= ? AND timestamp_ms < ?"
        " ORDER BY timestamp_ms, id LIMIT ?"
    )
    while True:
        arguments = (stream, *position, span.start_ms, span.end_ms, BATCH)
        batch = [Event(*row) for row in connection.execute(query, arguments)]
        yield from batch
        if len(batch) < BATCH:
            return
        position = batch[-1].position


def before(
    connection: sqlite3.Connection, stream: int, position: Position, span: Span, limit: int
) -> list[Event]:
    """Return the last *limit* events of a stream at or before *position*, oldest first."""
    query = (
        "SELECT id, stream, timestamp_ms, ingestion_ms, message FROM log_events WHERE stream = ?"
        " AND (timestamp_ms, id) <= (?, ?) AND timestamp_ms >= ? AND timestamp_ms < ?"
        " ORDER BY timestamp_ms DESC, id DESC LIMIT ?"
    )
    arguments = (stream, *position, span.start_ms, span.end_ms, limit)
    return [Event(*row) for row in connection.execute(query, arguments)][::-1]


def not_found(what: str) -> ApiError:
    """Return the error of CloudWatch Logs for what is not there."""
    return ApiError("ResourceNotFoundException", f"The specified {what} does not exist.")
