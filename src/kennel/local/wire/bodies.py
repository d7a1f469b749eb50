"""Request bodies from ASGI, whole or as they come. Decoding by content is the services' own."""

import io
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

from kennel.local.wire.errors import ApiError

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class ClientGoneError(Exception):
    """The client closed the connection before the request was complete."""


async def pieces(receive: Receive) -> AsyncIterator[bytes]:
    """
    Yield a request's body as it arrives.

    The first ``receive`` is what makes the server answer ``Expect: 100-continue``.

    Raises:
        ClientGoneError: The client went away.
    """
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        yield message.get("body", b"")
        more = message.get("more_body", False)


async def whole(receive: Receive, limit_bytes: int) -> bytes:
    """
    Return a request's body.

    Raises:
        ApiError: It is larger than *limit_bytes*. What is above the limit is read, so that the
            client sees the answer, but not kept.
        ClientGoneError: The client went away.
    """
    kept, total = io.BytesIO(), 0  # whose value is no copy, unlike that of a bytearray
    async for piece in pieces(receive):
        total += len(piece)
        if total <= limit_bytes:
            kept.write(piece)
    if total > limit_bytes:
        raise too_large(limit_bytes)
    return kept.getvalue()


def decoded(body: bytes, encoding: str, limit_bytes: int) -> bytes:
    """
    Undo a request's Content-Encoding: boto3 compresses large puts of logs.

    Raises:
        ApiError: It is not gzip, is torn, or unpacks to more than *limit_bytes*.
    """
    if encoding in ("", "identity"):
        return body
    if encoding != "gzip":
        raise ApiError("SerializationException", f"the Content-Encoding {encoding!r} is unknown")
    unpacker = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacker.decompress(body, limit_bytes + 1)
    except zlib.error as error:
        raise ApiError("SerializationException", f"the body is not gzip: {error}") from error
    if len(unpacked) > limit_bytes:
        raise too_large(limit_bytes)
    if not unpacker.eof:
        raise ApiError("SerializationException", "the body is torn gzip")
    return unpacked


def too_large(limit_bytes: int) -> ApiError:
    """Return the error for a body above a limit."""
    message = f"the body is larger than {limit_bytes} bytes"
    return ApiError("RequestEntityTooLarge", message, 413)
