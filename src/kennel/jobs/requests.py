"""
SageMaker requests as plain dictionaries.

Pure: no boto3, no clock, no environment. The same dictionary is what a test compares, what
``--dry-run`` prints and what ``aws.send`` sends. What the settings mean for them stands in
``compose``; which requests make a deployment, in ``plan``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kennel import contract
from kennel.errors import HyperparameterError

Request = dict[str, Any]

VARIANT = "main"
TAG_PREFIX = "kennel:"
FEATURES = "features"  # the channel of kennel.jobs.features, which needs this module
# These start on driver 470 unless told otherwise; a CUDA 12 image needs 525 (here: 550).
OLD_DRIVER_FAMILIES = ("ml.g4dn.", "ml.g5.", "ml.p4d.", "ml.p4de.")
# What DescribeTrainingJob tells of the request, and CreateTrainingJob takes again.
RESUMED = (
    "RoleArn",
    "AlgorithmSpecification",
    "InputDataConfig",
    "ResourceConfig",
    "StoppingCondition",
    "EnableManagedSpotTraining",
    "CheckpointConfig",
    "Environment",
    "VpcConfig",
    "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption",
    "RetryStrategy",
)
CUDA_12_AMI = "al2-ami-sagemaker-inference-gpu-3-1"


@dataclass(frozen=True)
class Instances:
    """The machines that a training job runs on, and for how long they are kept warm after it."""

    type: str
    count: int = 1
    volume_gb: int = 50
    keep_alive_s: int = 0


@dataclass(frozen=True)
class TrainingJob:
    """One training run, as the user means it."""

    image: str
    role: str
    channels: Mapping[str, str]  # channel name → S3 prefix
    output: str  # S3 prefix that receives JOB/output/model.tar.gz
    instances: Instances
    max_runtime_s: int = 24 * 3600
    max_wait_s: int | None = None  # set: use Spot, and wait this long in all
    checkpoints: str | None = None  # S3 prefix that /opt/ml/checkpoints is synced with
    hyperparameters: Mapping[str, object] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, str] = field(default_factory=dict)  # more than the training's own
    tags: Mapping[str, str] = field(default_factory=dict)
    watching: Mapping[str, Any] = field(default_factory=dict)  # of AWS's Debugger: see debugging


@dataclass(frozen=True)
class Variant:
    """The machines behind an endpoint, and how long its container may take to start."""

    instance_type: str
    count: int = 1
    ami_version: str | None = None
    startup_timeout_s: int = contract.STARTUP_TIMEOUT_S


def training_job(job: TrainingJob, *, name: str) -> Request:
    """
    Build the ``CreateTrainingJob`` request.

    Args:
        job: What to train, on what.
        name: Unique in the account and region: see ``naming``.
    Raises:
        HyperparameterError: There are more, or longer ones, than SageMaker takes.
    """
    return {
        "TrainingJobName": name,
        "RoleArn": job.role,
        "AlgorithmSpecification": {
            "TrainingImage": job.image,
            "TrainingInputMode": "File",
            "MetricDefinitions": metric_definitions(job.metrics),
        },
        "HyperParameters": hyperparameters(job.hyperparameters),
        "InputDataConfig": [channel(n, uri) for n, uri in job.channels.items()],
        "OutputDataConfig": {"S3OutputPath": job.output},
        "ResourceConfig": resources(job.instances),
        **({"Environment": dict(job.environment)} if job.environment else {}),
        **({"CheckpointConfig": {"S3Uri": job.checkpoints}} if job.checkpoints else {}),
        **stopping(job),
        **job.watching,
        "Tags": tags(job.tags),
    }


def resumed(described: Mapping[str, Any], *, name: str, changed: Mapping[str, object]) -> Request:
    """
    Build the ``CreateTrainingJob`` request that goes on where another job has ended.

    Args:
        described: The other job: all that its request said holds, its CheckpointConfig above all.
        name: Of the new job.
        changed: Hyperparameters that differ.
    """
    again = _again(described, name=name, changed=changed)
    return {**again, "Tags": tags({"resumes": described["TrainingJobName"]})}


def like(described: Mapping[str, Any], *, name: str, changed: Mapping[str, object]) -> Request:
    """
    Build the ``CreateTrainingJob`` request of a job that does the same as another, from the start.

    Its checkpoints lie beside the other's. Features that the other was given are left out: they may
    not be those of what is *changed*.

    Args:
        described: The other job.
        name: Of the new job.
        changed: Hyperparameters that differ.
    """
    again = _again(described, name=name, changed=changed)
    inputs = [one for one in again.get("InputDataConfig", []) if one["ChannelName"] != FEATURES]
    if inputs:
        again["InputDataConfig"] = inputs
    if "CheckpointConfig" in again:
        uri = again["CheckpointConfig"]["S3Uri"].rstrip("/")
        again["CheckpointConfig"] = {
            **again["CheckpointConfig"],
            "S3Uri": f"{uri.rpartition('/')[0]}/{name}",
        }
    return {**again, "Tags": tags({"like": described["TrainingJobName"]})}


def _again(described: Mapping[str, Any], *, name: str, changed: Mapping[str, object]) -> Request:
    """Return what the request of a job said, under another name."""
    same = {key: described[key] for key in RESUMED if described.get(key)}
    output = {key: value for key, value in described["OutputDataConfig"].items() if value}
    return {
        **same,
        "TrainingJobName": name,
        "OutputDataConfig": output,  # described with an empty KmsKeyId where there is none
        "HyperParameters": hyperparameters({**described.get("HyperParameters", {}), **changed}),
    }


def tuning_job(
    job: TrainingJob,
    *,
    name: str,
    config: Request,
    parents: Sequence[str] = (),
    warm_start: str = "TransferLearning",
) -> Request:
    """
    Build the ``CreateHyperParameterTuningJob`` request.

    Args:
        job: What each trial trains; its hyperparameters are those that all share.
        name: Unique in the account and region.
        config: AWS's HyperParameterTuningJobConfig: see kennel.jobs.tuning.
        parents: Tuning jobs that have ended, whose trials this one begins with.
        warm_start: How they are alike: AWS's WarmStartType.
    """
    request = training_job(job, name=name)
    own = {key: request[key] for key in request if key not in ("TrainingJobName", "Tags")}
    definition = {"StaticHyperParameters": own.pop("HyperParameters"), **own}
    started = {
        "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": n} for n in parents],
        "WarmStartType": warm_start,
    }
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": config,
        "TrainingJobDefinition": definition,
        **({"WarmStartConfig": started} if parents else {}),
        "Tags": request["Tags"],
    }


def metric_definitions(more: Mapping[str, str]) -> list[Request]:
    """List what SageMaker reads out of the log, in its own words; *more* may change the usual."""
    found = {**contract.METRIC_DEFINITIONS, **more}
    return [{"Name": name, "Regex": regex} for name, regex in found.items()]


def hyperparameters(values: Mapping[str, object]) -> dict[str, str]:
    """Write every value as the string that SageMaker takes: ``true``, not ``True``."""
    texts = {k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in values.items()}
    if len(texts) > contract.MAX_HYPERPARAMETERS:
        raise HyperparameterError(
            f"there are {len(texts)} hyperparameters",
            expected=f"at most {contract.MAX_HYPERPARAMETERS}",
        )
    for key, text in texts.items():
        _fits(f"hyperparameter name {key!r}", key, contract.HYPERPARAMETER_KEY_CHARS)
        _fits(f"hyperparameter {key}", text, contract.HYPERPARAMETER_VALUE_CHARS)
    return texts


def _fits(what: str, text: str, longest: int) -> None:
    if len(text) > longest:
        raise HyperparameterError(
            f"{what} has {len(text)} characters", expected=f"at most {longest}"
        )


def channel(name: str, uri: str) -> Request:
    """Describe one input channel: the prefix *uri*, copied whole to every instance."""
    source = {
        "S3DataType": "S3Prefix",
        "S3Uri": uri,
        "S3DataDistributionType": "FullyReplicated",
    }
    return {"ChannelName": name, "InputMode": "File", "DataSource": {"S3DataSource": source}}


def resources(instances: Instances) -> Request:
    """Describe the machines of a training job."""
    warm = {"KeepAlivePeriodInSeconds": instances.keep_alive_s} if instances.keep_alive_s else {}
    return {
        "InstanceType": instances.type,
        "InstanceCount": instances.count,
        "VolumeSizeInGB": instances.volume_gb,
        **warm,
    }


def stopping(job: TrainingJob) -> Request:
    """Say when SageMaker must give up, and whether it may use Spot capacity to get there."""
    condition = {"MaxRuntimeInSeconds": job.max_runtime_s}
    if job.max_wait_s is None:
        return {"StoppingCondition": condition}
    return {
        "EnableManagedSpotTraining": True,
        "StoppingCondition": condition | {"MaxWaitTimeInSeconds": job.max_wait_s},
    }


def tags(values: Mapping[str, str]) -> list[Request]:
    """Mark a resource as ours: ``kennel:model = resnet18``."""
    return [{"Key": f"{TAG_PREFIX}{key}", "Value": value} for key, value in values.items()]


def model(name: str, *, image: str, role: str, artifact: str, marks: Mapping[str, str]) -> Request:
    """Build the ``CreateModel`` request for the archive at S3 URI *artifact*."""
    return {
        "ModelName": name,
        "ExecutionRoleArn": role,
        "PrimaryContainer": {"Image": image, "ModelDataUrl": artifact},
        "Tags": tags(marks),
    }


def endpoint_config(
    name: str, *, model: str, variant: Variant, marks: Mapping[str, str]
) -> Request:
    """Build the ``CreateEndpointConfig`` request: one variant that takes all the traffic."""
    ami = variant.ami_version or default_ami_version(variant.instance_type)
    production = {
        "VariantName": VARIANT,
        "ModelName": model,
        "InstanceType": variant.instance_type,
        "InitialInstanceCount": variant.count,
        "InitialVariantWeight": 1.0,
        "ContainerStartupHealthCheckTimeoutInSeconds": variant.startup_timeout_s,
        **({"InferenceAmiVersion": ami} if ami else {}),
    }
    return {"EndpointConfigName": name, "ProductionVariants": [production], "Tags": tags(marks)}


def default_ami_version(instance_type: str) -> str | None:
    """Return the host image whose driver runs CUDA 12, where the default host's does not."""
    return CUDA_12_AMI if instance_type.startswith(OLD_DRIVER_FAMILIES) else None


