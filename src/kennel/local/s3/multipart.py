"""
Multipart uploads: parts wait as files of their own until the upload is completed or aborted.

Parts and uploads survive a restart. The ETag of the whole is the MD5 of the parts' MD5s and their
number, as on S3.
"""

import base64
import hashlib
import json
import shutil
import sqlite3
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kennel.local.s3.digests import CHECKSUM, COMPUTED, Digest, encoded
from kennel.local.s3.files import BLOCK_BYTES
from kennel.local.s3.index import Stored
from kennel.local.s3.objects import Attributes, Condition, Objects
from kennel.local.s3.tree import replace
from kennel.local.wire.errors import ApiError

SCHEMA = """
CREATE TABLE IF NOT EXISTS s3_uploads (
    id TEXT PRIMARY KEY, bucket TEXT NOT NULL, key TEXT NOT NULL, started_ns INTEGER NOT NULL,
    headers TEXT NOT NULL, tags TEXT NOT NULL, algorithm TEXT NOT NULL, whole INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS s3_parts (
    upload TEXT NOT NULL REFERENCES s3_uploads (id) ON DELETE CASCADE, number INTEGER NOT NULL,
    size INTEGER NOT NULL, etag TEXT NOT NULL, modified_ns INTEGER NOT NULL,
    checksums TEXT NOT NULL,
    PRIMARY KEY (upload, number)
) WITHOUT ROWID
"""
MIN_PART_BYTES = 5 * 2**20  # of each part but the last
MAX_PART_NUMBER = 10_000


@dataclass(frozen=True)
class Upload:
    """
    One upload.

    Args:
        algorithm: Of the checksums, e.g. ``crc32``; empty for none.
        whole: The checksum is of the whole object, rather than of the parts' checksums.
    """

    id: str
    bucket: str
    key: str
    started_ns: int
    headers: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    algorithm: str = ""
    whole: bool = False


@dataclass(frozen=True)
class Part:
    """One part that has arrived."""

    number: int
    size: int
    etag: str
    modified_ns: int
    checksums: Mapping[str, str] = field(default_factory=dict)


