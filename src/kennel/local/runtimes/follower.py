"""
A container's output as a growing file, whoever dies meanwhile.

The engine keeps all that a container writes, and always tells it in the same way. So the file is
the beginning of what the engine would tell, and how far it goes is its own length: a server that
starts anew reads the output again from its beginning and goes on writing where the file ends.
Nothing is lost, doubled or torn, and there is no note of a position that could disagree.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from datetime import datetime
from io import FileIO
from pathlib import Path

from kennel.engine import Engine
from kennel.engine.streams import Lines, Piece
from kennel.errors import EngineError
from kennel.local.runtimes import containers
from kennel.local.runtimes.protocol import State, Status

LOG = logging.getLogger(__name__)

PATIENCE_S = 120.0  # with an engine that does not answer; then its containers are given up
PAUSE_S = 0.5
ATTEMPTS = 3  # to read all of an output to its end
STUCK_S = 10.0  # after the end of a container whose output does not end


class Follower:
    """
    The thread that copies one container's output, and knows its state.

    Args:
        engine: Returns the engine where the container is; may raise EngineError.
        container: Its id.
        path: The file, which is there.
        booted: When this machine was.
        patience_s: See PATIENCE_S.
        stuck_s: See STUCK_S.
    """

    def __init__(  # noqa: PLR0913 - what it follows, where to, for how long
        self,
        engine: Callable[[], Engine],
        container: str,
        path: Path,
        *,
        booted: datetime,
        patience_s: float = PATIENCE_S,
        stuck_s: float = STUCK_S,
    ) -> None:
        self.engine = engine
        self.container = container
        self.path = path
        self.booted = booted
        self.patience_s = patience_s
        self.stuck_s = stuck_s
        self.finished = threading.Event()
        self.state = State(Status.RUNNING)
        self.port: int | None = None  # for its owner: where it is published, until it is restarted
        self._skip = 0  # bytes that the file has already
        self._last: Piece | None = None
        self._progress = self._looked = time.monotonic()
        self._released = False
        self._writing = threading.Lock()
        self._thread = threading.Thread(
            target=self._run, name=f"follow-{container[:12]}", daemon=True
        )

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def release(self) -> None:
        """Write nothing any more: somebody else does, or the container is about to be removed."""
        with self._writing:
            self._released = True
        self.finished.set()

    def is_stuck(self) -> bool:
        """Return whether the container has ended, or gone, and its output has not ended."""
        now = time.monotonic()
        if self.finished.is_set() or now - self._looked < self.stuck_s / 2:
            return False
        self._looked = now
        try:
            found = self.engine().find(self.container)
        except EngineError:
            return False
        if found is not None and found.is_running:
            self._progress = now
        return found is None or now - self._progress > self.stuck_s

    def _run(self) -> None:
        """Copy until the container has ended and all that it wrote is there."""
        try:
            with self.path.open("ab", buffering=0) as file:
                self._follow(file)
        except OSError:  # its folder has gone
            LOG.exception("the output of container %s", self.container[:12])
            self._end(State(Status.LOST))

    def _follow(self, file: FileIO) -> None:
        answered = time.monotonic()
        attempts = 0
        while not self.finished.is_set():
            try:
                if self.engine().find(self.container) is None:  # somebody has removed it
                    self._end(State(Status.LOST))
                    return
                lines = self._copy(file)
                found = self.engine().find(self.container)
                answered = time.monotonic()
                if found and found.is_running:  # the engine was restarted, or somebody did this one
                    self.port = None
                    self.finished.wait(PAUSE_S)
                    continue
                attempts += 1
                if found is None or attempts == ATTEMPTS or self._is_complete():
                    self._append(file, lines.rest())
                    self._end(containers.state(found, self.booted))
            except EngineError as error:
                if time.monotonic() - answered > self.patience_s:
                    LOG.warning("container %s is given up: %s", self.container[:12], error)
                    self._end(State(Status.LOST))
                self.finished.wait(PAUSE_S)
            except OSError:  # the disk is full
                LOG.exception("the output of container %s", self.container[:12])
                self.finished.wait(PAUSE_S)

    def _copy(self, file: FileIO) -> Lines:
        """Append what the file does not have yet; return the lines that have no end so far."""
        self._skip = os.fstat(file.fileno()).st_size
        self._last = None
        lines = Lines()
        for piece in self.engine().pieces(self.container, follow=True):
            self._last, self._progress = piece, time.monotonic()
            self._append(file, lines.feed(piece))
            if self._released:
                break
        return lines

    def _append(self, file: FileIO, data: bytes) -> None:
        """Append the part of *data* that the file does not have."""
        new = data[self._skip :]
        self._skip = max(0, self._skip - len(data))
        with self._writing:
            while new and not self._released:
                new = new[file.write(new) :]

    def _is_complete(self) -> bool:
        """Return whether the engine has nothing after the last piece that was copied."""
        return next(self.engine().pieces(self.container, tail="1"), None) == self._last

    def _end(self, state: State) -> None:
        self.state = state
        self.finished.set()
