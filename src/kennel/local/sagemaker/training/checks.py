"""
What CreateTrainingJob refuses, beyond what the service model says. Pure.

Whether the S3 objects are there is asked in inputs.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from kennel.contract import ContainerPaths
from kennel.local.sagemaker import s3_uri
from kennel.local.sagemaker.names import invalid, not_here
from kennel.local.sagemaker.training import cluster, limits, metrics

Request = Mapping[str, Any]

REQUIRED = ("AlgorithmSpecification", "ResourceConfig", "StoppingCondition")  # the service's own
INPUT_MODES = ("File", "FastFile")
BASE = ContainerPaths()


def check(request: Request, *, max_instances: Callable[[str], int]) -> None:
    """
    Check a CreateTrainingJob request whose shape is right.

    Args:
        max_instances: How many instances a job of an image may have.

    Raises:
        ApiError: ``ValidationException``.
    """
    for member in REQUIRED:
        if member not in request:
            raise missing(member[0].lower() + member[1:])
    check_algorithm(request["AlgorithmSpecification"])
    image = request["AlgorithmSpecification"]["TrainingImage"]
    check_resources(request["ResourceConfig"], max_instances(image))
    check_stopping(request)
    check_channels(request)
    check_checkpoints(request)
    s3_uri.split(request["OutputDataConfig"]["S3OutputPath"])


def missing(member: str) -> Exception:
    """Return AWS's error for a member that is required."""
    where = f"Value null at '{member}' failed to satisfy constraint: Member must not be null"
    return invalid(f"1 validation error detected: {where}")


def check_algorithm(specification: Request) -> None:
    """Ask for an image, for an input mode that is here, and for regexes that compile."""
    if "AlgorithmName" in specification:
        raise not_here("AlgorithmName", "Name an image in TrainingImage.")
    if "TrainingImage" not in specification:
        raise invalid("You must specify either a TrainingImage or an AlgorithmName.")
    check_input_mode(specification["TrainingInputMode"])
    metrics.compiled(specification.get("MetricDefinitions", []))


def check_input_mode(mode: str) -> None:
    """Refuse what needs a pipe."""
    if mode not in INPUT_MODES:
        raise not_here(f"Input mode {mode!r}", f"Use one of: {', '.join(INPUT_MODES)}.")


def check_resources(resources: Request, max_instances: int) -> None:
    """Ask for instances, and for no more of them than the runtime has."""
    if not resources.get("InstanceGroups"):
        for member in ("InstanceType", "InstanceCount"):
            if member not in resources:
                raise missing(f"resourceConfig.{member[0].lower()}{member[1:]}")
    check_groups(resources)
    count = sum(group.get("InstanceCount", 0) for group in cluster.groups(resources))
    if count < 1:
        raise invalid(f"A training job needs at least one instance, not {count}.")
    if count > max_instances == 1:
        raise not_here(
            f"A training job on {count} instances, each of them a process,",
            "Several instances need the Docker runtime, and the image there: see kennel local"
            " start --runtime docker. Or ask for InstanceCount 1.",
        )
    if count > max_instances:
        raise invalid(f"A training job has at most {max_instances} instances, not {count}.")


def check_groups(resources: Request) -> None:
    """Ask for distinct groups of instances, in place of instances of one type."""
    names = [cluster.name_of(group) for group in resources.get("InstanceGroups", [])]
    alone = [member for member in ("InstanceType", "InstanceCount") if member in resources]
    if names and alone:
        raise invalid(f"ResourceConfig has InstanceGroups, so it cannot have {', '.join(alone)}.")
    if len(names) != len(set(names)):
        raise invalid(f"The InstanceGroupNames of ResourceConfig are not distinct: {names}.")


def check_stopping(request: Request) -> None:
    """Hold MaxWaitTimeInSeconds against MaxRuntimeInSeconds and spot training."""
    condition = request["StoppingCondition"]
    longest_s = condition.get("MaxRuntimeInSeconds", limits.DEFAULT_MAX_RUNTIME_S)
    wait_s = condition.get("MaxWaitTimeInSeconds")
    if request.get("EnableManagedSpotTraining"):
        if wait_s is None or wait_s < longest_s:
            raise invalid(
                "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to"
                " MaxRuntimeInSeconds when EnableManagedSpotTraining is set to true"
            )
    elif wait_s is not None:
        raise invalid(
            "MaxWaitTimeInSeconds above 0 is not supported when EnableManagedSpotTraining is false"
        )


def check_channels(request: Request) -> None:
    """Ask for distinct names and for data that local mode can mount."""
    channels = request.get("InputDataConfig", [])
    names = Counter(channel["ChannelName"] for channel in channels)
    for name, count in names.items():
        if name in (".", ".."):
            raise invalid(f"Channel name {name!r} is not possible: it is no name of a folder.")
        if count > 1:
            raise invalid(f"Duplicate channel name {name!r} in InputDataConfig: {count} times.")
    for channel in channels:
        check_input_mode(channel.get("InputMode", "File"))
        for part in unsupported(channel):
            raise not_here(f"{part} of channel {channel['ChannelName']!r}", "Use an S3Prefix.")
        s3_uri.split(channel["DataSource"]["S3DataSource"]["S3Uri"])
        check_receivers(request["ResourceConfig"], channel)


def check_receivers(resources: Request, channel: Request) -> None:
    """Ask that a channel is for groups of instances that there are."""
    known = {cluster.name_of(group) for group in cluster.groups(resources)}
    wanted = channel["DataSource"]["S3DataSource"].get("InstanceGroupNames", [])
    if unknown := [name for name in wanted if name not in known]:
        raise invalid(
            f"The channel {channel['ChannelName']!r} is for instance groups that ResourceConfig"
            f" lacks: {', '.join(unknown)}. It has: {', '.join(sorted(known))}."
        )


def unsupported(channel: Request) -> Iterator[str]:
    """Yield what a channel asks for that AWS has and we lack."""
    source = channel["DataSource"]
    kind = source.get("S3DataSource", {}).get("S3DataType")
    if "S3DataSource" not in source:
        yield ", ".join(source) or "An empty DataSource"
    elif kind != "S3Prefix":
        yield f"S3DataType {kind!r}"
    if channel.get("CompressionType", "None") != "None":
        yield f"CompressionType {channel['CompressionType']!r}"


def check_checkpoints(request: Request) -> None:
    """Ask for a LocalPath that is below /opt/ml and not taken by something else."""
    config = request.get("CheckpointConfig")
    if config is None:
        return
    s3_uri.split(config["S3Uri"])
    local = Path(config.get("LocalPath", str(BASE.checkpoints)))
    taken = (BASE.model, BASE.output, BASE.root / "input")
    is_below = local.is_relative_to(BASE.root) and local != BASE.root and ".." not in local.parts
    if not is_below or any(local.is_relative_to(path) for path in taken):
        raise invalid(
            f"CheckpointConfig.LocalPath {str(local)!r} is not possible: expected a folder below"
            f" {BASE.root} that is none of {', '.join(map(str, taken))}"
        )
