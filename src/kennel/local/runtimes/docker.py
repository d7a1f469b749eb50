"""
Containers by the Docker engine of this machine, as SageMaker runs them.

What a container is told is in containers, how its output becomes a file in follower. Of each launch
there is a folder with its output and a note of its container; the container's labels say the same,
so that whoever finds the one finds the other, and neither is left without the other.
"""

import logging
import os
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from kennel.contract import MAX_INSTANCES
from kennel.engine import Container, Engine, Found, Image, StartError
from kennel.engine.values import LOOPBACK, registry
from kennel.errors import EngineError, LocalServerError
from kennel.local.runtimes import containers, notes
from kennel.local.runtimes.containers import BASE, Machine
from kennel.local.runtimes.follower import Follower
from kennel.local.runtimes.protocol import Launch, State, Status

LOG = logging.getLogger(__name__)

OUTPUT_FILE = "output.log"
KILL_WAIT_S = 10
ADDRESSES_S = 1.0  # after which a container's address may be another's
REFUSED_LIMIT = "rlimit"  # in the engine's word on a limit above its own
UNSEEN = "bind source path does not exist"


class DockerRuntime:
    """
    Run launches as containers.

    Args:
        folder: Holds a folder for each launch; shared with other runtimes.
        connect: Returns the engine, or raises EngineError; called again until it does.
    """

    def __init__(self, folder: Path, connect: Callable[[], Engine]) -> None:
        self.folder = folder.absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.reached_at: str | None = None  # this machine, by its containers
        self._connect = connect
        self._booted = booted()
        self._followers: dict[str, Follower] = {}
        self._addresses: set[str] = set()
        self._addresses_until = 0.0  # of time.monotonic
        self._lock = threading.Lock()  # a launch's note and its follower go together
        self._networks = threading.Lock()  # none must go between its making and its use

    @cached_property
    def _engine(self) -> Engine:
        return self._connect()

    def engine(self) -> Engine:
        """
        Return the engine.

        Raises:
            EngineError: None answers.
        """
        return self._engine

    def close(self) -> None:
        """Let go of the engine; what runs goes on."""
        for follower in list(self._followers.values()):
            follower.release()
        if "_engine" in vars(self):
            self._engine.close()

    @cached_property
    def machine(self) -> Machine:
        """What the engine has to give."""
        return containers.machine(self.engine().info(), os.getuid(), os.getgid())

    # What depends on how a container runs

    def max_instances(self, image: str) -> int:  # noqa: ARG002 - the protocol's
        """Return SageMaker's own limit: the machine sets none."""
        return MAX_INSTANCES

    def hosts(self, image: str, count: int) -> list[str]:  # noqa: ARG002 - the protocol's
        """Return SageMaker's names, which resolve in a network of the job's own."""
        return [f"algo-{number}" for number in range(1, count + 1)]

    def base_dir(self, image: str, root: Path) -> Path:  # noqa: ARG002 - the protocol's
        """Return /opt/ml."""
        return BASE

    def server_url(self, image: str, url: str) -> str:  # noqa: ARG002 - the protocol's
        """Return *url* with the address by which a container knows this machine."""
        if self.reached_at is None:
            return url
        return urlsplit(url)._replace(netloc=f"{self.reached_at}:{urlsplit(url).port}").geturl()

    def gateway(self) -> str | None:
        """Return the address of this machine that its containers reach, if the engine has one."""
        with suppress(EngineError):
            return self.engine().gateway()
        return None

    def admits(self, address: str) -> bool:
        """Return whether *address* is that of one of our containers, or just was."""
        if address not in self._addresses or time.monotonic() > self._addresses_until:
            with suppress(EngineError):  # while it does not answer, no address changes hands
                mine = {containers.STATE_LABEL: str(self.folder)}
                self._addresses = self.engine().addresses(mine)
                self._addresses_until = time.monotonic() + ADDRESSES_S
        return address in self._addresses

    # A launch

    def start(self, launch: Launch) -> None:
        """Start *launch* detached, in place of an earlier one of this id."""
        self.remove(launch.id)
        image = self._image(launch.image)
        folder = self.folder / launch.id
        folder.mkdir()
        make_mount_points(launch)
        if lack := containers.missing_gpus(launch, self.machine):
            LOG.info(lack)
        container = self._container(launch, image)
        try:
            self._run(launch, folder, container)
        except EngineError as error:
            self.remove(launch.id)
            with suppress(EngineError):
                self._remove_network(container.network)
            if UNSEEN in error.problem:
                raise unseen(launch.root) from error
            raise

    def _image(self, name: str) -> Image:
        """Return the image, from its registry if need be."""
        found = self.engine().image(name)
        if found is not None:
            return found
        host, refusal = registry(name), ""
        if host is not None:
            LOG.info("pulling %s", name)
            try:
                return self.engine().pull(name)
            except EngineError as error:
                refusal = error.problem
        problem, expected, remedy = containers.image_problem(name, host, refusal)
        raise LocalServerError(problem, expected=expected, remedy=remedy)

    def _container(self, launch: Launch, image: Image) -> Container:
        return containers.container(
            launch,
            self.folder,
            self.machine,
            folders=sorted(path.name for path in launch.root.iterdir() if path.is_dir()),
            image_environment=image.environment,
        )

    def _run(self, launch: Launch, folder: Path, container: Container) -> None:
        """Make the container, write it down, start it, and follow it."""
        made = self._create(container)
        note = {"container": made, "image": launch.image, "network": container.network}
        (folder / OUTPUT_FILE).touch()
        notes.write(folder, note)
        try:
            self.engine().start(made)
        except StartError as error:
            words = containers.start_problem(error.problem)
            (folder / OUTPUT_FILE).write_text(f"{words}\n")
            notes.write(folder, note | {"exit_code": error.exit_code})
        except EngineError as error:
            if REFUSED_LIMIT not in error.problem or not container.ulimits:
                raise
            LOG.warning("%s runs without ulimits: %s", launch.id, error.problem)
            self.engine().remove(made)
            self._run(launch, folder, replace(container, ulimits={}))
        else:
            LOG.info("%s runs in container %s of %s", launch.id, made[:12], launch.image)
            with self._lock:
                self._follow(launch.id, made)

    def _create(self, container: Container) -> str:
        """Make the container, and its network unless another launch has made that."""
        with self._networks:
            if container.network is not None:
                labels = {containers.STATE_LABEL: str(self.folder)}
                self.engine().make_network(container.network, labels)
            return self.engine().create(container)

    def _follow(self, launch_id: str, container: str) -> Follower:
        """Follow a launch's container anew, with the lock held."""
        self._let_go(launch_id)  # of one that somebody began before the container was started
        follower = Follower(self.engine, container, self.output(launch_id), booted=self._booted)
        self._followers[launch_id] = follower
        follower.start()
        return follower

    def _let_go(self, launch_id: str) -> None:
        """End what follows a launch, with the lock held."""
        follower = self._followers.pop(launch_id, None)
        if follower is not None:
            follower.release()

    def poll(self, launch_id: str) -> State:
        """Return where the launch stands now: RUNNING until all of its output is there."""
        with self._lock:
            note = notes.read(self.folder / launch_id)
            if note is None:
                return State(Status.ABSENT)
            if "exit_code" in note:
                return State(Status.EXITED, note["exit_code"])
            container = note["container"]
            follower = self._followers.get(launch_id) or self._follow(launch_id, container)
        if follower.is_stuck():
            with self._lock:
                if self._followers.get(launch_id) is follower:
                    LOG.warning("the output of %s is read anew", launch_id)
                    follower = self._follow(launch_id, container)
        return follower.state

    def wait(self, launch_id: str, timeout_s: float) -> State:
        """Return where the launch stands when it ends, or after *timeout_s*."""
        state = self.poll(launch_id)
        follower = self._followers.get(launch_id)
        if state.status is Status.RUNNING and follower is not None:
            follower.finished.wait(timeout_s)
            state = self.poll(launch_id)
        return state

    def output(self, launch_id: str) -> Path:
        """Return the file with the launch's output."""
        return self.folder / launch_id / OUTPUT_FILE

    def address(self, launch_id: str) -> tuple[str, int]:
        """Return host and port of a serving launch, which the engine is asked for once."""
        follower = self._followers.get(launch_id)
        if follower is not None and follower.port is not None:
            return LOOPBACK, follower.port
        found = self.engine().find(containers.name(self.folder, launch_id))
        if found is None or found.port is None:
            raise LocalServerError(f"launch {launch_id!r} has no port")
        if follower is not None and follower.container == found.id:
            follower.port = found.port
        return LOOPBACK, found.port

    # Its end

    def terminate(self, launch_id: str) -> None:
        """Send SIGTERM to the main process."""
        self._signal(launch_id, "SIGTERM")

    def kill(self, launch_id: str) -> None:
        """Kill every process of the launch and wait until they are gone."""
        self._signal(launch_id, "SIGKILL")
        self.wait(launch_id, KILL_WAIT_S)

    def _signal(self, launch_id: str, name: str) -> None:
        note = notes.read(self.folder / launch_id)
        if note is not None:
            self.engine().signal(note["container"], name)

    def remove(self, launch_id: str) -> None:
        """Kill what runs of the launch, and remove its container and its folder."""
        folder = self.folder / launch_id
        with self._lock:
            note = notes.read(folder) or {}
            notes.remove(folder)  # or a poll would follow it again
            self._let_go(launch_id)
        try:
            self.engine().remove(containers.name(self.folder, launch_id))
            self._remove_network(note.get("network"))
        except EngineError as error:
            LOG.warning("%s is removed when the server starts again: %s", launch_id, error)
        shutil.rmtree(folder, ignore_errors=True)

    def _remove_network(self, network: str | None) -> None:
        """Remove the network of a container that has gone, unless it was not the last there."""
        if network is None:
            return
        with self._networks:
            if not self.engine().containers({containers.NETWORK_LABEL: network}):
                self.engine().remove_network(network)

    # All launches

    def known(self, launch_id: str) -> bool:
        """Return whether the launch was started here."""
        return notes.read(self.folder / launch_id) is not None

    def running(self) -> dict[str, str]:
        """Return the launches that run: id → role."""
        found: list[Found] = []
        with suppress(EngineError):  # one that does not answer runs nothing
            found = self._containers()
        return {
            one.labels[containers.LAUNCH_LABEL]: one.labels[containers.ROLE_LABEL]
            for one in found
            if one.is_running
        }

    def sweep(self) -> None:
        """Remove what nobody would find again: containers without a folder, unused networks."""
        left = [found for found in self._containers() if not self._is_known(found)]
        for found in left:
            LOG.info("removing the container %s, which was left behind", found.name)
            self.engine().remove(found.id)
        used = {found.labels.get(containers.NETWORK_LABEL) for found in self._containers()}
        for network in self.engine().networks({containers.STATE_LABEL: str(self.folder)}):
            if network not in used:
                self.engine().remove_network(network)

    def remove_all(self) -> None:
        """Remove every container and every network: their folder has gone."""
        with suppress(EngineError):
            self.sweep()

    def _containers(self) -> list[Found]:
        return self.engine().containers({containers.STATE_LABEL: str(self.folder)})

    def _is_known(self, found: Found) -> bool:
        note = notes.read(self.folder / found.labels[containers.LAUNCH_LABEL])
        return note is not None and note["container"] == found.id


def make_mount_points(launch: Launch) -> None:
    """Make what is mounted over, since a container cannot below a folder that it may not change."""
    for mount in launch.mounts:
        (launch.root / mount.target).mkdir(parents=True, exist_ok=True)
    for path in launch.read_only:
        (launch.root / path).mkdir(parents=True, exist_ok=True)


def unseen(root: Path) -> LocalServerError:
    """Return the error for an engine that sees another file system."""
    return LocalServerError(
        f"the Docker engine does not see {root}: it runs in another container or machine",
        expected="an engine that shares this machine's files",
        remedy="kennel local start --runtime process",
    )


def booted() -> datetime:
    """Return when this machine was started."""
    lines = Path("/proc/stat").read_text().splitlines()
    seconds = next(line.split()[1] for line in lines if line.startswith("btime "))
    return datetime.fromtimestamp(int(seconds), UTC)
