"""
One request to a container's port, with its times and a limit on all of it.

Nothing is judged here, and nothing that goes wrong is an error: it is an answer without a status.
"""

import http.client
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

Address = tuple[str, int]
KEPT_BYTES: Final = 64 * 1024
REFUSED: Final = "refused"
CLOSED: Final = "closed without an answer"
_UNREACHABLE_S: Final = 1.0


@dataclass(frozen=True)
class Request:
    """What is sent."""

    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int | None  # None: nothing did, and error says why
    body: bytes = b""  # its beginning
    connect_s: float = 0.0
    seconds: float = 0.0  # from the connection to the end of the answer
    error: str = ""

    def __str__(self) -> str:
        """Write 503, or what went wrong."""
        return self.error if self.status is None else str(self.status)


PING: Final = Request("GET", "/ping")


def send(address: Address, request: Request, *, limit_s: float) -> Answer:
    """
    Send *request* on a connection of its own.

    Args:
        limit_s: For connection, request and answer together.
    """
    began = time.monotonic()
    connection = http.client.HTTPConnection(*address, timeout=limit_s)
    connected = began
    try:
        connection.connect()
        connected = time.monotonic()
        status, body = _exchange(connection, request, began + limit_s)
    except TimeoutError:
        return Answer(None, error=f"no answer within {limit_s:g} s", connect_s=connected - began)
    except (OSError, http.client.HTTPException) as error:
        return Answer(None, error=worded(error), connect_s=connected - began)
    finally:
        connection.close()
    return Answer(status, body, connected - began, time.monotonic() - connected)


def _exchange(
    connection: http.client.HTTPConnection, request: Request, deadline: float
) -> tuple[int, bytes]:
    body = request.body or None
    with suppress(BrokenPipeError, ConnectionResetError):  # the answer may come before the end
        connection.request(request.method, request.path, body, dict(request.headers))
    socket_ = connection.sock  # the answer may close the connection's
    answer = connection.getresponse()
    parts, size = [], 0
    while part := answer.read1(KEPT_BYTES):
        if size < KEPT_BYTES:
            parts.append(part)
            size += len(part)
        if answer.isclosed():
            break
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        socket_.settimeout(left)
    return answer.status, b"".join(parts)


def worded(error: Exception) -> str:
    """Return what went wrong, in a few words."""
    if isinstance(error, ConnectionRefusedError):
        return REFUSED
    if isinstance(error, http.client.RemoteDisconnected | ConnectionResetError | BrokenPipeError):
        return CLOSED
    if isinstance(error, http.client.HTTPException):
        return f"no HTTP ({type(error).__name__})"
    return str(error)


def reachable(addresses: Sequence[Address]) -> Address | None:
    """
    Return the first address that this machine can reach, whether or not anything listens there.

    A container's own address is reached from the machine that it runs on, not from a virtual
    machine's host.
    """
    for address in addresses:
        try:
            socket.create_connection(address, timeout=_UNREACHABLE_S).close()
        except ConnectionRefusedError:
            return address
        except OSError:
            continue
        return address
    return None


def listening(table: str) -> set[Address]:
    """
    Return what a process's /proc/PID/net/tcp, or tcp6, says is listened to.

    Addresses are "" where it is any of the machine's, else as the kernel writes them.
    """
    found = set()
    for line in table.splitlines()[1:]:
        columns = line.split()
        if columns[3] == "0A":  # LISTEN
            host, _, port = columns[1].partition(":")
            found.add(("" if not int(host, 16) else host, int(port, 16)))
    return found
