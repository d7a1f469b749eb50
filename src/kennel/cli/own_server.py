"""
A local server for one command, from which nothing is left running, however the command ends.

For the demo. A server that lasts is ``kennel local start``.
"""

import fcntl
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from kennel.cli import endpoints, local, show
from kennel.cli.effects import Sender
from kennel.errors import LocalServerError
from kennel.jobs import lookup, plan, watch
from kennel.jobs.aws import Aws
from kennel.local import daemon
from kennel.settings import Settings


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold *folder*, so that two demos do not undo each other's work; made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LocalServerError(
                f"another demo runs in {folder}",
                expected="one at a time",
                remedy="wait for it, or kennel demo --folder DIR",
            ) from error
        yield


@contextmanager
def own_server(settings: Settings) -> Iterator[Aws]:
    """Start the server, point this process at it, and in the end take everything back."""
    with interruptible():
        address = local.started(settings)
        show.talk(f"local server on {address.url}")
        try:
            with environment(local.commands_environment(settings, address, os.environ)):
                yield from cleared(Aws(settings.aws.region), settings.deploy.endpoint)
        finally:
            daemon.stop(settings.local.state)


def cleared(aws: Aws, endpoint: str) -> Iterator[Aws]:
    """Give *aws*, with nothing running in it before (a demo may have been killed) and after."""
    clear(aws, endpoint)
    try:
        yield aws
    finally:
        with deaf():
            show.talk("\nclean up")
            clear(aws, endpoint)


def clear(aws: Aws, endpoint: str) -> None:
    """Stop every training job and delete the endpoint; wait until they are gone."""
    running = lookup.jobs(aws.sagemaker, most=100, status="InProgress")
    names = [summary["TrainingJobName"] for summary in running]
    for name in names:
        Sender(aws).send(plan.stop(name))
    for name in names:
        show.talk(f"stopping {name}")
        list(watch.training(aws.sagemaker, watch.training_log(aws.logs, name), name))
    Sender(aws).send(endpoints.removal(aws, endpoint))
    list(watch.endpoint(aws.sagemaker, endpoint))


@contextmanager
def environment(wanted: Mapping[str, str]) -> Iterator[None]:
    """Make this process's environment *wanted*, for boto3 reads it; afterwards what it was."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(wanted)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let a request to terminate end this process as Ctrl-C does: with everything cleaned up."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def deaf() -> Iterator[None]:
    """Heed no second Ctrl-C while cleaning up, or something would be left running."""
    before = {n: signal.signal(n, signal.SIG_IGN) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
