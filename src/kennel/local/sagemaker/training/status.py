"""
The states of a training job, as DescribeTrainingJob tells them. Pure: documents in, documents out.

What makes a job move from one to the next is the driver's business.
"""

from datetime import datetime

from kennel.local.resources import Document

MESSAGES = {
    "Starting": "Starting the training job",
    "Pending": "Waiting for other training jobs on this machine to end",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Interrupted": "The Spot instances are taken back: the last checkpoints are being stored",
    "Restarting": "Waiting for Spot capacity, to go on from the last checkpoint",
    "Stopping": "Stopping the training job",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
    "MaxWaitTimeExceeded": "Training job wait time exceeded MaxWaitTimeInSeconds provided",
}
PROGRESS = ("Starting", "Pending", "Downloading", "Training", "Uploading")  # in this order
PRIMARY = {
    "Completed": "Completed",
    "Failed": "Failed",
    "Stopping": "Stopping",
    "Stopped": "Stopped",
    "MaxRuntimeExceeded": "Stopped",
    "MaxWaitTimeExceeded": "Stopped",
}


def created(now: datetime) -> Document:
    """Return the members of a job that has just been created."""
    fresh = {"CreationTime": now, "SecondaryStatusTransitions": []}
    return advance(fresh, "Starting", now)


def advance(job: Document, secondary: str, now: datetime, message: str = "") -> Document:
    """
    Return *job* in its next secondary status, and in the status that goes with it.

    A job that is stopping stays so until it has stopped: what happens meanwhile is not shown. Nor
    is what a server does again after the one before was killed: a job never goes back.
    """
    if has_reached(job, secondary):
        return job
    status = PRIMARY.get(secondary, "InProgress")
    if job.get("TrainingJobStatus") == "Stopping" and status == "InProgress":
        return job
    transitions = [dict(old) for old in job["SecondaryStatusTransitions"]]
    if transitions:
        transitions[-1].setdefault("EndTime", now)
    new = {"Status": secondary, "StartTime": now, "StatusMessage": message or MESSAGES[secondary]}
    return {
        **job,
        "TrainingJobStatus": status,
        "SecondaryStatus": secondary,
        "SecondaryStatusTransitions": [*transitions, new],
        "LastModifiedTime": now,
    }


def has_reached(job: Document, secondary: str) -> bool:
    """
    Return whether a job at work is in *secondary*, or beyond it.

    One that is interrupted is beyond all of it, until it is Restarting and begins anew.
    """
    current = job.get("SecondaryStatus")
    if current == "Interrupted" and secondary in PROGRESS:
        return True
    if current not in PROGRESS or secondary not in PROGRESS:
        return False
    return PROGRESS.index(current) >= PROGRESS.index(secondary)


def ended(
    job: Document, secondary: str, now: datetime, reason: str = "", *, billed_s: float
) -> Document:
    """
    Return *job* at its end: with its times, and with the reason when it failed.

    Args:
        billed_s: For how long it had instances.
    """
    last = advance(job, secondary, now, reason)
    last["SecondaryStatusTransitions"][-1]["EndTime"] = now
    started = job.get("TrainingStartTime")
    if started is not None:
        last |= {
            "TrainingEndTime": now,
            "TrainingTimeInSeconds": max(1, round((now - started).total_seconds())),
            "BillableTimeInSeconds": max(1, round(billed_s)),
        }
    return last | ({"FailureReason": reason} if reason else {})