def endpoint(name: str, *, config: str, marks: Mapping[str, str]) -> Request:
    """Build the ``CreateEndpoint`` request."""
    return {"EndpointName": name, "EndpointConfigName": config, "Tags": tags(marks)}


def endpoint_update(name: str, *, config: str) -> Request:
    """Build the ``UpdateEndpoint`` request: the new fleet is healthy before the old one goes."""
    return {"EndpointName": name, "EndpointConfigName": config}


def bucket(name: str, *, region: str) -> Request:
    """Build the ``CreateBucket`` request; us-east-1 is the one region that must not be named."""
    if region == "us-east-1":
        return {"Bucket": name}
    return {"Bucket": name, "CreateBucketConfiguration": {"LocationConstraint": region}}


def object_deletion(bucket: str, *, keys: Sequence[str]) -> Request:
    """Build the ``DeleteObjects`` request; the answer lists what could not be deleted only."""
    return {"Bucket": bucket, "Delete": {"Objects": [{"Key": key} for key in keys], "Quiet": True}}


def invocation(endpoint: str, *, body: bytes, content_type: str, top: int) -> Request:
    """Build the ``InvokeEndpoint`` request for one picture and its *top* classes."""
    return {
        "EndpointName": endpoint,
        "Body": body,
        "ContentType": content_type,
        "Accept": "application/json",
        "CustomAttributes": f"top_k={top}",
    }
