"""The document of one job, as the thread that runs the job reads and changes it."""

from collections.abc import Callable

from kennel.local.resources import LOCAL, Document, Resources
from kennel.local.sagemaker.names import TRAINING_JOB
from kennel.local.sagemaker.platform import now
from kennel.local.sagemaker.training import status


class Closing(Exception):  # noqa: N818 - not an error: the server is going away
    """Leave the job to the next server."""


class Record:
    """The document of the job called *name*; each method raises Closing when it has gone."""

    def __init__(self, resources: Resources, name: str) -> None:
        self.resources = resources
        self.name = name

    def read(self) -> Document:
        """Return the job as it is now."""
        job = self.resources.find(TRAINING_JOB.path, self.name)
        if job is None:
            raise Closing  # somebody has deleted the state under the server
        return job

    def change(self, change: Callable[[Document], Document]) -> Document:
        """Replace the job by what *change* makes of it, and return that."""
        job = self.resources.change(TRAINING_JOB.path, self.name, change)
        if job is None:
            raise Closing
        return job

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
