"""The AWS CLI, unmodified, against the local server."""

import json
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest


@pytest.fixture
def bucket(run_aws):
    """A new bucket, made by the CLI."""
    name = f"cli-{uuid.uuid4().hex[:12]}"
    run_aws("s3", "mb", f"s3://{name}")
    return name


@pytest.fixture
def folder(tmp_path):
    """Some files, one of them large enough for several parts."""
    folder = tmp_path / "data"
    (folder / "cat").mkdir(parents=True)
    (folder / "cat" / "1 ü+&.jpg").write_bytes(b"one")
    (folder / "cat" / "empty").write_bytes(b"")
    (folder / "large").write_bytes(bytes(range(256)) * (9 * 2**20 // 256))
    minute_ago = time.time() - 60  # S3 keeps whole seconds: what is of the same second looks newer
    for file in content(folder):
        os.utime(folder / file, (minute_ago, minute_ago))
    return folder


def content(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_sync_goes_up_and_comes_back(run_aws, bucket, folder, tmp_path):
    """
    The same files; a second run has nothing to do; --delete removes what is gone.
    """
    uploaded = run_aws("s3", "sync", str(folder), f"s3://{bucket}/data", "--no-progress")
    again = run_aws("s3", "sync", str(folder), f"s3://{bucket}/data")
    run_aws("s3", "sync", f"s3://{bucket}/data", str(tmp_path / "back"), "--no-progress")
    before = content(folder)
    (folder / "large").unlink()
    deleted = run_aws("s3", "sync", str(folder), f"s3://{bucket}/data", "--delete")

    assert uploaded.count("upload: ") == 3
    assert again == ""
    assert content(tmp_path / "back") == before
    assert deleted.strip() == f"delete: s3://{bucket}/data/large"


def test_cp_ls_and_rm(run_aws, bucket, folder):
    """
    Upload, copy within S3, list, remove everything with its bucket.
    """
    run_aws("s3", "cp", str(folder / "large"), f"s3://{bucket}/a/large")
    run_aws("s3", "cp", f"s3://{bucket}/a/large", f"s3://{bucket}/b/large")

    listed = run_aws("s3", "ls", f"s3://{bucket}", "--recursive")
    folders = run_aws("s3", "ls", f"s3://{bucket}")
    removed = run_aws("s3", "rb", f"s3://{bucket}", "--force")

    assert [line.split()[2:] for line in listed.splitlines()] == [
        *(["9437184", "a/large"], ["9437184", "b/large"]),
    ]
    assert folders.split() == ["PRE", "a/", "PRE", "b/"]
    assert f"remove_bucket: {bucket}" in removed


def test_who_is_calling(run_aws):
    """
    The account of local mode.
    """
    assert json.loads(run_aws("sts", "get-caller-identity"))["Account"] == "000000000000"


def test_version_2_syncs_too(run_aws_2, bucket, folder, tmp_path):
    """
    Its requests differ a little from version 1's.
    """
    run_aws_2("s3", "sync", str(folder), f"s3://{bucket}/data", "--no-progress")
    run_aws_2("s3", "sync", f"s3://{bucket}/data", str(tmp_path / "back"), "--no-progress")

    assert content(tmp_path / "back") == content(folder)
    identity = run_aws_2("sts", "get-caller-identity", "--output", "json")
    assert json.loads(identity)["Account"] == "000000000000"


def test_logs_are_tailed(run_aws_2, aws):
    """
    ``aws logs tail`` prints the lines of every stream, in time.
    """
    group, now_ms = f"/cli/{uuid.uuid4().hex}", int(time.time() * 1000)
    logs = aws("logs")
    logs.create_log_group(logGroupName=group)
    for stream, lines in {"job/algo-1": ["epoch 1", "epoch 3"], "job/algo-2": ["epoch 2"]}.items():
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        logs.put_log_events(
            logGroupName=group,
            logStreamName=stream,
            logEvents=[
                {"timestamp": now_ms - 10_000 + int(line[-1]), "message": line} for line in lines
            ],
        )

    tailed = run_aws_2("logs", "tail", group, "--since", "5m", "--log-stream-name-prefix", "job")

    lines = [line.split(maxsplit=2)[1:] for line in tailed.splitlines()]
    assert lines == [
        *(["job/algo-1", "epoch 1"], ["job/algo-2", "epoch 2"], ["job/algo-1", "epoch 3"]),
    ]


def test_what_local_mode_lacks_is_said_by_the_cli(server_environment):
    """
    On standard error, with the error's text.
    """
    command = [sys.executable, Path(sys.executable).with_name("aws"), "iam", "list-users"]
    done = subprocess.run(  # noqa: S603
        command, env=server_environment, capture_output=True, text=True, check=False
    )

    assert done.returncode != 0
    assert "iam POST / is not in local mode, which has: " in done.stderr
