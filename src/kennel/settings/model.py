"""
Every setting, with its default and its range: the sections of kennel.toml, one class each.

Values only. Where they come from stands in ``load``; what a training job makes of
``hyperparameters`` stands in kennel.training.hyperparameters.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kennel import contract
from kennel.errors import SettingsError
from kennel.settings.ranges import Range

ROLE_PATTERN = r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+"
NAME_PATTERN = r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"  # of training jobs and endpoints alike
NAME_RULE = "1 to 63 letters, digits and hyphens, no hyphen at the ends"
INSTANCE_PATTERN = r"ml\.[a-z0-9-]+\.[a-z0-9]+"
INSTANCE_RULE = "an instance type of SageMaker: ml.FAMILY.SIZE"
DATA_RULE = "1 to 128 letters, digits, dots, hyphens and underscores"
REGISTRY_PATTERN = r"(localhost|127\.\d+\.\d+\.\d+)(:\d{1,5})?"  # a push never leaves this machine
DAY_S = 24 * 3600
# The ranges that are usually searched for such a classifier.
USUAL_RANGES = {
    "lr": Range(low="0.001", high="0.1", scaling="Logarithmic"),
    "batch-size": Range(values=("32", "64", "128", "256", "512")),
    "momentum": Range(low="0.5", high="0.9"),
}


def _within(low: int, high: int) -> dict[str, Any]:
    return {"low": low, "high": high}


def _like(pattern: str, rule: str, example: str) -> dict[str, Any]:
    """Describe a text: *rule* says in words what *pattern* asks for."""
    return {"pattern": pattern, "rule": rule, "example": example}


@dataclass(frozen=True)
class Aws:
    """Where things run, and as whom."""

    region: str | None = field(
        default=None, metadata=_like(r"[a-z]{2}(-[a-z]+)+-\d", "an AWS region", "eu-west-1")
    )
    role: str | None = field(
        default=None,
        metadata=_like(
            ROLE_PATTERN, "the ARN of an IAM role", "arn:aws:iam::123456789012:role/kennel"
        ),
    )
    bucket: str | None = field(
        default=None,
        metadata=_like(
            r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
            "3 to 63 small letters, digits, dots and hyphens, none but the first two at the ends",
            "kennel-pictures",
        ),
    )
    prefix: str = field(
        default="kennel",
        metadata=_like(
            r"[\w!.*'()-]+(/[\w!.*'()-]+)*",
            "letters, digits and any of !.*'()-_ with single slashes between them",
            "teams/vision/kennel",
        ),
    )


@dataclass(frozen=True)
class Images:
    """
    The container images; the process runtime of local mode only notes their names.

    Where none is set, ``record`` says which were pushed last (kennel.jobs.images).
    """

    train: str | None = None
    serve: str | None = None
    record: Path = Path(".kennel/images.json")


@dataclass(frozen=True)
class Data:
    """The dataset to train on, and its name in the bucket (default: its folder's name)."""

    folder: Path = Path("data")
    name: str | None = field(default=None, metadata=_like(r"[\w.-]{1,128}", DATA_RULE, "clothing"))


@dataclass(frozen=True)
class Train:
    """A training job: its machines, its limits, its hyperparameters."""

    instance_type: str = field(
        default="ml.g4dn.xlarge", metadata=_like(INSTANCE_PATTERN, INSTANCE_RULE, "ml.g4dn.xlarge")
    )
    instance_count: int = field(default=1, metadata=_within(1, 100))
    volume_gb: int = field(default=50, metadata=_within(1, 16384))
    max_runtime_s: int = field(default=DAY_S, metadata=_within(1, 28 * DAY_S))
    spot: bool = False
    max_wait_s: int | None = field(default=None, metadata=_within(2, 2 * 28 * DAY_S))
    keep_alive_s: int = field(default=0, metadata=_within(0, contract.MAX_KEEP_ALIVE_S))
    checkpoints: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)
    hyperparameters: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Tune:
    """A tuning job: what it searches, how, for how long. Its trials are jobs as ``Train`` says."""

    strategy: str = field(
        default="Bayesian",
        metadata=_like(
            "Bayesian|Random|Grid|Hyperband", "Bayesian, Random, Grid or Hyperband", "Random"
        ),
    )
    objective: str = field(
        default="valid_accuracy", metadata=_like(r".{1,255}", "the name of a metric", "valid_loss")
    )
    direction: str | None = field(
        default=None, metadata=_like("Maximize|Minimize", "Maximize or Minimize", "Minimize")
    )
    max_jobs: int = field(default=20, metadata=_within(1, contract.MAX_TRIALS))
    parallel: int = field(default=2, metadata=_within(1, contract.MAX_PARALLEL_TRIALS))
    max_runtime_s: int | None = field(default=None, metadata=_within(120, contract.MAX_TUNING_S))
    in_job: bool = False
    early_stopping: bool = False
    target: float | None = None
    patience: int | None = field(default=None, metadata=_within(3, contract.MAX_TRIALS))
    convergence: bool = False
    warm_start: str = field(
        default="TransferLearning",
        metadata=_like(
            "TransferLearning|IdenticalDataAndAlgorithm",
            "TransferLearning or IdenticalDataAndAlgorithm",
            "TransferLearning",
        ),
    )
    seed: int | None = field(default=None, metadata=_within(0, 2**31 - 1))
    record: Path = Path(".kennel/tuned.json")
    ranges: Mapping[str, Range] = field(default_factory=lambda: dict(USUAL_RANGES))


