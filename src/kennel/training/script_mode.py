"""
A program of the user's own, started by sagemaker-training as a child of this process.

The toolkit alone leaves two things to be wished for. It does not pass SIGTERM on, so a stop would
orphan the program without a checkpoint; and of a program that failed it reports the exit code
without the cause. Both are done here. Kennel's own program needs neither: see entry.py.
"""

import os
import signal
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from kennel.contract import ContainerPaths
from kennel.training import failure, toolkit
from kennel.training.log import say
from kennel.training.stopping import Stop

SHELLS = frozenset({"sh", "dash", "bash"})
TAIL_LINES = 60
TOOLKIT_REPORT = "ExecuteUserScriptError"  # how its own failure file begins
LATECOMERS_S = 1.0  # how often a stop looks for a program that has started meanwhile


def run(paths: ContainerPaths, program: str, stop: Stop) -> int:
    """
    Run *program*, with its arguments and environment as sagemaker-training makes them.

    Returns:
        0 when it ended well, or when a stop came before it had started; otherwise 1 after the
        failure file was written, with the last words of the program's standard error first.
    """
    say(f"program={program}")
    signal.signal(signal.SIGTERM, Forwarder())
    if stop.requested:
        return 0
    with _standard_error_tail() as tail:
        code = toolkit.run()
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
        for child in _children(os.getpid()):
            for pid in set(_receivers(child)) - self._told:
                self._told.add(pid)
                with suppress(ProcessLookupError):  # it has just ended by itself
                    os.kill(pid, signal.SIGTERM)

    def _watch(self) -> None:
        while True:
            threading.Event().wait(LATECOMERS_S)
            self._forward()


def _receivers(pid: int) -> Iterator[int]:
    children = _children(pid)
    if children and _status(pid, "Name") in SHELLS and not _catches_sigterm(pid):
        for child in children:
            yield from _receivers(child)
    else:
        yield pid


def _children(pid: int) -> list[int]:
    """Return the processes that *pid*'s threads started, from Linux's own list."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for path in lists for child in _read(path).split()]


def _catches_sigterm(pid: int) -> bool:
    mask = int(_status(pid, "SigCgt") or "0", base=16)
    return bool(mask >> (signal.SIGTERM - 1) & 1)


def _status(pid: int, member: str) -> str:
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
def _standard_error_tail() -> Iterator[deque[str]]:
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
    with os.fdopen(reader, "rb") as lines, os.fdopen(terminal, "wb", buffering=0) as out:
        for line in lines:
            out.write(line)
            tail.append(line.decode(errors="replace"))


def _name_the_cause(paths: ContainerPaths, tail: list[str]) -> None:
    """Put the program's last words before the toolkit's report; leave a report of its own alone."""
    report = _read(paths.failure)
    if report.startswith(TOOLKIT_REPORT):
        words = _last_words(tail)
        failure.fail(paths, f"{words}\n\n{report}" if words else report)


def _last_words(tail: list[str]) -> str:
    """Return the exception and then its traceback, or else the last lines."""
    words = [line for line in tail if "sagemaker-training-toolkit" not in line]
    marks = [number for number, line in enumerate(words) if line.startswith("Traceback (most")]
    if not marks:
        return "".join(words).strip()
    traceback = words[marks[-1] :]
    cause = next((line for line in traceback[1:] if line[:1].strip()), "")
    return f"{cause.strip()}\n\n{''.join(traceback)}".strip()
