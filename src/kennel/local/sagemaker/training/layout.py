"""
What a training container finds below /opt/ml and in its environment. Pure, but for write.

The channels' objects are linked in by inputs, the checkpoints copied in by checkpoints.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from kennel.contract import ContainerPaths
from kennel.local import environment as client_environment
from kennel.local.resources import Document
from kennel.local.sagemaker.debugger import places
from kennel.local.sagemaker.training import cluster

NETWORK_INTERFACE = "eth0"
# Below /opt/ml, where the files are hard links to objects, which nobody may write into
LINKED = str(ContainerPaths().data.relative_to(ContainerPaths().root))
# Members of a request that a container finds as a file
PARTS = {
    places.HOOK: "debughookconfig.json",
    places.PROFILER: "profilerconfig.json",
    places.TENSORBOARD: "tensorboardoutputconfig.json",
}
# Where smdebug looks for them, if not below /opt/ml
SMDEBUG_VARIABLES = {
    places.HOOK: "SMDEBUG_CONFIG_FILE_PATH",
    places.PROFILER: "SMPROFILER_CONFIG_PATH",
    places.TENSORBOARD: "TENSORBOARD_CONFIG_FILE_PATH",
}


def write(root: Path, documents: Mapping[str, Any]) -> ContainerPaths:
    """Make the folders of a container below *root*, with the configuration files in them."""
    paths = ContainerPaths(root)
    for folder in (paths.config, paths.data, paths.model, paths.output_data):
        folder.mkdir(parents=True, exist_ok=True)
    for name, document in documents.items():
        (paths.config / name).write_text(json.dumps(document))
    return paths


def documents(
    job: Document, hosts: Sequence[str], base_dir: Path, index: int = 0
) -> dict[str, Any]:
    """
    Return the configuration files of one host, by name.

    Args:
        job: The job's document.
        hosts: The names of all its instances.
        base_dir: What the container knows as /opt/ml.
        index: Of the host, counted from 0.
    """
    paths = ContainerPaths(base_dir)
    files: dict[str, Any] = {
        paths.hyperparameters.name: job.get("HyperParameters", {}),
        paths.input_data_config.name: input_data_config(job, index),
        paths.resource_config.name: resource_config(job["ResourceConfig"], hosts, index),
    }
    if "CheckpointConfig" in job:
        local = checkpoint_folder(job, base_dir)
        files[paths.checkpoint_config.name] = {"LocalPath": str(local)}
    return files | {
        name: places.with_local_path(job, part, base_dir)
        for part, name in PARTS.items()
        if part in job
    }


def input_data_config(job: Document, index: int = 0) -> dict[str, Any]:
    """Return inputdataconfig.json: a member for each channel that the host gets."""
    machines = cluster.instances(job["ResourceConfig"])
    return {
        channel["ChannelName"]: {
            **({"ContentType": channel["ContentType"]} if "ContentType" in channel else {}),
            "TrainingInputMode": input_mode(job, channel),
            "S3DistributionType": cluster.distribution(channel),
            "RecordWrapperType": channel.get("RecordWrapperType", "None"),
        }
        for channel in job.get("InputDataConfig", [])
        if machines[index] in cluster.receivers(machines, channel)
    }


def input_mode(job: Document, channel: Document) -> str:
    """Return how a channel's objects come to the container: its own way, or the algorithm's."""
    return str(channel.get("InputMode", job["AlgorithmSpecification"]["TrainingInputMode"]))


def resource_config(resources: Document, hosts: Sequence[str], index: int = 0) -> dict[str, Any]:
    """Return resourceconfig.json of one host."""
    machines = cluster.instances(resources)
    named = list(zip(machines, hosts, strict=True))
    return {
        "current_host": hosts[index],
        "current_instance_type": machines[index].type,
        "current_group_name": machines[index].group,
        "hosts": list(hosts),
        "instance_groups": [
            {
                "instance_group_name": name,
                "instance_type": kind,
                "hosts": [host for machine, host in named if machine.group == name],
            }
            for name, kind in dict.fromkeys((machine.group, machine.type) for machine in machines)
        ],
        "network_interface_name": NETWORK_INTERFACE,
    }


def checkpoint_folder(job: Document, base_dir: Path) -> Path:
    """Return where the checkpoints are, for who knows /opt/ml as *base_dir*."""
    local = PurePosixPath(job["CheckpointConfig"].get("LocalPath", ContainerPaths().checkpoints))
    return base_dir / local.relative_to(ContainerPaths().root)


def environment(job: Document, *, region: str, endpoint_url: str) -> dict[str, str]:
    """Return what SageMaker adds to a training container's environment, then the request's own."""
    return {
        "TRAINING_JOB_NAME": job["TrainingJobName"],
        "TRAINING_JOB_ARN": job["TrainingJobArn"],
        **local_aws(region, endpoint_url),
        **job.get("Environment", {}),
    }


def elsewhere(base_dir: Path) -> dict[str, str]:
    """Return what tells smdebug of a container's files where they are not below /opt/ml."""
    paths = ContainerPaths(base_dir)
    if base_dir == ContainerPaths().root:
        return {}
    return {SMDEBUG_VARIABLES[part]: str(paths.config / name) for part, name in PARTS.items()}


def local_aws(region: str, endpoint_url: str) -> dict[str, str]:
    """Return the settings by which a container's AWS clients reach this server, and nobody else."""
    return client_environment.variables(endpoint_url, {"AWS_REGION": region})


def command(job: Document) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return entry point and arguments; an image's own entry point gets ``train``."""
    specification = job["AlgorithmSpecification"]
    entrypoint = tuple(specification.get("ContainerEntrypoint", ()))
    arguments = tuple(specification.get("ContainerArguments", ()))
    return entrypoint, arguments or (() if entrypoint else ("train",))
