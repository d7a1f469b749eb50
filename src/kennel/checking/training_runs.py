"""
Run an image's training in a sandbox and keep what came of it; ``training`` judges that.
"""

import json
import tarfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any, Final

from kennel.checking import samples
from kennel.checking.limits import Limits
from kennel.checking.samples import Archive
from kennel.checking.sandbox import Ended, Running, Sandbox
from kennel.contract import ContainerPaths
from kennel.engine import Container
from kennel.errors import EngineError

PATHS: Final = ContainerPaths()
SHM_BYTES: Final = 2 * 2**30  # data loaders with workers need more than an engine's 64 MiB
ANYBODY: Final = "12345:12345"
FAILURE_BYTES: Final = 64 * 1024
# Hyperparameters that say how long a training takes, by their usual names
LENGTHS: Final = ("epochs", "num_epochs", "n_epochs", "max_epochs", "epoch", "max_steps", "steps")
LONG: Final = "10000"
_POLL_S: Final = 0.1


@dataclass(frozen=True)
class Run:
    """What came of a training."""

    problem: str = ""  # why the engine could not start it
    ended: Ended | None = None  # None: it was still running when it was given up
    seconds: float = 0.0
    log: str = ""
    first_process: str = ""
    failure: str | None = None
    model: IO[bytes] | None = None  # a tar archive of the folder model
    model_files: int = 0
    model_bytes: int = 0

    @property
    def ok(self) -> bool:
        """Whether it ended well."""
        return self.ended is not None and self.ended.exit_code == 0


@dataclass(frozen=True)
class Stopped:
    """What came of a SIGTERM."""

    run: Run  # ended is None: only SIGKILL has ended it
    after_s: float  # from the start to the signal; 0: it ended before
    took_s: float = 0.0  # from the signal to the end
    is_longer: bool = False  # than a training that nobody stops: it was told to take longer


@dataclass(frozen=True)
class Trainings:
    """Runs trainings of one image, each in a new container with files of its own."""

    sandbox: Sandbox
    content: Archive  # of the channels
    hyperparameters: Mapping[str, str]
    limits: Limits
    is_given: bool = True  # what it trains on, by who knows the image

    def normal(self, hyperparameters: Mapping[str, Any] | None = None) -> Run:
        """Train with the given hyperparameters, or with those that it was given."""
        values = self.hyperparameters if hyperparameters is None else hyperparameters
        return self._run(samples.job(self.content, values), self.limits.run)

    def with_empty_channels(self, limit_s: float) -> Run:
        """Train on nothing."""
        nothing: Archive = {f"{name}/": b"" for name in samples.channels(self.content)}
        return self._run(samples.job(nothing, self.hyperparameters), limit_s)

    def with_torn_hyperparameters(self, limit_s: float) -> Run:
        """Train with a hyperparameters.json that is not JSON."""
        torn = json.dumps(self.hyperparameters).encode()[:-1]
        return self._run(samples.job(self.content, torn), limit_s)

    def restricted(self, limit_s: float, *, user: str | None, read_only: bool) -> Run:
        """Train as somebody who may write to /opt/ml and /tmp alone."""
        files = samples.job(self.content, self.hyperparameters)
        return self._run(files, limit_s, user=user, read_only=read_only)

    def stopped(self) -> Stopped:
        """Train for long, and send SIGTERM once it has said something."""
        longer = {name: LONG for name in LENGTHS if name in self.hyperparameters}
        files = samples.job(self.content, {**self.hyperparameters, **longer})
        began = time.monotonic()
        try:
            running = self._start(files)
        except EngineError as error:
            return Stopped(Run(problem=error.problem), 0)
        try:
            if not self._begins(running):
                return Stopped(Run(ended=running.ended(), log=running.log()), 0)
            after_s = time.monotonic() - began
            running.signal("SIGTERM")
            ended = running.wait(self.limits.stop_training)
            took_s = time.monotonic() - began - after_s
            run = Run(ended=ended, seconds=after_s + took_s, log=running.log())
            return Stopped(run, after_s, took_s, is_longer=bool(longer))
        finally:
            running.remove()

    def _begins(self, running: Running) -> bool:
        """Wait until it is at work; return False if it ends before."""
        deadline = time.monotonic() + self.limits.first_output
        while time.monotonic() < deadline and not running.ended() and not running.log():
            time.sleep(_POLL_S)
        time.sleep(self.limits.settle)
        return running.ended() is None

    def _start(
        self, files: IO[bytes], *, user: str | None = None, read_only: bool = False
    ) -> Running:
        with files:
            volumes = [self.sandbox.volume(str(PATHS.root), files)]
        if read_only:
            volumes.append(self.sandbox.scratch())
        return self.sandbox.start(
            Container(
                self.sandbox.image,
                ("train",),
                volumes=volumes,
                environment=samples.environment(),
                hostname=samples.HOST,
                shm_bytes=SHM_BYTES,
                user=user,
                read_only=read_only,
            )
        )

    def _run(
        self,
        files: IO[bytes],
        limit_s: float,
        *,
        user: str | None = None,
        read_only: bool = False,
    ) -> Run:
        try:
            running = self._start(files, user=user, read_only=read_only)
        except EngineError as error:
            return Run(problem=error.problem)
        try:
            began = time.monotonic()
            first = running.first_process()
            ended = running.wait(limit_s)
            return self._collected(running, ended, time.monotonic() - began, first)
        finally:
            running.remove()

    def _collected(self, running: Running, ended: Ended | None, seconds: float, first: str) -> Run:
        model = running.archive(str(PATHS.model))
        files, size = _measured(model)
        failure = running.file(str(PATHS.failure))
        return Run(
            ended=ended,
            seconds=seconds,
            log=running.log(),
            first_process=first,
            failure=None if failure is None else failure[:FAILURE_BYTES].decode(errors="replace"),
            model=model and self.sandbox.kept(model),
            model_files=files,
            model_bytes=size,
        )


def _measured(archive: IO[bytes] | None) -> tuple[int, int]:
    """Return how many files there are in a tar archive, and their bytes."""
    if archive is None:
        return 0, 0
    with tarfile.open(fileobj=archive) as members:
        sizes = [member.size for member in members if member.isfile()]
    return len(sizes), sum(sizes)
