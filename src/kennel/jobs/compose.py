"""
What the settings mean for SageMaker: settings in, what ``requests`` and ``plan`` take out.

Pure. It also says which setting is missing, and how to get what it asks for.
"""

from collections.abc import Mapping

from kennel.errors import SettingsError
from kennel.jobs.failures import MAKE_ROLE
from kennel.jobs.plan import Deployment
from kennel.jobs.requests import Instances, TrainingJob, Variant
from kennel.jobs.storage import Location
from kennel.settings import Settings

DEFAULT_MODEL = "resnet18"
SPOT_PATIENCE = 2  # how often its own run time a Spot job may take in all, unless told


def role(settings: Settings) -> str:
    """Return the role that SageMaker takes on; SettingsError says how to make one."""
    if settings.aws.role:
        return settings.aws.role
    raise SettingsError(
        "no role is set: SageMaker has to be told as whom it reads the data and writes the model",
        expected="[aws] role = arn:aws:iam::ACCOUNT:role/NAME",
        remedy=MAKE_ROLE,
    )


def image(uri: str | None, purpose: str) -> str:
    """Return the image's URI; SettingsError says how to get one."""
    if uri:
        return uri
    raise SettingsError(
        f"no {purpose} image is set, and none was pushed to ECR in this region",
        expected=f"[images] {purpose} = ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME:TAG, "
        "or an image of `make push`",
        remedy="make build push, or push it to ECR, in the region of the job, and put its URI into "
        "kennel.toml",
    )


def check_training(settings: Settings) -> None:
    """Raise SettingsError if a training job cannot be described, before anything is uploaded."""
    role(settings)
    image(settings.images.train, "train")


def check_deployment(settings: Settings) -> None:
    """Raise SettingsError if a deployment cannot be described."""
    role(settings)
    image(settings.images.serve, "serve")


def bucket_name(settings: Settings, *, region: str, account: str) -> str:
    """Return the bucket: the one that is set, else one that no other account has."""
    return settings.aws.bucket or f"kennel-{region}-{account}"


def home(settings: Settings, bucket: str) -> Location:
    """Return the prefix below which everything of kennel lies."""
    return Location(bucket, settings.aws.prefix)


def dataset(settings: Settings, bucket: str, name: str) -> Location:
    """Return where the dataset *name* is staged."""
    return home(settings, bucket) / f"data/{name}"


def weights(settings: Settings, bucket: str, digest: str) -> Location:
    """Return the folder of one weights file, named by its content: a channel holds just that."""
    return home(settings, bucket) / f"weights/{digest[:16]}"


def model_name(settings: Settings) -> str:
    """Return the architecture that a job trains."""
    return str(settings.train.hyperparameters.get("model", DEFAULT_MODEL))


def checkpoints(settings: Settings, bucket: str, job: str) -> str:
    """Return the S3 URI that the checkpoints of *job* are synced with."""
    return str(home(settings, bucket) / f"checkpoints/{job}")


def outputs(settings: Settings, bucket: str) -> str:
    """Return the S3 URI below which every job leaves what it makes, in a folder of its name."""
    return str(home(settings, bucket) / "jobs")


def training_job(
    settings: Settings, *, name: str, bucket: str, channels: Mapping[str, str]
) -> TrainingJob:
    """Return the training job *name* on the data in *channels* that the settings describe."""
    train = settings.train
    return TrainingJob(
        image=image(settings.images.train, "train"),
        role=role(settings),
        channels=channels,
        output=outputs(settings, bucket),
        instances=Instances(
            train.instance_type, train.instance_count, train.volume_gb, train.keep_alive_s
        ),
        max_runtime_s=train.max_runtime_s,
        max_wait_s=max_wait_s(settings),
        checkpoints=checkpoints(settings, bucket, name) if train.checkpoints else None,
        hyperparameters=train.hyperparameters,
        environment=train.environment,
        metrics=train.metrics,
        tags={"model": model_name(settings)},
    )


def max_wait_s(settings: Settings) -> int | None:
    """Return how long a Spot job may take in all; None for a job on demand."""
    train = settings.train
    if not train.spot:
        return None
    return train.max_wait_s or SPOT_PATIENCE * train.max_runtime_s


def deployment(settings: Settings, *, version: str, artifact: str) -> Deployment:
    """Return the deployment of *artifact* that the settings describe."""
    deploy = settings.deploy
    return Deployment(
        endpoint=deploy.endpoint,
        version=version,
        image=image(settings.images.serve, "serve"),
        role=role(settings),
        artifact=artifact,
        variant=Variant(
            deploy.instance_type,
            deploy.instance_count,
            deploy.inference_ami_version,
            deploy.startup_timeout_s,
        ),
        marks={"endpoint": deploy.endpoint},
    )
