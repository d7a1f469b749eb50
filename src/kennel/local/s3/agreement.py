"""
Whether a row and its file belong together, and what to do about it when they do not.

They part where a crash came between the moving of a file and its row. What is on disk counts: the
row says of it what can be seen there, and nothing that was said of the bytes before.
"""

import os
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
        if index.find(connection, stored.bucket, stored.key) not in (stored, None):
            return  # whoever moved the file in has now committed its row
        if not path.is_file():
            index.delete(connection, stored.bucket, stored.key)
            return
        status = path.stat()
        found = Stored(
            *(stored.bucket, stored.key, status.st_size, file_md5_hex(path)),
            *(status.st_mtime_ns, status.st_mtime_ns, stored.overflow),
        )
        index.save(connection, found)
