"""
SIGTERM to a server with requests in flight: are they answered, and does it end by itself?

The time is measured from the signal. A request is in flight if all of it was sent and nothing had
come back when the signal went out.
"""

import http.client
import select
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from kennel.checking.findings import Finding, failed, passed, skipped
from kennel.checking.limits import Limits
from kennel.checking.probe import Address, Answer, Request, worded
from kennel.checking.sandbox import Ended, Running

REQUESTS: Final = 8
_ACCEPTED_S: Final = 0.1
_SERVER_ERROR: Final = 500


@dataclass(frozen=True)
class Stop:
    """What came of a SIGTERM."""

    ended: Ended | None  # None: it still ran when the time was over
    took_s: float
    in_flight: Sequence[Answer]  # to the requests that were


def stop(
    running: Running, address: Address, request: Request, usual_s: float, limits: Limits
) -> Stop:
    """
    Send *request* several times at once and SIGTERM after them; collect all that comes of it.

    Args:
        usual_s: How long an answer takes; half of that lets the server accept them all.
    """
    connections = [_sent(address, request, limits.stop_serving) for _ in range(REQUESTS)]
    time.sleep(min(usual_s / 2, _ACCEPTED_S))
    pending = [one for one in connections if one and not _has_answer(one.sock)]
    began = time.monotonic()
    running.signal("SIGTERM")
    deadline = began + limits.stop_serving
    answers = [_received(one, deadline) for one in pending]
    for one in connections:
        if one:
            one.close()
    ended = running.wait(max(0.1, deadline - time.monotonic()))
    return Stop(ended, time.monotonic() - began, answers)


def _sent(
    address: Address, request: Request, timeout_s: float
) -> http.client.HTTPConnection | None:
    connection = http.client.HTTPConnection(*address, timeout=timeout_s)
    try:
        connection.request(request.method, request.path, request.body, dict(request.headers))
    except OSError:
        connection.close()
        return None
    return connection


def _has_answer(connection: socket.socket) -> bool:
    return bool(select.select([connection], [], [], 0)[0])


def _received(connection: http.client.HTTPConnection, deadline: float) -> Answer:
    try:
        connection.sock.settimeout(max(0.1, deadline - time.monotonic()))
        answer = connection.getresponse()
        return Answer(answer.status, answer.read())
    except (OSError, http.client.HTTPException) as error:
        return Answer(None, error=worded(error))


def ending(found: Stop) -> Finding:
    """Judge whether it ended by itself."""
    took_s = round(found.took_s, 2)
    if found.ended is None:
        told = f"{found.took_s:.0f} s after SIGTERM it still ran"
        return failed("serve-stop", told, took_s=took_s)
    return passed("serve-stop", f"{found.ended}, {took_s} s after SIGTERM", took_s=took_s)


def in_flight(found: Stop, usual: Answer) -> Finding:
    """
    Judge whether the requests in flight were answered.

    Args:
        usual: The answer to the same request before: its 5xx is no loss where that is one as well.
    """
    if usual.status is None:
        return skipped("serve-in-flight", "invocations are not answered")
    count = len(found.in_flight)
    if not count:
        told = f"each of {REQUESTS} requests was answered before the signal arrived"
        return skipped("serve-in-flight", told)
    worst = max(usual.status, _SERVER_ERROR - 1)
    lost = [one for one in found.in_flight if one.status is None or one.status > worst]
    told = f"{count - len(lost)} of {count} answered after SIGTERM"
    if lost:
        told += f"; the others: {lost[0]}"
        return failed("serve-in-flight", told, in_flight=count, lost=len(lost))
    return passed("serve-in-flight", told, in_flight=count, lost=0)
