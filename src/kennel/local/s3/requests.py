"""
What a request to S3 is about: which bucket and key, and the parts that handlers ask for. Pure.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote

from kennel.local.s3.index import unsaid
from kennel.local.s3.objects import Attributes
from kennel.local.wire.calls import Call
from kennel.local.wire.context import DEFAULT_REGION
from kennel.local.wire.errors import NOT_IN_LOCAL_MODE, ApiError

VIRTUAL_HOST = re.compile(r"(.+)\.localhost(?::\d+)?")
KEPT_HEADERS = (
    *("content-type", "cache-control", "content-disposition", "content-encoding"),
    *("content-language", "expires", "x-amz-website-redirect-location", "x-amz-storage-class"),
    *("x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id"),
)
METADATA = "x-amz-meta-"
METADATA_BYTES = 2048
OWN_KEYS = "x-amz-server-side-encryption-customer-algorithm"
MAX_TAGS, TAG_KEY_CHARS, TAG_VALUE_CHARS = 10, 128, 256
TAG = re.compile(r"[\w\s.:/=+@-]*")


@dataclass(frozen=True)
class Arrived:
    """An upload's body on disk, verified."""

    file: Path
    etag: str
    checksums: Mapping[str, str]


@dataclass(frozen=True)
class Request:
    """
    A request to S3.

    Args:
        bucket: Empty for requests about the service.
        key: Empty for requests about a bucket.
        body: Small documents; an object's body is in *arrived*.
    """

    call: Call
    bucket: str
    key: str
    body: bytes = b""
    arrived: Arrived | None = None

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers, names in lower case."""
        return self.call.headers

    @property
    def region(self) -> str:
        """The region it was signed for."""
        return self.call.signer.region if self.call.signer else DEFAULT_REGION

    def param(self, name: str, default: str = "") -> str:
        """Return a query parameter."""
        return self.call.query.get(name, default)

    def number(self, name: str, default: int) -> int:
        """
        Return a query parameter that is a number from 0 on.

        Raises:
            ApiError: ``InvalidArgument``.
        """
        text = self.param(name) or str(default)
        if not (text.isascii() and text.isdigit()):
            message = f"Provided {name} not an integer or within integer range"
            raise ApiError("InvalidArgument", message, fields={"ArgumentValue": text})
        return int(text)

    def body_arrived(self) -> Arrived:
        """Return the upload's body; only for routes that take one."""
        assert self.arrived is not None  # noqa: S101 - the route says that it streams
        return self.arrived


def address(call: Call) -> tuple[str, str]:
    """
    Return the bucket and key, from ``/BUCKET/KEY`` or from ``/KEY`` at BUCKET.localhost.

    Raises:
        ApiError: ``InvalidURI``, for a path that is not UTF-8.
    """
    host = VIRTUAL_HOST.fullmatch(call.headers.get("host", ""))
    path = call.path.removeprefix("/")
    bucket, _, key = (host[1], "", path) if host else path.partition("/")
    try:
        return unquote(bucket, errors="strict"), unquote(key, errors="strict")
    except UnicodeDecodeError as error:
        raise ApiError("InvalidURI", "Couldn't parse the specified URI.") from error


def attributes(headers: Mapping[str, str]) -> Attributes:
    """
    Return what the headers of a write say about its object.

    Raises:
        ApiError: ``MetadataTooLarge``, ``InvalidTag``, or encryption with the client's own key.
    """
    if OWN_KEYS in headers:
        message = "encryption with customer-provided keys (SSE-C) is not in local mode"
        raise ApiError(NOT_IN_LOCAL_MODE, message)
    metadata = {name: value for name, value in headers.items() if name.startswith(METADATA)}
    if sum(len(n) - len(METADATA) + len(v) for n, v in metadata.items()) > METADATA_BYTES:
        message = "Your metadata headers exceed the maximum allowed metadata size"
        raise ApiError("MetadataTooLarge", message, fields={"MaxSizeAllowed": METADATA_BYTES})
    kept = {name: headers[name] for name in KEPT_HEADERS if name in headers}
    encoding = stored_encoding(kept.pop("content-encoding", ""))
    if encoding:
        kept["content-encoding"] = encoding
    tags = dict(parse_qsl(headers.get("x-amz-tagging", ""), keep_blank_values=True))
    check_tags(tags)
    return Attributes({**unsaid(), **kept, **metadata}, {}, tags)


def stored_encoding(header: str) -> str:
    """Return a Content-Encoding without aws-chunked, which is of the transfer only."""
    parts = [part.strip() for part in header.split(",")]
    return ",".join(part for part in parts if part and part != "aws-chunked")


def check_tags(tags: Mapping[str, str]) -> None:
    """
    Refuse what S3 refuses.

    Raises:
        ApiError: ``BadRequest`` or ``InvalidTag``.
    """
    if len(tags) > MAX_TAGS:
        raise ApiError("BadRequest", f"Object tags cannot be greater than {MAX_TAGS}")
    for key, value in tags.items():
        fits = 0 < len(key) <= TAG_KEY_CHARS and len(value) <= TAG_VALUE_CHARS
        if not fits or not TAG.fullmatch(key + value):
            raise ApiError("InvalidTag", "The TagKey or TagValue you have provided is invalid")


def copy_source(header: str) -> tuple[str, str]:
    """
    Return the bucket and key of ``x-amz-copy-source``.

    Raises:
        ApiError: ``InvalidArgument``.
    """
    path, _, version = header.partition("?versionId=")
    bucket, _, key = unquote(path).removeprefix("/").partition("/")
    if not bucket or not key or version not in ("", "null"):
        message = "Copy Source must mention the source bucket and key: sourcebucket/sourcekey"
        fields = {"ArgumentName": "x-amz-copy-source", "ArgumentValue": header}
        raise ApiError("InvalidArgument", message, fields=fields)
    return bucket, key
