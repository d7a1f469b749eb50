"""Let Ctrl-C and SIGTERM wait for what must not stop half way."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def postponed() -> Iterator[None]:
    """
    Deliver SIGINT and SIGTERM once the block has ended.

    Handlers and no mask: a mask is one thread's, and the system gives a signal to any other that
    has none. Python calls handlers in the main thread alone, so other threads need nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])
