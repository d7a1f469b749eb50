"""
S3 as the jobs need it: addresses, folders, buckets, archives that a job left.

Takes clients, opens none. Uploading a dataset stands in kennel.datasets.stage.
"""

import json
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from kennel import contract, unpacking
from kennel.errors import ArtifactError, JobError, SettingsError
from kennel.jobs.clients import Client
from kennel.jobs.failures import code_of, is_missing

FETCHED_AT_ONCE = 8  # boto3 keeps ten connections


@dataclass(frozen=True)
class Location:
    """A bucket and a key or prefix in it."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, uri: str) -> "Location":
        """Take ``s3://bucket/key`` apart; SettingsError for anything else."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        if not uri.startswith("s3://") or not bucket:
            raise SettingsError(f"{uri!r} is no S3 address", expected="s3://BUCKET/PREFIX")
        return cls(bucket, key)

    def __str__(self) -> str:
        """Write it as an S3 URI."""
        return f"s3://{self.bucket}/{self.key}"

    def __truediv__(self, name: str) -> "Location":
        """Return the location *name* below this one."""
        return Location(self.bucket, "/".join(p for p in (self.key.rstrip("/"), name) if p))


def bucket_exists(s3: Client, name: str) -> bool:
    """Say whether the bucket is there; SettingsError where it is somebody else's."""
    try:
        s3.head_bucket(Bucket=name)
    except ClientError as error:
        if is_missing(error):
            return False
        if code_of(error) in {"403", "AccessDenied"}:
            raise SettingsError(
                f"bucket {name} exists, and these credentials may not use it",
                expected="a bucket of your own: their names are shared by all AWS accounts",
                remedy="[aws] bucket in kennel.toml",
            ) from error
        raise
    return True


def folders(s3: Client, location: Location) -> list[str]:
    """Return the names of the folders just below *location*; none if there is no such bucket."""
    prefix = f"{location.key.rstrip('/')}/" if location.key else ""
    pages = _pages(s3, Bucket=location.bucket, Prefix=prefix, Delimiter="/")
    return [
        found["Prefix"].removeprefix(prefix).rstrip("/")
        for page in pages
        for found in page.get("CommonPrefixes", [])
    ]


def listing(s3: Client, location: Location) -> Iterator[tuple[str, int, str]]:
    """Yield key, size in bytes and ETag of every object under *location*; nothing if no bucket."""
    for page in _pages(s3, Bucket=location.bucket, Prefix=location.key):
        for found in page.get("Contents", []):
            yield found["Key"], found["Size"], found["ETag"].strip('"')


def _pages(s3: Client, **which: str) -> Iterator[dict[str, Any]]:
    try:
        yield from s3.get_paginator("list_objects_v2").paginate(**which)
    except ClientError as error:
        if not is_missing(error):
            raise


def outputs(described: dict[str, Any]) -> Location:
    """Return where the job's output.tar.gz is, given its description."""
    output = Location.parse(described["OutputDataConfig"]["S3OutputPath"])
    return output / f"{described['TrainingJobName']}/output/{contract.OUTPUT_ARCHIVE}"


def unpack(s3: Client, archive: Location, target: Path) -> list[Path]:
    """
    Fetch a .tar.gz and unpack it into *target*; return its files and links.

    Raises:
        JobError: There is no such object, it is torn, or something in it leads outside of *target*.
    """
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile() as file:
        try:
            s3.download_fileobj(archive.bucket, archive.key, file)
        except ClientError as error:
            if is_missing(error):
                raise JobError(f"there is nothing at {archive}") from error
            raise
        file.seek(0)
        try:
            return unpacking.unpack(file, target)
        except ArtifactError as error:
            raise JobError(f"{archive}: {error}") from error


def fetch(s3: Client, location: Location, folder: Path) -> list[Path]:
    """
    Fetch every object below *location* into *folder*, several at a time; return the files.

    Raises:
        JobError: The key of one would lead outside of *folder*.
    """
    prefix = f"{location.key.rstrip('/')}/" if location.key else ""
    keys = [key for key, _, _ in listing(s3, Location(location.bucket, prefix))]
    wanted = {key: _target(folder, key.removeprefix(prefix)) for key in keys if key[-1] != "/"}

    def one(key: str) -> Path:
        wanted[key].parent.mkdir(parents=True, exist_ok=True)
        s3.download_file(location.bucket, key, str(wanted[key]))
        return wanted[key]

    with ThreadPoolExecutor(FETCHED_AT_ONCE) as pool:
        return list(pool.map(one, wanted))


def _target(folder: Path, name: str) -> Path:
    path = Path(os.path.normpath(folder / name))
    if not path.is_relative_to(os.path.normpath(folder)):
        raise JobError(f"an object is called {name!r}, which leads outside of its folder")
    return path


def size(s3: Client, location: Location) -> int | None:
    """Return the size of an object in bytes; None where there is no such object."""
    try:
        return int(s3.head_object(Bucket=location.bucket, Key=location.key)["ContentLength"])
    except ClientError as error:
        if is_missing(error):
            return None
        raise


def document(s3: Client, location: Location) -> dict[str, Any] | None:
    """Read an object that is JSON; None where there is none, or one that is torn."""
    try:
        body = s3.get_object(Bucket=location.bucket, Key=location.key)["Body"].read()
    except ClientError as error:
        if is_missing(error):
            return None
        raise
    try:
        read = json.loads(body)
    except ValueError:
        return None
    return read if isinstance(read, dict) else None


def has_metadata(s3: Client, location: Location, name: str, value: str) -> bool:
    """Say whether an object carries this metadata."""
    answer = s3.head_object(Bucket=location.bucket, Key=location.key)
    return bool(answer.get("Metadata", {}).get(name) == value)
