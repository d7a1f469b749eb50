"""
The hosts of a training job: a container each, watched and ended together.

What they find when they start is in layout, inputs and checkpoints; what becomes of the job when
they end, in outcome.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kennel.contract import ContainerPaths
from kennel.errors import EngineError
from kennel.local.resources import Document
from kennel.local.runtimes.protocol import Runtime, State, Status
from kennel.local.sagemaker.training import cluster
from kennel.local.sagemaker.training.cluster import Instance

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Host:
    """
    One host of a job.

    Args:
        folder: The host's own; the first host's is the job's, and the others' are in it.
    """

    instance: Instance
    launch_id: str
    folder: Path

    @property
    def paths(self) -> ContainerPaths:
        """The container's /opt/ml, as this machine sees it."""
        return ContainerPaths(self.folder / "ml")


def launch_id(job_name: str, instance: Instance) -> str:
    """Return the runtime's id of a host; no job's name has a dot."""
    return f"train-{job_name}" + (f".{instance.label}" if instance.index else "")


def of_job(job: Document, folder: Path) -> list[Host]:
    """
    Return the hosts of a job, the first one first.

    Args:
        folder: The job's own.
    """
    name = job["TrainingJobName"]
    return [
        Host(one, launch_id(name, one), folder / one.label if one.index else folder)
        for one in cluster.instances(job["ResourceConfig"])
    ]


class Group:
    """The containers of a job's hosts, in the hosts' order."""

    def __init__(self, runtime: Runtime, hosts: Sequence[Host]) -> None:
        self.runtime = runtime
        self.ids = [host.launch_id for host in hosts]

    def poll(self) -> list[State]:
        """Return where each of them stands."""
        return [self.runtime.poll(launch_id) for launch_id in self.ids]

    def wait(self, timeout_s: float) -> list[State]:
        """Return where each stands when the first that runs has ended, or after *timeout_s*."""
        states = self.poll()
        for index, launch_id in enumerate(self.ids):
            if states[index].status is Status.RUNNING:
                states[index] = self.runtime.wait(launch_id, timeout_s)
                break
        return states

    def terminate(self) -> bool:
        """Send SIGTERM to all of them; return whether that was possible, else ask again."""
        return self._each(self.runtime.terminate)

    def kill(self) -> bool:
        """Kill all of them; return whether that was possible, else ask again."""
        return self._each(self.runtime.kill)

    def _each(self, end: Callable[[str], None]) -> bool:
        """End each of them, as far as the engine answers: a pause of it must not cost the job."""
        unheard = 0
        for launch_id in self.ids:
            try:
                end(launch_id)
            except EngineError as error:
                LOG.warning("%s is not ended yet: %s", launch_id, error.problem)
                unheard += 1
        return unheard == 0

    def remove(self) -> None:
        """Kill and forget all of them."""
        for launch_id in self.ids:
            self.runtime.remove(launch_id)


def are_running(states: Sequence[State]) -> bool:
    """Return whether one of the containers still runs."""
    return any(state.status is Status.RUNNING for state in states)


def have_ended(states: Sequence[State]) -> bool:
    """Return whether all of the containers have been started, and none runs any more."""
    return are_there(states) and not are_running(states)


def are_there(states: Sequence[State]) -> bool:
    """Return whether all of the containers have been started; only some is as good as none."""
    return all(state.status is not Status.ABSENT for state in states)


def are_known(states: Sequence[State]) -> bool:
    """Return whether any of the containers has been started."""
    return any(state.status is not Status.ABSENT for state in states)


def has_failed(state: State) -> bool:
    """Return whether a container is gone without having done its work."""
    return state.status is not Status.RUNNING and state.exit_code != 0
