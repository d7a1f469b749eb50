"""
Configure, start, watch and stop multi-model-server.

sagemaker-inference's own starter is not used: it writes to /etc, finds its server by scanning all
processes and so allows one on a machine, and on SIGTERM drops the requests in flight and leaves a
Python process behind. Its variables (SAGEMAKER_MODEL_SERVER_WORKERS and the like) are honoured.

No torch here: this process only waits. The model is loaded in kennel.serving.worker.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Final

from kennel import contract
from kennel.errors import KennelError, MissingToolError, SettingsError
from kennel.serving import configuration, forks
from kennel.serving.configuration import Settings
from kennel.serving.scratch import Scratch, is_locked

_POLL_S: Final = 0.05
_IDLE_S: Final = 0.3  # a request that multi-model-server is reading is not with a worker yet
_DRAIN_S: Final = contract.SERVING_STOP_GRACE_S - 5
_TERMINATE_S: Final = 2
_SOCKET_PATH_CHARS: Final = 107  # of a Unix socket on Linux
_LONGEST_SOCKET_NAME: Final = len("/.mms.sock.9000")
_ENVIRONMENT: Final = {
    "OMP_NUM_THREADS": "1",  # until the workers fork, see kennel.serving.worker
    "OMP_WAIT_POLICY": "PASSIVE",  # threads that spin while they wait cost the others their cores
}


def serve(settings: Settings) -> None:
    """
    Serve until SIGTERM or SIGINT, then finish the requests in flight.

    Raises:
        MissingToolError: There is no Java.
        SettingsError: The port is taken.
        KennelError: The model cannot be served, or multi-model-server ended by itself.
    """
    java = _java()
    _require_free(settings.address, settings.port)
    stopping = _Stopping()
    with _scratch(settings) as scratch, _process(settings, scratch, java) as process:
        _wait(process, scratch, stopping)
        if stopping.asked:
            _drain(scratch)


def _java() -> str:
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{home}/bin" if home else None)
    if java is None:
        raise MissingToolError(
            "Java is not installed: multi-model-server needs it",
            expected="java on the PATH, or JAVA_HOME",
            remedy="apt-get install openjdk-17-jre-headless",
        )
    return java


def _require_free(address: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise SettingsError(
                f"cannot listen on port {port} of {address}: {error.strerror}",
                remedy=f"set {contract.BIND_TO_PORT_VARIABLE} to another port",
            ) from error


class _Stopping:
    """Remembers that SIGTERM or SIGINT came; as PID 1, without a handler, they would be ignored."""

    def __init__(self) -> None:
        self.asked = False
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, self._ask)

    def _ask(self, _signum: int, _frame: FrameType | None) -> None:
        self.asked = True


@contextmanager
def _scratch(settings: Settings) -> Iterator[Scratch]:
    """Make a folder for this server alone, with what multi-model-server reads."""
    folder = Path(tempfile.mkdtemp(prefix="serve-"))
    try:
        scratch = Scratch(folder, settings.threads, settings.max_bytes, settings.backend)
        scratch.busy.touch()
        scratch.started.touch()
        yield scratch
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _process(
    settings: Settings, scratch: Scratch, java: str
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run multi-model-server in a process group that is gone, whole, on leaving."""
    with _short(scratch.folder) as folder:
        configuration.write(settings, scratch.folder, seen_as=folder)
        process = subprocess.Popen(  # noqa: S603 - the command is ours
            configuration.command(settings, folder, java=java, python=sys.executable),
            cwd=scratch.folder,
            env=os.environ | scratch.environment() | _ENVIRONMENT | {"TMPDIR": str(scratch.folder)},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=forks.end_with_parent(),  # noqa: PLW1509 - this process has one thread
        )
        try:
            yield process
        finally:
            _end(process)


@contextmanager
def _short(folder: Path) -> Iterator[Path]:
    """Give *folder* a name that is short enough for sockets, however long TMPDIR is."""
    if len(str(folder)) + _LONGEST_SOCKET_NAME <= _SOCKET_PATH_CHARS:
        yield folder
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield Path(f"/proc/{os.getpid()}/fd/{handle}")
    finally:
        os.close(handle)


def _wait(process: "subprocess.Popen[bytes]", scratch: Scratch, stopping: _Stopping) -> None:
    """Return when we are asked to stop; raise when there is nothing left to wait for."""
    while not stopping.asked:
        if scratch.failure.exists():
            raise KennelError(scratch.failure.read_text())
        if _died(scratch.alive):
            raise KennelError(
                "the process that holds the model was killed",
                expected="enough memory for the model",
            )
        if process.poll() is not None:
            raise KennelError(f"multi-model-server ended with exit code {process.returncode}")
        time.sleep(_POLL_S)


def _died(alive: Path) -> bool:
    return alive.exists() and not is_locked(alive)


def _drain(scratch: Scratch) -> None:
    """Wait until no worker has been answering a request for a while, at most _DRAIN_S."""
    deadline = time.monotonic() + _DRAIN_S
    idle_since = time.monotonic()
    while time.monotonic() < min(deadline, idle_since + _IDLE_S):
        if is_locked(scratch.busy):
            idle_since = time.monotonic()
        time.sleep(_POLL_S)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Terminate Java, and kill whatever is left of its process group."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_TERMINATE_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
