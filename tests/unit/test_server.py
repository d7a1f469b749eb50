"""The server over services that misbehave: nothing waits for them, and every call is answered."""

import asyncio
import json
import threading
from contextlib import asynccontextmanager

import pytest

from kennel.local.database import Database
from kennel.local.s3.objects import Objects
from kennel.local.s3.service import S3
from kennel.local.server import Server, Services

SLOW_CALLS = 200
SIGNED = (
    b"AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/sagemaker/aws4_request,"
    b" SignedHeaders=host, Signature=0"
)


class Endpoints:
    """Endpoints that answer at once, or never, or with what HTTP cannot carry."""

    def __init__(self):
        self.released = threading.Event()
        self.waiting = threading.Semaphore(0)

    def invoke(self, name, headers, body):  # noqa: ARG002 - the server's protocol
        if name == "slow":
            self.waiting.release()
            self.released.wait()
        return 200, {"content-type": "folded\r\n value" if name == "odd" else "a/b"}, body


@pytest.fixture
def endpoints():
    """The endpoints; those that wait are released in the end."""
    endpoints = Endpoints()
    yield endpoints
    endpoints.released.set()


class Containers:
    """One container, which knows this machine by an address of its own."""

    reached_at = "172.17.0.1"

    def admits(self, address):
        return address == "172.17.0.2"


@pytest.fixture
def server(tmp_path, endpoints):
    """The application."""
    database = Database(tmp_path / "kennel.db")
    s3 = S3(Objects(tmp_path / "s3", database))
    own = {"/own": lambda _: {}}
    services = Services(s3, {}, {}, endpoints, lambda: {"healthy": True}, own)
    server = Server(services, Containers())
    yield server
    server.close()
    database.close()


async def call(server, method, path, body=b"", peer=("127.0.0.1", b"localhost")):
    """Send a request from an address to a name; returns status, headers and body."""
    client, host = peer
    sent = []

    async def receive():
        return {"type": "http.request", "body": body}

    async def send(message):
        sent.append(message)

    scope = {"method": method, "raw_path": path.encode(), "query_string": b""}
    scope["client"] = (client, 40000)
    headers = [(b"host", host), (b"authorization", SIGNED)]
    await server({**scope, "headers": headers}, receive, send)
    start, *rest = sent
    return start["status"], dict(start["headers"]), b"".join(part["body"] for part in rest)


def invoke(server, name, body=b"picture"):
    return call(server, "POST", f"/endpoints/{name}/invocations", body)


@asynccontextmanager
async def slow_calls(server, endpoints):
    """Have many calls wait for an endpoint."""
    calls = [asyncio.create_task(invoke(server, "slow")) for _ in range(SLOW_CALLS)]
    for _ in calls:
        assert await asyncio.to_thread(endpoints.waiting.acquire, timeout=30)
    yield calls
    endpoints.released.set()


def test_a_slow_endpoint_holds_up_nothing_else(server, endpoints):
    """
    While many calls wait for it, other endpoints and services answer; then these are answered too.
    """

    async def run():
        async with slow_calls(server, endpoints) as waiting:
            others = await invoke(server, "fast"), await call(server, "GET", "/_kennel/health")
            assert not any(call.done() for call in waiting)
        return others, await asyncio.gather(*waiting)

    (fast, health), slow = asyncio.run(run())

    assert (fast[0], fast[2]) == (200, b"picture")
    assert (health[0], json.loads(health[2])) == (200, {"healthy": True})
    assert {(status, body) for status, _, body in slow} == {(200, b"picture")}


def test_an_answer_that_cannot_be_sent_is_an_error_of_the_server(server):
    """
    In the caller's protocol, rather than a torn connection.
    """
    status, headers, body = asyncio.run(invoke(server, "odd"))

    assert (status, headers[b"x-amzn-errortype"]) == (500, b"InternalFailure")
    assert "its log says why" in json.loads(body)["message"]


@pytest.mark.parametrize(
    ("path", "client", "host", "status"),
    [
        pytest.param("/endpoints/any/invocations", "172.17.0.2", b"172.17.0.1:4510", 200, id="yes"),
        pytest.param("/endpoints/any/invocations", "172.17.0.2", b"evil:4510", 403, id="name"),
        pytest.param("/endpoints/any/invocations", "192.0.2.9", b"172.17.0.1", 403, id="network"),
        pytest.param("/endpoints/any/invocations", "192.0.2.9", b"localhost", 403, id="pretends"),
        pytest.param("/own", "127.0.0.1", b"localhost", 200, id="machine"),
        pytest.param("/own", "172.17.0.2", b"172.17.0.1", 403, id="change"),
    ],
)
def test_containers_are_served_and_strangers_are_not(server, path, client, host, status):
    """
    Who comes to the containers' address by another interface is none; nor may one change anything.
    """
    answer = asyncio.run(call(server, "POST", path, b"{}", (client, host)))

    assert answer[0] == status
