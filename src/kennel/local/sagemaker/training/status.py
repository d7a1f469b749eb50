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
    "Stopping": "Stopping the training job",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
}
PROGRESS = ("Starting", "Pending", "Downloading", "Training", "Uploading")  # in this order
PRIMARY = {
    "Completed": "Completed",
    "Failed": "Failed",
    "Stopping": "Stopping",
    "Stopped": "Stopped",
    "MaxRuntimeExceeded": "Stopped",
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
    """Return whether a job at work is in *secondary*, or beyond it."""
    current = job.get("SecondaryStatus")
    if current not in PROGRESS or secondary not in PROGRESS:
        return False
    return PROGRESS.index(current) >= PROGRESS.index(secondary)


def ended(job: Document, secondary: str, now: datetime, reason: str = "") -> Document:
    """Return *job* at its end: with its times, and with the reason when it failed."""
    last = advance(job, secondary, now, reason)
    last["SecondaryStatusTransitions"][-1]["EndTime"] = now
    started = job.get("TrainingStartTime")
    if started is not None:
        seconds = max(1, round((now - started).total_seconds()))
        last |= {
            "TrainingEndTime": now,
            "TrainingTimeInSeconds": seconds,
            "BillableTimeInSeconds": seconds,
        }
    return last | ({"FailureReason": reason} if reason else {})
