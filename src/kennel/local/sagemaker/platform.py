"""What the drivers of jobs and endpoints work with, handed over as one value."""

import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from kennel.local.logs import Logs
from kennel.local.resources import Resources
from kennel.local.runtimes.protocol import Runtime
from kennel.local.s3.objects import Objects


@dataclass(frozen=True)
class Platform:
    """The parts of the server that drivers use."""

    resources: Resources
    objects: Objects
    logs: Logs
    runtime: Runtime
    folder: Path  # scratch folders of jobs and endpoints
    endpoint_url: str  # of this server; a container may know it by another, see Runtime.server_url
    closing: threading.Event = field(default_factory=threading.Event)  # the server is going away


def now() -> datetime:
    """Return the time, aware."""
    return datetime.fromtimestamp(time.time(), UTC)
