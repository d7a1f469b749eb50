"""
The files in which the platform describes a job, under /opt/ml/input/config.

What the values mean is elsewhere: hyperparameters.py and channels.py.
"""

import json
from pathlib import Path
from typing import Any

from kennel.contract import ContainerPaths
from kennel.errors import DataError, HyperparameterError, KennelError

JOB_VARIABLE = "TRAINING_JOB_NAME"


def hyperparameters(paths: ContainerPaths) -> dict[str, Any]:
    """
    Return name → text, as the request had them.

    Raises:
        HyperparameterError: The file is missing, or holds no JSON object.
    """
    return _object(paths.hyperparameters, HyperparameterError)


def channels(paths: ContainerPaths) -> list[str] | None:
    """Return the names of the job's channels, or None where the platform declares none."""
    if not paths.input_data_config.exists():
        return None
    return list(_object(paths.input_data_config, DataError)) or None


def sharded(paths: ContainerPaths) -> list[str]:
    """Return the names of the channels of which each host has a part only."""
    if not paths.input_data_config.exists():
        return []
    described = _object(paths.input_data_config, DataError)
    return [
        name
        for name, channel in described.items()
        if isinstance(channel, dict) and channel.get("S3DistributionType") == "ShardedByS3Key"
    ]


def profiler(paths: ContainerPaths) -> dict[str, Any]:
    """Return the request's ProfilerConfig, an empty one where there is none."""
    return _object(paths.profiler_config, KennelError) if paths.profiler_config.exists() else {}


def node(paths: ContainerPaths) -> str:
    """Return what the platform's metrics call this host: algo-1 and so on, by its place."""
    try:
        document = _object(paths.resource_config, KennelError)
        return f"algo-{document['hosts'].index(document['current_host']) + 1}"
    except (KennelError, KeyError, ValueError, AttributeError):
        return "algo-1"


def hosts(paths: ContainerPaths) -> list[str]:
    """Return the names of the job's hosts, the first one first."""
    return [str(host) for host in _object(paths.resource_config, KennelError)["hosts"]]


def checkpoint_folder(paths: ContainerPaths) -> Path:
    """
    Return the folder that is synced while the job runs: CheckpointConfig's LocalPath.

    Without a CheckpointConfig nothing is synced, but a stop still leaves its checkpoint.
    """
    if not paths.checkpoint_config.exists():
        return paths.checkpoints
    document = _object(paths.checkpoint_config, KennelError)
    return mounted(paths, Path(document.get("LocalPath") or paths.checkpoints))


def mounted(paths: ContainerPaths, folder: Path) -> Path:
    """Return where a folder that a request names is: below *paths*, which may stand in."""
    root = ContainerPaths().root
    return paths.root / folder.relative_to(root) if folder.is_relative_to(root) else folder


def text(value: object) -> str:
    """Return the text of a value that may be JSON of text: the SDK sends ``"train.py"`` quoted."""
    given = str(value)
    try:
        document = json.loads(given)
    except ValueError:
        return given
    return document if isinstance(document, str) else given


def _object(path: Path, error_class: type[KennelError]) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text())
    except OSError as error:
        raise error_class(
            f"cannot read {path}: {error.strerror}",
            expected="the file that the platform writes before it starts a training job",
        ) from error
    except ValueError as error:
        raise error_class(f"{path} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise error_class(f"{path} holds {type(document).__name__}", expected="a JSON object")
    return document
