"""What a check makes and removes is not cut off half way."""

import os
import signal
import threading

import pytest

from kennel.checking.interruptions import postponed


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM])
def sent(request):
    """A signal that raises KeyboardInterrupt, as in the command."""
    before = signal.signal(request.param, signal.default_int_handler)
    yield request.param
    signal.signal(request.param, before)


@pytest.fixture
def beside():
    """A thread beside the main one, which masks nothing."""
    idle = threading.Event()
    thread = threading.Thread(target=idle.wait)
    thread.start()
    yield thread
    idle.set()
    thread.join()


@pytest.fixture
def arrived():
    """The end of a pipe that has a byte for each signal that has arrived, in whatever thread."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    before = signal.set_wakeup_fd(write)
    yield read
    signal.set_wakeup_fd(before)
    os.close(read)
    os.close(write)


def test_a_signal_waits_for_the_end_of_the_block(sent, beside, arrived):
    """
    However often it comes, and whichever thread the system gives it to.
    """
    done = []

    def work():
        signal.pthread_kill(beside.ident, sent)
        os.read(arrived, 1)
        signal.raise_signal(sent)
        done.append("all")

    with pytest.raises(KeyboardInterrupt), postponed():
        work()

    assert done == ["all"]
    assert signal.getsignal(sent) is signal.default_int_handler


def test_a_signal_is_not_lost_where_the_block_fails(sent):
    """
    The interruption goes on, with the error as its context.
    """

    def work():
        signal.raise_signal(sent)
        raise ValueError("wrong")

    with pytest.raises(KeyboardInterrupt) as raised, postponed():
        work()

    assert isinstance(raised.value.__context__, ValueError)


def test_another_thread_may_use_it():
    """
    Only the main thread is interrupted, and only it may say what a signal does.
    """
    done = []

    def work():
        with postponed():
            done.append("all")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert done == ["all"]
