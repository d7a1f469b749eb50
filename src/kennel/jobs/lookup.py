"""
What there is: training jobs and endpoints, read from SageMaker.

Takes clients, opens none. Storage is in ``storage``; following a running job in ``watch``.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

from botocore.exceptions import ClientError

from kennel import contract
from kennel.errors import JobError
from kennel.jobs import naming
from kennel.jobs.clients import Client
from kennel.jobs.failures import is_missing
from kennel.jobs.naming import PREFIX

NAMED_AT_MOST = 10
Answer = dict[str, Any]


@dataclass(frozen=True)
class Deployed:
    """What stands behind an endpoint's name, and what earlier versions left; empty: nothing."""

    status: str | None
    configs: tuple[str, ...]
    models: tuple[str, ...]


def jobs(sagemaker: Client, *, most: int, status: str | None = None) -> list[Answer]:
    """Return the summaries of kennel's newest training jobs but trials, newest first."""
    found = (one for one in _jobs(sagemaker, status) if not naming.is_trial(_name(one)))
    return list(islice(found, most))


def _name(summary: Answer) -> str:
    return str(summary["TrainingJobName"])


def _jobs(sagemaker: Client, status: str | None) -> Iterator[Answer]:
    pages = sagemaker.get_paginator("list_training_jobs").paginate(
        NameContains=PREFIX,
        SortBy="CreationTime",
        SortOrder="Descending",
        **({"StatusEquals": status} if status else {}),
    )
    for page in pages:
        for summary in page["TrainingJobSummaries"]:
            if summary["TrainingJobName"].startswith(PREFIX):  # NameContains means anywhere
                yield summary


def latest(sagemaker: Client, *, status: str | None = None) -> str:
    """
    Return the name of kennel's newest training job that is for a model.

    Raises:
        JobError: There is none.
    """
    for summary in _jobs(sagemaker, status):
        if naming.leaves_a_model(_name(summary)):
            return _name(summary)
    raise JobError(
        f"there is no {status.lower()} training job" if status else "there is no training job",
        expected=f"a training job whose name starts with {PREFIX}, in this account and region",
        remedy="kennel train" if status is None else "kennel jobs, or kennel train",
    )


def running(sagemaker: Client) -> str:
    """
    Return the name of kennel's one training job that is in progress.

    Raises:
        JobError: There is none, or there are several.
    """
    names = [
        name for one in _jobs(sagemaker, "InProgress") if not naming.is_trial(name := _name(one))
    ]
    if len(names) == 1:
        return names[0]
    raise JobError(
        f"{len(names)} training jobs are running: {', '.join(names)}"
        if names
        else "no training job is running",
        expected="one that runs, or the name of a job",
        remedy="kennel jobs, which lists them",
    )


def newer(sagemaker: Client, name: str) -> Answer | None:
    """Return the summary of kennel's newest job for a model, unless that is the job *name*."""
    models = (one for one in _jobs(sagemaker, None) if naming.leaves_a_model(_name(one)))
    newest = next(models, None)
    return newest if newest and _name(newest) != name else None


def checkpoints(described: Answer) -> str:
    """
    Return the S3 URI of what a job can be gone on with from.

    Raises:
        JobError: It has not ended, or keeps no checkpoints.
    """
    name, status = described["TrainingJobName"], described["TrainingJobStatus"]
    if status not in contract.TRAINING_ENDED:
        raise JobError(
            f"training job {name} is {status}: its checkpoint is not the last one yet",
            expected="a job that has ended",
            remedy=f"kennel stop {name}, or kennel logs {name} --follow",
        )
    uri = described.get("CheckpointConfig", {}).get("S3Uri")
    if not uri:
        raise JobError(
            f"training job {name} kept no checkpoints",
            expected="a job with a CheckpointConfig ([train] checkpoints = true)",
            remedy="kennel train",
        )
    return str(uri)


def job(sagemaker: Client, name: str) -> Answer:
    """Describe the training job *name*; JobError where there is none."""
    found = _or_none(sagemaker.describe_training_job, TrainingJobName=name)
    if found is None:
        searches = naming.is_tuning_job(name)
        raise JobError(
            f"there is no training job {name}",
            expected="a training job; each trial of a tuning job is one" if searches else "",
            remedy=f"kennel tuning show {name}" if searches else "kennel jobs, which lists them",
        )
    return found


def artifact(described: Answer) -> str:
    """Return the S3 URI of the model that a job has left, or say why there is none."""
    uri = described.get("ModelArtifacts", {}).get("S3ModelArtifacts")
    if not uri:
        name, status = described["TrainingJobName"], described["TrainingJobStatus"]
        raise JobError(
            f"training job {name} is {status} and has left no model",
            expected="a job that is Completed",
            remedy=f"kennel logs {name}, or kennel deploy another job",
        )
    return str(uri)


def endpoint(sagemaker: Client, name: str) -> Answer | None:
    """Describe the endpoint *name*, if it exists."""
    return _or_none(sagemaker.describe_endpoint, EndpointName=name)


@contextmanager
def requiring_endpoint(sagemaker: Client, name: str) -> Iterator[None]:
    """Where AWS answers that the endpoint *name* is not there, say which ones are: JobError."""
    try:
        yield
    except ClientError as error:
        if is_missing(error):
            raise no_endpoint(sagemaker, name) from error
        raise


def no_endpoint(sagemaker: Client, name: str) -> JobError:
    """Return what to say where there is no endpoint *name*, with the newest of those there are."""
    try:
        found = sagemaker.list_endpoints(
            SortBy="CreationTime", SortOrder="Descending", MaxResults=NAMED_AT_MOST
        )["Endpoints"]
    except ClientError:  # who may invoke an endpoint need not be allowed to list them
        found = []
    names = [one["EndpointName"] for one in found]
    return JobError(
        f"there is no endpoint {name}",
        expected=f"--endpoint with one of {', '.join(names)}" if names else "",
        remedy=f"kennel deploy --endpoint {name}",
    )


def deployed(sagemaker: Client, name: str) -> Deployed:
    """Return what stands behind the endpoint *name*, and every version of it that is left."""
    described = endpoint(sagemaker, name) or {}
    current = described.get("EndpointConfigName")
    configs = _versions(sagemaker, name, "list_endpoint_configs", "EndpointConfig")
    models = _versions(sagemaker, name, "list_models", "Model")
    return Deployed(
        status=described.get("EndpointStatus"),
        configs=_once(*([current] if current else []), *configs),
        models=_once(*_models_of(sagemaker, current), *models),
    )


def _versions(sagemaker: Client, endpoint: str, operation: str, kind: str) -> Iterator[str]:
    for page in sagemaker.get_paginator(operation).paginate(NameContains=f"{endpoint}-"):
        for found in page[f"{kind}s"]:
            if naming.is_version(found[f"{kind}Name"], of=endpoint):
                yield found[f"{kind}Name"]


def _models_of(sagemaker: Client, config: str | None) -> list[str]:
    found = (
        _or_none(sagemaker.describe_endpoint_config, EndpointConfigName=config) if config else {}
    )
    names = (variant.get("ModelName") for variant in (found or {}).get("ProductionVariants", ()))
    return [n for n in names if n and _or_none(sagemaker.describe_model, ModelName=n)]


def _once(*names: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _or_none(describe: Callable[..., Answer], **which: str) -> Answer | None:
    try:
        return dict(describe(**which))
    except ClientError as error:
        if is_missing(error):
            return None
        raise
