"""
The server as a process in the foreground: composed, locked, bound, run until a signal, cleaned up.

To start it detached, and to ask about it, see daemon. Where things are in the state folder: layout.
"""

import errno
import fcntl
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import uvicorn

from kennel.errors import LocalServerError
from kennel.local import layout, sts
from kennel.local.daemon import check_port, health
from kennel.local.database import Database
from kennel.local.ecr import service as ecr
from kennel.local.ecr.registry import Registry
from kennel.local.layout import HOST
from kennel.local.logs import Logs
from kennel.local.logs.operations import service as logs_service
from kennel.local.resources import Resources
from kennel.local.runtimes import choice
from kennel.local.runtimes.choice import Choice
from kennel.local.runtimes.docker import DockerRuntime
from kennel.local.s3 import recovery
from kennel.local.s3.objects import Objects
from kennel.local.s3.service import S3
from kennel.local.sagemaker.service import SageMaker
from kennel.local.server import Server, Services
from kennel.local.wire.json_protocol import JsonService

BACKLOG = 512
KEEP_ALIVE_S = 300  # boto3 keeps connections; one closed just as it sends costs a retry
GRACE_S = 5  # for answers in flight when the server stops
MAX_COUNTED = 100
LOCK_ATTEMPTS = 10
LOCK_POLL_S = 0.02
HOLDER_TIMEOUT_S = 1.0
WATCH_S = 0.5  # between two looks at the lock's file

logger = logging.getLogger(__name__)


def run(state: Path, port: int, runtime: str) -> None:
    """
    Serve until SIGTERM or SIGINT.

    Args:
        port: 0 takes a free one; layout.read_info says which.

    Raises:
        LocalServerError: The state folder or the port is in use, or there is no such runtime.
    """
    state = state.absolute()
    with layout.usable(state):
        state.mkdir(parents=True, exist_ok=True)
    with locked(state), bound(port) as listener:
        crashed = layout.info_path(state).exists()
        with layout.usable(state):
            chosen = choice.choose(runtime, state / layout.RUNTIME)
        about = {
            "pid": os.getpid(),
            "port": listener.getsockname()[1],
            "runtime": runtime,
            "engine": chosen.engine,
            "registry": Registry.from_environment().host,
            "version": version("kennel"),
        }
        with (
            beside(listener, chosen.docker) as listeners,
            composed(state, about, chosen, recover=crashed) as app,
        ):
            layout.write_info(state, about)
            listen(app, listeners)
        layout.info_path(state).unlink(missing_ok=True)
        if not state.exists():
            chosen.docker.remove_all()
        chosen.docker.close()


@contextmanager
def composed(
    state: Path, about: Mapping[str, Any], chosen: Choice, *, recover: bool
) -> Iterator[Server]:
    """Build the services over a state folder and go on with what was running; close them after."""
    registry = Registry.from_environment()
    with layout.usable(state):
        database = Database(state / layout.DATABASE)
        objects, logs = Objects(state / layout.OBJECTS, database), Logs(database)
        if recover:
            recovery.recover(objects)
        sagemaker = SageMaker(
            *(database, objects, logs, chosen),
            folder=state / layout.SCRATCH,
            endpoint_url=f"http://{HOST}:{about['port']}",
        )
    app = Server(
        Services(
            s3=S3(objects),
            json={
                "Logs_20140328": logs_service(logs),
                ecr.TARGET: ecr.service(Resources(database), registry),
                "SageMaker": JsonService("sagemaker", sagemaker.operations),
            },
            query={"sts": sts.service()},
            invoker=sagemaker,
            health=lambda: {**about, "state": str(state), **counts(sagemaker)},
            own={layout.INTERRUPT_PATH: sagemaker.jobs.interrupt},
        ),
        chosen.docker,
    )
    sagemaker.resume()
    try:
        yield app
    finally:
        sagemaker.close()
        app.close()
        database.close()


