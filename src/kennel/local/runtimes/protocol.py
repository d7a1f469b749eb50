"""
What the local server asks of whatever runs its containers.

A launch is a value; a runtime starts it detached, so that it outlives the server, and finds it
again by its id. Nothing here knows of jobs or endpoints (kennel.local.sagemaker), and nothing says
whether the container is a process (process.py) or a Docker container.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal, Protocol


@dataclass(frozen=True)
class Mount:
    """A file or folder of this machine that the container sees read-only."""

    source: Path
    target: str  # below the base directory, e.g. "input/data/train"


@dataclass(frozen=True)
class Launch:
    """One container to start, as ``docker run`` would be told."""

    id: str  # unique among all launches of this server; letters, digits, dots and hyphens
    image: str
    role: Literal["train", "serve", "rules", "sampler"]  # the last one samples this machine
    root: Path  # folder laid out like /opt/ml, which the container may write
    arguments: tuple[str, ...] = ()  # what follows the image on the command line
    entrypoint: tuple[str, ...] = ()  # in place of the image's own
    mounts: tuple[Mount, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    hostname: str = "algo-1"
    network: str | None = None  # private to the launches that name it: by hostname, on any port
    instance_type: str = (
        ""  # whose GPUs, if it has any, the container gets as far as there are some
    )
    read_only: tuple[str, ...] = ()  # below root, what a container must not change: hard links


KILLED = 128  # an exit code above it is that of a signal


class Status(StrEnum):
    """Where a launch stands."""

    ABSENT = "absent"  # never started, or removed
    RUNNING = "running"
    EXITED = "exited"  # its main process ended, and nothing of it is left
    LOST = "lost"  # it was started and is gone, and nobody saw how it ended


@dataclass(frozen=True)
class State:
    """Where a launch stands, and how its main process ended if it did."""

    status: Status
    exit_code: int | None = None  # as Docker counts: 128 + N for signal N, 127 for no such program
    reason: str = ""  # what is known beyond that, e.g. that it ran out of memory

    @property
    def was_killed(self) -> bool:
        """Whether it was ended from outside rather than by its own doing."""
        return self.status is Status.LOST or (self.exit_code or 0) > KILLED

    @property
    def ending(self) -> str:
        """How it ended, for people."""
        if self.exit_code is None:
            return "was lost"
        return f"ended with exit code {self.exit_code}" + (
            f" ({self.reason})" if self.reason else ""
        )


class Runtime(Protocol):
    """
    Start containers, find them again, end them. Safe to call from several threads.

    What depends on how a container will run is asked by its image, since that may decide it.
    """

    def max_instances(self, image: str) -> int:
        """Return how many containers one job of *image* may have."""
        ...

    def hosts(self, image: str, count: int) -> list[str]:
        """Return the names by which *count* instances of a job of *image* reach one another."""
        ...

    def base_dir(self, image: str, root: Path) -> Path:
        """Return the path by which a container of *image* knows its *root*."""
        ...

    def server_url(self, image: str, url: str) -> str:
        """Return the URL by which a container of *image* reaches what this machine has at *url*."""
        ...

    def start(self, launch: Launch) -> None:
        """
        Start *launch* detached; what an earlier launch of this id left behind is removed first.

        Raises:
            KennelError: It cannot be started at all.
        """
        ...

    def poll(self, launch_id: str) -> State:
        """Return where the launch stands now."""
        ...

    def wait(self, launch_id: str, timeout_s: float) -> State:
        """Return where the launch stands when it ends, or after *timeout_s*."""
        ...

    def output(self, launch_id: str) -> Path:
        """Return the file that its standard output and error are appended to."""
        ...

    def address(self, launch_id: str) -> tuple[str, int]:
        """
        Return host and port of a launch with role "serve".

        Raises:
            KennelError: It has none, since it is gone or does not run.
        """
        ...

    def terminate(self, launch_id: str) -> None:
        """Send SIGTERM to the main process, as ``docker stop`` does; no effect when it is gone."""
        ...

    def kill(self, launch_id: str) -> None:
        """Send SIGKILL to every process of the launch; no effect when it is gone."""
        ...

    def remove(self, launch_id: str) -> None:
        """Kill what runs of the launch and forget it, its output included."""
        ...
