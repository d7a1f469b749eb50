"""
Containers and volumes for a check: nothing of them is left when the sandbox is closed.

What a container reads and writes is in volumes that are filled and read through the engine: no
folder of this machine is mounted, and no file on it becomes root's. The containers of jobs and
endpoints, which outlive a command, are kennel.local's.
"""

import tarfile
import time
import uuid
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from types import TracebackType
from typing import IO, Final, Self

from kennel.checking.interruptions import postponed
from kennel.checking.samples import OPEN, folders, spooled
from kennel.engine import Container, Engine, Found, Volume
from kennel.errors import EngineError

LABEL: Final = "kennel.check"
_POLL_S: Final = 0.2
_LOG_PIECES: Final = "200"
_BUSY_S: Final = 10  # how long an engine may still be letting go of something


@dataclass(frozen=True)
class Ended:
    """How a container's main process ended."""

    exit_code: int
    out_of_memory: bool = False

    def __str__(self) -> str:
        """Write exit code 137, out of memory."""
        return f"exit code {self.exit_code}" + (", out of memory" if self.out_of_memory else "")


class Running:
    """A container that was started."""

    def __init__(self, engine: Engine, container: str, port: int | None = None) -> None:
        self._engine = engine
        self._id = container
        self._port = port

    def ended(self) -> Ended | None:
        """Return how it ended; None while it runs."""
        found = self._found()
        if found.is_running:
            return None
        return Ended(found.exit_code, found.out_of_memory)

    def wait(self, timeout_s: float) -> Ended | None:
        """Return how it ended; None if it still runs after *timeout_s*."""
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            if self._engine.wait(self._id, min(left, 60)) is not None:
                break
        return self.ended()

    def signal(self, name: str) -> None:
        """Send a signal to the main process; no effect when it is gone."""
        self._engine.signal(self._id, name)

    def log(self) -> str:
        """Return the end of its standard output and error, as they were mixed."""
        pieces = self._engine.pieces(self._id, tail=_LOG_PIECES)
        return b"".join(piece.data for piece in pieces).decode(errors="replace")

    def first_process(self) -> str:
        """Return the command line of PID 1; empty where the engine cannot tell, or it has ended."""
        try:
            processes = self._engine.processes(self._id)
        except EngineError:  # it has ended, or the engine's host has no ps
            return ""
        return processes.get(self.host_pid(), "")

    def host_pid(self) -> int:
        """Return the id that PID 1 has on the engine's host; 0 when it has ended."""
        return int(self._found().raw["State"].get("Pid") or 0)

    def addresses(self) -> list[tuple[str, int]]:
        """
        Return where its port is: on its network first, then as published.

        Behind the published one may stand a proxy of the engine, which accepts before anything
        listens in the container.
        """
        if self._port is None:
            return []
        found = self._found()
        networks = found.raw["NetworkSettings"]["Networks"].values()
        own = [(net["IPAddress"], self._port) for net in networks if net.get("IPAddress")]
        return [*own, *([("127.0.0.1", found.port)] if found.port else [])]

    def archive(self, path: str) -> IO[bytes] | None:
        """Return a file or folder of it as a tar archive, running or not; None if it is absent."""
        blocks = self._engine.archive(self._id, path)
        if blocks is None:
            return None
        spool = spooled()
        for block in blocks:
            spool.write(block)
        spool.seek(0)
        return spool

    def file(self, path: str) -> bytes | None:
        """Return a file's content; None if there is no such file."""
        archive = self.archive(path)
        if archive is None:
            return None
        with archive, tarfile.open(fileobj=archive) as members:
            contents = (members.extractfile(member) for member in members if member.isfile())
            return next((content.read() for content in contents if content), None)

    def remove(self) -> None:
        """Kill it and forget it."""
        self._engine.remove(self._id)

    def _found(self) -> Found:
        found = self._engine.find(self._id)
        if found is None:
            raise EngineError("a container of this check was removed by somebody else")
        return found


class Sandbox:
    """Makes containers and volumes of one image, and removes them all when it is closed."""

    def __init__(self, engine: Engine, image: str) -> None:
        self.image = image
        self._engine = engine
        self._name = f"kennel-check-{uuid.uuid4().hex[:12]}"
        self._labels = {LABEL: self._name}
        self._volumes: list[str] = []
        self._files = ExitStack()

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove everything."""
        self.close()

    def volume(
        self,
        target: str,
        content: IO[bytes] | None = None,
        *,
        below: str | None = None,
        read_only: bool = False,
    ) -> Volume:
        """
        Make a volume that is seen at *target*, into which everybody may write.

        Args:
            content: A tar archive, plain or compressed with gzip, bzip2 or xz.
            below: The folder that its paths begin at; default: *target*.
        """
        name = f"{self._name}-{len(self._volumes)}"
        with postponed():
            self._engine.make_volume(name, self._labels)
            self._volumes.append(name)
        volume = Volume(name, target)
        # A container that is never started: it is how an engine is given files.
        carrier = self._create(Container(self.image, ("unused",), volumes=(volume,)))
        # An engine takes a folder's mode from its entry in the folder above, and not from "."
        path = PurePosixPath(target)
        with folders({path.name: OPEN}) as folder:
            self._engine.put(carrier, str(path.parent), folder)
        if content is not None:
            content.seek(0)
            self._engine.put(carrier, below or target, content)
        self._engine.remove(carrier)
        return replace(volume, read_only=read_only)

    def kept(self, file: IO[bytes]) -> IO[bytes]:
        """Return *file*, which is closed with the sandbox."""
        return self._files.enter_context(file)

    def scratch(self) -> Volume:
        """Make a /tmp that everybody may write, for a container whose root nobody may."""
        return self.volume("/tmp")  # noqa: S108 - the container's

    def start(self, container: Container) -> Running:
        """
        Start a container.

        Raises:
            EngineError: The engine cannot start its program, or do what it was asked.
        """
        made = self._create(container)
        self._engine.start(made)
        return Running(self._engine, made, container.port)

    def close(self) -> None:
        """
        Remove what was made, also what is running; a second Ctrl-C waits until it is done.

        Raises:
            EngineError: Something is left, and how it is removed.
        """
        with postponed():
            self._files.close()
            deadline = time.monotonic() + _BUSY_S
            while problem := self._removed():
                if time.monotonic() > deadline:
                    raise EngineError(f"left behind: {problem}", remedy=self._by_hand())
                time.sleep(_POLL_S)

    def _by_hand(self) -> str:
        """Return the commands that remove what is left."""
        ours = f"--filter label={LABEL}={self._name}"
        return (
            f"docker ps -aq {ours} | xargs -r docker rm -fv; "
            f"docker volume ls -q {ours} | xargs -r docker volume rm"
        )

    def _removed(self) -> str:
        """Remove what is left, and return why not all of it could be; empty: nothing is left."""
        problem = ""
        try:
            for found in self._engine.containers(self._labels):
                self._engine.remove(found.id)
        except EngineError as error:
            problem = error.problem
        for name in list(self._volumes):
            try:
                self._engine.remove_volume(name)
                self._volumes.remove(name)
            except EngineError as error:
                problem = error.problem
        return problem

    def _create(self, container: Container) -> str:
        with postponed():  # or the engine would go on to make what nobody knows of
            return self._engine.create(replace(container, labels=self._labels))
