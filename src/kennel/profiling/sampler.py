"""
Samples the machine beside a run, in a process of its own.

A thread would wait for the interpreter that trains, and make it wait: see
docs/decisions/019-sampler-is-a-process.md. What is looked at is metrics.py's; the files are in the
platform's form, system.py's. Started by hand, as the local server does:

    python -m kennel.profiling sample PROFILER_OUTPUT --interval-ms 500
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from kennel.profiling.system import FOLDER

if TYPE_CHECKING:  # who starts one need not have psutil
    from kennel.profiling.metrics import Machine, Sample

DEFAULT_MS = 500
SHORTEST_S = 0.1
LINES_AT_MOST = 500_000  # of a run of a week; it comes to some 60 MB
MINUTE_S = 60
END_S = 5.0  # for the process to end when it is asked to
LOOK_S = 1.0  # how often an orphan looks whether it is one
ENDS = (signal.SIGTERM, signal.SIGINT)
POLITENESS = 5  # added to its niceness: who trains comes first

_running: set[int] = set()


def is_one(pid: int) -> bool:
    """Tell whether a process is a sampler of this one: neither a program of its nor a worker."""
    return pid in _running


class Sampler:
    """
    Samples for as long as it is entered.

    Args:
        folder: profiler-output.
        interval_ms: Between two samples, 100 to 60,000.
        node: algo-1 and so on.
    """

    def __init__(self, folder: Path, interval_ms: int = DEFAULT_MS, node: str = "algo-1") -> None:
        self._folder, self._interval_ms, self._node = folder, interval_ms, node
        self._process: subprocess.Popen[str] | None = None
        self.problem = ""  # why it has not sampled to the end

    @property
    def pid(self) -> int:
        """Its process; 0: there is none."""
        return self._process.pid if self._process else 0

    @property
    def has_ended(self) -> bool:
        """Tell whether it samples no more."""
        return self._process is None or self._process.poll() is not None

    def __enter__(self) -> Self:
        """Start it; where that fails, *problem* says so."""
        command = [sys.executable, "-m", "kennel.profiling", "sample", str(self._folder)]
        command += ["--interval-ms", str(self._interval_ms), "--node", self._node]
        command += ["--parent", str(os.getpid())]
        try:
            self._process = process = subprocess.Popen(  # noqa: S603 - this very program
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,  # a SIGTERM to the group of the run is none for it
            )
            _running.add(process.pid)
        except OSError as error:
            self.problem = str(error)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it, and take note if it had ended before."""
        process, self._process = self._process, None
        if process is None:
            return
        _running.discard(process.pid)
        if process.poll() is None:
            process.terminate()
        try:
            _, said = process.communicate(timeout=END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            _, said = process.communicate()
            said = said or "it did not end when it was asked to"
        if process.returncode not in {0, -signal.SIGTERM}:  # the latter: it had only just begun
            last = said.strip().splitlines()[-1:]
            self.problem = "".join(last) or f"exit code {process.returncode}"


def sample(
    folder: Path,
    interval_s: float,
    node: str,
    machine: "Machine",
    is_over: Callable[[float], bool],
) -> None:
    """
    Look at *machine* until it is over, the last time then.

    Args:
        folder: profiler-output.
        interval_s: Between two looks. A run that lasts is looked at less often, so that what it
            leaves does not grow beyond bounds: see ``pause``.
        node: That this is.
        machine: What is looked at.
        is_over: Waits for as many seconds, or less where it is over: then it returns True.

    Raises:
        OSError: The samples cannot be written.
    """
    began = looked = time.monotonic()
    due = began + interval_s
    while True:
        over = is_over(max(0.0, due - time.monotonic()))
        now = time.monotonic()
        if over and now - looked < SHORTEST_S:  # too short for shares of it
            return
        seen = machine.look()
        _append(folder, node, time.time(), seen)
        if over:
            return
        looked = now
        due = max(due + pause(interval_s, now - began, len(seen)), now)


def pause(interval_s: float, elapsed_s: float, lines: int) -> float:
    """
    Return the seconds to the next sample.

    They are the interval, until the run has lasted for so many of them that a week would come to
    more than LINES_AT_MOST; from then on a share of how long it has lasted, so that every stretch
    of its life is told of as finely as it is long.

    Args:
        interval_s: That was asked for.
        elapsed_s: Since the run began.
        lines: Of a sample.
    """
    return max(interval_s, elapsed_s * _STRETCHES * max(1, lines) / LINES_AT_MOST)


_STRETCHES = 12.0  # from seconds to a week, each e times as long as the one before


def watch(
    folder: Path, interval_ms: int, node: str, parent: int | None, machine: "Machine"
) -> None:
    """
    Sample until SIGTERM, or until *parent* is no more this process's.

    Raises:
        OSError: The samples cannot be written.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)  # they are waited for

    def is_over(seconds: float) -> bool:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if signal.sigtimedwait(ENDS, min(left, LOOK_S)):
                return True
            if parent is not None and os.getppid() != parent:
                return True
        return bool(signal.sigtimedwait(ENDS, 0))

    os.nice(POLITENESS)
    sample(folder, interval_ms / 1000, node, machine, is_over)


def _append(folder: Path, node: str, at: float, samples: Sequence["Sample"]) -> None:
    """Add the lines of a sample to the file of its minute."""
    minute = int(at // MINUTE_S * MINUTE_S)
    hour = time.strftime("%Y%m%d%H", time.gmtime(minute))
    path = folder / FOLDER / hour / f"{minute}.{node}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        json.dumps(
            {
                "Type": type_,
                "Name": name,
                "Dimension": dimension,
                "Value": round(value, 2),
                "NodeId": node,
                "Timestamp": at,
            },
            separators=(",", ":"),
        )
        for type_, name, dimension, value in samples
    ]
    with path.open("a", encoding="utf-8") as file:
        file.write("".join(f"{line}\n" for line in lines))
