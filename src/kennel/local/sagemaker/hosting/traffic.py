"""
Which launch takes requests, and how many are on their way to it: no deployment cuts one off.

A launch that was retired stays so: its id never comes again, and a request that read of it just
before must not reach it.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Traffic:
    """Requests in flight, and launches that take none, by launch."""

    def __init__(self) -> None:
        self._in_flight: Counter[str] = Counter()
        self._retired: set[str] = set()
        self._starting: set[str] = set()
        self._changed = threading.Condition()

    @contextmanager
    def request(self, launch_id: str) -> Iterator[bool]:
        """Count a request for a launch; yields False when that takes no more."""
        with self._changed:
            admitted = launch_id not in self._retired
            self._in_flight[launch_id] += admitted
        try:
            yield admitted
        finally:
            if admitted:
                with self._changed:
                    self._in_flight[launch_id] -= 1
                    self._changed.notify_all()

    def set_ready(self, launch_id: str, *, ready: bool) -> None:
        """Note whether a launch that serves is up, or is being started again."""
        with self._changed:
            (self._starting.discard if ready else self._starting.add)(launch_id)

    def is_ready(self, launch_id: str) -> bool:
        """Return whether a launch is not being started again."""
        return launch_id not in self._starting

    def drain(self, launch_id: str, timeout_s: float) -> bool:
        """Let no more requests in; return whether those in flight have ended in time."""
        with self._changed:
            self._retired.add(launch_id)
            return self._changed.wait_for(lambda: not self._in_flight[launch_id], timeout_s)
