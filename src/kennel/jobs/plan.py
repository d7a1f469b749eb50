"""
What we are about to ask AWS for, decided before anything is asked.

SageMaker resources refer to each other by name, never by a returned ARN, so a plan is a plain list:
``show`` prints it, ``aws.send`` makes it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kennel.errors import JobError
from kennel.jobs import debugging_request, requests
from kennel.jobs.requests import Request, TrainingJob, Variant

KEYS_AT_ONCE = 1000  # DeleteObjects takes no more


@dataclass(frozen=True)
class Call:
    """One AWS call, decided but not made."""

    service: str  # as boto3 names it
    operation: str  # boto3's method of that service's client
    request: Request


@dataclass(frozen=True)
class Deployment:
    """An artifact behind an endpoint, as the user means it."""

    endpoint: str
    version: str  # name of this model and of its endpoint config; unique
    image: str
    role: str
    artifact: str
    variant: Variant
    marks: Mapping[str, str]


def bucket(name: str, *, region: str) -> list[Call]:
    """Plan a bucket. AWS makes new ones private: nothing in them can be made public by accident."""
    return [Call("s3", "create_bucket", requests.bucket(name, region=region))]


def pruning(bucket: str, keys: Sequence[str]) -> list[Call]:
    """Plan the removal of objects, a thousand at a time, which is what S3 takes."""
    chunks = (keys[start : start + KEYS_AT_ONCE] for start in range(0, len(keys), KEYS_AT_ONCE))
    return [
        Call("s3", "delete_objects", requests.object_deletion(bucket, keys=chunk))
        for chunk in chunks
    ]


def training(job: TrainingJob, *, name: str) -> list[Call]:
    """Plan a training job."""
    return [Call("sagemaker", "create_training_job", requests.training_job(job, name=name))]


def tuning(
    job: TrainingJob,
    *,
    name: str,
    config: Request,
    parents: Sequence[str] = (),
    warm_start: str = "TransferLearning",
) -> list[Call]:
    """Plan a tuning job, whose trials are trainings as *job* says."""
    request = requests.tuning_job(
        job, name=name, config=config, parents=parents, warm_start=warm_start
    )
    return [Call("sagemaker", "create_hyper_parameter_tuning_job", request)]


def resumption(
    described: Mapping[str, object], *, name: str, changed: Mapping[str, object]
) -> list[Call]:
    """Plan a training job that goes on where another has ended."""
    request = requests.resumed(described, name=name, changed=changed)
    request |= debugging_request.resumed(described, name)
    return [Call("sagemaker", "create_training_job", request)]


def repetition(
    described: Mapping[str, object], *, name: str, changed: Mapping[str, object]
) -> list[Call]:
    """Plan a training job that does the same as another, from the start."""
    request = requests.like(described, name=name, changed=changed)
    request |= debugging_request.resumed(described, name)
    return [Call("sagemaker", "create_training_job", request)]


def deployment(wanted: Deployment, *, existing: str | None) -> list[Call]:
    """
    Plan the three calls that put an artifact behind an endpoint.

    Args:
        existing: The endpoint's status; None where there is no such endpoint.
    Raises:
        JobError: The endpoint cannot take a new version in its state.
    """
    model = requests.model(
        wanted.version,
        image=wanted.image,
        role=wanted.role,
        artifact=wanted.artifact,
        marks=wanted.marks,
    )
    config = requests.endpoint_config(
        wanted.version, model=wanted.version, variant=wanted.variant, marks=wanted.marks
    )
    return [
        Call("sagemaker", "create_model", model),
        Call("sagemaker", "create_endpoint_config", config),
        _endpoint(wanted, existing),
    ]


def _endpoint(wanted: Deployment, existing: str | None) -> Call:
    name, version = wanted.endpoint, wanted.version
    match existing:
        case None:
            request = requests.endpoint(name, config=version, marks=wanted.marks)
            return Call("sagemaker", "create_endpoint", request)
        case "InService":
            request = requests.endpoint_update(name, config=version)
            return Call("sagemaker", "update_endpoint", request)
        case "Failed" | "OutOfService" | "UpdateRollbackFailed":
            remedy = f"kennel delete --endpoint {name}, then deploy again"
        case _:
            remedy = f"kennel describe {name}, and deploy again when it is InService"
    raise JobError(
        f"endpoint {name} is {existing}: it cannot be updated now",
        expected="an endpoint that is InService, or none of that name",
        remedy=remedy,
    )


def deletion(*, endpoint: str | None, configs: Iterable[str], models: Iterable[str]) -> list[Call]:
    """Plan the removal of what exists of an endpoint, its configs and its models, in that order."""
    endpoints = [{"EndpointName": endpoint}] if endpoint else []
    return [
        *(Call("sagemaker", "delete_endpoint", request) for request in endpoints),
        *(Call("sagemaker", "delete_endpoint_config", {"EndpointConfigName": c}) for c in configs),
        *(Call("sagemaker", "delete_model", {"ModelName": model}) for model in models),
    ]


def stop(job: str) -> list[Call]:
    """Plan the end of a training job; what it has in /opt/ml/model is kept."""
    return [Call("sagemaker", "stop_training_job", {"TrainingJobName": job})]


def stop_tuning(name: str) -> list[Call]:
    """Plan the end of a tuning job and of the trials that run."""
    request = {"HyperParameterTuningJobName": name}
    return [Call("sagemaker", "stop_hyper_parameter_tuning_job", request)]


def show(calls: Iterable[Call], *, indent: int | None = None) -> str:
    """Render *calls*, the ``--dry-run`` output: as JSON lines, or each over many lines."""
    return "\n".join(json.dumps(vars(call), sort_keys=True, indent=indent) for call in calls)
