"""
Watch over one process in place of a container: started detached, run as a script.

The shim outlives the server. It starts the command in a session of its own, passes SIGTERM on to
it alone (as Docker does to PID 1), kills everything on SIGUSR1, and when the command has ended it
kills whatever that left behind and writes the exit code. The lock that it inherits is held exactly
as long as it lives, which is how the runtime (process.py) tells that it does; when the lock's file
is deleted, with the state folder, nobody will ever ask again, and the launch is ended.

Only what the interpreter starts fastest with is imported here: no site, no json, no subprocess.
"""

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

COOKIE = "KENNEL_LAUNCH"  # in the environment of every process of a launch: the launch's folder
KILL = signal.SIGUSR1
PROCESS_FILE = "process"  # the shim's pid, the command's pid
EXIT_FILE = "exit"  # the exit code
COMMAND_NOT_FOUND = 127
COMMAND_NOT_EXECUTABLE = 126
FORWARDED = (signal.SIGTERM, KILL)
# Python ignores the first two, a detached server perhaps the others; ignored stays so after exec.
RESTORED = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGHUP, signal.SIGTERM)
PR_SET_CHILD_SUBREAPER = 36
WATCH_S = 1.0  # between two looks at the lock's file
CLEAN_SCANS = 2  # a process in the middle of exec shows no environment for a moment
SCAN_PAUSE_S = 0.003


def main(folder: Path, lock: int, command: list[str]) -> None:
    """Run *command* to its end and leave its exit code in *folder*."""
    adopt_orphans()
    signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)  # none is lost before there is a receiver
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGHUP, lambda *_: None)
    write(folder / PROCESS_FILE, str(os.getpid()))
    code = run(folder, lock, command)
    kill_all(str(folder), os.getpid())
    with contextlib.suppress(FileNotFoundError):  # the state folder has gone
        write(folder / EXIT_FILE, str(code))


def adopt_orphans() -> None:
    """Become the parent of all processes of the launch whose own parent ends, to know them all."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def run(folder: Path, lock: int, command: list[str]) -> int:
    """Start *command*, pass signals on to it, and return its exit code."""
    try:
        child = spawn(command)
    except OSError as error:
        # Of a bare name the error may be that of a folder in PATH that we may not read.
        is_missing = isinstance(error, FileNotFoundError) or "/" not in command[0]
        why = "no such program" if is_missing else error.strerror
        sys.stderr.write(f"{command[0]}: {why}\n")
        return COMMAND_NOT_FOUND if is_missing else COMMAND_NOT_EXECUTABLE
    signal.signal(signal.SIGTERM, lambda *_: send(child, signal.SIGTERM))
    signal.signal(KILL, lambda *_: kill_all(str(folder), os.getpid()))
    signal.signal(signal.SIGALRM, lambda *_: end_if_deleted(folder, lock))
    signal.setitimer(signal.ITIMER_REAL, WATCH_S, WATCH_S)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
    write(folder / PROCESS_FILE, f"{os.getpid()} {child}")
    code = exit_code(child)
    return code if code >= 0 else 128 - code


def exit_code(child: int) -> int:
    """Return how *child* ended; other processes that end before are adopted ones."""
    while True:
        pid, status = os.wait()
        if pid == child:
            return os.waitstatus_to_exitcode(status)


def end_if_deleted(folder: Path, lock: int) -> None:
    """Kill the launch if its state has been deleted under it."""
    if os.fstat(lock).st_nlink == 0:
        kill_all(str(folder), os.getpid())


def spawn(command: list[str]) -> int:
    """Start *command* with the signal state of a fresh process, in its own session."""
    return os.posix_spawnp(
        command[0],
        command,
        os.environ,
        setsid=True,
        setsigmask=(),
        setsigdef=RESTORED,
    )


def kill_all(cookie: str, ancestor: int | None = None) -> None:
    """
    Kill every other process of the launch, however often it forks meanwhile.

    Args:
        cookie: What their environment holds, unless they have emptied it.
        ancestor: The launch's shim while it lives, whose descendants they are too.
    """
    clean = 0
    while clean < CLEAN_SCANS:
        found = [pid for pid in processes(cookie, ancestor) if send(pid, signal.SIGKILL)]
        clean = 0 if found else clean + 1
        time.sleep(SCAN_PAUSE_S)


def processes(cookie: str, ancestor: int | None) -> Iterator[int]:
    """Yield the pids, this one apart, that have *cookie* or descend from *ancestor*."""
    wanted = f"{COOKIE}={cookie}\0".encode()
    parents = dict(running())
    for pid in parents.keys() - {os.getpid()}:
        if descends(pid, ancestor, parents) or wanted in environment(Path(f"/proc/{pid}")):
            yield pid


def running() -> Iterator[tuple[int, int]]:
    """Yield pid and parent's pid of every process of this machine that is no zombie."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                # after the name, which may hold anything: state, parent
                state, parent = (
                    (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
                )
                if state not in "ZX":
                    yield int(entry.name), int(parent)


def descends(pid: int, ancestor: int | None, parents: dict[int, int]) -> bool:
    """Return whether *ancestor* is above *pid*."""
    if ancestor is None:
        return False
    above = parents.get(pid)
    while above not in (None, ancestor):
        above = parents.get(above)
    return above is not None


def environment(process: Path) -> bytes:
    """Return the environment of a process, empty when it is gone or somebody else's."""
    try:
        return (process / "environ").read_bytes() + b"\0"
    except OSError:
        return b""


def send(pid: int, number: int) -> bool:
    """Send a signal to a process; return whether it is there and ours."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def write(path: Path, text: str) -> None:
    """Write *text* whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text)
    partial.replace(path)


if __name__ == "__main__":
    os.set_inheritable(int(sys.argv[2]), False)  # noqa: FBT003 - positional only; the lock is the shim's, not the command's
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
