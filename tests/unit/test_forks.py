"""A fork answers, or says why not, and leaves the process that asked as it was."""

import atexit
import os
import signal
import subprocess
import sys

import pytest

from kennel.errors import ArtifactError
from kennel.serving import forks


def test_the_answer_comes_from_another_process():
    """
    What the function does to memory stays there.
    """
    changed = []

    answer = forks.call(lambda: changed.append(1) or str(os.getpid()))

    assert int(answer) != os.getpid()
    assert changed == []


def test_a_long_answer_arrives_whole():
    """
    Longer than a pipe holds.
    """
    assert forks.call(lambda: "ä" * 1_000_000) == "ä" * 1_000_000


def test_our_errors_keep_their_words():
    """
    Problem, expected and remedy, as the one who looks into the log would have read them.
    """
    error = ArtifactError("it is torn", expected="a whole one", remedy="another")

    def fail():
        raise error

    with pytest.raises(forks.ForkError) as raised:
        forks.call(fail)

    assert str(raised.value) == str(error)


def test_a_bug_keeps_its_traceback():
    """
    With the line that raised.
    """

    def fail():
        return 1 / 0

    with pytest.raises(forks.ForkError, match=r"(?s)return 1 / 0.*ZeroDivisionError"):
        forks.call(fail)


def test_a_killed_fork_is_told_from_an_answer():
    """
    As by the kernel, when memory is short.
    """
    with pytest.raises(forks.ForkError, match="killed by signal 9"):
        forks.call(lambda: os.kill(os.getpid(), signal.SIGKILL))


def test_a_fork_leaves_without_the_parents_goodbyes(tmp_path):
    """
    What the parent registered for its own end runs once, there; nothing is left to wait for.
    """
    mark = tmp_path / "ended"
    goodbye = atexit.register(mark.touch)
    try:
        fork = int(forks.call(lambda: str(os.getpid())))

        assert not mark.exists()
        with pytest.raises(ChildProcessError):  # it has been waited for
            os.waitpid(fork, os.WNOHANG)
    finally:
        atexit.unregister(goodbye)


@pytest.mark.parametrize(
    "fork",
    [
        pytest.param(
            "os.register_at_fork(after_in_child=forks.end_with_parent()); os.fork() or wait()",
            id="bound",
        ),
        pytest.param("forks.call(wait)", id="asked"),
    ],
)
def test_a_fork_ends_with_its_parent(fork):
    """
    However that ends: the pipe that both write to is closed once both are gone.
    """
    program = f"""
import os, time
from kennel.serving import forks
def wait():
    print("waiting", flush=True)
    time.sleep(60)
{fork}
time.sleep(60)
"""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:  # noqa: S603 - our own
        assert parent.stdout.readline() == b"waiting\n"
        parent.kill()

        assert parent.communicate(timeout=10)[0] == b""
