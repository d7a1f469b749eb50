"""
Start, stop and find the local server of a state folder, which runs detached from its starter.

Whether it runs is told by its lock, which the kernel gives back with the process. Jobs and
endpoints outlive it, and the next start finds them again.
"""

import http.client
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kennel.errors import LocalServerError
from kennel.local import environment as client_environment
from kennel.local import shutdown
from kennel.local.ecr.registry import Registry
from kennel.local.layout import (
    HEALTH_PATH,
    HOST,
    RUNTIME,
    info_path,
    lock_path,
    log_path,
    read_info,
    usable,
)
from kennel.local.liveness import is_locked
from kennel.local.runtimes.left import running

DEFAULT_PORT = 4510
PORTS = range(65536)
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 20
HEALTH_TIMEOUT_S = 10
POLL_S = 0.02
TAIL_LINES = 12
# glibc else keeps what large bodies took, for each thread: 4 MiB and more go back at once.
MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(4 * 2**20)}


@dataclass(frozen=True)
class Address:
    """
    Where a server listens.

    Args:
        started: False where it was running already.
    """

    port: int
    started: bool = True

    @property
    def url(self) -> str:
        """What AWS_ENDPOINT_URL must be."""
        return f"http://{HOST}:{self.port}"


@dataclass(frozen=True)
class Status:
    """
    What is known about the server of a state folder; of one that does not run, where it is.

    Args:
        training_jobs: In progress; without a server, those whose processes go on.
        tuning_jobs: In progress; without a server, those that the next one goes on with.
        endpoints: All; without a server, the processes of endpoints that go on.
    """

    state: Path
    log: Path
    running: bool = False
    address: Address | None = None
    pid: int | None = None
    runtime: str | None = None
    engine: str | None = None  # which Docker engine it found
    registry: str | None = None
    version: str | None = None
    training_jobs: int = 0
    tuning_jobs: int = 0
    endpoints: int = 0


def start(
    state: Path,
    port: int = DEFAULT_PORT,
    runtime: str = "process",
    registry: Registry | None = None,
) -> Address:
    """
    Start the server, unless it runs already, and wait until it answers.

    Args:
        port: 0 takes a free one, or that of a running server.
        registry: Where pushed images go; default: as the environment says.

    Raises:
        LocalServerError: The port is taken or none, the folder cannot be written, the server does
            not come up, or the one that runs has another port, runtime or registry.
    """
    state = state.absolute()
    registry = registry or Registry.from_environment()
    check_port(port)
    with usable(state):
        state.mkdir(parents=True, exist_ok=True)
        if is_running(state):
            return running_address(state, port, runtime, registry)
        logged = log_size(state)
        pid = spawn(state, port, runtime, registry)
    ended: list[int] = []
    try:
        wait_until(lambda: ended_with(pid, ended) or answers(state, pid), START_TIMEOUT_S)
    except TimeoutError as error:
        os.kill(pid, signal.SIGKILL)
        what = f"does not answer after {START_TIMEOUT_S} s"
        raise failed(state, what, logged) from error
    if not ended:
        return Address(read_info(state)["port"])
    if is_running(state):  # somebody else started one at the same moment
        return running_address(state, port, runtime, registry)
    raise failed(state, "did not start", logged)


def check_port(port: int) -> None:
    """
    Refuse what is no port.

    Raises:
        LocalServerError: It is none.
    """
    if port not in PORTS:
        expected = f"0 to {PORTS[-1]}, where 0 takes a free one"
        raise LocalServerError(f"{port} is no port", expected=expected, remedy="--port 0")


def stop(state: Path, *, everything: bool = False) -> bool:
    """
    Stop the server and wait until it is gone; return False where none was running.

    Args:
        everything: Stop what goes on without a server as well, see shutdown.stop_launches.
    """
    was_running = is_running(state) and stop_server(state)
    if everything:
        shutdown.stop_launches(state)
    return was_running


def stop_server(state: Path) -> bool:
    """Stop the server that runs, and wait until it is gone."""
    pid = note(state)["pid"]
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    try:
        wait_until(lambda: not is_running(state), STOP_TIMEOUT_S)
    except TimeoutError:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not is_running(state), STOP_TIMEOUT_S)
    reap(pid)
    info_path(state).unlink(missing_ok=True)
    return True


def status(state: Path) -> Status:
    """Return what is known about the server of *state*."""
    state = state.absolute()
    if not is_running(state):
        launches = running(state / RUNTIME).items()
        jobs = {launch.partition(".")[0] for launch, role in launches if role == "train"}
        return Status(
            state,
            log_path(state),
            training_jobs=len(jobs),  # which may have several hosts
            tuning_jobs=shutdown.tuning_jobs(state),
            endpoints=sum(role == "serve" for _, role in launches),
        )
    about = health(note(state)["port"])
    return Status(
        state,
        log_path(state),
        running=True,
        address=Address(about["port"], started=False),
        pid=about["pid"],
        runtime=about["runtime"],
        engine=about.get("engine") or None,
        registry=about.get("registry"),
        version=about["version"],
        training_jobs=about["training_jobs"],
        tuning_jobs=about.get("tuning_jobs", 0),  # a server of an older kennel says nothing of them
        endpoints=about["endpoints"],
    )


