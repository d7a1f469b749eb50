"""
Rows and files put in step again, where a crash came between the moving of a file and its row.

A file that has no row becomes an object, a row that has no file goes, and a file that is not the
row's is read again: what is on disk counts.
"""

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from kennel.local.s3 import index
from kennel.local.s3.files import file_md5_hex
from kennel.local.s3.index import Stored

if TYPE_CHECKING:
    from kennel.local.s3.objects import Objects


def recover(objects: "Objects") -> None:
    """Go through every bucket; see Objects.recover."""
    objects.tree.forget_unfinished()
    for bucket in objects.buckets():
        recover_bucket(objects, bucket.name)


def recover_bucket(objects: "Objects", bucket: str) -> None:
    """Compare a bucket's rows with its files, and read again what does not agree."""
    with objects.database.reading() as connection:
        known = {stored.key: stored for stored in index.walk(connection, bucket, "")}
    for key in objects.tree.keys(bucket):
        if key not in known:
            reread(objects, Stored(bucket, key, 0, "", objects.now_ns(), 0))
    for stored in known.values():
        path = objects.file(stored)
        if not (path.exists() and describes(stored, path.stat())):
            reread(objects, stored)


def reread(objects: "Objects", stored: Stored) -> None:
    """Make the row say what the file is."""
    path = objects.file(stored)
    with objects.database.transaction() as connection:
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


def describes(stored: Stored, status: os.stat_result) -> bool:
    """Say whether the row and the file belong together."""
    return (stored.stamp_ns, stored.size) == (status.st_mtime_ns, status.st_size)
