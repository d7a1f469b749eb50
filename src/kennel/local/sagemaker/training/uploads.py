"""What a training job leaves in S3: its artifact and its output data."""

from collections.abc import Sequence
from pathlib import Path

from kennel.contract import MODEL_ARCHIVE, OUTPUT_ARCHIVE, ContainerPaths
from kennel.local.resources import Document
from kennel.local.s3.objects import Objects
from kennel.local.sagemaker import archive, s3_uri


def output_uri(job: Document, name: str) -> str:
    """Return the S3 URI of something that the job leaves."""
    return s3_uri.join(
        job["OutputDataConfig"]["S3OutputPath"], job["TrainingJobName"], "output", name
    )


def is_compressed(job: Document) -> bool:
    """Return whether the job's outputs are archives rather than folders."""
    return bool(job["OutputDataConfig"].get("CompressionType", "GZIP") == "GZIP")


def model_uri(job: Document) -> str:
    """Return what ModelArtifacts says."""
    return output_uri(job, MODEL_ARCHIVE if is_compressed(job) else "model/")


def upload(
    objects: Objects,
    job: Document,
    hosts: Sequence[ContainerPaths],
    *,
    scratch: Path,
    with_model: bool,
) -> None:
    """
    Store what the hosts have left in their /opt/ml, which are no longer in use, as one.

    Args:
        hosts: What has the same name is stored as the first that has it left it.
        scratch: Folder of the job's own, where no container can have put anything.
        with_model: Store /opt/ml/model too.

    Raises:
        ApiError: The bucket has gone.
    """
    data = [paths.output_data for paths in hosts]
    if not all(map(archive.is_empty, data)):
        store(objects, job, data, scratch / OUTPUT_ARCHIVE)
    if with_model:
        store(objects, job, [paths.model for paths in hosts], scratch / MODEL_ARCHIVE)


def store(objects: Objects, job: Document, folders: Sequence[Path], packed: Path) -> None:
    """Store what is in *folders*, as the archive *packed*, yet to be made, or file by file."""
    if is_compressed(job):
        archive.pack(folders, packed)
        bucket, key = s3_uri.split(output_uri(job, packed.name))
        objects.put_file(bucket, key, packed, content_type="application/x-tar", move=True)
        return
    bucket, prefix = s3_uri.split(output_uri(job, packed.name.partition(".")[0]))
    for place, path in archive.merged(folders).items():
        if path.is_file():
            objects.put_file(bucket, f"{prefix}/{archive.as_text(str(place))}", path)
