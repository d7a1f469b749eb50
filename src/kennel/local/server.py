"""
The server as an ASGI application: which service answers a request, and how the answer is sent.

It listens on 127.0.0.1 only (see serve), and refuses names that are not this machine's, web pages
of other origins, and unsigned requests to anything but S3.
"""

import asyncio
import contextvars
import json
import logging
import re
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Protocol, TypeVar
from urllib.parse import unquote, urlsplit

from kennel.contract import INVOCATION_BODY_BYTES
from kennel.local import disk
from kennel.local.layout import HEALTH_PATH
from kennel.local.s3.files import BLOCK_BYTES
from kennel.local.s3.service import S3
from kennel.local.wire.bodies import ClientGoneError, Receive, Send, decoded, whole
from kennel.local.wire.calls import Call, FilePart, Reply
from kennel.local.wire.context import REGION
from kennel.local.wire.errors import ApiError, not_in_local_mode
from kennel.local.wire.json_protocol import JsonService
from kennel.local.wire.query_protocol import QueryService
from kennel.local.wire.replies import error_reply, fits_header, json_error, json_reply

LOOPBACK = "127.0.0.1"
# What a container may ask of SageMaker. Not for more instances: of a program of this machine, even.
GUESTS_OPERATION = re.compile(r"SageMaker\.(Describe|List)[A-Za-z]+")
LOCAL_HOST = re.compile(r"(?:(?:[a-z0-9._-]+\.)?localhost|127\.0\.0\.1|\[::1\])(?::\d+)?")
INVOCATION = re.compile(r"/endpoints/([^/]+)/invocations")
MAX_API_BYTES = 64 * 2**20
API_THREADS = 16
# Each waits for its endpoint for up to a minute, and holds two of a process's usual 1,024 files.
INVOCATION_THREADS = 400
NO_CONTENT = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}

T = TypeVar("T")
Scope = Mapping[str, Any]
Answer = tuple[int, Mapping[str, str], bytes]
Operation = Callable[[dict[str, Any]], dict[str, Any]]

logger = logging.getLogger(__name__)


