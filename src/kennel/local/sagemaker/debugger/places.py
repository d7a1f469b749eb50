"""
What of a container's files is stored in S3 while it runs, beside its checkpoints. Pure.

How a folder is stored is in kennel.local.sagemaker.training.checkpoints.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from kennel.contract import (
    PROFILER_PREFIX,
    RULES_PREFIX,
    TENSORBOARD_PREFIX,
    TENSORS_PREFIX,
    ContainerPaths,
)
from kennel.local.sagemaker import s3_uri
from kennel.rules import keeping

BASE = ContainerPaths()
HOOK, TENSORBOARD, PROFILER = "DebugHookConfig", "TensorBoardOutputConfig", "ProfilerConfig"
DEFAULT_INTERVAL_MS = 500
# Member of the request -> where its files are unless it says so
LOCAL_PATHS = {HOOK: BASE.tensors, TENSORBOARD: BASE.tensorboard}
PREFIXES = {HOOK: TENSORS_PREFIX, TENSORBOARD: TENSORBOARD_PREFIX}


@dataclass(frozen=True)
class Place:
    """
    A folder of every host, and the S3 prefix where it is stored.

    Args:
        name: The prefix's last part, which no other place of a job has.
        folder: Below /opt/ml.
        uri: S3 prefix.
    """

    name: str
    folder: PurePosixPath
    uri: str


def of_job(job: Mapping[str, Any]) -> list[Place]:
    """Return the places of a job."""
    found = [
        Place(PREFIXES[member], local_path(job, member), uri_of(job, member))
        for member in LOCAL_PATHS
        if member in job
    ]
    if is_profiled(job):
        folder = PurePosixPath(BASE.profiler.relative_to(BASE.root))
        found.append(Place(PROFILER_PREFIX, folder, profiler_uri(job)))
    return found


def local_path(job: Mapping[str, Any], member: str) -> PurePosixPath:
    """Return where the container writes the files of a member of the request, below /opt/ml."""
    local = PurePosixPath(job[member].get("LocalPath", LOCAL_PATHS[member]))
    return local.relative_to(BASE.root)


def with_local_path(job: Mapping[str, Any], member: str, base_dir: Path) -> dict[str, Any]:
    """Return a member of the request as the container that knows /opt/ml as *base_dir* reads it."""
    if member not in LOCAL_PATHS:
        return dict(job[member])
    return {**job[member], "LocalPath": str(base_dir / local_path(job, member))}


def uri_of(job: Mapping[str, Any], member: str) -> str:
    """Return where in S3 the files of a member of the request are."""
    return s3_uri.join(job[member]["S3OutputPath"], job["TrainingJobName"], PREFIXES[member])


def is_profiled(job: Mapping[str, Any]) -> bool:
    """Return whether the machine is sampled, and what smdebug's profiler writes is stored."""
    asked = PROFILER in job or "ProfilerRuleConfigurations" in job
    return asked and not job.get(PROFILER, {}).get("DisableProfiler")


def interval_ms(job: Mapping[str, Any]) -> int:
    """Return how often the machine is sampled."""
    given = job.get(PROFILER, {}).get("ProfilingIntervalInMilliseconds")
    return int(given or DEFAULT_INTERVAL_MS)


def profiler_uri(job: Mapping[str, Any]) -> str:
    """Return where in S3 the profile is; beside the job's other outputs unless it says so."""
    path = job.get(PROFILER, {}).get("S3OutputPath") or job["OutputDataConfig"]["S3OutputPath"]
    return s3_uri.join(path, job["TrainingJobName"], PROFILER_PREFIX)


def rule_uri(job: Mapping[str, Any], rule: Mapping[str, Any]) -> str:
    """
    Return where in S3 a rule leaves what it has found.

    Args:
        rule: A member of DebugRuleConfigurations or ProfilerRuleConfigurations.
    """
    path = rule.get("S3OutputPath") or job["OutputDataConfig"]["S3OutputPath"]
    name = keeping.file_name(rule["RuleConfigurationName"]).removesuffix(".json")
    return s3_uri.join(path, job["TrainingJobName"], RULES_PREFIX, name)
