"""What a training job leaves in S3: its artifact and its output data."""

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


def upload(objects: Objects, job: Document, root: Path, *, with_model: bool) -> None:
    """
    Store what stands below *root*, which is the container's /opt/ml and no longer in use.

    Args:
        with_model: Store /opt/ml/model too.

    Raises:
        ApiError: The bucket has gone.
    """
    paths = ContainerPaths(root)
    if not archive.is_empty(paths.output_data):
        store(objects, job, paths.output_data, OUTPUT_ARCHIVE)
    if with_model:
        store(objects, job, paths.model, MODEL_ARCHIVE)


def store(objects: Objects, job: Document, folder: Path, name: str) -> None:
    """Store one folder, as an archive called *name* or file by file."""
    if is_compressed(job):
        packed = folder.parent / f".{name}"
        archive.pack(folder, packed)
        bucket, key = s3_uri.split(output_uri(job, name))
        objects.put_file(bucket, key, packed, content_type="application/x-tar", move=True)
        return
    bucket, prefix = s3_uri.split(output_uri(job, name.partition(".")[0]))
    for path in filter(Path.is_file, archive.entries(folder)):
        name = archive.as_text(str(path.relative_to(folder)))
        objects.put_file(bucket, f"{prefix}/{name}", path)
