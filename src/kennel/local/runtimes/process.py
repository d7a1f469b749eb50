"""
Containers as processes: the entry points of the current virtual environment under a scratch folder.

For machines without a Docker engine. Each launch has a folder with its launch, its output, a lock
that its supervisor (shim.py) holds while it lives, and its exit code in the end; that folder is all
there is to know, so a server that starts anew finds everything again. What a process cannot give is
not here: several instances that reach one another by name, an image's own libraries, isolation.

An image that is the absolute path of an executable file of this machine is that image's entry
point; any other image stands for kennel's own entry points in this environment, which the launch's
output then begins by saying unless the image is kennel's own.
"""

import fcntl
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from kennel.contract import (
    BASE_DIR_VARIABLE,
    BIND_ADDRESS_VARIABLE,
    BIND_TO_PORT_VARIABLE,
    SAFE_PORT_RANGE_VARIABLE,
)
from kennel.errors import LocalServerError
from kennel.local.liveness import is_locked, wait_for_exit
from kennel.local.runtimes import shim
from kennel.local.runtimes.protocol import Launch, State, Status

SHIM = (sys.executable, "-I", "-S", shim.__file__)
LOCK_FILE = "lock"
LAUNCH_FILE = "launch.json"
OUTPUT_FILE = "output.log"
# What a container would not have is left out, above all the user's AWS_* and the server's own.
PASSED_ON = (
    *("HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "TZ", "USER"),
    *("CUDA_HOME", "CUDA_VISIBLE_DEVICES", "JAVA_HOME", "LD_LIBRARY_PATH", "TORCH_HOME"),
)
OWN_IMAGES = (
    "kennel-train",
    "kennel-serve",
    "kennel-serve-gpu",
)  # in whatever registry, with whatever tag
PORTS = range(20000, 32000, 10)  # below those that outgoing connections take
HOST = "127.0.0.1"  # what a process serves is not for the network
PORTS_EACH = 10  # the server's, and those that it may take for itself beside it
POLL_S = 0.02
LONGEST_WAIT_S = 1.0  # then ask again: the pid may be somebody else's by now
KILL_WAIT_S = 10


class ProcessRuntime:
    """
    Run launches as detached processes of this machine.

    Args:
        folder: Holds a folder for each launch.
        environment: What PASSED_ON is taken from.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str] = os.environ) -> None:
        self.folder = folder.absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.inherited = {name: environment[name] for name in PASSED_ON if name in environment}
        self.inherited["PATH"] = search_path(environment)
        self._starting = threading.Lock()  # two launches must not choose the same port

    def max_instances(self, image: str) -> int:  # noqa: ARG002 - the protocol's
        """Return 1: processes cannot have a name each, nor each the same port."""
        return 1

    def hosts(self, image: str, count: int) -> list[str]:  # noqa: ARG002 - the protocol's
        """Return the names of the instances: algo-1 would not resolve outside a container."""
        return ["localhost"] * count

    def base_dir(self, image: str, root: Path) -> Path:  # noqa: ARG002 - the protocol's
        """Return *root* itself: a process has no file system of its own."""
        return root

    def server_url(self, image: str, url: str) -> str:  # noqa: ARG002 - the protocol's
        """Return *url*: a process is on this machine."""
        return url

    def start(self, launch: Launch) -> None:
        """Start *launch* detached, in place of an earlier one of this id."""
        self.remove(launch.id)
        folder = self.folder / launch.id
        folder.mkdir()
        link_mounts(launch)
        with self._starting:
            port = self._free_port() if launch.role == "serve" else None
            about = {"port": port, "image": launch.image, "role": launch.role}
            (folder / LAUNCH_FILE).write_text(json.dumps(about))
        scratch(folder).mkdir(mode=0o700)
        self._spawn(launch, folder, self._environment(launch, folder, port))

    def _spawn(self, launch: Launch, folder: Path, environment: Mapping[str, str]) -> None:
        """Start the shim, which from here on holds the lock."""
        lock = os.open(folder / LOCK_FILE, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with (folder / OUTPUT_FILE).open("ab", buffering=0) as output:
                output.write(stand_in_note(launch).encode())
                supervisor = subprocess.Popen(  # noqa: S603 - what the request says
                    [*SHIM, str(folder), str(lock), *command(launch)],
                    cwd=launch.root,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    pass_fds=[lock],
                )
        finally:
            os.close(lock)
        threading.Thread(target=supervisor.wait, daemon=True).start()  # or it would stay a zombie

    def _environment(self, launch: Launch, folder: Path, port: int | None) -> dict[str, str]:
        """Return all that the process sees of an environment; the request's own comes last."""
        bound = {} if port is None else port_variables(port)
        return {
            **self.inherited,
            "VIRTUAL_ENV": sys.prefix,
            "TMPDIR": str(scratch(folder)),
            "PYTHONUNBUFFERED": "1",
            BASE_DIR_VARIABLE: str(launch.root),
            **bound,
            **launch.environment,
            shim.COOKIE: str(folder),
        }

    def _free_port(self) -> int:
        """Return a port that nobody listens on and no other launch was given."""
        taken = {self._port(folder) for folder in self.folder.iterdir()}
        for port in random.sample(PORTS, len(PORTS)):
            if port not in taken and is_free(port):
                return port
        raise LocalServerError(
            f"no free port between {PORTS.start} and {PORTS.stop}", remedy="delete some endpoints"
        )

    def _port(self, folder: Path) -> int | None:
        """Return the port that was given to a launch, if it has one."""
        try:
            port: int | None = json.loads((folder / LAUNCH_FILE).read_text())["port"]
        except (OSError, ValueError):
            return None
        return port

    def poll(self, launch_id: str) -> State:
        """Return where the launch stands now."""
        folder = self.folder / launch_id
        if is_locked(folder / LOCK_FILE):
            return State(Status.RUNNING)
        code = read(folder / shim.EXIT_FILE)
        if code:
            return State(Status.EXITED, int(code))
        return State(Status.LOST if read(folder / shim.PROCESS_FILE) else Status.ABSENT)

    def wait(self, launch_id: str, timeout_s: float) -> State:
        """Return where the launch stands when it ends, or after *timeout_s*."""
        deadline = time.monotonic() + timeout_s
        while (state := self.poll(launch_id)).status is Status.RUNNING:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                break
            wait_for_exit(self._shim(launch_id), min(left_s, LONGEST_WAIT_S))
        return state

    def output(self, launch_id: str) -> Path:
        """Return the file with the launch's output."""
        return self.folder / launch_id / OUTPUT_FILE

    def address(self, launch_id: str) -> tuple[str, int]:
        """Return host and port of a serving launch."""
        port = self._port(self.folder / launch_id)
        if port is None:
            raise LocalServerError(f"launch {launch_id!r} has no port")
        return HOST, port

    def terminate(self, launch_id: str) -> None:
        """Send SIGTERM to the main process, through the shim."""
        self._signal(launch_id, signal.SIGTERM)

    def kill(self, launch_id: str) -> None:
        """Kill every process of the launch and wait until they are gone."""
        self._signal(launch_id, shim.KILL)
        if self.wait(launch_id, KILL_WAIT_S).status is Status.RUNNING:
            self._signal(launch_id, signal.SIGKILL)  # the shim hangs, perhaps stopped by somebody
            self.wait(launch_id, KILL_WAIT_S)
        if self.poll(launch_id).status is Status.LOST:
            shim.kill_all(str(self.folder / launch_id))

    def remove(self, launch_id: str) -> None:
        """Kill what runs of the launch and delete its folder."""
        folder = self.folder / launch_id
        if folder.exists():
            self.kill(launch_id)
        elif scratch(folder).exists():  # somebody has deleted the folder of a launch
            shim.kill_all(str(folder))
        shutil.rmtree(scratch(folder), ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)

    def _signal(self, launch_id: str, number: int) -> None:
        """Signal the shim; its lock, tested after the pid was read, says that it is alive."""
        pid = self._shim(launch_id)
        if pid is not None and self.poll(launch_id).status is Status.RUNNING:
            shim.send(pid, number)

    def _shim(self, launch_id: str) -> int | None:
        """Return the shim's pid; it writes it first of all, so a running one soon has it."""
        path = self.folder / launch_id / shim.PROCESS_FILE
        while not (text := read(path)):
            if self.poll(launch_id).status is not Status.RUNNING:
                return None
            time.sleep(POLL_S)
        return int(text.split()[0])


def running(folder: Path) -> dict[str, str]:
    """Return the launches below a runtime's folder that run, whoever asks: id → role."""
    locks = (lock for lock in sorted(folder.glob(f"*/{LOCK_FILE}")) if is_locked(lock))
    return {
        lock.parent.name: json.loads((lock.parent / LAUNCH_FILE).read_text())["role"]
        for lock in locks
    }


def command(launch: Launch) -> list[str]:
    """Return the argument vector that stands for ``docker run IMAGE …``."""
    return [*(launch.entrypoint or image_entrypoint(launch)), *launch.arguments]


def image_entrypoint(launch: Launch) -> list[str]:
    """Return the image's own entry point: an executable of this machine, or kennel's module."""
    if is_program(launch.image):
        return [launch.image]
    return [sys.executable, "-m", own_module(launch)]


def is_program(image: str) -> bool:
    """Return whether an image is a program of this machine."""
    return image.startswith("/") and os.access(image, os.X_OK)


def own_module(launch: Launch) -> str:
    """Return the module of kennel's own entry point."""
    return "kennel.training" if launch.role == "train" else "kennel.serving"


def stand_in_note(launch: Launch) -> str:
    """Return the line that says so where something else runs than the image has; else nothing."""
    name = launch.image.rpartition("/")[2].partition("@")[0].partition(":")[0]
    if is_program(launch.image) or name in OWN_IMAGES:
        return ""
    if launch.role == "rules":
        return (
            f"[kennel] local mode: the process runtime does not run the image {launch.image};"
            " kennel's own rules judge in its place\n"
        )
    if launch.entrypoint:
        return ""
    return (
        f"[kennel] local mode: the process runtime does not run the image {launch.image};"
        f" it runs kennel's own entry point, python -m {own_module(launch)}\n"
    )


def search_path(environment: Mapping[str, str]) -> str:
    """Return PATH with this virtual environment's programs first."""
    return os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", os.defpath)])


def link_mounts(launch: Launch) -> None:
    """Stand a symbolic link in for each mount."""
    for mount in launch.mounts:
        target = launch.root / mount.target
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.symlink_to(mount.source.absolute())


def scratch(folder: Path) -> Path:
    """Return the launch's TMPDIR: short, for the Unix sockets that servers put there."""
    digest = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"kennel-{digest}"


def port_variables(port: int) -> dict[str, str]:
    """Return what tells a container which ports to bind, as SageMaker does; this machine's only."""
    others = f"{port + 1}-{port + PORTS_EACH - 1}"
    return {
        BIND_ADDRESS_VARIABLE: HOST,
        BIND_TO_PORT_VARIABLE: str(port),
        SAFE_PORT_RANGE_VARIABLE: others,
    }


def is_free(port: int) -> bool:
    """Return whether nobody listens on *port*."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def read(path: Path) -> str:
    """Return the file's text, empty when it is not there."""
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""
