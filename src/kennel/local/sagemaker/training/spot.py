"""
A Spot interruption, as a job's document tells of it, and the time that a job is billed for. Pure.

On AWS the instances of a job on Spot may be taken back at any moment: SIGTERM, the grace of a stop,
SIGKILL. The job waits for capacity, gets fresh instances and goes on from its checkpoints in S3.
Here nothing is ever taken back unless somebody asks for it (kennel.local.rehearsal).
"""

from datetime import datetime, timedelta

from kennel.local.resources import LOCAL, Document
from kennel.local.sagemaker.names import invalid
from kennel.local.sagemaker.training import cluster, status

MAX_AWAY_S = 28 * 24 * 3600  # StoppingCondition's longest


def attempt(job: Document, moment: datetime) -> Document:
    """
    Return what the server keeps of one attempt at a job that has not started yet.

    AttemptStart is when its instances began to be billed; Streams are its logs, one for each host,
    named after the moment as SageMaker does, with how far the host's output has been read.
    """
    machines = cluster.instances(job["ResourceConfig"])
    name, stamp = job["TrainingJobName"], int(moment.timestamp())
    streams = [{"Name": f"{name}/{m.label}-{stamp}", "Offset": 0} for m in machines]
    return {"AttemptStart": None, "Streams": streams}


def first_attempt(job: Document, moment: datetime) -> Document:
    """Return what the server keeps of the attempts at a new job."""
    return {"BilledSeconds": 0.0, "CapacityAt": None, **attempt(job, moment)}


def started(job: Document, moment: datetime) -> Document:
    """Return *job* with its instances there, unless they have been before."""
    local = job[LOCAL]
    start = {"AttemptStart": local["AttemptStart"] or moment}
    return job | {
        "TrainingStartTime": job.get("TrainingStartTime", moment),
        LOCAL: local | start,
    }


def interrupted(job: Document, away_s: float, moment: datetime) -> Document:
    """
    Return *job* with its instances about to be taken back.

    Args:
        away_s: For how long there is no capacity then.

    Raises:
        ApiError: ``ValidationException``: it is not on Spot, or is not training.
    """
    name = job["TrainingJobName"]
    if not 0 <= away_s <= MAX_AWAY_S:
        raise invalid(f"Capacity cannot be away for {away_s} s: expected 0 to {MAX_AWAY_S} s.")
    if not job.get("EnableManagedSpotTraining"):
        raise invalid(
            f"The training job {name} is not on Spot, so nothing interrupts it:"
            " EnableManagedSpotTraining is not set (kennel train --spot sets it)."
        )
    if job["SecondaryStatus"] != "Training" or "FailedHost" in job[LOCAL]:
        raise invalid(
            f"The training job {name} cannot be interrupted: it is {job['TrainingJobStatus']}"
            f" ({job['SecondaryStatus']}), and only a job that is Training has instances to lose."
        )
    return status.advance(job, "Interrupted", moment) | {
        LOCAL: job[LOCAL] | {"AwaySeconds": away_s}
    }


def is_interrupted(job: Document) -> bool:
    """Return whether the instances of a job are being taken back."""
    return bool(job["SecondaryStatus"] == "Interrupted")


def released(job: Document, moment: datetime) -> Document:
    """Return an interrupted *job* without its instances, which waits for others."""
    if not is_interrupted(job):  # it has been stopped meanwhile
        return job
    local = {k: v for k, v in job[LOCAL].items() if k not in ("TerminatedAt", "AwaySeconds")}
    capacity_at = moment + timedelta(seconds=job[LOCAL]["AwaySeconds"])
    return status.advance(job, "Restarting", moment) | {
        LOCAL: local
        | {
            "BilledSeconds": billed_s(job, moment),
            "CapacityAt": capacity_at,
            **attempt(job, capacity_at),
        }
    }


def capacity_in_s(job: Document, moment: datetime) -> float:
    """Return how long it takes until there are instances for a job."""
    at = job[LOCAL]["CapacityAt"]
    return 0.0 if at is None else max(0.0, float((at - moment).total_seconds()))


def billed_s(job: Document, moment: datetime) -> float:
    """Return for how long a job has had instances, of all its attempts."""
    local = job[LOCAL]
    start = local["AttemptStart"] or moment
    return float(local["BilledSeconds"] + (moment - start).total_seconds())
