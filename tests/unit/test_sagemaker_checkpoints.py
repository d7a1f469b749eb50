"""Checkpoints travel to S3 whole, and back without being shared with it."""

import hashlib
import os
import subprocess
import sys
import time

import pytest

from kennel.local.database import Database
from kennel.local.s3.objects import Objects
from kennel.local.sagemaker.training.checkpoints import Checkpoints

# Writes checkpoints without end, each named after what is in it, and keeps two of them.
WRITER = """
import hashlib, os, sys
folder, kept = sys.argv[1], []
while True:
    content = os.urandom(3_000_000)
    with open(folder + "/.partial", "wb") as file:
        for start in range(0, len(content), 100_000):
            file.write(content[start : start + 100_000])
    kept.append(folder + "/" + hashlib.sha256(content).hexdigest() + ".pt")
    os.replace(folder + "/.partial", kept[-1])
    if len(kept) > 2:
        os.remove(kept.pop(0))
"""


def digest_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def objects(tmp_path):
    database = Database(tmp_path / "state.db")
    objects = Objects(tmp_path / "s3", database)
    objects.create_bucket("bucket")
    yield objects
    database.close()


@pytest.fixture
def checkpoints(objects, tmp_path):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    return Checkpoints(objects, tmp_path, folder, "s3://bucket/checkpoints", tmp_path / "copies")


@pytest.fixture
def writer(checkpoints):
    """A script that writes checkpoints, and has written one."""
    command = [sys.executable, "-I", "-S", "-c", WRITER, checkpoints.folder]
    with subprocess.Popen(command) as process:  # noqa: S603 - ours
        deadline = time.monotonic() + 30
        while not any(checkpoints.folder.glob("*.pt")):
            assert time.monotonic() < deadline
            time.sleep(0.001)
        yield process
        process.kill()


def stored(objects):
    return {key: objects.path("bucket", key).read_text() for key in objects.keys("bucket")}


def test_a_file_is_stored_when_it_stays_the_same(checkpoints, objects):
    """
    One that is still being written is not stored in pieces.
    """
    file = checkpoints.folder / "last.pt"
    file.write_text("half")
    assert checkpoints.sync() == 0
    file.write_text("whole")
    assert checkpoints.sync() == 0

    assert checkpoints.sync() == 1
    assert stored(objects) == {"checkpoints/last.pt": "whole"}


def test_a_file_that_is_open_for_writing_waits(checkpoints, objects):
    """
    A script that pauses in the middle of a file has not saved it yet.
    """
    with (checkpoints.folder / "last.pt").open("w") as file:
        file.write("half")
        file.flush()
        assert [checkpoints.sync() for _ in range(3)] == [0, 0, 0]
        file.write(" and half")

    assert [checkpoints.sync() for _ in range(3)] == [0, 1, 0]
    assert stored(objects) == {"checkpoints/last.pt": "half and half"}


def test_files_are_stored_in_the_order_in_which_they_were_written(checkpoints, objects):
    """
    Who finds one in S3 finds there what it refers to: an index comes after its events.
    """
    for age, name in enumerate(("a-index", "z-events", "m-events")):
        (checkpoints.folder / name).touch()
        os.utime(checkpoints.folder / name, (1000 - age, 1000 - age))
    checkpoints.sync(ended=True)

    keys = objects.keys("bucket")
    by_time = sorted(keys, key=lambda key: objects.head("bucket", key).modified_ns)
    assert [key.rpartition("/")[2] for key in by_time] == ["m-events", "z-events", "a-index"]


def test_many_files_do_not_hold_up_who_watches_the_job(checkpoints, objects, monkeypatch):
    """
    While the job runs a call stores what it has time for, the oldest first, though always
    something; at the end it stores them all.
    """
    monkeypatch.setattr("kennel.local.sagemaker.training.checkpoints.PASS_S", 0)
    for age, name in enumerate("dcba"):
        (checkpoints.folder / name).touch()
        os.utime(checkpoints.folder / name, (1000 - age, 1000 - age))

    assert [checkpoints.sync() for _ in range(3)] == [0, 1, 1]
    assert set(stored(objects)) == {"checkpoints/a", "checkpoints/b"}
    assert checkpoints.sync(ended=True) == 2


