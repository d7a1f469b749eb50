"""
Rows and files put in step again, after a server that was killed.

A file that has no row becomes an object, a row that has no file goes, and a file that is not the
row's is read again.
"""

from kennel.local.s3 import index
from kennel.local.s3.agreement import describes, reread
from kennel.local.s3.index import Stored
from kennel.local.s3.objects import Objects


def recover(objects: Objects) -> None:
    """Go through every bucket."""
    objects.tree.forget_unfinished()
    for bucket in objects.buckets():
        recover_bucket(objects, bucket.name)


def recover_bucket(objects: Objects, bucket: str) -> None:
    """Compare a bucket's rows with its files, and read again what does not agree."""
    with objects.database.reading() as connection:
        known = {stored.key: stored for stored in index.walk(connection, bucket, "")}
    for key in objects.tree.keys(bucket):
        if key not in known:
            new = Stored(bucket, key, 0, "", objects.now_ns(), 0)
            reread(objects.database, new, objects.file(new))
    for stored in known.values():
        path = objects.file(stored)
        if not (path.exists() and describes(stored, path.stat())):
            reread(objects.database, stored, path)
