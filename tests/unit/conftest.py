"""What the unit tests share."""

import sys

import pytest


@pytest.fixture(autouse=True)
def one_thread():
    """Let torch compute on one thread: on pictures of 32 px several only wait for each other."""
    torch = sys.modules.get("torch")
    if torch is None:  # the test does not use it
        yield
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
