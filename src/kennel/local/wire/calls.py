"""One HTTP request, apart from its body, and the answer to it, apart from how it is sent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO
from urllib.parse import parse_qsl

from kennel.local.wire.signature import Signer, signer


@dataclass(frozen=True)
class Call:
    """
    A request.

    Args:
        path: As sent, percent-encoded: S3 keys must not be normalised.
        query: Decoded; a parameter without a value has the empty text.
        headers: Names in lower case.
        signer: What it was signed for; None for an anonymous request.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    signer: Signer | None

    @classmethod
    def from_scope(cls, scope: Mapping[str, Any]) -> "Call":
        """
        Read an ASGI scope.

        Raises:
            ApiError: The signature is malformed.
        """
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        headers = {name.decode("latin-1"): v.decode("latin-1") for name, v in scope["headers"]}
        path = scope["raw_path"].decode("latin-1")
        return cls(scope["method"], path, query, headers, signer(headers, query))


@dataclass(frozen=True)
class FilePart:
    """Bytes of an open file, to be sent in blocks; whoever sends them closes it."""

    file: BinaryIO
    start: int
    length: int


@dataclass(frozen=True)
class Reply:
    """An answer. A body of bytes needs no Content-Length; HEAD's answer brings its own."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | FilePart = b""
