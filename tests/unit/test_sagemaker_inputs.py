"""A channel is a folder of the job's own, or a view of the bucket, never a copy."""

import pytest

from kennel.contract import ContainerPaths
from kennel.local.database import Database
from kennel.local.s3.objects import Objects
from kennel.local.sagemaker.training import inputs


@pytest.fixture
def objects(tmp_path):
    database = Database(tmp_path / "state.db")
    objects = Objects(tmp_path / "s3", database)
    objects.create_bucket("bucket")
    for key in ("train/a", "train/b", "valid/c", "valid/d"):
        objects.put_bytes("bucket", key, key.encode())
    yield objects
    database.close()


@pytest.fixture
def mounted(objects, tmp_path):
    """Provide channels (prefix → own input mode) and return the targets of those mounted."""

    def provide(modes, *, mode="File", **options):
        job = {
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
            "AlgorithmSpecification": {"TrainingInputMode": mode},
            "InputDataConfig": [
                {
                    "ChannelName": prefix,
                    "DataSource": {"S3DataSource": {"S3Uri": f"s3://bucket/{prefix}"}},
                    **({"InputMode": own} if own else {}),
                }
                for prefix, own in modes.items()
            ],
        }
        mounts = inputs.provide(objects, job, tmp_path / "ml", **options)
        return [mount.target for mount in mounts]

    return provide


def test_a_channel_in_file_mode_is_the_jobs_own(mounted, objects, tmp_path):
    """
    Removing its files leaves the bucket as it was.
    """
    assert mounted({"train": None}) == []

    (ContainerPaths(tmp_path / "ml").channel("train") / "a").unlink()
    assert objects.path("bucket", "train/a").read_bytes() == b"train/a"


@pytest.mark.parametrize(
    ("mode", "own"),
    [pytest.param("FastFile", None, id="the-jobs"), pytest.param("File", "FastFile", id="its-own")],
)
def test_a_channel_in_fast_file_mode_is_a_view(mounted, mode, own):
    """
    Whether the channel says so or the algorithm.
    """
    assert mounted({"train": own, "valid": "File"}, mode=mode) == ["input/data/train"]


def test_large_channels_are_views(mounted):
    """
    A job starts in the same time whatever its size: its channels share a number of links.
    """
    assert mounted({"train": None, "valid": None}, linked=3) == ["input/data/valid"]
