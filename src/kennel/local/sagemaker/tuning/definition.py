"""
What a tuning job is made of, and the CreateTrainingJob request of each of its trials. Pure.

What is wrong with either is found in checks.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from kennel.contract import ContainerPaths
from kennel.local.resources import Document
from kennel.local.sagemaker import s3_uri

OBJECTIVE_HYPERPARAMETER = "_tuning_objective_metric"  # what AWS adds to a trial's own
# Members of a definition that CreateTrainingJob has too
SHARED = (
    *("RoleArn", "InputDataConfig", "VpcConfig", "OutputDataConfig", "StoppingCondition"),
    *("EnableNetworkIsolation", "EnableInterContainerTrafficEncryption"),
    *("EnableManagedSpotTraining", "RetryStrategy", "Environment"),
)


def static(tuning: Mapping[str, Any]) -> dict[str, str]:
    """Return the hyperparameters that are the same for every trial."""
    return dict(tuning["TrainingJobDefinition"].get("StaticHyperParameters", {}))


def objective(tuning: Mapping[str, Any]) -> Document:
    """Return Type and MetricName of what a tuning job optimises."""
    found: Document = tuning["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
    return found


def is_maximised(tuning: Mapping[str, Any]) -> bool:
    """Return whether a larger objective is a better one."""
    return bool(objective(tuning)["Type"] == "Maximize")


def regex(tuning: Mapping[str, Any]) -> str:
    """Return the regular expression of the objective metric, which checks has found there."""
    definitions = tuning["TrainingJobDefinition"]["AlgorithmSpecification"]["MetricDefinitions"]
    regexes = {one["Name"]: one["Regex"] for one in definitions}
    return str(regexes[objective(tuning)["MetricName"]])


def trial_name(tuning_name: str, number: int, unique: str) -> str:
    """
    Return the name of a tuning job's training job, as AWS makes it: ``NAME-001-0123abcd``.

    Args:
        number: Counted from 1.
        unique: Eight hexadecimal digits.
    """
    return f"{tuning_name}-{number:03d}-{unique}"


def request(
    tuning: Mapping[str, Any],
    name: str,
    values: Mapping[str, str],
    tags: Iterable[Mapping[str, str]] = (),
) -> Document:
    """
    Return the CreateTrainingJob request of one trial.

    Args:
        tuning: The tuning job: its request, or its document.
        name: Of the training job.
        values: Of the hyperparameters that are tuned.
        tags: Of the tuning job; its training jobs have the same.
    """
    part = tuning["TrainingJobDefinition"]
    metric = objective(tuning)["MetricName"]
    hyperparameters = {**static(tuning), **values, OBJECTIVE_HYPERPARAMETER: metric}
    return {
        "TrainingJobName": name,
        "AlgorithmSpecification": part["AlgorithmSpecification"],
        "HyperParameters": hyperparameters,
        **{member: part[member] for member in SHARED if member in part},
        **({"ResourceConfig": resources} if (resources := resource_config(part)) else {}),
        **({"CheckpointConfig": checkpoints} if (checkpoints := own_place(part, name)) else {}),
        **({"Tags": list(tags)} if tags else {}),
    }


def resource_config(part: Document) -> Document | None:
    """Return the instances of a trial: of several types to choose from, the first is at hand."""
    flexible = part.get("HyperParameterTuningResourceConfig")
    if flexible is None:
        return part.get("ResourceConfig")
    chosen = flexible.get("InstanceConfigs", [{}])[0]
    members = ("InstanceType", "InstanceCount", "VolumeSizeInGB", "VolumeKmsKeyId")
    return {m: v for m, v in {**flexible, **chosen}.items() if m in members}


def own_place(part: Document, name: str) -> Document | None:
    """
    Return a trial's CheckpointConfig: below the tuning job's S3Uri each trial has its own folder.

    Else a trial would go on from another's checkpoint, trained with other hyperparameters.
    """
    shared = part.get("CheckpointConfig")
    if shared is None:
        return None
    local = shared.get("LocalPath", str(ContainerPaths().checkpoints))
    return {"S3Uri": s3_uri.join(shared["S3Uri"], name), "LocalPath": local}
