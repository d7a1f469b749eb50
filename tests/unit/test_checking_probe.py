"""Requests have a limit on all of their time, whatever a server does."""

import socket
import threading
import time
from contextlib import contextmanager

import pytest

from kennel.checking import probe
from kennel.checking.probe import PING


@contextmanager
def server(answer):
    """Let ``answer(connection)`` deal with one connection."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        connection, _ = listener.accept()
        with connection:
            connection.recv(1000)
            answer(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()
    finally:
        thread.join()
        listener.close()


def test_an_answer_has_status_body_and_times():
    """
    As http.client reads it.
    """
    with server(lambda c: c.sendall(b"HTTP/1.0 503 No\r\nContent-Length: 2\r\n\r\nno")) as address:
        answer = probe.send(address, PING, limit_s=5)

    assert (answer.status, answer.body, str(answer)) == (503, b"no", "503")
    assert answer.seconds > 0


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (lambda _: None, "closed without an answer"),
        (lambda c: c.sendall(b"nonsense\r\n\r\n"), "no HTTP (BadStatusLine)"),
        (lambda c: c.recv(1), "no answer within 0.3 s"),
    ],
    ids=["closes", "is no HTTP", "is silent"],
)
def test_what_goes_wrong_is_an_answer_without_status(answer, error):
    """
    Nothing is raised, and silence has an end.
    """
    with server(answer) as address:
        found = probe.send(address, PING, limit_s=0.3)

    assert (found.status, found.error) == (None, error)


def test_a_server_that_answers_a_byte_at_a_time_is_given_up():
    """
    The limit is for the whole answer, and not for each of its bytes.
    """

    def drip(connection):
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
        for _ in range(100):
            try:
                connection.sendall(b"x")
            except OSError:
                return
            time.sleep(0.05)

    with server(drip) as address:
        found = probe.send(address, PING, limit_s=0.4)

    assert found.error == "no answer within 0.4 s"


def test_a_port_that_nobody_listens_to_refuses():
    """
    Which says that the machine is reached.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()

    assert probe.send(address, PING, limit_s=1).error == "refused"
    assert probe.reachable([address]) == address
    assert probe.reachable([]) is None


def test_listening_ports_are_read_as_the_kernel_writes_them():
    """
    Listening sockets alone, of all addresses and of one.
    """
    table = """  sl  local_address rem_address   st
   0: 00000000:1F90 00000000:0000 0A
   1: 0100007F:2328 00000000:0000 0A
   2: 0100007F:9C40 0100007F:1F90 01
"""

    assert probe.listening(table) == {("", 8080), ("0100007F", 9000)}
