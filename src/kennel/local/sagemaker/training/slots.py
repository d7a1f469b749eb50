"""How many training jobs run at once: the others wait, first come, first served."""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Two jobs share a small machine rather than wait for each other; above that, one for each core.
DEFAULT_SLOTS = max(2, os.cpu_count() or 1)
ASK_S = 1.0


class Slots:
    """A bounded number of places, given out in the order in which they were asked for."""

    def __init__(self, count: int = DEFAULT_SLOTS) -> None:
        self._free = count
        self._queue: deque[object] = deque()
        self._changed = threading.Condition()

    @contextmanager
    def slot(
        self, give_up: Callable[[], bool], waiting: Callable[[], object] = lambda: None
    ) -> Iterator[bool]:
        """
        Hold a place; yields False, without one, when *give_up* says so before it is our turn.

        Args:
            give_up: Asked every second, and whenever wake is called.
            waiting: Called once when there is no free place.
        """
        mine = self._wait(give_up, waiting)
        try:
            yield mine
        finally:
            if mine:
                with self._changed:
                    self._free += 1
                    self._changed.notify_all()

    def _wait(self, give_up: Callable[[], bool], waiting: Callable[[], object]) -> bool:
        """Queue for a place and take it; return whether we got one."""
        ticket = object()
        with self._changed:
            self._queue.append(ticket)
            full = not self._is_turn(ticket)
        if full:
            waiting()
        with self._changed:
            try:
                while not self._changed.wait_for(lambda: give_up() or self._is_turn(ticket), ASK_S):
                    pass
                mine = self._is_turn(ticket) and not give_up()
                self._free -= mine
            finally:
                self._queue.remove(ticket)
                self._changed.notify_all()
        return mine

    def _is_turn(self, ticket: object) -> bool:
        return self._free > 0 and self._queue[0] is ticket

    def wake(self) -> None:
        """Let those who wait ask again whether to give up."""
        with self._changed:
            self._changed.notify_all()
