"""
A program of the user's own, started by sagemaker-training as a child of this process.

The toolkit alone leaves two things to be wished for. It does not pass SIGTERM on, so a stop would
orphan the program without a checkpoint; and of a program that failed it reports the exit code
without the cause. Both are done here. Kennel's own program needs neither: see entry.py.
"""

import os
import re
import signal
import threading
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import dropwhile, takewhile
from pathlib import Path
from types import FrameType

from kennel.contract import ContainerPaths
from kennel.profiling import sampler
from kennel.training import failure, toolkit
from kennel.training.log import say
from kennel.training.stopping import Stop

SHELLS = frozenset({"sh", "dash", "bash"})
TAIL_LINES = 60
CHUNK_BYTES = 65_536
TOOLKIT = "sagemaker-training-toolkit"  # in every line that it logs
INVOKING = "Invoking script with the following command:"  # a blank line, the command, another
REPORTING = "Reporting training FAILURE"
REPORT = re.compile(r"\w+Error:\nExitCode (-?\d+)\n")  # how its own failure file begins
LATECOMERS_S = 1.0  # how often a stop looks for a program that has started meanwhile


def run(paths: ContainerPaths, program: str, stop: Stop, ours: Collection[str] = ()) -> int:
    """
    Run *program*, with its arguments and environment as sagemaker-training makes them.

    Args:
        paths: Of the container.
        program: As the request names it.
        stop: Looked at before it starts.
        ours: Hyperparameters that are not for the program.

    Returns:
        0 when it ended well, or when a stop came before it had started; otherwise 1 after the
        failure file was written, with the last words of the program's standard error first.
    """
    say(f"program={program}")
    signal.signal(signal.SIGTERM, Forwarder())
    if stop.requested:
        return 0
    with standard_error_tail() as tail:
        code = toolkit.run(ours)
    if code:
        _name_the_cause(paths, list(tail))
    return code


class Forwarder:
    """
    Passes SIGTERM on to the program, once to each process; the handler of this process.

    The program itself gets it, and not its descendants: a PyTorch program would lose its data
    loading workers before it could save. A shell that does not handle the signal is passed over
    in favour of what it runs, for it would die and leave that behind.
    """

    def __init__(self) -> None:
        self._told: set[int] = set()
        self._watching = False

    def __call__(self, _signum: int, _frame: FrameType | None) -> None:
        """Forward the signal, and go on to whatever starts from now on."""
        self._forward()
        if not self._told:
            raise SystemExit(0)  # nothing has started that could have something to save
        if not self._watching:
            self._watching = True
            threading.Thread(target=self._watch, daemon=True).start()

    def _forward(self) -> None:
        for child in children(os.getpid()):
            for pid in set(_receivers(child)) - self._told:
                self._told.add(pid)
                with suppress(ProcessLookupError):  # it has just ended by itself
                    os.kill(pid, signal.SIGTERM)

    def _watch(self) -> None:
        while True:
            threading.Event().wait(LATECOMERS_S)
            self._forward()


def _receivers(pid: int) -> Iterator[int]:
    below = children(pid)
    if below and status(pid, "Name") in SHELLS and not _catches_sigterm(pid):
        for child in below:
            yield from _receivers(child)
    else:
        yield pid


def children(pid: int) -> list[int]:
    """Return the programs that *pid*'s threads started, from Linux's own list."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    started = [int(child) for path in lists for child in _read(path).split()]
    return [child for child in started if not sampler.is_one(child)]


def _catches_sigterm(pid: int) -> bool:
    mask = int(status(pid, "SigCgt") or "0", base=16)
    return bool(mask >> (signal.SIGTERM - 1) & 1)


def status(pid: int, member: str) -> str:
    for line in _read(Path(f"/proc/{pid}/status")).splitlines():
        name, _, value = line.partition(":")
        if name == member:
            return value.strip()
    return ""


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""  # the process has ended meanwhile


@contextmanager
def standard_error_tail() -> Iterator[deque[str]]:
    """Yield the last lines of what this process and its children write to standard error."""
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    terminal = os.dup(2)
    reader, writer = os.pipe()
    os.dup2(writer, 2)
    os.close(writer)
    copier = threading.Thread(target=_copy, args=(reader, terminal, tail), daemon=True)
    copier.start()
    try:
        yield tail
    finally:
        os.dup2(terminal, 2)  # closes the last writing end that is ours
        copier.join(timeout=5)  # a descendant that lives on may hold the pipe open


def _copy(reader: int, terminal: int, tail: deque[str]) -> None:
    """Pass on what comes as it comes; a progress bar stays one line for hours."""
    line = b""
    with os.fdopen(reader, "rb", buffering=0) as source, os.fdopen(terminal, "wb") as out:
        while chunk := source.read(CHUNK_BYTES):
            out.write(chunk)
            out.flush()
            *whole, line = (line + chunk).split(b"\n")
            tail.extend(map(_shown, whole))
            line = line[-CHUNK_BYTES:]
    if line:
        tail.append(_shown(line))


def _shown(line: bytes) -> str:
    """Return what a terminal would show of a line: what stands behind the last return."""
    return line.rstrip(b"\r").rpartition(b"\r")[2].decode(errors="replace")


def _name_the_cause(paths: ContainerPaths, tail: list[str]) -> None:
    """Put the program's last words before the toolkit's report; leave a report of its own alone."""
    report = _read(paths.failure)
    if reported := REPORT.match(report):
        words = last_words(tail, int(reported[1]))
        failure.fail(paths, f"{words}\n\n{report}")


def last_words(lines: Sequence[str], code: int) -> str:
    """
    Return the cause of a failure first, then what the program said of it.

    Args:
        lines: The end of the standard error, the toolkit's lines among them.
        code: Of the exit; below zero, the signal that ended it.
    """
    words = _own(lines)
    marks = [number for number, line in enumerate(words) if line.startswith("Traceback (most")]
    said = "\n".join(words).strip()
    if code < 0:
        return f"{_exit(code)}\n\n{said}".strip()
    if not marks:
        return said or _exit(code)
    traceback = words[marks[-1] :]
    cause = next((line for line in traceback[1:] if line[:1].strip()), "")
    return "\n".join([cause.strip(), "", *traceback]).strip()


def _own(lines: Sequence[str]) -> list[str]:
    """Drop what the toolkit says: at length before the program starts, and after it has failed."""
    started = [number for number, line in enumerate(lines) if line.startswith(INVOKING)]
    rest: Iterable[str] = lines[started[-1] + 1 :] if started else lines
    if started:
        command = dropwhile(lambda line: not line.strip(), rest)
        rest = dropwhile(lambda line: bool(line.strip()), command)
    until_failure = takewhile(lambda line: not (TOOLKIT in line and REPORTING in line), rest)
    return [line for line in until_failure if TOOLKIT not in line]


def _exit(code: int) -> str:
    """Name the exit code, and the signal that it may stand for."""
    if code >= 0:
        return f"ExitCode {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else "a signal"
    return f"ExitCode {code} ({name}{': out of memory?' if name == 'SIGKILL' else ''})"
