"""Where an earlier job has left features is noted under what they depend on."""

import boto3
import pytest
from moto import mock_aws

from kennel.jobs import features
from kennel.jobs.storage import Location

HOME = Location("bucket", "kennel")
CHANNELS = {"train": [("cat/1.jpg", 3, "e1"), ("dog/1.jpg", 4, "e2")], "weights": [("w", 9, "e3")]}
SHAPING = {"model": "alexnet", "image-size": 224}
CHECKPOINTS = "s3://bucket/kennel/checkpoints/job"


@pytest.fixture
def s3():
    """An S3 with the bucket."""
    with mock_aws():
        client = boto3.client("s3", "us-east-1", aws_access_key_id="a", aws_secret_access_key="b")  # noqa: S106 - moto's
        client.create_bucket(Bucket="bucket")
        yield client


def noted(s3, key):
    for call in features.noted(HOME, key, job="job", checkpoints=CHECKPOINTS):
        getattr(s3, call.operation)(**call.request)


@pytest.mark.parametrize(
    ("channels", "shaping", "image"),
    [
        pytest.param({"train": CHANNELS["train"]}, SHAPING, "i", id="weights"),
        pytest.param(
            {**CHANNELS, "train": [("cat/1.jpg", 3, "other"), ("dog/1.jpg", 4, "e2")]},
            SHAPING,
            "i",
            id="a-picture",
        ),
        pytest.param({**CHANNELS, "valid": []}, SHAPING, "i", id="splits"),
        pytest.param(CHANNELS, {**SHAPING, "image-size": 32}, "i", id="hyperparameter"),
        pytest.param(CHANNELS, SHAPING, "other", id="image"),
    ],
)
def test_what_features_depend_on_makes_another_key(channels, shaping, image):
    """
    Pictures, weights, what shapes the features, and whose code computes them.
    """
    key = features.key(CHANNELS, SHAPING, "i")

    assert features.key(channels, shaping, image) != key
    shuffled = {name: objects[::-1] for name, objects in reversed(CHANNELS.items())}
    assert features.key(shuffled, SHAPING, "i") == key


def test_features_are_found_once_they_are_whole(s3, valid_request):
    """
    A note alone says where they will be: until their description is there, there are none.
    """
    key = features.key(CHANNELS, SHAPING, "i")
    assert features.find(s3, HOME, key) is None
    noted(s3, key)
    uri = f"{CHECKPOINTS}/features/"
    (call,) = features.noted(HOME, key, job="job", checkpoints=CHECKPOINTS)
    valid_request(call.operation, call.request, service="s3")
    s3.put_object(Bucket="bucket", Key="kennel/checkpoints/job/features/train.npy", Body=b"")
    assert features.find(s3, HOME, key) == features.Left("job", uri, whole=False)

    s3.put_object(Bucket="bucket", Key="kennel/checkpoints/job/features/features.json", Body=b"")

    assert features.find(s3, HOME, key) == features.Left("job", uri, whole=True)
    assert features.find(s3, HOME, features.key({}, SHAPING, "i")) is None


@pytest.mark.parametrize("body", [b"", b"[]", b'{"checkpoints": 3}', b"{"])
def test_a_torn_note_is_none(s3, body):
    """
    The features are computed again.
    """
    place = features.note(HOME, "k")
    s3.put_object(Bucket=place.bucket, Key=place.key, Body=body)

    assert features.find(s3, HOME, "k") is None


def test_without_a_bucket_there_are_none(s3):
    """
    A first dry run asks before the bucket is made.
    """
    assert features.find(s3, Location("no-such-bucket", "kennel"), "k") is None
