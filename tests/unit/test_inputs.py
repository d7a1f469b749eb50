"""What a job reads: nothing is sent that it could not use, nothing is mixed."""

import json
from types import SimpleNamespace

import pytest
from PIL import Image

from kennel.cli import data as data_commands
from kennel.cli.inputs import Inputs
from kennel.datasets.stage import Staging
from kennel.errors import DataError
from kennel.jobs.storage import Location
from kennel.settings import Aws, Data, Settings

PREFIX = "kennel/data/pets/"


class FakeS3:
    """A bucket that holds *keys*."""

    def __init__(self, *keys):
        self.keys = keys

    def head_bucket(self, **_which):
        return {}

    def get_paginator(self, _operation):
        return self

    def paginate(self, *, Prefix, **_which):  # noqa: N803 - boto3's own name
        found = [{"Key": k, "Size": 1, "ETag": "x"} for k in self.keys if k.startswith(Prefix)]
        return [{"Contents": found}]


class FakeExecutor:
    """Remembers what it was to do."""

    def __init__(self):
        self.done = []

    def send(self, calls):
        self.done.extend(calls)

    def upload(self, _bucket, uploads):
        self.done.extend(upload.key for upload in uploads)


@pytest.fixture
def pets(tmp_path):
    """Two pictures, of two classes."""
    for number, name in enumerate(("cat", "dog")):
        (tmp_path / "pets" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / "pets" / name / "1.png")
    return tmp_path / "pets"


def inputs(*stored, **data):
    settings = Settings(aws=Aws(region="eu-west-1", bucket="b-1"), data=Data(**data))
    return Inputs(settings, SimpleNamespace(region="eu-west-1", s3=FakeS3(*stored)), FakeExecutor())


def test_a_folder_is_staged_on_the_way(pets):
    """
    What the bucket lacks is uploaded; the channels name it.
    """
    ours = inputs(f"{PREFIX}train/cat/1.png")

    assert ours.channels(str(pets)) == {"train": f"s3://b-1/{PREFIX}train/"}
    assert [f"{PREFIX}train/cat/1.png", f"{PREFIX}train/dog/1.png"] == ours.executor.done


def test_two_datasets_are_not_mixed(pets):
    """
    What the bucket has and the folder lacks would be trained on: an error, and nothing is sent.
    """
    ours = inputs(f"{PREFIX}train/horse/1.png", f"{PREFIX}train/horse/2.png")

    with pytest.raises(DataError) as caught:
        ours.channels(str(pets))

    assert ours.executor.done == []
    for part in ("2 objects", "train/horse/1.png", f"kennel data stage {pets} --prune", "--name"):
        assert part in str(caught.value)


def test_the_remedy_prunes_the_dataset_that_is_meant(pets):
    """
    The folder of kennel.toml may have another name in the bucket.
    """
    ours = inputs("kennel/data/mine/train/horse/1.png", folder=pets, name="mine")

    with pytest.raises(DataError, match=rf"stage {pets} --name mine --prune"):
        ours.channels(None)


def test_what_no_training_can_use_is_not_uploaded(pets):
    """
    The check comes before the first byte.
    """
    (pets / "dog" / "1.png").write_bytes(b"no picture")
    ours = inputs()

    with pytest.raises(DataError, match="1 of 2 files"):
        ours.channels(str(pets))

    assert ours.executor.done == []


@pytest.mark.parametrize("as_json", [False, True])
def test_what_was_deleted_is_said(as_json):
    """
    How many and which, for people and for scripts.
    """
    found = Staging(PREFIX, ("train",), (), 2, stale=("a", "b"))

    text = data_commands.report(found, Location("b-1", PREFIX), found.stale, 0.1, as_json=as_json)

    if as_json:
        assert json.loads(text)["deleted"] == ["a", "b"]
    else:
        assert "2 deleted (e.g. a)" in text