@pytest.mark.parametrize("after_s", [0.05, 0.11, 0.17, 0.23])
def test_a_script_that_is_killed_leaves_no_torn_checkpoint(
    checkpoints, objects, writer, tmp_path, after_s
):
    """
    Whenever SIGKILL comes, while it writes or while we store, each checkpoint in S3 is whole.
    """
    deadline = time.monotonic() + after_s
    while time.monotonic() < deadline:
        checkpoints.sync()
        time.sleep(0.001)
    writer.kill()
    writer.wait()
    checkpoints.sync(ended=True)
    again = Checkpoints(
        objects, tmp_path, tmp_path / "again", checkpoints.uri, tmp_path / "more-copies"
    )
    again.restore()

    found = list(again.folder.glob("*.pt"))
    assert found
    assert {path.stem for path in found} == {digest_of(path) for path in found}
    assert {path.name for path in checkpoints.folder.glob("*.pt")} <= {p.name for p in found}


def test_at_the_end_everything_is_stored(checkpoints, objects):
    """
    Nobody writes any more, so nothing waits; folders keep their names.
    """
    (checkpoints.folder / "epoch").mkdir()
    (checkpoints.folder / "epoch" / "1.pt").write_text("one")

    assert checkpoints.sync(ended=True) == 1
    assert stored(objects) == {"checkpoints/epoch/1.pt": "one"}


def test_what_has_not_changed_is_not_stored_again(checkpoints):
    """
    A large checkpoint is copied once, not at every look.
    """
    (checkpoints.folder / "last.pt").write_text("content")
    checkpoints.sync(ended=True)

    assert checkpoints.sync(ended=True) == 0


def test_writing_in_place_does_not_change_the_object(checkpoints, objects):
    """
    The object is a copy: what the script does to its file later is another version.
    """
    file = checkpoints.folder / "last.pt"
    file.write_text("first")
    checkpoints.sync(ended=True)
    file.write_text("other")

    assert stored(objects) == {"checkpoints/last.pt": "first"}


def test_checkpoints_come_back(checkpoints, objects):
    """
    A restored file can be written to, and S3 keeps what it had.
    """
    objects.put_bytes("bucket", "checkpoints/a/last.pt", b"content")
    objects.put_bytes("bucket", "checkpoints/folder/", b"")

    assert checkpoints.restore() == 1
    file = checkpoints.folder / "a" / "last.pt"
    assert file.read_text() == "content"
    file.write_text("changed")
    assert stored(objects)["checkpoints/a/last.pt"] == "content"


def test_what_was_restored_is_not_stored_again(checkpoints, objects):
    """
    A job that writes no checkpoint leaves S3 as it was.
    """
    objects.put_bytes("bucket", "checkpoints/last.pt", b"content")
    checkpoints.restore()

    assert checkpoints.sync(ended=True) == 0


def test_the_next_server_knows_what_was_stored(checkpoints, objects, tmp_path):
    """
    It stores what has changed since, and nothing again.
    """
    objects.put_bytes("bucket", "checkpoints/old.pt", b"content")
    checkpoints.restore()
    (checkpoints.folder / "last.pt").write_text("content")
    checkpoints.sync(ended=True)

    again = Checkpoints(objects, tmp_path, checkpoints.folder, checkpoints.uri, tmp_path / "copies")
    assert again.sync(ended=True) == 0


def test_a_name_that_is_not_utf8_is_stored(checkpoints, objects):
    """
    Keys are UTF-8; what is not becomes a replacement character, and the job goes on.
    """
    (checkpoints.folder / os.fsdecode(b"caf\xe9.pt")).write_text("content")
    checkpoints.sync(ended=True)

    assert stored(objects) == {"checkpoints/caf\N{REPLACEMENT CHARACTER}.pt": "content"}
