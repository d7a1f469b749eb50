"""Folders are fetched from S3 whole, and into their own folder alone."""

from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from kennel.errors import JobError
from kennel.jobs import storage
from kennel.jobs.storage import Location

PLACE = Location("bucket", "jobs/one")


class Bucket:
    """As much of an S3 client as fetching needs."""

    def __init__(self, objects):
        self._objects = objects

    def get_paginator(self, _operation):
        return self

    def paginate(self, **which):
        found = [key for key in self._objects if key.startswith(which["Prefix"])]
        yield {"Contents": [{"Key": k, "Size": len(self._objects[k]), "ETag": "e"} for k in found]}

    def download_file(self, _bucket, key, target):
        Path(target).write_bytes(self._objects[key])

    def head_object(self, **which):
        if which["Key"] not in self._objects:
            raise ClientError({"Error": {"Code": "404"}}, "HeadObject")
        return {"ContentLength": len(self._objects[which["Key"]])}


def test_a_folder_comes_whole(tmp_path):
    """
    Its folders with it; what only begins with its name, and marks of folders, stay.
    """
    objects = {
        "jobs/one/a.json": b"1",
        "jobs/one/events/0/b": b"2",
        "jobs/one/": b"",
        "jobs/one-more/c": b"3",
    }

    found = storage.fetch(Bucket(objects), PLACE, tmp_path)

    assert {path.relative_to(tmp_path).as_posix() for path in found} == {"a.json", "events/0/b"}
    assert (tmp_path / "events" / "0" / "b").read_bytes() == b"2"


def test_nothing_is_fetched_of_nothing(tmp_path):
    """
    Nor is a folder made for it.
    """
    assert storage.fetch(Bucket({}), PLACE, tmp_path / "new") == []
    assert not (tmp_path / "new").exists()


def test_no_object_leads_outside(tmp_path):
    """
    A key may be anything; nothing at all is fetched then.
    """
    objects = {"jobs/one/a": b"1", "jobs/one/../../b": b"2"}

    with pytest.raises(JobError, match="outside"):
        storage.fetch(Bucket(objects), PLACE, tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_a_size_is_told_of_what_is_there():
    """
    Of anything else, that it is not.
    """
    bucket = Bucket({"jobs/one": b"123"})

    assert storage.size(bucket, PLACE) == 3
    assert storage.size(bucket, Location("bucket", "x")) is None