def environment(state: Path) -> dict[str, str]:
    """
    Return the variables with which boto3 and the AWS CLI use the server of *state*.

    Remove client_environment.unset(os.environ) as well.

    Raises:
        LocalServerError: It does not run.
    """
    if not is_running(state):
        raise LocalServerError(f"no local server runs for {state}", remedy="kennel local start")
    return client_environment.variables(f"http://{HOST}:{note(state)['port']}", os.environ)


def is_running(state: Path) -> bool:
    """Say whether a server holds the lock of *state*."""
    return is_locked(lock_path(state))


def running_address(state: Path, port: int, runtime: str, registry: Registry) -> Address:
    """
    Return the address of the server that runs, which must be as asked for.

    Raises:
        LocalServerError: It is not.
    """
    about = note(state)
    if port not in (0, about["port"]) or runtime != about["runtime"]:
        raise LocalServerError(
            f"the local server of {state} runs on port {about['port']} ({about['runtime']})",
            expected=f"port {port} ({runtime})",
            remedy="kennel local stop, then start it again",
        )
    if registry.host != about.get("registry", registry.host):
        raise LocalServerError(
            f"the local server of {state} names the registry {about['registry']}",
            expected=registry.host,
            remedy="kennel local stop, then start it again",
        )
    wait_until(lambda: answers(state, about["pid"]), START_TIMEOUT_S)
    return Address(about["port"], started=False)


def note(state: Path) -> dict[str, Any]:
    """
    Return the note of a server that runs, waiting for one that is just starting.

    Raises:
        LocalServerError: There is none.
    """
    with suppress(TimeoutError):
        wait_until(lambda: bool(read_info(state)) or not is_running(state), START_TIMEOUT_S)
    about = read_info(state)
    if not about:
        raise failed(state, "holds its lock but does not say where it listens")
    return about


def spawn(state: Path, port: int, runtime: str, registry: Registry) -> int:
    """Start the server in a session of its own and return its process id."""
    log = os.open(log_path(state), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    command = [sys.executable, "-m", "kennel.local", "serve"]
    options = ["--state", str(state), "--port", str(port), "--runtime", runtime]
    try:
        # Not subprocess: its Popen warns, rightly, about a child that is left running.
        return os.posix_spawn(
            sys.executable,
            [*command, *options],
            {**server_environment(), **registry.variables()},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, nothing, 0),
                (os.POSIX_SPAWN_DUP2, log, 1),
                (os.POSIX_SPAWN_DUP2, log, 2),
            ],
            setsid=True,
        )
    finally:
        os.close(log)
        os.close(nothing)


def server_environment() -> dict[str, str]:
    """Return the environment of the server: without AWS credentials, which it must never use."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {**MALLOC, **ours}


def answers(state: Path, pid: int) -> bool:
    """Say whether the server with this process id is up."""
    about = read_info(state)
    if about.get("pid") != pid:
        return False
    try:
        return bool(health(about["port"])["pid"] == pid)
    except LocalServerError:
        return False


def health(port: int, timeout_s: float = HEALTH_TIMEOUT_S) -> dict[str, Any]:
    """
    Ask a server how it is.

    Raises:
        LocalServerError: It does not answer.
    """
    connection = http.client.HTTPConnection(HOST, port, timeout=timeout_s)
    try:
        connection.request("GET", HEALTH_PATH)
        return dict(json.loads(connection.getresponse().read()))
    except (OSError, http.client.HTTPException, ValueError, TypeError) as error:
        problem = f"the local server on port {port} does not answer: {error}"
        raise LocalServerError(problem, remedy="kennel local stop, then start it again") from error
    finally:
        connection.close()


def ended_with(pid: int, ended: list[int]) -> bool:
    """Say whether our child *pid* has ended; its exit code is added to *ended*."""
    done, code = os.waitpid(pid, os.WNOHANG)
    if done:
        ended.append(os.waitstatus_to_exitcode(code))
    return bool(done)


def reap(pid: int) -> None:
    """Take note of the end of a child, lest it stays as a zombie; others have other parents."""
    with suppress(ChildProcessError):
        os.waitpid(pid, 0)


def wait_until(condition: Callable[[], bool], timeout_s: float) -> None:
    """
    Sleep until *condition* holds.

    Raises:
        TimeoutError: It does not after *timeout_s*.
    """
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(POLL_S)


def log_size(state: Path) -> int:
    """Return how much former servers have written to the log."""
    try:
        return log_path(state).stat().st_size
    except FileNotFoundError:
        return 0


def failed(state: Path, what: str, logged: int = 0) -> LocalServerError:
    """
    Return the error for a server that went wrong, with the end of its log.

    Args:
        logged: How much of the log is of former servers.
    """
    try:
        tail = log_path(state).read_bytes()[logged:].decode(errors="replace").splitlines()
    except FileNotFoundError:
        tail = []
    said = "".join(f"\n    {line}" for line in tail[-TAIL_LINES:])
    return LocalServerError(
        f"the local server of {state} {what}{said}", remedy=f"read {log_path(state)}"
    )
