"""Staging uploads what has changed, under canonical names, and says what it cannot read."""

import os
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from kennel.datasets import stage
from kennel.datasets.stage import Stored
from kennel.errors import DataError
from kennel.jobs import storage
from kennel.jobs.storage import Location

HOME = Location("bucket", "kennel/data/pets")


@pytest.fixture
def s3(monkeypatch):
    """A bucket of moto's, in this process."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket=HOME.bucket)
        yield client


@pytest.fixture
def pets(tmp_path):
    """Two classes in three splits, the validation folder by one of its other names."""
    for split in ("train", "validation", "test"):
        for name in ("cat", "dog"):
            write(tmp_path / "pets" / split / name / "1.jpg", f"{split} {name}")
    return tmp_path / "pets"


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def run(s3, folder):
    """Stage *folder* and return what it took."""
    found = stage.plan(folder, HOME.key, listing(s3))
    stage.upload(s3, HOME.bucket, found.uploads)
    return found


def listing(s3):
    return {key: Stored(size, etag) for key, size, etag in storage.listing(s3, HOME)}


def test_a_dataset_lands_under_canonical_split_names(s3, pets):
    """
    "validation" here is "valid" in the bucket, and each file is there with its bytes and type.
    """
    found = run(s3, pets)

    assert found.splits == ("train", "valid", "test")
    assert set(listing(s3)) == {
        f"{HOME.key}/{split}/{name}/1.jpg"
        for split in ("train", "valid", "test")
        for name in ("cat", "dog")
    }
    stored = s3.get_object(Bucket=HOME.bucket, Key=f"{HOME.key}/valid/cat/1.jpg")
    assert stored["Body"].read() == b"validation cat"
    assert stored["ContentType"] == "image/jpeg"


def test_a_second_run_uploads_only_what_changed(s3, pets):
    """
    One file changed (its size did not), one is new: two uploads, and the rest stays.
    """
    run(s3, pets)
    write(pets / "train" / "cat" / "1.jpg", "train cow")
    write(pets / "train" / "cat" / "2.jpg", "more")

    again = run(s3, pets)

    assert [u.key.removeprefix(HOME.key) for u in again.uploads] == [
        "/train/cat/1.jpg",
        "/train/cat/2.jpg",
    ]
    assert again.unchanged == 5
    assert run(s3, pets).uploads == ()


def test_encrypted_objects_are_known_by_their_metadata(s3, pets):
    """
    Under KMS the ETag is no MD5: then the metadata that was stored with the file decides.
    """
    first = run(s3, pets)
    strange = {key: Stored(o.size, "not-an-md5") for key, o in listing(s3).items()}

    def has_md5(key, md5):
        return storage.has_metadata(s3, Location(HOME.bucket, key), stage.MD5, md5)

    assert stage.plan(pets, HOME.key, strange, has_md5=has_md5).uploads == ()
    assert stage.plan(pets, HOME.key, strange).uploads == first.uploads


def test_what_the_folder_lacks_is_named_and_kept(s3, pets):
    """
    A file that was removed here stays in the bucket, and staging says so.
    """
    run(s3, pets)
    (pets / "test" / "dog" / "1.jpg").unlink()

    found = run(s3, pets)

    assert found.stale == (f"{HOME.key}/test/dog/1.jpg",)
    assert found.stale[0] in listing(s3)


def test_class_folders_alone_are_the_train_split(s3, tmp_path):
    """
    A dataset without splits is one channel, which the training divides.
    """
    write(tmp_path / "cat" / "1.jpg", "x")

    found = run(s3, tmp_path)

    assert found.splits == ("train",)
    assert list(listing(s3)) == [f"{HOME.key}/train/cat/1.jpg"]


def test_hidden_files_are_not_uploaded(s3, pets):
    """
    .DS_Store and its like stay where they are.
    """
    write(pets / "train" / ".DS_Store", "x")
    write(pets / "train" / "cat" / ".hidden", "x")

    assert not [u for u in run(s3, pets).uploads if "/." in u.key]


def test_names_may_hold_anything_that_a_key_may(s3, tmp_path):
    """
    Spaces, plus signs, per cent signs and other alphabets arrive as they are.
    """
    write(tmp_path / "a b+c" / "été 100%.png", "x")

    run(s3, tmp_path)

    assert list(listing(s3)) == [f"{HOME.key}/train/a b+c/été 100%.png"]


def test_the_request_that_is_shown_is_the_one_that_is_sent(pets):
    """
    PutObject gets precisely the members of the dry run, Body being the file that it names.
    """
    sent = []

    class Client:
        def put_object(self, **request):
            sent.append(request | {"Body": request["Body"].name})

    uploads = stage.plan(pets, HOME.key, {}).uploads
    shown = [upload.request(HOME.bucket) for upload in uploads]
    stage.upload(Client(), HOME.bucket, uploads)

    def by_key(requests):
        return sorted(requests, key=lambda request: request["Key"])

    assert by_key(sent) == by_key(shown)


def test_the_first_failure_stops_the_rest(pets):
    """
    What AWS refuses once it is not asked for a thousand times more.
    """
    asked = []

    class Client:
        def put_object(self, **request):
            asked.append(request["Key"])
            raise PermissionError

    one = stage.plan(pets, HOME.key, {}).uploads[0]

    with pytest.raises(DataError):
        stage.upload(Client(), HOME.bucket, [one] * 5000)
    assert len(asked) <= stage.WORKERS


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(lambda _p: None, "is no folder", id="missing"),
        pytest.param(lambda p: write(p, "x"), "is no folder", id="a-file"),
        pytest.param(lambda p: (p / "train").mkdir(parents=True), "holds no files", id="empty"),
        pytest.param(
            lambda p: [(p / n / "a").mkdir(parents=True) for n in ("train", "val", "valid")],
            "two folders of valid",
            id="two-spellings",
        ),
        pytest.param(
            lambda p: [
                (p / "a").mkdir(parents=True),
                (p / "a" / os.fsdecode(b"\xff.jpg")).write_bytes(b"x"),
            ],
            "is not UTF-8",
            id="not-utf-8",
        ),
        pytest.param(
            lambda p: write(
                p / "a" / ("d" * 200) / ("e" * 200) / ("f" * 200) / ("é" * 120) / "g" / ("h" * 200),
                "x",
            ),
            "at most 1024",
            id="long-key",
        ),
        pytest.param(
            lambda p: [(p / "a").mkdir(parents=True), (p / "a" / "1.jpg").symlink_to("nowhere")],
            "holds no files but 1 links to nothing",
            id="dangling-links-alone",
        ),
    ],
)
def test_a_folder_that_cannot_be_staged_says_why(tmp_path, make, message):
    """
    The error names the path, before anything is uploaded.
    """
    make(tmp_path / "set")

    with pytest.raises(DataError, match=message):
        stage.plan(tmp_path / "set", HOME.key, {})


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(
            ["test", "train", "val"],
            {"train": "s3://b/x/train/", "valid": "s3://b/x/val/", "test": "s3://b/x/test/"},
            id="splits",
        ),
        pytest.param(["cat", "dog"], {"train": "s3://b/x/"}, id="classes"),
    ],
)
def test_folders_in_s3_become_channels(found, expected):
    """
    Split folders are channels by their canonical names; class folders are one channel.
    """
    assert stage.channels("s3://b/x", found) == expected


def test_a_listing_of_a_bucket_that_is_not_there_is_empty(s3):
    """
    A dry run before the first upload has nothing to compare with.
    """
    assert list(storage.listing(s3, Location("no-such-bucket", ""))) == []
    assert not storage.bucket_exists(s3, "no-such-bucket")


def test_a_single_file_goes_where_its_content_says(tmp_path):
    """
    Weights are stored by their MD5, so the same file is uploaded once.
    """
    write(tmp_path / "w.pth", "weights")

    item = stage.single(tmp_path / "w.pth", lambda md5: f"weights/{md5[:4]}")

    assert item.key == f"weights/{item.md5[:4]}/w.pth"
    with pytest.raises(DataError, match="is no file"):
        stage.single(Path("nowhere"), lambda md5: md5)


def test_a_link_to_nothing_is_passed_over_and_named(pets):
    """
    A training passes it over too; the rest of the dataset is staged.
    """
    (pets / "test" / "cat" / "2.jpg").symlink_to("nowhere")
    (pets / "test" / "cat" / "3.jpg").symlink_to("1.jpg")

    found = stage.plan(pets, HOME.key, {})

    assert found.skipped == (pets / "test" / "cat" / "2.jpg",)
    assert len(found.uploads) == 7
