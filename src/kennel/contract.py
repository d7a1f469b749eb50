"""
What SageMaker fixes for a container: its paths, ports, limits, names and statuses.

No other module spells ``/opt/ml``, ``8080`` or ``/aws/sagemaker``. Sources: the SageMaker developer
guide ("Using your own training algorithms", "Use your own inference code") and its service model.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

BASE_DIR_VARIABLE = "SAGEMAKER_BASE_DIR"  # read by sagemaker-training and sagemaker-inference too

# Hyperparameters, as CreateTrainingJob limits them
MAX_HYPERPARAMETERS = 100
HYPERPARAMETER_KEY_CHARS = 256
HYPERPARAMETER_VALUE_CHARS = 2500
RESERVED_HYPERPARAMETER_PREFIXES = ("sagemaker_", "_tuning_objective_metric")  # the toolkit's own

# Tuning ("Resource limits for automatic model tuning"; the rest from the service model)
MAX_TUNED_HYPERPARAMETERS = 30
MAX_CATEGORIES = 30  # values of one categorical range
RANGE_VALUE_CHARS = 256  # of a bound or a category
HYPERBAND_MAX_RESOURCE = 20_000  # epochs
# Where Hyperband finds MaxResource among the static hyperparameters when it is not given
EPOCH_HYPERPARAMETERS = ("epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs")
SEARCH_HYPERPARAMETER = "kennel-tuning"  # ours: a HyperParameterTuningJobConfig, for one job
SEARCH_RESULT = "tuning.json"  # ours: what such a job leaves in its output data
TUNING_FAILURES_AT_START = 5  # "No training job succeeded after 5 attempts"
TUNING_NAME_CHARS = 32
MAX_TRIALS = 750  # training jobs of one tuning job
MAX_PARENTS = 5  # of a warm start
MAX_PARALLEL_TRIALS = 100  # at most, by a raised quota; 10 without
MAX_TUNING_S = 15_768_000  # ResourceLimits.MaxRuntimeInSeconds
TUNING_ENDED = frozenset({"Completed", "Failed", "Stopped", "DeleteFailed"})

# Training
MAX_INSTANCES = 100  # of one job, whatever the account's quota
FAILURE_REASON_CHARS = 1024  # DescribeTrainingJob keeps this much of the failure file
STOP_GRACE_S = 120  # SIGTERM, this long, then SIGKILL
TRAINING_LOG_GROUP = "/aws/sagemaker/TrainingJobs"
MAX_KEEP_ALIVE_S = 21600  # KeepAlivePeriodInSeconds of a warm pool
MODEL_ARCHIVE = "model.tar.gz"
OUTPUT_ARCHIVE = "output.tar.gz"

# What kennel.training prints, a line an epoch and three at the end, for CreateTrainingJob's
# MetricDefinitions: name -> regular expression with one group. Other lines have an lr= as well.
# SageMaker keeps the last match, so the line of the epoch whose weights are kept comes once more at
# the end, as a line that begins so: it is no other epoch.
BEST_EPOCH = "best epoch="
_EPOCH = r"epoch=\d+/\d+ .*\b"
METRIC_DEFINITIONS: Mapping[str, str] = MappingProxyType(
    {
        "train_loss": _EPOCH + r"train_loss=([0-9.]+)",
        "train_accuracy": _EPOCH + r"train_accuracy=([0-9.]+)",
        "valid_loss": _EPOCH + r"valid_loss=([0-9.]+)",
        "valid_accuracy": _EPOCH + r"valid_accuracy=([0-9.]+)",
        "lr": _EPOCH + r"lr=([0-9.e+-]+)",
        "images_per_s": _EPOCH + r"images_per_s=([0-9.]+)",
        "test_loss": r"Test set: Average loss: ([0-9.]+)",
        "test_accuracy": r"Test set: Average accuracy: ([0-9.]+)",
    }
)
MAX_METRICS = 40  # MetricDefinitions
METRIC_REGEX_CHARS = 500

# Debugger and Profiler, as CreateTrainingJob limits them
MAX_RULES = 20  # DebugRuleConfigurations, ProfilerRuleConfigurations and collections, of each
PROFILING_INTERVALS_MS = (100, 200, 500, 1000, 5000, 60_000)  # of the platform's own sampling
PROFILING_MIN_MS, PROFILING_MAX_MS = PROFILING_INTERVALS_MS[0], PROFILING_INTERVALS_MS[-1]
# Below S3OutputPath/JOB
TENSORS_PREFIX, PROFILER_PREFIX = "debug-output", "profiler-output"
TENSORBOARD_PREFIX, RULES_PREFIX = "tensorboard-output", "rule-output"
TENSORS_END = "training_job_end.ts"  # the platform writes it when nothing more will come
RULES_LOG_GROUP = "/aws/sagemaker/ProcessingJobs"
TENSORS_EVERY_STEPS = 500  # where nobody says how often: AWS's own rules and smdebug alike

# Hosting
SERVING_PORT = 8080
BIND_TO_PORT_VARIABLE = "SAGEMAKER_BIND_TO_PORT"
SAFE_PORT_RANGE_VARIABLE = "SAGEMAKER_SAFE_PORT_RANGE"
BIND_ADDRESS_VARIABLE = "KENNEL_BIND_ADDRESS"  # ours: a container needs 0.0.0.0, a process does not
SERVING_BACKEND_VARIABLE = "KENNEL_SERVING_BACKEND"  # ours: auto, openvino or torch
BIND_TO_PORT_LABEL = "com.amazonaws.sagemaker.capabilities.accept-bind-to-port"
MULTI_MODELS_LABEL = "com.amazonaws.sagemaker.capabilities.multi-models"
CONNECT_TIMEOUT_S = 0.25
PING_TIMEOUT_S = 2
INVOCATION_TIMEOUT_S = 60
INVOCATION_BODY_BYTES = 25 * 2**20
# Of a client's headers only these reach the container
INVOCATION_HEADERS = (
    "Content-Type",
    "Accept",
    "X-Amzn-SageMaker-Custom-Attributes",
    "X-Amzn-SageMaker-Target-Model",
    "X-Amzn-SageMaker-Target-Variant",
    "X-Amzn-SageMaker-Target-Container-Hostname",
    "X-Amzn-SageMaker-Inference-Id",
    "X-Amzn-SageMaker-Inference-Component",
    "X-Amzn-SageMaker-Session-Id",
)
SERVING_STOP_GRACE_S = 30
STARTUP_TIMEOUT_S = 600  # ContainerStartupHealthCheckTimeoutInSeconds when the request has none
MAX_STARTUP_TIMEOUT_S = 3600
SERVERLESS_IMAGE_BYTES = 10 * 10**9  # no other limit on images is documented
ENDPOINT_LOG_GROUP = "/aws/sagemaker/Endpoints"  # followed by /NAME

# Drivers of endpoints ("Best practices to minimize interruptions during GPU driver upgrades")
DEFAULT_DRIVERS: Mapping[str, int] = MappingProxyType(
    {
        **dict.fromkeys(("p2", "p3", "p4d", "p4de", "g4dn", "g5"), 470),
        **dict.fromkeys(("p5", "g6"), 535),
        **dict.fromkeys(("p5e", "p5en"), 550),
    }
)
GPU_FAMILIES = frozenset(DEFAULT_DRIVERS) | {"g6e", "g7", "g7e", "p6-b200", "p6-b300", "p6e-gb200"}
# InferenceAmiVersion of a production variant -> its driver
INFERENCE_AMI_DRIVERS: Mapping[str, int] = MappingProxyType(
    {
        "al2-ami-sagemaker-inference-gpu-2": 535,
        "al2-ami-sagemaker-inference-gpu-2-1": 535,
        "al2-ami-sagemaker-inference-gpu-3-1": 550,
        "al2023-ami-sagemaker-inference-gpu-4-1": 580,
    }
)
# The oldest driver that runs any minor version of a CUDA ("CUDA Compatibility", NVIDIA)
CUDA_DRIVERS: Mapping[int, int] = MappingProxyType({11: 450, 12: 525, 13: 580})

TRAINING_ENDED = frozenset({"Completed", "Failed", "Stopped"})
ENDPOINT_SETTLED = frozenset({"InService", "Failed", "OutOfService", "UpdateRollbackFailed"})


@dataclass(frozen=True)
class ContainerPaths:
    """Where the platform mounts things: ``/opt/ml``, or a scratch folder that stands in for it."""

    root: Path = Path("/opt/ml")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "ContainerPaths":
        """Return the paths of this container: under SAGEMAKER_BASE_DIR where that is set."""
        return cls(Path(environment.get(BASE_DIR_VARIABLE, str(cls.root))))

    @property
    def config(self) -> Path:
        """Folder of the JSON files that describe the job."""
        return self.root / "input" / "config"

    @property
    def hyperparameters(self) -> Path:
        """JSON object, every value a string."""
        return self.config / "hyperparameters.json"

    @property
    def input_data_config(self) -> Path:
        """JSON object, a member for every channel."""
        return self.config / "inputdataconfig.json"

    @property
    def resource_config(self) -> Path:
        """JSON object: current_host, hosts, network_interface_name and the instance groups."""
        return self.config / "resourceconfig.json"

    @property
    def checkpoint_config(self) -> Path:
        """JSON object: LocalPath."""
        return self.config / "checkpointconfig.json"

    @property
    def profiler_config(self) -> Path:
        """JSON object: the request's ProfilerConfig."""
        return self.config / "profilerconfig.json"

    @property
    def debug_hook_config(self) -> Path:
        """JSON object: the request's DebugHookConfig."""
        return self.config / "debughookconfig.json"

    @property
    def data(self) -> Path:
        """Folder with one folder for each channel."""
        return self.root / "input" / "data"

    def channel(self, name: str) -> Path:
        """Folder of the channel *name*."""
        return self.data / name

    @property
    def model(self) -> Path:
        """What becomes model.tar.gz; in serving, that archive unpacked."""
        return self.root / "model"

    @property
    def output(self) -> Path:
        """Folder of the failure file and of output/data."""
        return self.root / "output"

    @property
    def output_data(self) -> Path:
        """What becomes output.tar.gz."""
        return self.output / "data"

    @property
    def profile(self) -> Path:
        """Ours: what a profiled run leaves of its time."""
        return self.output_data / PROFILER_PREFIX

    @property
    def debug(self) -> Path:
        """Ours: what a debugged run leaves of its tensors and of the rules over them."""
        return self.output_data / TENSORS_PREFIX

    @property
    def failure(self) -> Path:
        """The reason of a failure; its first 1024 characters reach FailureReason."""
        return self.output / "failure"

    @property
    def tensors(self) -> Path:
        """Synced to S3 while the job runs: what smdebug saves, unless the hook says another."""
        return self.output / "tensors"

    @property
    def tensorboard(self) -> Path:
        """Synced to S3 while the job runs, where a TensorBoardOutputConfig does not say another."""
        return self.output / "tensorboard"

    @property
    def profiler(self) -> Path:
        """Synced to S3 while the job runs: what smdebug's profiler saves of a framework."""
        return self.output / "profiler"

    @property
    def checkpoints(self) -> Path:
        """Synced to S3 while the job runs, restored from there before it starts."""
        return self.root / "checkpoints"
