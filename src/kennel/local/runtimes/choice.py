"""
Which runtime runs a launch: Docker where an engine answers and has the image, else a process.

Once it is started, its folder says which it was.
"""

import logging
from contextlib import suppress
from pathlib import Path

from kennel import engine
from kennel.errors import EngineError, LocalServerError
from kennel.local.runtimes import process
from kennel.local.runtimes.docker import DockerRuntime
from kennel.local.runtimes.process import ProcessRuntime
from kennel.local.runtimes.protocol import Launch, Runtime, State

LOG = logging.getLogger(__name__)

AUTO, DOCKER, PROCESS = "auto", "docker", "process"
NAMES = (AUTO, DOCKER, PROCESS)


class Choice:
    """
    Both runtimes over one folder, as one.

    Args:
        wanted: One of NAMES.
        engine: Which Docker engine answered when the server was started; "" for none.
    """

    def __init__(
        self, docker: DockerRuntime, process: ProcessRuntime, *, wanted: str, engine: str
    ) -> None:
        self.docker = docker
        self.process = process
        self.wanted = wanted
        self.engine = engine

    def _by_image(self, image: str) -> Runtime:
        """Return the runtime for a launch that has yet to be started."""
        if self.wanted == DOCKER:
            return self.docker
        if self.wanted == AUTO and self.engine and not process.is_program(image):
            with suppress(EngineError):
                if self.docker.engine().image(image) is not None:
                    return self.docker
        return self.process

    def _by_id(self, launch_id: str) -> Runtime:
        """Return the runtime that has a launch."""
        return self.docker if self.docker.known(launch_id) else self.process

    def max_instances(self, image: str) -> int:
        """Return how many containers one job of *image* may have."""
        return self._by_image(image).max_instances(image)

    def hosts(self, image: str, count: int) -> list[str]:
        """Return the names by which *count* instances of a job of *image* reach one another."""
        return self._by_image(image).hosts(image, count)

    def base_dir(self, image: str, root: Path) -> Path:
        """Return the path by which a container of *image* knows its *root*."""
        return self._by_image(image).base_dir(image, root)

    def server_url(self, image: str, url: str) -> str:
        """Return the URL by which a container of *image* reaches what this machine has at *url*."""
        return self._by_image(image).server_url(image, url)

    def start(self, launch: Launch) -> None:
        """Start *launch*, in place of an earlier one of this id, whichever ran that."""
        self.remove(launch.id)
        is_here = launch.role == "sampler"  # which samples this machine, no container
        chosen = self.process if is_here else self._by_image(launch.image)
        if chosen is self.process:
            LOG.info("%s runs as a process, in place of %s", launch.id, launch.image)
        chosen.start(launch)

    def poll(self, launch_id: str) -> State:
        """Return where the launch stands now."""
        return self._by_id(launch_id).poll(launch_id)

    def wait(self, launch_id: str, timeout_s: float) -> State:
        """Return where the launch stands when it ends, or after *timeout_s*."""
        return self._by_id(launch_id).wait(launch_id, timeout_s)

    def output(self, launch_id: str) -> Path:
        """Return the file that its standard output and error are appended to."""
        return self._by_id(launch_id).output(launch_id)

    def address(self, launch_id: str) -> tuple[str, int]:
        """Return host and port of a launch with role "serve"."""
        return self._by_id(launch_id).address(launch_id)

    def terminate(self, launch_id: str) -> None:
        """Send SIGTERM to the main process."""
        self._by_id(launch_id).terminate(launch_id)

    def kill(self, launch_id: str) -> None:
        """Send SIGKILL to every process of the launch."""
        self._by_id(launch_id).kill(launch_id)

    def remove(self, launch_id: str) -> None:
        """Kill what runs of the launch and forget it."""
        self._by_id(launch_id).remove(launch_id)


def choose(wanted: str, folder: Path) -> Choice:
    """
    Return the runtime that a server was told to use, with what a former one left tidied up.

    Args:
        folder: Of its launches.

    Raises:
        LocalServerError: There is none of that name.
        EngineError: Docker is wanted, and no engine can be used.
    """
    if wanted not in NAMES:
        expected = f"one of {', '.join(NAMES)}"
        raise LocalServerError(f"the local server has no runtime {wanted!r}", expected=expected)
    docker = DockerRuntime(folder, engine.connect)
    version = "" if wanted == PROCESS else found_engine(docker, is_needed=wanted == DOCKER)
    if version:
        docker.sweep()
    return Choice(docker, ProcessRuntime(folder), wanted=wanted, engine=version)


def found_engine(docker: DockerRuntime, *, is_needed: bool) -> str:
    """Return which engine answers, "" for none."""
    try:
        return f"Docker {docker.engine().version}"
    except EngineError as error:
        if is_needed:
            raise
        LOG.info("images stand for kennel's own entry points, run as processes: %s", error.problem)
        return ""
