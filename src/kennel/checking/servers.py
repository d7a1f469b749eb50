"""
Start an image as an endpoint in a sandbox and wait until it is ready; ``hosting`` judges it.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from kennel import contract
from kennel.checking import probe
from kennel.checking.limits import Limits
from kennel.checking.probe import PING, Address, Answer
from kennel.checking.sandbox import Ended, Running, Sandbox
from kennel.checking.training import quoted
from kennel.contract import ContainerPaths
from kennel.engine import Container

PATHS: Final = ContainerPaths()
OK: Final = 200
SAFE_PORT: Final = 14080
SAFE_PORTS: Final = range(14000, 15000)
_POLL_S: Final = 0.1


@dataclass(frozen=True)
class Model:
    """What stands in /opt/ml/model."""

    archive: IO[bytes]  # a tar, compressed or not
    below: str = str(PATHS.model)  # the folder that its paths begin at


@dataclass(frozen=True)
class Waited:
    """What came until the first 200 of /ping, or instead of it."""

    ready_s: float | None  # None: it never came
    answers: tuple[str, ...] = ()  # other ones, each once
    ended: Ended | None = None
    log: str = ""

    def __str__(self) -> str:
        """Say why it is not ready."""
        if self.ended:
            return f"it ended ({self.ended})"
        return f"/ping: {', then '.join(self.answers) or 'not asked'}"


@dataclass(frozen=True)
class Server:
    """A container that runs ``serve``."""

    running: Running
    port: int

    def address(self) -> Address | None:
        """Return where it is reached; None when it has ended."""
        return probe.reachable(self.running.addresses())

    def wait(self, limit_s: float, ping_s: float) -> Waited:
        """
        Ask /ping until it answers 200, or for *limit_s*, or until the container ends.

        Args:
            ping_s: How long an answer may take; twice that is waited for, to tell slow from silent.
        """
        began = time.monotonic()
        answers: dict[str, None] = {}
        while time.monotonic() - began < limit_s:
            if ended := self.running.ended():
                return Waited(None, tuple(answers), ended, self.running.log())
            address = self.address()
            answer = probe.send(address, PING, limit_s=2 * ping_s) if address else Answer(None)
            if answer.status == OK:
                return Waited(time.monotonic() - began, tuple(answers))
            answers[str(answer)] = None
            time.sleep(_POLL_S)
        return Waited(None, tuple(answers), log=self.running.log())


@dataclass(frozen=True)
class Servers:
    """Starts servers of one image, each in a new container."""

    sandbox: Sandbox
    model: Model | None
    limits: Limits
    environment: Mapping[str, str] = field(default_factory=dict)
    model_is_read_only: bool = True

    @contextmanager
    def server(
        self,
        *,
        binds_to_port: bool = False,
        user: str | None = None,
        read_only: bool = False,
    ) -> Iterator[Server]:
        """
        Start one, and remove it at the end.

        Args:
            binds_to_port: Name another port than 8080, as SageMaker does.
            user: UID:GID; default: the image's.
            read_only: Its root file system, apart from /tmp and /opt/ml.

        Raises:
            EngineError: The engine cannot start it.
        """
        port = SAFE_PORT if binds_to_port else contract.SERVING_PORT
        volumes = (
            [self.sandbox.scratch(), self.sandbox.volume(str(PATHS.root))] if read_only else []
        )
        archive, below = (self.model.archive, self.model.below) if self.model else (None, None)
        volumes.append(
            self.sandbox.volume(
                str(PATHS.model), archive, below=below, read_only=self.model_is_read_only
            )
        )
        running = self.sandbox.start(
            Container(
                self.sandbox.image,
                ("serve",),
                volumes=volumes,
                environment={**_ports(named=binds_to_port), **self.environment},
                user=user,
                read_only=read_only,
                port=port,
            )
        )
        try:
            yield Server(running, port)
        finally:
            running.remove()

    def startup_s(self) -> float:
        """Return how long a server may take: less where it may wait for a model in vain."""
        if self.model:
            return self.limits.startup
        return min(self.limits.startup, 2 * self.limits.patience)


def _ports(*, named: bool) -> dict[str, str]:
    if not named:
        return {}
    return {
        contract.BIND_TO_PORT_VARIABLE: str(SAFE_PORT),
        contract.SAFE_PORT_RANGE_VARIABLE: f"{SAFE_PORTS[0]}-{SAFE_PORTS[-1]}",
    }


def listened_ports(running: Running) -> set[int] | None:
    """Return the ports that a container listens to; None where this machine does not know it."""
    process = Path("/proc", str(running.host_pid()))
    try:
        words = process.joinpath("cmdline").read_bytes().split(b"\0")
        if b" ".join(words).decode().strip() != running.first_process().strip():
            return None  # the engine's host is another machine
        tables = [process / "net" / name for name in ("tcp", "tcp6")]
        found = [probe.listening(table.read_text()) for table in tables if table.exists()]
    except (OSError, UnicodeDecodeError):
        return None
    return {port for addresses in found for _, port in addresses}


def last_line(log: str) -> str:
    """Return the end of a log, cut where it is long."""
    lines = [line for line in log.splitlines() if line.strip()]
    return quoted(lines[-1]) if lines else "it wrote nothing"
