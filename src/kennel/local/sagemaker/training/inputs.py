"""
The channels of a training job: S3 objects that the container sees as files, without a copy.

A channel in File mode is a snapshot in a folder of the job's own, as far as a job starts in the
same time with one; FastFile, and what is larger, is a view of the bucket's folder.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kennel.contract import ContainerPaths
from kennel.local.resources import Document
from kennel.local.runtimes.protocol import Mount
from kennel.local.s3 import index, mounts
from kennel.local.s3.objects import Objects
from kennel.local.sagemaker import s3_uri
from kennel.local.sagemaker.names import invalid
from kennel.local.sagemaker.training import cluster
from kennel.local.sagemaker.training.layout import input_mode
from kennel.local.wire.errors import ApiError

# Objects of one job that are linked rather than viewed: a fraction of a second.
LINKED_OBJECTS = 20_000


def check(objects: Objects, job: Mapping[str, Any], region: str) -> None:
    """
    Ask that every channel has objects.

    Raises:
        ApiError: ``ValidationException``, in AWS's words.
    """
    for channel in job.get("InputDataConfig", []):
        uri = channel["DataSource"]["S3DataSource"]["S3Uri"]
        if not has_objects(objects, uri):
            raise no_objects(uri, region, job["RoleArn"])


def has_objects(objects: Objects, uri: str) -> bool:
    """Return whether there is an object under *uri*; takes the same time however many there are."""
    with objects.database.reading() as connection:
        return bool(index.page(connection, *s3_uri.split(uri), "", 1))


def no_objects(uri: str, region: str, role: str) -> ApiError:
    """Return AWS's error for a channel without objects."""
    bucket, _ = s3_uri.split(uri)
    return invalid(
        f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that'
        f" the bucket exists in the selected region ({region}), that objects exist under that S3"
        f' prefix, and that the role "{role}" has "s3:ListBucket" permissions on bucket'
        f' "{bucket}".'
    )


def provide(
    objects: Objects, job: Document, root: Path, *, index: int = 0, linked: int = LINKED_OBJECTS
) -> list[Mount]:
    """
    Make each channel of one host, as links or, where a mount is right, as that.

    Args:
        root: The host's /opt/ml; links are made below it.
        index: Of the host, counted from 0.
        linked: How many objects of the host are linked at most where a mount is possible.

    Returns:
        The mounts that the container needs.

    Raises:
        ApiError: An object or a bucket has gone.
        DataError: The objects cannot be files, see mounts.link_all.
    """
    needed = []
    paths = ContainerPaths(root)
    left = linked
    machines = cluster.instances(job["ResourceConfig"])
    for channel in job.get("InputDataConfig", []):
        if machines[index] not in cluster.receivers(machines, channel):
            continue
        target = paths.channel(channel["ChannelName"])
        bucket, prefix = s3_uri.split(channel["DataSource"]["S3DataSource"]["S3Uri"])
        shard = cluster.share(machines[index], machines, channel)
        is_small = mounts.count(objects, bucket, prefix, left + 1) <= left
        is_snapshot = shard or (is_small and input_mode(job, channel) == "File")
        folder = None if is_snapshot else mounts.source(objects, bucket, prefix)
        if folder is not None:
            needed.append(Mount(folder, str(target.relative_to(root))))
            continue
        left = max(0, left - mounts.link_all(objects, bucket, prefix, target, shard=shard))
        target.mkdir(parents=True, exist_ok=True)  # only folder markers, or no share
    return needed