class Invoker(Protocol):
    """What answers InvokeEndpoint; it may block."""

    def invoke(self, endpoint_name: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Return (status, headers, body); may raise ApiError."""
        ...


@dataclass(frozen=True)
class Services:
    """
    What the server offers.

    Args:
        json: By what stands before the dot of X-Amz-Target.
        query: By the name that requests are signed with.
        health: What the health check answers.
        own: By path: what AWS has no operation for, asked by POST with a JSON document.
    """

    s3: S3
    json: Mapping[str, JsonService]
    query: Mapping[str, QueryService]
    invoker: Invoker
    health: Callable[[], Mapping[str, Any]]
    own: Mapping[str, Operation] = field(default_factory=dict)

    def names(self) -> list[str]:
        """Return every service's name."""
        json_names = [service.name for service in self.json.values()]
        return ["s3", "sagemaker-runtime", *json_names, *self.query]


class Guests(Protocol):
    """The containers that this machine runs, which know it by another address."""

    @property
    def reached_at(self) -> str | None:
        """This machine's address for them, if they have one."""
        ...

    def admits(self, address: str) -> bool:
        """Return whether it is a container's address; may block."""
        ...


class Server:
    """The ASGI application over *services*, for this machine and, if there are any, *guests*."""

    def __init__(self, services: Services, guests: Guests | None = None) -> None:
        self._services = services
        self._guests = guests
        self._api = ThreadPoolExecutor(API_THREADS, "api")
        self._invocations = ThreadPoolExecutor(INVOCATION_THREADS, "invoke")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        started = time.monotonic()
        try:
            call = Call.from_scope(scope)
        except ApiError as error:  # a signature without a scope: no telling what protocol
            call = Call(scope["method"], "/", {}, {}, None)
            reply = error_reply(error, call)
        else:
            try:
                reply = await self._reply(call, receive, client_of(scope))
            except ClientGoneError:
                return
        log(call, reply, time.monotonic() - started)
        await transmit(reply, send)

    async def _reply(self, call: Call, receive: Receive, client: str) -> Reply:
        try:
            if client != LOOPBACK:
                await self._check_guest(call, client)
            check_origin(call, self._guests.reached_at if self._guests else None)
            REGION.set(call.signer.region if call.signer else REGION.get())
            return sendable(await self._answer(call, receive))
        except ApiError as error:
            return error_reply(error, call)
        except ClientGoneError:
            raise
        except Exception as error:
            logger.exception("%s %s failed", call.method, call.path)
            return error_reply(failure(error), call)

    async def _check_guest(self, call: Call, client: str) -> None:
        """
        Refuse who is no container of this machine, and what a container must not ask.

        Raises:
            ApiError: ``AccessDenied``.
        """
        guests = self._guests
        if guests is None or not await in_thread(self._api, guests.admits, client):
            raise ApiError("AccessDenied", f"{client} is no container of this machine", 403)
        target = call.headers.get("x-amz-target", "")
        changes = target.startswith("SageMaker.") and not GUESTS_OPERATION.fullmatch(target)
        if changes or call.path in self._services.own:
            what = target or call.path
            raise ApiError("AccessDenied", f"{what} is not for containers in local mode", 403)

    async def _answer(self, call: Call, receive: Receive) -> Reply:
        if call.path == HEALTH_PATH:
            health = await in_thread(self._api, self._services.health)
            return json_reply(json.dumps(health).encode())
        if call.path in self._services.own and call.method == "POST":
            return await self._own(self._services.own[call.path], receive)
        if "x-amz-target" in call.headers:
            return await self._json(call, receive)
        service = call.signer.service if call.signer else "s3"
        if service == "s3":
            return await self._services.s3.answer(call, receive)
        if service in self._services.query:
            body = await whole(receive, MAX_API_BYTES)
            return await in_thread(self._api, self._services.query[service].call, call, body)
        found = INVOCATION.fullmatch(call.path)
        if service == "sagemaker" and found and call.method == "POST":
            body = await whole(receive, INVOCATION_BODY_BYTES)
            invoke = self._services.invoker.invoke
            name = unquote(found[1])
            return Reply(*await in_thread(self._invocations, invoke, name, call.headers, body))
        await whole(receive, MAX_API_BYTES)
        what = f"{service} {call.method} {call.path}"
        raise not_in_local_mode(what, self._services.names())

    async def _own(self, operation: Operation, receive: Receive) -> Reply:
        try:
            params = document(await whole(receive, MAX_API_BYTES))
            answer = await in_thread(self._api, operation, params)
        except ApiError as error:
            return json_error(error)
        return json_reply(json.dumps(answer).encode())

    async def _json(self, call: Call, receive: Receive) -> Reply:
        body = await whole(receive, MAX_API_BYTES)
        if call.signer is None:
            message = "Missing Authentication Token"
            raise ApiError("MissingAuthenticationTokenException", message, 403)
        prefix, _, operation = call.headers["x-amz-target"].rpartition(".")
        service = self._services.json.get(prefix)
        if service is None:
            what = f"{call.signer.service} {operation}"
            raise not_in_local_mode(what, self._services.names())
        body = decoded(body, call.headers.get("content-encoding", ""), MAX_API_BYTES)
        return json_reply(await in_thread(self._api, service.call, operation, body))

    def close(self) -> None:
        """Take no more work; what is being answered may go on, but nobody waits for it."""
        self._services.s3.close()
        self._api.shutdown(wait=False, cancel_futures=True)
        self._invocations.shutdown(wait=False, cancel_futures=True)


def document(body: bytes) -> dict[str, Any]:
    """
    Return a JSON document.

    Raises:
        ApiError: It is none.
    """
    try:
        return dict(json.loads(body))
    except (ValueError, TypeError) as error:
        raise ApiError("SerializationException", f"expected a JSON document: {error}") from error


def client_of(scope: Scope) -> str:
    """Return the address that a request comes from; none is this machine's, too: no network."""
    client: tuple[str, int] | None = scope.get("client")
    return client[0] if client else LOOPBACK


async def in_thread(threads: ThreadPoolExecutor, work: Callable[..., T], *arguments: object) -> T:
    """Do blocking *work* in a thread, which knows the request's region."""
    run = contextvars.copy_context().run
    return await asyncio.get_running_loop().run_in_executor(threads, run, work, *arguments)


def sendable(reply: Reply) -> Reply:
    """
    Return the answer, while it can still be another one.

    Raises:
        ValueError: HTTP cannot carry one of its headers.
    """
    for name, value in reply.headers.items():
        if not fits_header(value):
            if isinstance(reply.body, FilePart):
                reply.body.file.close()
            message = f"the answer's header {name} cannot be sent: {value!r}"
            raise ValueError(message)
    return reply


async def transmit(reply: Reply, send: Send) -> None:
    """Send an answer, which is sendable; if it breaks off, its connection does."""
    headers = dict(reply.headers)
    if isinstance(reply.body, bytes) and reply.status not in NO_CONTENT:
        headers.setdefault("content-length", str(len(reply.body)))
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    start = {"type": "http.response.start", "status": reply.status, "headers": encoded}
    if isinstance(reply.body, FilePart):
        with reply.body.file:
            await send(start)
            await transmit_file(reply.body, send)
    else:
        await send(start)
        await send({"type": "http.response.body", "body": reply.body})


async def transmit_file(part: FilePart, send: Send) -> None:
    """Send a part of a file, a block at a time; closing it is the caller's."""
    await asyncio.to_thread(part.file.seek, part.start)
    left = part.length
    while left > 0:
        block = await asyncio.to_thread(part.file.read, min(left, BLOCK_BYTES))
        left = left - len(block) if block else 0
        await send({"type": "http.response.body", "body": block, "more_body": left > 0})


def check_origin(call: Call, guests_name: str | None = None) -> None:
    """
    Refuse what reaches this server by way of somebody else's web page or name.

    Args:
        guests_name: The address by which containers know this machine.

    Raises:
        ApiError: ``AccessDenied``.
    """
    host, origin = call.headers.get("host", ""), call.headers.get("origin")
    is_guests = guests_name is not None and host.partition(":")[0] == guests_name
    if not is_guests and not LOCAL_HOST.fullmatch(host.lower()):
        message = f"the local server answers to localhost and 127.0.0.1, not to {host!r}"
        raise ApiError("AccessDenied", message, 403)
    if origin is not None and not LOCAL_HOST.fullmatch(urlsplit(origin).netloc.lower()):
        raise ApiError("AccessDenied", f"no requests from web pages of {origin!r}", 403)


def failure(error: Exception) -> ApiError:
    """Return what the client is told of an error that is not its own."""
    if disk.is_full(error):
        message = "the disk that holds the local server's state is full"
        return ApiError("InsufficientStorage", message, HTTPStatus.INSUFFICIENT_STORAGE)
    message = "the local server failed; its log says why (kennel local status names it)"
    return ApiError("InternalFailure", message, HTTPStatus.INTERNAL_SERVER_ERROR)


def log(call: Call, reply: Reply, seconds: float) -> None:
    """Log what went wrong, and every call of an API; reads and writes of objects are too many."""
    api = call.headers.get("x-amz-target") or (call.signer and call.signer.service != "s3")
    if api or reply.status >= HTTPStatus.BAD_REQUEST:
        what = call.headers.get("x-amz-target") or f"{call.method} {call.path}"
        logger.info("%s -> %d in %.0f ms", what, reply.status, seconds * 1000)
