"""As many jobs as there are places run at once; the others wait their turn."""

import threading
import time

import pytest

from kennel.local.sagemaker.training.slots import Slots


@pytest.fixture
def enter():
    """Enter a slot in a thread; set the event that is returned second to leave it."""
    threads = []

    def start(slots, give_up=lambda: False):
        inside, leave, result = threading.Event(), threading.Event(), []

        def run():
            with slots.slot(give_up) as mine:
                result.append(mine)
                inside.set()
                leave.wait(10)

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return inside, leave, result

    yield start
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def test_a_job_waits_until_another_has_ended(enter):
    """
    With one place, the second job starts when the first has left.
    """
    slots = Slots(1)
    first, leave_first, _ = enter(slots)
    assert first.wait(10)
    second, leave_second, _ = enter(slots)

    assert not second.wait(0.1)
    leave_first.set()
    assert second.wait(10)
    leave_second.set()


def test_the_first_to_come_is_the_first_to_run(enter):
    """
    Places are given out in the order in which they were asked for.
    """
    slots = Slots(1)
    running, leave, _ = enter(slots)
    assert running.wait(10)
    waiting = []
    for _ in range(3):
        waiting.append(enter(slots))
        time.sleep(0.02)  # so that they ask one after the other

    for inside, leave_next, _ in waiting:
        leave.set()
        assert inside.wait(10)
        assert (
            sum(other.is_set() for other, _, _ in waiting)
            == waiting.index((inside, leave_next, _)) + 1
        )
        leave = leave_next
    leave.set()


def test_a_job_that_is_stopped_waits_no_longer(enter):
    """
    Giving up needs no place, and takes none from those who wait behind.
    """
    slots = Slots(1)
    _, leave_first, _ = enter(slots)
    given_up = threading.Event()
    second, leave_second, result = enter(slots, given_up.is_set)
    third, leave_third, _ = enter(slots)

    given_up.set()
    slots.wake()

    assert second.wait(10)
    assert result == [False]
    leave_first.set()
    assert third.wait(10)
    leave_second.set()
    leave_third.set()


def test_waiting_is_told_once():
    """
    Who finds no free place learns it, so that a job can show that it is pending.
    """
    slots, told = Slots(1), []
    with slots.slot(lambda: False, lambda: told.append("first")):
        pass
    with (
        slots.slot(lambda: False),
        slots.slot(lambda: bool(told), lambda: told.append("second")) as mine,
    ):
        assert not mine

    assert told == ["second"]
