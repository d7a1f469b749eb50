"""
Who runs the trials of a search: this process, or several of them side by side, one for each GPU.

A process of its own has its own models; what it prints is what failed. Which trial it runs is
run.py's to say.
"""

import io
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import connection, get_context, parent_process
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from kennel.errors import JobError
from kennel.training.epochs import Epoch
from kennel.training.search import trial
from kennel.training.search.bench import Bench
from kennel.training.search.run import Runner
from kennel.training.search.trial import OnEpoch, Result, Task, Weights
from kennel.training.stopping import Stop, Stopped

LOOK_S = 0.1
END_S = 10.0  # for a worker to end by itself

EPOCHS, ENDED, STOPPED = "epochs", "ended", "stopped"  # what a worker says


@contextmanager
def runners(bench: Bench, count: int) -> Iterator[Sequence[Runner]]:
    """
    Have *count* runners: one is this process; of several, each is another one.

    Args:
        bench: Of the search.
        count: At least 1; on GPUs not more than there are.
    """
    if count == 1:
        yield [_here(bench)]
        return
    with TemporaryDirectory(prefix="kennel-") as folder, ExitStack() as stack:
        shared = Bench(bench.paths, bench.wanted, Path(folder, "turn"))
        yield [stack.enter_context(_Worker.started(shared, place, count)) for place in range(count)]


def _here(bench: Bench) -> Runner:
    def run(
        task: Task, folder: Path, on_epoch: OnEpoch, stop: Stop
    ) -> tuple[Result, Weights | None]:
        return trial.run(task, bench, folder, on_epoch, stop)

    return run


class _Worker:
    """A process that runs one trial at a time, as told over a pipe."""

    def __init__(self, process: SpawnProcess, pipe: "Connection[Any, Any]") -> None:
        self._process, self._pipe = process, pipe

    @classmethod
    @contextmanager
    def started(cls, bench: Bench, place: int, count: int) -> "Iterator[_Worker]":
        """Start one, and end it when the block is left."""
        context = get_context("spawn")  # a fork would share the GPU's and OpenMP's state
        ours, theirs = context.Pipe()
        # No daemon: those may not have the processes that read pictures.
        process = context.Process(target=_work, args=(bench, place, count, theirs), daemon=False)
        process.start()
        theirs.close()
        try:
            yield cls(process, ours)
        finally:
            ours.close()
            process.join(END_S)
            process.kill()
            process.join()

    def __call__(
        self, task: Task, folder: Path, on_epoch: OnEpoch, stop: Stop
    ) -> tuple[Result, Weights | None]:
        """
        Run a trial there.

        Raises:
            Stopped: A stop was asked for.
            JobError: The process has gone.
        """
        try:
            self._pipe.send((task, folder))
            while True:
                said, value = self._receive(stop)
                if said == EPOCHS:
                    self._pipe.send(on_epoch(value))
                elif said == STOPPED:
                    raise Stopped
                else:
                    result, weights = value
                    return result, _unpacked(weights)
        except (EOFError, OSError) as error:
            self._process.join(END_S)
            if stop.requested:  # and heard before the process could say so: it was still starting
                raise Stopped from error
            raise JobError(
                f"the process of trial {task.number} ended with code {self._process.exitcode}",
                remedy="fewer trials at a time, if the memory was short",
            ) from error

    def _receive(self, stop: Stop) -> tuple[str, Any]:
        told = False
        while not self._pipe.poll(LOOK_S):
            if stop.requested and not told and self._process.pid:
                told = True
                with suppress(ProcessLookupError):
                    os.kill(self._process.pid, signal.SIGTERM)
        said, value = self._pipe.recv()
        return str(said), value


def _work(bench: Bench, place: int, count: int, pipe: "Connection[Any, Any]") -> None:
    """Run trials until the pipe is closed: what a worker process does."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.setpgid(0, 0)  # a SIGTERM to the whole group is the parent's to pass on
    stop = Stop.installed()
    if torch.cuda.is_available():
        torch.cuda.set_device(place)
    else:
        torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // count))

    def on_epoch(history: Sequence[Epoch]) -> bool:
        pipe.send((EPOCHS, tuple(history)))
        return bool(pipe.recv())

    with suppress(EOFError, OSError):  # the parent wants no more
        while True:
            task, folder = pipe.recv()
            try:
                result, weights = trial.run(task, bench, folder, on_epoch, stop)
            except Stopped:
                pipe.send((STOPPED, None))
                return
            pipe.send((ENDED, (result, _packed(weights))))


def _end_with_parent() -> None:
    """End at once where the parent was killed."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _packed(weights: Weights | None) -> bytes | None:
    """Return tensors as bytes: a pipe has room where a container's shared memory has not."""
    if weights is None:
        return None
    buffer = io.BytesIO()
    torch.save(dict(weights), buffer)
    return buffer.getvalue()


def _unpacked(packed: bytes | None) -> Weights | None:
    if packed is None:
        return None
    weights: Mapping[str, Tensor] = torch.load(io.BytesIO(packed), weights_only=True)
    return weights