class Uploads:
    """The uploads in progress of an object store; methods raise ApiError ``NoSuchUpload``."""

    def __init__(self, objects: Objects) -> None:
        self.objects = objects
        self._database = objects.database
        self._database.create(SCHEMA)

    def create(
        self, bucket: str, key: str, attributes: Attributes, *, algorithm: str, whole: bool
    ) -> Upload:
        """Start an upload."""
        values = (uuid.uuid4().hex, bucket, key, time.time_ns())
        upload = Upload(*values, attributes.headers, attributes.tags, algorithm, whole)
        texts = (json.dumps(attributes.headers), json.dumps(attributes.tags))
        with self._database.transaction() as connection:
            self.objects.bucket(bucket)
            insert = "INSERT INTO s3_uploads VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            connection.execute(insert, (*values, *texts, algorithm, whole))
        return upload

    def find(self, bucket: str, key: str, upload_id: str) -> Upload:
        """Return an upload."""
        query = "SELECT * FROM s3_uploads WHERE id = ? AND bucket = ? AND key = ?"
        with self._database.reading() as connection:
            row = connection.execute(query, (upload_id, bucket, key)).fetchone()
        if row is None:
            raise no_such_upload(upload_id)
        return from_row(row)

    def in_progress(self, bucket: str, prefix: str) -> list[Upload]:
        """Return a bucket's uploads, by key and start."""
        self.objects.bucket(bucket)
        query = "SELECT * FROM s3_uploads WHERE bucket = ? ORDER BY key, started_ns"
        with self._database.reading() as connection:
            found = [from_row(row) for row in connection.execute(query, (bucket,))]
        return [upload for upload in found if upload.key.startswith(prefix)]

    def add_part(
        self, upload: Upload, number: int, file: Path, etag: str, checksums: Mapping[str, str]
    ) -> Part:
        """Take *file*, complete and ours alone, as a part; it replaces one of the same number."""
        part = Part(number, file.stat().st_size, etag, time.time_ns(), checksums)
        values = (upload.id, number, part.size, etag, part.modified_ns, json.dumps(checksums))
        with self._database.transaction() as connection:
            self._still_there(connection, upload)
            insert = "INSERT OR REPLACE INTO s3_parts VALUES (?, ?, ?, ?, ?, ?)"
            connection.execute(insert, values)
            replace(file, self._path(upload, number))
        return part

    def parts(self, upload: Upload) -> list[Part]:
        """Return the parts that have arrived, by number."""
        query = (
            "SELECT number, size, etag, modified_ns, checksums FROM s3_parts"
            " WHERE upload = ? ORDER BY number"
        )
        with self._database.reading() as connection:
            rows = connection.execute(query, (upload.id,)).fetchall()
        return [Part(**{**dict(row), "checksums": json.loads(row["checksums"])}) for row in rows]

    def complete(
        self, upload: Upload, wanted: Sequence[tuple[int, str]], condition: Condition
    ) -> Stored:
        """
        Join the parts to an object.

        Args:
            wanted: (number, ETag) of each part.

        Raises:
            ApiError: ``InvalidPart``, ``InvalidPartOrder`` or ``EntityTooSmall``.
        """
        parts = chosen({part.number: part for part in self.parts(upload)}, wanted)
        file = self.objects.tree.new_file()
        digest = COMPUTED[upload.algorithm]() if upload.algorithm in COMPUTED else None
        try:
            self._join(upload, parts, file, digest if upload.whole else None)
            attributes = Attributes(
                upload.headers, checksums_of_whole(upload, parts, digest), upload.tags
            )
            stored = self.objects.adopt(
                *(upload.bucket, upload.key, file, etag_of_whole(parts)),
                attributes=attributes,
                condition=condition,
            )
        finally:
            file.unlink(missing_ok=True)
        self.abort(upload)
        return stored

    def abort(self, upload: Upload) -> None:
        """Forget an upload and its parts."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM s3_uploads WHERE id = ?", (upload.id,))
            shutil.rmtree(self._folder(upload), ignore_errors=True)

    def delete_bucket(self, bucket: str) -> None:
        """
        Delete an empty bucket, and what was being uploaded to it.

        Raises:
            ApiError: ``BucketNotEmpty``.
        """
        with self._database.transaction():
            unfinished = self.in_progress(bucket, "")
            self.objects.delete_bucket(bucket)
            for upload in unfinished:
                self.abort(upload)

    def _join(
        self, upload: Upload, parts: Sequence[Part], target: Path, digest: Digest | None
    ) -> None:
        with target.open("xb") as joined:
            for part in parts:
                with self._path(upload, part.number).open("rb") as file:
                    while block := file.read(BLOCK_BYTES):
                        joined.write(block)
                        if digest is not None:
                            digest.update(block)

    def _still_there(self, connection: sqlite3.Connection, upload: Upload) -> None:
        query = "SELECT 1 FROM s3_uploads WHERE id = ?"
        if connection.execute(query, (upload.id,)).fetchone() is None:
            raise no_such_upload(upload.id)

    def _folder(self, upload: Upload) -> Path:
        return self.objects.tree.multipart / upload.id

    def _path(self, upload: Upload, number: int) -> Path:
        return self._folder(upload) / f"{number:05d}"


def from_row(row: sqlite3.Row) -> Upload:
    """Build an upload from its row."""
    values = dict(row)
    mappings = {name: json.loads(values[name]) for name in ("headers", "tags")}
    return Upload(**{**values, **mappings, "whole": bool(values["whole"])})


def chosen(arrived: Mapping[int, Part], wanted: Sequence[tuple[int, str]]) -> list[Part]:
    """Return the parts that a completion names, after S3's checks."""
    numbers = [number for number, _ in wanted]
    if numbers != sorted(set(numbers)):
        message = "The list of parts was not in ascending order. Parts must be ordered by number."
        raise ApiError("InvalidPartOrder", message)
    for number, etag in wanted:
        if number not in arrived or arrived[number].etag != etag:
            message = (
                "One or more of the specified parts could not be found. The part may not have been"
                " uploaded, or the specified entity tag may not match the part's entity tag."
            )
            raise ApiError("InvalidPart", message, fields={"PartNumber": number, "ETag": etag})
    parts = [arrived[number] for number in numbers]
    for part in parts[:-1]:
        if part.size < MIN_PART_BYTES:
            message = "Your proposed upload is smaller than the minimum allowed size"
            fields = {"PartNumber": part.number, "ProposedSize": part.size}
            fields["MinSizeAllowed"] = MIN_PART_BYTES
            raise ApiError("EntityTooSmall", message, fields=fields)
    return parts


def etag_of_whole(parts: Sequence[Part]) -> str:
    """Return the ETag of the object that *parts* make."""
    digests = b"".join(bytes.fromhex(part.etag) for part in parts)
    return f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"


def checksums_of_whole(
    upload: Upload, parts: Sequence[Part], digest: Digest | None
) -> dict[str, str]:
    """Return the checksum header of the object that *parts* make, where it can be computed."""
    name = f"{CHECKSUM}{upload.algorithm}"
    if digest is None:
        return {}
    if not upload.whole:
        if not all(name in part.checksums for part in parts):
            return {}
        for part in parts:
            digest.update(base64.b64decode(part.checksums[name]))
    suffix = "" if upload.whole else f"-{len(parts)}"
    return {name: encoded(digest.digest()) + suffix}


def no_such_upload(upload_id: str) -> ApiError:
    """Return S3's error for an upload that is not there, or no more."""
    message = (
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have"
        " been aborted or completed."
    )
    return ApiError("NoSuchUpload", message, 404, fields={"UploadId": upload_id})
