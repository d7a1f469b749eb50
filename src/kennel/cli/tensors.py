"""Where the tensors are that a training has saved: in a folder, in S3, or left by a job."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kennel import contract
from kennel.cli import own_folder, show
from kennel.errors import DataError, JobError, RegionError
from kennel.jobs import lookup, reports, storage
from kennel.jobs.aws import Aws
from kennel.jobs.lookup import Answer
from kennel.jobs.storage import Location

FOLDER = Path(".kennel/tensors")
# Of smdebug's format: either is there from the first saved step on
PARTS = ("events", "collections")
# Below what somebody may name: a folder of tensors, a job's output data, /opt/ml/output
PLACES = ("", "tensors", "debug-output/tensors", "debug-output", "data/debug-output/tensors")


@dataclass(frozen=True)
class Tensors:
    """
    What a training has saved.

    Args:
        hyperparameters: Of the training, as far as they are known.
    """

    folder: Path
    hyperparameters: Mapping[str, str] = field(default_factory=dict)


def found(source: str | None, aws: Callable[[], Aws], to: Path | None) -> Tensors:
    """
    Return the tensors that *source* names; what is in S3 is fetched.

    Args:
        source: A folder, s3://…, or a job; None: the latest job.
        aws: Opens AWS, where it is needed.
        to: Where to put what is fetched; default: .kennel/tensors/NAME.

    Raises:
        KennelError: There are none.
    """
    if source and source.startswith("s3://"):
        address = Location.parse(source)
        target = to or FOLDER / f"{address.bucket}-{address.key.strip('/').replace('/', '-')}"
        with own_folder.replaced(target, source) as draft:
            storage.fetch(aws().s3, address, draft)
            at = below(draft, source).relative_to(draft)
        return Tensors(target / at)
    if source and (Path(source).is_dir() or "/" in source):
        return Tensors(below(Path(source), source))
    return of_job(_opened(aws, source), source, to)


def _opened(aws: Callable[[], Aws], source: str | None) -> Aws:
    """Open AWS to look for a job; where it cannot be asked, say that there is no such folder."""
    try:
        return aws()
    except RegionError as error:
        if source is None:
            raise
        raise RegionError(
            f"there is no folder {source} here, and to look for a training job of that name: "
            f"{error.problem}",
            expected=error.expected,
            remedy=error.remedy,
        ) from error


def of_job(aws: Aws, name: str | None, to: Path | None) -> Tensors:
    """Return the tensors that a job has left in its output data, or that the platform keeps."""
    name = name or lookup.latest(aws.sagemaker)
    try:
        described = lookup.job(aws.sagemaker, name)
    except JobError as error:
        raise JobError(
            f"{name} is neither a folder here nor a training job",
            expected="a folder of tensors, a job, or s3://…",
            remedy=error.remedy,
        ) from error
    target = to or FOLDER / name
    show.talk(f"tensors of training job {name}, {described['TrainingJobStatus']}")
    with own_folder.replaced(target, name) as draft:
        at = fetched(aws, described, draft).relative_to(draft)
    return Tensors(target / at, described.get("HyperParameters", {}))


def fetched(aws: Aws, described: Answer, target: Path) -> Path:
    """Bring the tensors of a job into *target*; return their folder there."""
    if reports.unpacked(aws.s3, described, target) and (folder := place(target)):
        return folder
    if "DebugHookConfig" not in described:
        raise nothing(described)
    kept = reports.tensors(described)
    storage.fetch(aws.s3, kept, target / contract.TENSORS_PREFIX)
    return below(target, str(kept))


def nothing(described: Answer) -> JobError:
    """Return what to say where a job has saved no tensors, or none that can be had by now."""
    name, status = described["TrainingJobName"], described["TrainingJobStatus"]
    if status not in contract.TRAINING_ENDED:
        return JobError(
            f"training job {name} is {status}: its tensors come with its output data, at its end",
            remedy=f"kennel logs {name} --follow, which tells of broken rules as they are found",
        )
    return JobError(
        f"training job {name} has saved no tensors",
        expected="a job of kennel train --profile, or of [debug] enabled = true in kennel.toml",
        remedy="kennel train --profile",
    )


def below(folder: Path, named: str) -> Path:
    """Return the folder of the tensors at or below *folder*; DataError where there is none."""
    if found := place(folder):
        return found
    raise DataError(
        f"no tensors under {named}" + ("" if folder.is_dir() else ": there is no such folder"),
        expected="smdebug's collections/ and events/",
        remedy="kennel rules DIR, of the folder that has them; without DIR: the latest job's",
    )


def place(folder: Path) -> Path | None:
    """Return the folder of the tensors at or below *folder*, if there is one."""
    candidates = (folder / name for name in PLACES)
    return next((one for one in candidates if any((one / part).is_dir() for part in PARTS)), None)
