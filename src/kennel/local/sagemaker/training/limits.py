"""When the containers of a job are ended from outside, and how long they have for it. Pure."""

from datetime import datetime

from kennel.contract import STOP_GRACE_S
from kennel.local.resources import LOCAL, Document
from kennel.local.sagemaker.training import spot, status

DEFAULT_MAX_RUNTIME_S = 86400  # SageMaker's own, for a request without one
PEER_GRACE_S = 30  # for the other hosts of one that has failed, which may wait for it for ever


def must_end(job: Document, moment: datetime) -> bool:
    """Return whether the containers of a job are to go, or are not to be started at all."""
    return is_asked(job) or bool(exceeded(job, moment))


def is_asked(job: Document) -> bool:
    """Return whether somebody wants the containers of a job to go, or the failure of one does."""
    is_stopping = job["TrainingJobStatus"] == "Stopping" or spot.is_interrupted(job)
    return is_stopping or has_failed(job)


def has_failed(job: Document) -> bool:
    """Return whether one of a job's hosts has failed."""
    return job[LOCAL].get("FailedHost") is not None


def exceeded(job: Document, moment: datetime) -> str | None:
    """Return the secondary status of a job that has taken too long, or None."""
    condition = job["StoppingCondition"]
    if spot.billed_s(job, moment) >= condition.get("MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME_S):
        return "MaxRuntimeExceeded"
    longest_s = condition.get("MaxWaitTimeInSeconds")
    waited_s = (moment - job["CreationTime"]).total_seconds()
    return "MaxWaitTimeExceeded" if longest_s is not None and waited_s >= longest_s else None


def ending(job: Document, moment: datetime) -> Document:
    """Return *job* with when, and if it took too long why, its containers are being ended."""
    noted = {"TerminatedAt": moment} | job[LOCAL]
    if is_asked(job):
        return job | {LOCAL: noted}
    noted["Exceeded"] = exceeded(job, moment)
    return status.advance(job, "Stopping", moment) | {LOCAL: noted}


def grace_s(job: Document) -> int:
    """Return how long after SIGTERM the containers of a job get SIGKILL."""
    return PEER_GRACE_S if has_failed(job) else STOP_GRACE_S
