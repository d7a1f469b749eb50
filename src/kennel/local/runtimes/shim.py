"""
Watch over one process in place of a container: started detached, run as a script.

The shim outlives the server. It starts the command in a session of its own, passes SIGTERM on to
it alone (as Docker does to PID 1), kills everything on SIGUSR1, and when the command has ended it
kills whatever that left behind and writes the exit code. The lock that it inherits is held exactly
as long as it lives, which is how the runtime (process.py) tells that it does.

Only what the interpreter starts fastest with is imported here: no site, no json, no subprocess.
"""

import contextlib
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
CLEAN_SCANS = 2  # a process in the middle of exec shows no environment for a moment
SCAN_PAUSE_S = 0.003


def main(folder: Path, command: list[str]) -> None:
    """Run *command* to its end and leave its exit code in *folder*."""
    signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)  # none is lost before there is a receiver
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGHUP, lambda *_: None)
    write(folder / PROCESS_FILE, str(os.getpid()))
    code = run(folder, command)
    kill_all(str(folder))
    write(folder / EXIT_FILE, str(code))


def run(folder: Path, command: list[str]) -> int:
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
    signal.signal(KILL, lambda *_: kill_all(str(folder)))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
    write(folder / PROCESS_FILE, f"{os.getpid()} {child}")
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if code >= 0 else 128 - code


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


def kill_all(cookie: str) -> None:
    """Kill every other process of the launch, however often it forks meanwhile."""
    clean = 0
    while clean < CLEAN_SCANS:
        found = list(processes(cookie))
        clean = 0 if found else clean + 1
        for pid in found:
            send(pid, signal.SIGKILL)
        time.sleep(SCAN_PAUSE_S)


def processes(cookie: str) -> Iterator[int]:
    """Yield the pids, this one apart, whose environment holds *cookie*; zombies have none left."""
    wanted = f"{COOKIE}={cookie}\0".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and entry.name != str(os.getpid()) and wanted in environment(entry):
            yield int(entry.name)


def environment(process: Path) -> bytes:
    """Return the environment of a process, empty when it is gone or somebody else's."""
    try:
        return (process / "environ").read_bytes() + b"\0"
    except OSError:
        return b""


def send(pid: int, number: int) -> None:
    """Send a signal to a process that may be gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def write(path: Path, text: str) -> None:
    """Write *text* whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text)
    partial.replace(path)


if __name__ == "__main__":
    os.set_inheritable(int(sys.argv[2]), False)  # noqa: FBT003 - positional only; the lock is the shim's, not the command's
    main(Path(sys.argv[1]), sys.argv[3:])
