"""The kinds of resources, their ARNs, and AWS's words when one is missing or there already."""

from dataclasses import dataclass

from kennel.local.wire.context import arn
from kennel.local.wire.errors import ApiError


@dataclass(frozen=True)
class Kind:
    """A kind of resource, as AWS spells it."""

    path: str  # in an ARN; also the kind in the database
    noun: str  # in an error message
    member: str  # name member of its requests; the ARN's differs in its ending

    def arn(self, name: str) -> str:
        """Return the ARN of the resource called *name*, in the caller's region."""
        return arn("sagemaker", f"{self.path}/{name}")

    def missing(self, name: str) -> ApiError:
        """Return the error for a resource that is not there."""
        return invalid(f'Could not find {self.noun} "{self.arn(name)}".')

    def taken(self, name: str) -> ApiError:
        """Return the error for a name that is in use."""
        return invalid(f'Cannot create already existing {self.noun} "{self.arn(name)}".')


TRAINING_JOB = Kind("training-job", "training job", "TrainingJobName")
TUNING_JOB = Kind(
    "hyper-parameter-tuning-job", "hyperparameter tuning job", "HyperParameterTuningJobName"
)
MODEL = Kind("model", "model", "ModelName")
ENDPOINT_CONFIG = Kind("endpoint-config", "endpoint configuration", "EndpointConfigName")
ENDPOINT = Kind("endpoint", "endpoint", "EndpointName")
ALL = (TRAINING_JOB, TUNING_JOB, MODEL, ENDPOINT_CONFIG, ENDPOINT)
KINDS = {kind.path: kind for kind in ALL}


def invalid(message: str) -> ApiError:
    """Return the error that SageMaker answers nearly every mistake with."""
    return ApiError("ValidationException", message)


def not_here(what: str, remedy: str = "") -> ApiError:
    """Return the error for a part of a request that AWS would honour and local mode cannot."""
    return invalid(f"{what} is not in local mode." + (f" {remedy}" if remedy else ""))
