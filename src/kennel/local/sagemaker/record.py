"""
The document of a job, as the thread that brings the job to its end reads and changes it.

Training jobs and tuning jobs share this; what their documents say is in training and in tuning.
"""

import logging
import threading
from collections.abc import Callable
from typing import ClassVar

from kennel.local.resources import Document, Resources
from kennel.local.sagemaker.names import Kind

LOG = logging.getLogger(__name__)

RETRY_S = 5.0  # until there may be room on the disk again


class Closing(Exception):  # noqa: N818 - not an error: the server is going away
    """Leave the job to the next server."""


class Record:
    """The document of the job called *name*; each method raises Closing when it has gone."""

    kind: ClassVar[Kind]

    def __init__(self, resources: Resources, name: str) -> None:
        self.resources = resources
        self.name = name

    def read(self) -> Document:
        """Return the job as it is now."""
        job = self.resources.find(self.kind.path, self.name)
        if job is None:
            raise Closing  # somebody has deleted the state under the server
        return job

    def change(self, change: Callable[[Document], Document]) -> Document:
        """Replace the job by what *change* makes of it, and return that."""
        job = self.resources.change(self.kind.path, self.name, change)
        if job is None:
            raise Closing
        return job


def settle(record: Record, go_on: Callable[[], None], closing: threading.Event) -> None:
    """
    Bring a job to its end, whatever happens on the way.

    Args:
        go_on: Goes on from where the job stands. What it raises is taken for a lack of room to
            write that down, and it is called again later.
        closing: Set when the server is going away, which leaves the job to the next one.
    """
    while True:
        try:
            go_on()
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody else would go on
            LOG.warning("%s %s has to wait: %s", record.kind.noun, record.name, error)
        else:
            return
        if closing.wait(RETRY_S):
            return
