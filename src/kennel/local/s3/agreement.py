"""
Whether a row and its file belong together, and what to do about it when they do not.

They part where a crash came between the moving of a file and its row. What is on disk counts.
"""

import os
from dataclasses import replace
from pathlib import Path

from kennel.local.database import Database
from kennel.local.s3 import index
from kennel.local.s3.files import file_md5_hex
from kennel.local.s3.index import Stored


def describes(stored: Stored, status: os.stat_result) -> bool:
    """Say whether the row and the file belong together."""
    return (stored.stamp_ns, stored.size) == (status.st_mtime_ns, status.st_size)


def reread(database: Database, stored: Stored, path: Path) -> None:
    """Make the row say what the file at *path* is; without a file the row goes."""
    with database.transaction() as connection:
        if not path.is_file():
            index.delete(connection, stored.bucket, stored.key)
            return
        status = path.stat()
        found = replace(
            stored,
            size=status.st_size,
            etag=file_md5_hex(path),
            stamp_ns=status.st_mtime_ns,
            checksums={},
        )
        index.save(connection, found)
