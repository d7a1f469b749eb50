"""A container's output as a file, with an engine that breaks off, hangs or says nothing."""

import threading
import time
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from kennel.engine.streams import Piece
from kennel.errors import EngineError
from kennel.local.runtimes.follower import Follower
from kennel.local.runtimes.protocol import State, Status

WAIT_S = 20
LINES = [b"one\n", b"two\n", b"three\n", b"no end"]
ENDED = SimpleNamespace(
    is_running=False, status="exited", exit_code=0, out_of_memory=False, started=None, finished=None
)
RUNS = SimpleNamespace(is_running=True)


class FakeEngine:
    """
    A container that has said LINES and ended.

    Args:
        breaks: After how many pieces each reading of the output fails, or ends where it is quiet.
        hangs: The first reading neither gets anything nor ends.
        restarts: How many times the container is said to run still.
    """

    def __init__(self, *, breaks=(), quiet=False, hangs=False, restarts=0, answers=True):
        self.breaks = list(breaks)
        self.quiet = quiet
        self.hangs = hangs
        self.restarts = restarts
        self.answers = answers
        self.readings = 0
        self.over = threading.Event()

    def pieces(self, container, *, follow=False, tail="all"):
        assert container == "it"
        self.check()
        found = [Piece(1, b"%d" % i, line) for i, line in enumerate(LINES)]
        if tail != "all":
            return iter(found[-int(tail) :])
        assert follow
        return self.some(found)

    def some(self, found):
        self.readings += 1
        if self.hangs and self.readings == 1:
            self.over.wait(WAIT_S)
            return
        if not self.breaks:
            yield from found
            return
        yield from found[: self.breaks.pop(0)]
        if not self.quiet:
            raise EngineError("it broke off")

    def find(self, container):
        assert container == "it"
        self.check()
        if self.restarts:
            self.restarts -= 1
            return RUNS
        return ENDED

    def check(self):
        if not self.answers:
            raise EngineError("no answer")


@pytest.fixture
def follow(tmp_path):
    """Follow a fake engine's container into a file that has some of the output already."""
    path = tmp_path / "output.log"
    engines = []

    def start(engine, *, already=b"", **limits):
        path.write_bytes(already)
        booted = datetime(2026, 1, 1, tzinfo=UTC)
        follower = Follower(lambda: engine, "it", path, booted=booted, **limits)
        follower.start()
        engines.append(engine)
        return follower

    yield start
    for engine in engines:
        engine.over.set()


def ended(follower):
    assert follower.finished.wait(WAIT_S)
    return follower.state, follower.path.read_bytes()


WHOLE = (State(Status.EXITED, 0), b"".join(LINES))


def test_all_of_it_is_there_at_the_end(follow):
    """
    What no newline ends, too.
    """
    assert ended(follow(FakeEngine())) == WHOLE


@pytest.mark.parametrize("length", range(len(b"".join(LINES)) + 1))
def test_it_goes_on_wherever_a_former_reader_was_killed(follow, length):
    """
    In the middle of a line as well.
    """
    assert ended(follow(FakeEngine(), already=b"".join(LINES)[:length])) == WHOLE


def test_an_engine_that_breaks_off_is_asked_again(follow):
    """
    Nothing is there twice.
    """
    assert ended(follow(FakeEngine(breaks=[2, 0, 1, 3]))) == WHOLE


def test_an_output_that_ends_too_early_is_read_again(follow):
    """
    The engine is asked for its last piece before it is believed.
    """
    assert ended(follow(FakeEngine(breaks=[3, 2], quiet=True))) == WHOLE


def test_a_container_that_outlives_its_engine_is_followed_on(follow):
    """
    Half a line is not taken for the last.
    """
    engine = FakeEngine(breaks=[4, 3], quiet=True, restarts=2)

    assert ended(follow(engine)) == WHOLE
    assert engine.readings == 3


def test_a_container_that_somebody_restarts_is_looked_for_again(follow):
    """
    ``docker restart`` publishes its port under another number.
    """
    engine = FakeEngine(hangs=True, restarts=2)
    follower = follow(engine)
    follower.port = 8080
    engine.over.set()

    assert ended(follower) == WHOLE
    assert follower.port is None


def test_an_engine_that_never_answers_is_given_up(follow):
    """
    After a while; nobody can say how its containers ended.
    """
    assert ended(follow(FakeEngine(answers=False), patience_s=0.2)) == (State(Status.LOST), b"")


def test_a_reading_that_neither_gets_anything_nor_ends_is_noticed(follow):
    """
    By whoever asks from time to time: the container has ended, its output has not.
    """
    follower = follow(FakeEngine(hangs=True), stuck_s=0.2)
    deadline = time.monotonic() + WAIT_S
    while not follower.is_stuck():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    follower.release()

    assert follower.path.read_bytes() == b""


def test_a_reading_of_a_container_that_runs_is_not_stuck(follow):
    """
    It has nothing to say.
    """
    follower = follow(FakeEngine(hangs=True, restarts=99), stuck_s=0.1)
    for _ in range(10):
        assert not follower.is_stuck()
        time.sleep(0.03)
    follower.release()
