"""
The object store: buckets and objects, their files and their rows kept in step.

A file is moved in place first and its row committed after, under the database's write lock. A row
belongs to its file when it has the file's modification time, so a reader never joins an old row to
a new file, and what a crash left between the two is read again (agreement.py, recovery.py). What a
job's channel sees is in mounts.py, HTTP in service.py.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, TypeVar

from kennel.local.database import Database
from kennel.local.s3 import index
from kennel.local.s3.agreement import describes, reread
from kennel.local.s3.files import Clock, file_md5_hex, md5_hex
from kennel.local.s3.index import Bucket, Stored, unsaid
from kennel.local.s3.keys import check_bucket_name, check_key, no_such_bucket, no_such_key
from kennel.local.s3.tree import READ_ONLY, Tree, link
from kennel.local.wire.context import DEFAULT_REGION
from kennel.local.wire.errors import ApiError

READ_ATTEMPTS = 100  # as often may an object be replaced between a look at its row and its file

T = TypeVar("T")
Condition = Callable[[Stored | None], None]


@dataclass(frozen=True)
class Attributes:
    """What the writer of an object says about it; see Stored."""

    headers: Mapping[str, str] = field(default_factory=unsaid)
    checksums: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


NO_ATTRIBUTES = Attributes()


def anything(_: Stored | None) -> None:
    """Write whatever is there already."""


class Objects:
    """
    Buckets and objects below *folder*; safe to use from any thread.

    Every method that takes a bucket raises ApiError ``NoSuchBucket`` when there is none of that
    name, and one that needs the object ``NoSuchKey``.
    """

    def __init__(self, folder: Path, database: Database) -> None:
        self.tree = Tree(folder)
        self.database = database
        database.create(index.SCHEMA)
        self._clock = Clock()

    # Buckets

    def buckets(self) -> list[Bucket]:
        """Return every bucket, by name."""
        with self.database.reading() as connection:
            return index.buckets(connection)

    def bucket(self, name: str) -> Bucket:
        """Return a bucket."""
        with self.database.reading() as connection:
            found = index.bucket(connection, name)
        if found is None:
            raise no_such_bucket(name)
        return found

    def create_bucket(self, name: str, region: str = DEFAULT_REGION) -> bool:
        """
        Make a bucket; return False where it was there already.

        Raises:
            ApiError: ``InvalidBucketName``.
        """
        check_bucket_name(name)
        self.tree.add_bucket(name)
        with self.database.transaction() as connection:
            insert = "INSERT OR IGNORE INTO s3_buckets (name, region, created_ns) VALUES (?, ?, ?)"
            return connection.execute(insert, (name, region, time.time_ns())).rowcount == 1

    def delete_bucket(self, name: str) -> None:
        """
        Delete an empty bucket.

        Raises:
            ApiError: ``BucketNotEmpty``.
        """
        self.bucket(name)
        with self.database.transaction() as connection:
            if index.page(connection, name, "", "", 1):
                message = "The bucket you tried to delete is not empty"
                raise ApiError("BucketNotEmpty", message, 409, fields={"BucketName": name})
            connection.execute("DELETE FROM s3_buckets WHERE name = ?", (name,))
            self.tree.remove_bucket(name)

    # Reading

    def find(self, bucket: str, key: str) -> Stored | None:
        """Return an object, or None where the bucket has none of that key."""
        with self.database.reading() as connection:
            found = index.find(connection, bucket, key)
        if found is None:
            self.bucket(bucket)
        return found

    def exists(self, bucket: str, key: str) -> bool:
        """Say whether there is such an object."""
        return self.find(bucket, key) is not None

    def head(self, bucket: str, key: str) -> Stored:
        """Return what is known about an object."""
        found = self.find(bucket, key)
        if found is None:
            raise no_such_key(key)
        return found

    def open(self, bucket: str, key: str) -> tuple[Stored, BinaryIO]:
        """Open an object for reading; the file goes on being this object when it is replaced."""
        return self._joined(bucket, key, self._opened)

    def path(self, bucket: str, key: str) -> Path:
        """Return the file of an object; it is read-only, and replaced rather than changed."""
        return self.file(self.head(bucket, key))

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        """Return the keys that start with *prefix*, in order."""
        self.bucket(bucket)
        with self.database.reading() as connection:
            return [stored.key for stored in index.walk(connection, bucket, prefix)]

    def file(self, stored: Stored) -> Path:
        """Return where an object's bytes are."""
        return self.tree.path(stored.bucket, stored.key, overflow=stored.overflow)

    # Writing

    def put_bytes(
        self, bucket: str, key: str, content: bytes, attributes: Attributes = NO_ATTRIBUTES
    ) -> Stored:
        """Write an object from memory."""
        file = self.tree.new_file()
        file.write_bytes(content)
        return self.adopt(bucket, key, file, md5_hex(content), attributes=attributes)

    def put_file(
        self,
        bucket: str,
        key: str,
        path: Path,
        *,
        content_type: str | None = None,
        move: bool = False,
    ) -> Stored:
        """
        Write an object from a file of this machine, without HTTP.

        Args:
            content_type: Of the object; ``binary/octet-stream`` where there is none.
            move: Take the file itself, which is gone afterwards, rather than copy its bytes.
        """
        self.bucket(bucket)
        file = self.tree.new_file()
        if move:
            shutil.move(path, file)
        else:
            shutil.copyfile(path, file)
        headers = {"content-type": content_type} if content_type else unsaid()
        return self.adopt(bucket, key, file, file_md5_hex(file), attributes=Attributes(headers))

    def adopt(  # noqa: PLR0913 - the parts of an object
        self,
        bucket: str,
        key: str,
        file: Path,
        etag: str,
        *,
        attributes: Attributes,
        condition: Condition = anything,
    ) -> Stored:
        """
        Make an object of *file*, which is one of the tree's new files, complete and ours alone.

        Args:
            condition: Called with what is there now, under the write lock; may raise ApiError.
        """
        os.utime(file, ns=(self._clock.now_ns(),) * 2)
        file.chmod(READ_ONLY)
        return self._commit(bucket, key, file, etag, attributes=attributes, condition=condition)

    def copy(
        self,
        source: tuple[str, str],
        bucket: str,
        key: str,
        *,
        decide: Callable[[Stored], Attributes],
        condition: Condition = anything,
    ) -> Stored:
        """
        Write an object with the bytes of another: the same file under a second name.

        Args:
            source: Its bucket and key.
            decide: Called with what is copied; returns what to say of the copy, or raises ApiError.
            condition: As in adopt.
        """
        copied, file = self._joined(*source, self._linked)
        try:
            attributes = decide(copied)
            return self._commit(
                bucket, key, file, copied.etag, attributes=attributes, condition=condition
            )
        finally:
            file.unlink(missing_ok=True)

    def delete(self, bucket: str, keys: Iterable[str], condition: Condition = anything) -> None:
        """
        Delete objects; a key that is not there is fine.

        Args:
            condition: Called with each of them, under the write lock and before any is gone.
        """
        self.bucket(bucket)
        with self.database.transaction() as connection:
            there = [index.find(connection, bucket, key) for key in dict.fromkeys(keys)]
            for stored in there:
                condition(stored)
            for stored in filter(None, there):
                index.delete(connection, bucket, stored.key)
                self.tree.remove(bucket, stored.key, overflow=stored.overflow)

    def update(self, stored: Stored) -> None:
        """Write the row of an object again, if the object is still that one."""
        with self.database.transaction() as connection:
            current = index.find(connection, stored.bucket, stored.key)
            if current is not None and current.stamp_ns == stored.stamp_ns:
                index.save(connection, stored)

    def now_ns(self) -> int:
        """Return the time in nanoseconds since 1970, never the same twice."""
        return self._clock.now_ns()

    def _joined(
        self, bucket: str, key: str, take: Callable[[Stored], T | None]
    ) -> tuple[Stored, T]:
        """Return an object and what *take* makes of its file, None where that is another's."""
        for _ in range(READ_ATTEMPTS):
            stored = self.head(bucket, key)
            with suppress(FileNotFoundError):
                taken = take(stored)
                if taken is not None:
                    return stored, taken
            if self.find(bucket, key) == stored:
                reread(self.database, stored, self.file(stored))
        raise ApiError("OperationAborted", f"{key} is being replaced all the time", 409)

    def _opened(self, stored: Stored) -> BinaryIO | None:
        file = self.file(stored).open("rb")
        if describes(stored, os.fstat(file.fileno())):
            return file
        file.close()
        return None

    def _linked(self, stored: Stored) -> Path | None:
        file = self.tree.new_file()
        link(self.file(stored), file)
        if describes(stored, file.stat()):
            return file
        file.unlink()
        return None

    def _commit(  # noqa: PLR0913
        self,
        bucket: str,
        key: str,
        file: Path,
        etag: str,
        *,
        attributes: Attributes,
        condition: Condition,
    ) -> Stored:
        status = file.stat()
        try:
            check_key(key)
            with self.database.transaction() as connection:
                if index.bucket(connection, bucket) is None:
                    raise no_such_bucket(bucket)
                old = index.find(connection, bucket, key)
                condition(old)
                overflow = self.tree.place(file, bucket, key)
                new = Stored(
                    *(bucket, key, status.st_size, etag),
                    *(self._clock.now_ns(), status.st_mtime_ns, overflow),
                    *(attributes.headers, attributes.checksums, attributes.tags),
                )
                index.save(connection, new)
        finally:
            file.unlink(missing_ok=True)
        if old is not None and old.overflow and not overflow:
            self.file(old).unlink(missing_ok=True)
        return new