@dataclass(frozen=True)
class Debug:
    """
    What a training saves of itself, and the rules that judge it; None: as the training chooses.

    Which rules there are is judged where a job is described, in kennel.jobs.debugging.

    Args:
        parameters: Rule → its parameters, name → value.
    """

    enabled: bool = False
    evaluator: str = field(
        default="kennel", metadata=_like("kennel|sagemaker", "kennel or sagemaker", "kennel")
    )
    rules: str = "all"
    collections: str | None = field(
        default=None,
        metadata=_like(
            r"\w+(\s*,\s*\w+)*", "names with commas between them", "losses,gradients,weights"
        ),
    )
    include: str | None = None
    save_interval: int | None = field(default=None, metadata=_within(1, 1_000_000))
    stop: bool = False
    parameters: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Profile:
    """
    What a training measures of its time and its machine; None: as the training chooses.

    Args:
        parameters: Rule → its parameters, name → value.
    """

    enabled: bool = False
    interval_ms: int = field(
        default=500, metadata=_within(contract.PROFILING_MIN_MS, contract.PROFILING_MAX_MS)
    )
    trace: str | None = field(
        default=None,
        metadata=_like(r"none|\d+:\d+", "none, or START:COUNT in steps", "20:5"),
    )
    rules: str = "all"
    platform: bool = False
    parameters: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Deploy:
    """An endpoint: its name, its machines, its patience."""

    endpoint: str = field(
        default="kennel", metadata=_like(NAME_PATTERN, NAME_RULE, "kennel-clothing")
    )
    instance_type: str = field(
        default="ml.m5.large", metadata=_like(INSTANCE_PATTERN, INSTANCE_RULE, "ml.m5.large")
    )
    instance_count: int = field(default=1, metadata=_within(1, 100))
    inference_ami_version: str | None = None
    startup_timeout_s: int = field(
        default=contract.STARTUP_TIMEOUT_S, metadata=_within(60, contract.MAX_STARTUP_TIMEOUT_S)
    )


@dataclass(frozen=True)
class Local:
    """The local server."""

    port: int = field(default=4510, metadata=_within(0, 65535))
    state: Path = Path(".kennel/local")
    runtime: str = field(
        default="auto",
        metadata=_like(r"auto|docker|process", "auto, docker or process", "process"),
    )
    registry: str = field(
        default="localhost:5000",
        metadata=_like(REGISTRY_PATTERN, "a host of this machine with its port", "localhost:5000"),
    )
    registry_user: str = field(default="AWS", metadata=_like(r"[^:\s]+", "a name", "AWS"))
    registry_password: str = field(default="kennel-local", repr=False)


@dataclass(frozen=True)
class Settings:
    """All of it."""

    aws: Aws = field(default_factory=Aws)
    images: Images = field(default_factory=Images)
    data: Data = field(default_factory=Data)
    train: Train = field(default_factory=Train)
    tune: Tune = field(default_factory=Tune)
    debug: Debug = field(default_factory=Debug)
    profile: Profile = field(default_factory=Profile)
    deploy: Deploy = field(default_factory=Deploy)
    local: Local = field(default_factory=Local)

    def __post_init__(self) -> None:
        """Refuse what AWS would refuse only after the data is uploaded."""
        train = self.train
        if train.max_wait_s is not None and train.max_wait_s <= train.max_runtime_s:
            raise SettingsError(
                f"[train] max_wait_s is {train.max_wait_s}, max_runtime_s {train.max_runtime_s}",
                expected="max_wait_s above max_runtime_s: it counts the wait for Spot as well",
            )
        if train.spot and train.keep_alive_s:
            raise SettingsError(
                f"[train] spot and keep_alive_s = {train.keep_alive_s} exclude each other",
                expected="a warm pool keeps on-demand instances; Spot instances cannot be kept",
                remedy="set keep_alive_s = 0, or spot = false",
            )
        if self.asks_for_platform_metrics:
            self._require_platform_interval()

    @property
    def asks_for_platform_metrics(self) -> bool:
        """Whether SageMaker itself is to sample the machine: AWS's Debugger, where there is one."""
        by_aws = self.debug.enabled and self.debug.evaluator == "sagemaker"
        return self.profile.enabled and (self.profile.platform or by_aws)

    def _require_platform_interval(self) -> None:
        given, allowed = self.profile.interval_ms, contract.PROFILING_INTERVALS_MS
        if given not in allowed:
            nearest = min(allowed, key=lambda interval: abs(interval - given))
            raise SettingsError(
                f"[profile] interval_ms is {given}, and SageMaker's own sampling is asked for",
                expected=f"one of {', '.join(map(str, allowed))}",
                remedy=f"interval_ms = {nearest}",
            )