def counts(sagemaker: SageMaker) -> dict[str, int]:
    """Return how many jobs run and how many endpoints there are, up to a hundred of each."""
    running = {"StatusEquals": "InProgress", "MaxResults": MAX_COUNTED}
    jobs = sagemaker.operations["ListTrainingJobs"](running)["TrainingJobSummaries"]
    listed = sagemaker.operations["ListHyperParameterTuningJobs"](running)
    tunings = listed["HyperParameterTuningJobSummaries"]
    endpoints = sagemaker.operations["ListEndpoints"]({"MaxResults": MAX_COUNTED})["Endpoints"]
    return {
        "training_jobs": len(jobs),
        "tuning_jobs": len(tunings),
        "endpoints": len(endpoints),
    }


@contextmanager
def locked(state: Path) -> Iterator[None]:
    """
    Hold the state folder: two servers over one would undo each other's work.

    Raises:
        LocalServerError: Another server holds it.
    """
    with layout.usable(state):
        lock = layout.lock_path(state).open("w")
    with lock as file:
        for _ in range(LOCK_ATTEMPTS):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(LOCK_POLL_S)  # daemon.is_running holds it for a moment, too
        else:
            remedy = "kennel local status, or kennel local stop"
            raise LocalServerError(f"another local server uses {state}", remedy=remedy)
        threading.Thread(target=end_if_deleted, args=(file.fileno(),), daemon=True).start()
        yield


def end_if_deleted(lock: int) -> None:
    """Stop this server when its state is deleted under it; its launches do so, too."""
    with suppress(OSError):  # the lock was given back: the server has stopped
        while os.fstat(lock).st_nlink:
            time.sleep(WATCH_S)
        logger.warning("the state folder was deleted")
        os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def bound(port: int) -> Iterator[socket.socket]:
    """
    Listen on 127.0.0.1.

    Raises:
        LocalServerError: The port is taken, or needs rights that we lack.
    """
    check_port(port)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Connections inherit it. Else a body waits 40 ms for the client to acknowledge its headers.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            raise port_error(port, error) from error
        listener.listen(BACKLOG)
        yield listener


@contextmanager
def beside(listener: socket.socket, docker: DockerRuntime) -> Iterator[list[socket.socket]]:
    """
    Listen at the containers' address of this machine too, on the same port.

    Whoever else reaches that address, by way of another interface, is refused by the server.
    """
    address, port = docker.gateway(), listener.getsockname()[1]
    if address is None:
        yield [listener]
        return
    with socket.socket() as second:
        second.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        second.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            second.bind((address, port))
        except OSError as error:
            logger.warning("containers cannot reach this server: %s:%d: %s", address, port, error)
            yield [listener]
            return
        second.listen(BACKLOG)
        docker.reached_at = address
        yield [listener, second]


def port_error(port: int, error: OSError) -> LocalServerError:
    """Word why a port cannot be had."""
    remedy = "kennel local start --port 0, which takes a free one"
    if error.errno == errno.EADDRINUSE:
        problem = f"port {port} of {HOST} is taken by {holder(port)}"
        return LocalServerError(problem, expected="a free port", remedy=remedy)
    return LocalServerError(f"port {port} of {HOST} cannot be had: {error}", remedy=remedy)


def holder(port: int) -> str:
    """Say who listens on a port, as far as it says so itself."""
    try:
        return f"the local server of {health(port, HOLDER_TIMEOUT_S)['state']}"
    except (LocalServerError, KeyError):
        return "another program"


def listen(app: Server, listeners: list[socket.socket]) -> None:
    """Answer requests until a signal."""
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn raises the signal again when it is done, which would end us before we clean up
        signal.signal(number, lambda *_: None)
    config = uvicorn.Config(
        app,
        http="httptools",
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )
    for listener in listeners:
        logger.info("listening on http://%s:%d", *listener.getsockname())
    uvicorn.Server(config).run(sockets=listeners)
