"""Handlers of what concerns one object."""

import os
from collections.abc import Mapping

from kennel.local.s3 import documents
from kennel.local.s3.conditions import (
    byte_range,
    check_read,
    delete_condition,
    failed,
    write_condition,
)
from kennel.local.s3.documents import text
from kennel.local.s3.files import BLOCK_BYTES
from kennel.local.s3.index import Stored
from kennel.local.s3.objects import Attributes, Objects
from kennel.local.s3.requests import Request, attributes, copy_source
from kennel.local.wire.calls import FilePart, Reply
from kennel.local.wire.errors import ApiError
from kennel.local.wire.replies import fits_header, xml_reply

OVERRIDES = (
    *("content-type", "content-language", "expires", "cache-control"),
    *("content-disposition", "content-encoding"),
)
NULL_VERSION = ("", "null")


def put_object(objects: Objects, request: Request) -> Reply:
    """Write an object."""
    arrived = request.body_arrived()
    said = attributes(request.headers)
    stored = objects.adopt(
        *(request.bucket, request.key, arrived.file, arrived.etag),
        attributes=Attributes(said.headers, arrived.checksums, said.tags),
        condition=write_condition(request.headers),
    )
    return Reply(200, {"etag": quoted(stored), **stored.checksums, **encryption(stored)})


def get_object(objects: Objects, request: Request) -> Reply:
    """Read an object, or a range of it."""
    check_version(request.key, request.param("versionId"))
    stored, file = objects.open(request.bucket, request.key)
    try:
        if not check_read(request.headers, stored):
            file.close()
            return Reply(304, {"etag": quoted(stored), **dates(stored)})
        wanted = byte_range(request.headers.get("range"), stored.size)
        headers = describe(request, stored, wanted)
    except ApiError:
        file.close()
        raise
    first, last = wanted or (0, stored.size - 1)
    part = FilePart(file, first, last - first + 1)
    if part.length > BLOCK_BYTES:
        return Reply(206 if wanted else 200, headers, part)
    with file:
        body = os.pread(file.fileno(), part.length, first) if part.length else b""
    return Reply(206 if wanted else 200, headers, body)


def head_object(objects: Objects, request: Request) -> Reply:
    """Describe an object."""
    check_version(request.key, request.param("versionId"))
    stored = objects.head(request.bucket, request.key)
    if not check_read(request.headers, stored):
        return Reply(304, {"etag": quoted(stored), **dates(stored)})
    wanted = byte_range(request.headers.get("range"), stored.size)
    return Reply(206 if wanted else 200, describe(request, stored, wanted))


def describe(request: Request, stored: Stored, wanted: tuple[int, int] | None) -> dict[str, str]:
    """Return the headers of an object, or of a range of it."""
    first, last = wanted or (0, stored.size - 1)
    headers = {
        **stored.headers,
        **overrides(request),
        **dates(stored),
        "etag": quoted(stored),
        "accept-ranges": "bytes",
        "content-length": str(last - first + 1),
    }
    if wanted:
        headers["content-range"] = f"bytes {first}-{last}/{stored.size}"
    elif request.headers.get("x-amz-checksum-mode", "").upper() == "ENABLED":
        headers.update(stored.checksums)
    if stored.tags:
        headers["x-amz-tagging-count"] = str(len(stored.tags))
    return headers


def overrides(request: Request) -> dict[str, str]:
    """Return the response headers that the query asks for."""
    names = {f"response-{name}": name for name in OVERRIDES}
    found = {header: request.param(name) for name, header in names.items() if request.param(name)}
    if found and request.call.signer is None:
        message = "Request specific response headers cannot be used for anonymous GET requests."
        raise ApiError("InvalidRequest", message)
    for header, value in found.items():
        if not fits_header(value):
            message = "Header value cannot be represented using ISO-8859-1."
            fields = {"ArgumentName": f"response-{header}"}
            raise ApiError("InvalidArgument", message, fields=fields)
    return found


def delete_object(objects: Objects, request: Request) -> Reply:
    """Delete an object."""
    check_version(request.key, request.param("versionId"))
    condition = delete_condition(
        request.headers.get("if-match"),
        request.headers.get("x-amz-if-match-last-modified-time"),
        request.headers.get("x-amz-if-match-size"),
    )
    objects.delete(request.bucket, [request.key], condition)
    return Reply(204)


def copy_object(objects: Objects, request: Request) -> Reply:
    """Copy an object; its bytes are not copied but shared."""
    source = copy_source(request.headers["x-amz-copy-source"])
    onto_itself = source == (request.bucket, request.key)

    def decide(copied: Stored) -> Attributes:
        if not check_read(request.headers, copied, "x-amz-copy-source-"):
            raise failed("x-amz-copy-source-if-none-match")
        said = copied_attributes(request.headers, copied)
        if onto_itself and same(said, copied):
            raise copy_of_nothing()
        return said

    condition = write_condition(request.headers)
    stored = objects.copy(source, request.bucket, request.key, decide=decide, condition=condition)
    return xml_reply(copy_result("CopyObjectResult", stored.etag, stored.modified_ns))


def copied_attributes(headers: Mapping[str, str], source: Stored) -> Attributes:
    """Return the attributes of a copy: the source's own, unless the request replaces them."""
    said = attributes(headers)
    replaced = headers.get("x-amz-metadata-directive") == "REPLACE"
    tags_replaced = headers.get("x-amz-tagging-directive") == "REPLACE"
    storage = {k: said.headers[k] for k in ("x-amz-storage-class",) if k in said.headers}
    return Attributes(
        said.headers if replaced else {**source.headers, **storage},
        source.checksums,
        said.tags if tags_replaced else source.tags,
    )


def same(said: Attributes, source: Stored) -> bool:
    """Say whether a copy onto itself would change nothing."""
    return (said.headers, said.tags) == (source.headers, source.tags)


def copy_of_nothing() -> ApiError:
    """Return S3's error for a copy that would change nothing."""
    message = (
        "This copy request is illegal because it is trying to copy an object to itself without"
        " changing the object's metadata, storage class, website redirect location or"
        " encryption attributes."
    )
    return ApiError("InvalidRequest", message)


def copy_result(name: str, etag: str, modified_ns: int) -> str:
    """Return the answer of a copy."""
    times = text("LastModified", documents.iso(modified_ns))
    return documents.root(name, times, text("ETag", f'"{etag}"'))


def check_version(key: str, version: str) -> None:
    """
    Refuse a version that cannot be, since versioning is not in local mode.

    Raises:
        ApiError: ``NoSuchVersion``.
    """
    if version not in NULL_VERSION:
        fields = {"Key": key, "VersionId": version}
        raise ApiError("NoSuchVersion", "The specified version does not exist.", 404, fields=fields)


def quoted(stored: Stored) -> str:
    """Return an object's ETag as a header."""
    return f'"{stored.etag}"'


def dates(stored: Stored) -> dict[str, str]:
    """Return the header that says when an object was written."""
    return {"last-modified": documents.http_date(stored.modified_ns)}


def encryption(stored: Stored) -> dict[str, str]:
    """Return the headers of server-side encryption, which is noted and not done."""
    return {k: v for k, v in stored.headers.items() if k.startswith("x-amz-server-side")}
