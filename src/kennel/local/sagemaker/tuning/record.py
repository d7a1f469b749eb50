"""The document of one tuning job, as the thread that runs it reads and changes it."""

from kennel.local.resources import Document, Resources
from kennel.local.sagemaker import record
from kennel.local.sagemaker.names import TRAINING_JOB, TUNING_JOB
from kennel.local.sagemaker.tuning import launched


class Record(record.Record):
    """The document of the tuning job called *name*."""

    kind = TUNING_JOB


def summaries(resources: Resources, tuning: Document) -> list[Document]:
    """Return the summary of each training job of a tuning job, in the order of their launch."""
    return [
        entry.get("Ended")
        or launched.summary(tuning, entry, resources.find(TRAINING_JOB.path, entry["Name"]))
        for entry in launched.entries(tuning)
    ]
