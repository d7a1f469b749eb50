"""The document of one tuning job, as the thread that runs it reads and changes it."""

from collections.abc import Callable

from kennel.local.resources import Document, Resources
from kennel.local.sagemaker.names import TRAINING_JOB, TUNING_JOB
from kennel.local.sagemaker.training.record import Closing
from kennel.local.sagemaker.tuning import launched


class Record:
    """The document of the tuning job called *name*; Closing is raised when it has gone."""

    def __init__(self, resources: Resources, name: str) -> None:
        self.resources = resources
        self.name = name

    def read(self) -> Document:
        """Return the tuning job as it is now."""
        tuning = self.resources.find(TUNING_JOB.path, self.name)
        if tuning is None:
            raise Closing  # somebody has deleted the state under the server
        return tuning

    def change(self, change: Callable[[Document], Document]) -> Document:
        """Replace the tuning job by what *change* makes of it, and return that."""
        tuning = self.resources.change(TUNING_JOB.path, self.name, change)
        if tuning is None:
            raise Closing
        return tuning


def summaries(resources: Resources, tuning: Document) -> list[Document]:
    """Return the summary of each training job of a tuning job, in the order of their launch."""
    return [
        entry.get("Ended")
        or launched.summary(tuning, entry, resources.find(TRAINING_JOB.path, entry["Name"]))
        for entry in launched.entries(tuning)
    ]
