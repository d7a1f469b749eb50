"""
What S3 knows about objects, a row for each: everything but their bytes.

Functions over a connection; the transaction is the caller's. Text compares by code point in SQLite,
which is the order of UTF-8 that S3 lists in.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields

from kennel.local.s3.keys import next_key, upper_bound

SCHEMA = """
CREATE TABLE IF NOT EXISTS s3_buckets (
    name TEXT PRIMARY KEY, region TEXT NOT NULL, created_ns INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS s3_objects (
    bucket TEXT NOT NULL REFERENCES s3_buckets (name), key TEXT NOT NULL,
    size INTEGER NOT NULL, etag TEXT NOT NULL,
    modified_ns INTEGER NOT NULL, stamp_ns INTEGER NOT NULL, overflow INTEGER NOT NULL,
    headers TEXT NOT NULL, checksums TEXT NOT NULL, tags TEXT NOT NULL,
    PRIMARY KEY (bucket, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS s3_overflow ON s3_objects (bucket, key) WHERE overflow
"""
MAPPINGS = ("headers", "checksums", "tags")
BATCH = 1000


def unsaid() -> dict[str, str]:
    """Return the headers of an object whose writer chose none."""
    return {"content-type": "binary/octet-stream"}


@dataclass(frozen=True)
class Stored:
    """
    One object.

    Args:
        etag: MD5 in hex, or that of a multipart upload; without quotes.
        stamp_ns: Modification time of the file; row and file belong together when it agrees.
        overflow: The file is in the overflow folder, since its key cannot be a path.
        headers: Response headers that its writer chose, ``x-amz-meta-*`` too; lower case.
        checksums: ``x-amz-checksum-*`` headers.
    """

    bucket: str
    key: str
    size: int
    etag: str
    modified_ns: int
    stamp_ns: int
    overflow: bool = False
    headers: Mapping[str, str] = field(default_factory=unsaid)
    checksums: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Bucket:
    """One bucket."""

    name: str
    region: str
    created_ns: int


COLUMNS = tuple(column.name for column in fields(Stored))
MARKS = ", ".join("?" for _ in COLUMNS)
UPSERT = f"INSERT OR REPLACE INTO s3_objects ({', '.join(COLUMNS)}) VALUES ({MARKS})"  # noqa: S608 - constants


def buckets(connection: sqlite3.Connection) -> list[Bucket]:
    """Return every bucket, by name."""
    rows = connection.execute("SELECT name, region, created_ns FROM s3_buckets ORDER BY name")
    return [Bucket(*row) for row in rows]


def bucket(connection: sqlite3.Connection, name: str) -> Bucket | None:
    """Return one bucket."""
    query = "SELECT name, region, created_ns FROM s3_buckets WHERE name = ?"
    row = connection.execute(query, (name,)).fetchone()
    return Bucket(*row) if row else None


def find(connection: sqlite3.Connection, bucket: str, key: str) -> Stored | None:
    """Return one object."""
    query = "SELECT * FROM s3_objects WHERE bucket = ? AND key = ?"
    row = connection.execute(query, (bucket, key)).fetchone()
    return from_row(row) if row else None


def save(connection: sqlite3.Connection, stored: Stored) -> None:
    """Add an object, or replace it."""
    values = [getattr(stored, name) for name in COLUMNS]
    connection.execute(UPSERT, [json.dumps(v) if isinstance(v, Mapping) else v for v in values])


def delete(connection: sqlite3.Connection, bucket: str, key: str) -> None:
    """Forget an object."""
    connection.execute("DELETE FROM s3_objects WHERE bucket = ? AND key = ?", (bucket, key))


def from_row(row: sqlite3.Row) -> Stored:
    """Build an object from its row."""
    values = dict(row)
    mappings = {name: json.loads(values[name]) for name in MAPPINGS}
    return Stored(**{**values, **mappings, "overflow": bool(row["overflow"])})


def page(
    connection: sqlite3.Connection, bucket: str, prefix: str, start: str, limit: int
) -> list[Stored]:
    """Return at most *limit* objects whose key starts with *prefix* and is not below *start*."""
    end = upper_bound(prefix)
    query = (
        "SELECT * FROM s3_objects WHERE bucket = ? AND key >= ? AND (? IS NULL OR key < ?)"
        " ORDER BY key LIMIT ?"
    )
    rows = connection.execute(query, (bucket, max(start, prefix), end, end, limit))
    return [from_row(row) for row in rows]


def walk(connection: sqlite3.Connection, bucket: str, prefix: str) -> Iterator[Stored]:
    """Yield every object under *prefix* in order, some at a time."""
    start = ""
    while batch := page(connection, bucket, prefix, start, BATCH):
        yield from batch
        start = next_key(batch[-1].key)


def overflows(connection: sqlite3.Connection, bucket: str, prefix: str) -> bool:
    """Say whether an object under *prefix*, folder markers aside, is not where its key says."""
    query = (
        "SELECT 1 FROM s3_objects WHERE overflow AND bucket = ? AND key >= ?"
        " AND (? IS NULL OR key < ?) AND key NOT LIKE '%/' LIMIT 1"
    )
    end = upper_bound(prefix)
    return connection.execute(query, (bucket, prefix, end, end)).fetchone() is not None
