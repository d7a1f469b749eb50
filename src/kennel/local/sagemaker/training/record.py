"""The document of one training job, as the thread that runs the job reads and changes it."""

from kennel.local.resources import LOCAL, Document
from kennel.local.sagemaker import record
from kennel.local.sagemaker.names import TRAINING_JOB
from kennel.local.sagemaker.platform import now
from kennel.local.sagemaker.training import status


class Record(record.Record):
    """The document of the training job called *name*."""

    kind = TRAINING_JOB

    def change_local(self, **members: object) -> None:
        """Set members that are the server's own business."""
        self.change(lambda job: job | {LOCAL: job[LOCAL] | members})

    def advance(self, secondary: str) -> Document:
        """Write down the next secondary status, unless the job is there already; return the job."""
        moment = now()
        return self.change(lambda job: status.advance(job, secondary, moment))


def has_ended(job: Document) -> bool:
    """Return whether there is nothing more to do for a job."""
    return job["TrainingJobStatus"] not in ("InProgress", "Stopping")


def seconds_since(document: Document, member: str) -> float:
    """Return how long ago the time in *member* was."""
    return float((now() - document[member]).total_seconds())
