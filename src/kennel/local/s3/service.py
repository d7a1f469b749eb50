"""
S3 over HTTP: which handler answers a request, and how its body gets there.

Handlers block, so they run in threads of S3's own. A request whose body is an object is written to
a file as it comes; one with a small document has it read first.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from kennel.local.s3 import bucket_api, object_api, tags, upload_api
from kennel.local.s3.digests import Digests
from kennel.local.s3.incoming import Body, Writer
from kennel.local.s3.multipart import Uploads
from kennel.local.s3.objects import Objects
from kennel.local.s3.requests import Request, address
from kennel.local.wire.bodies import Receive, whole
from kennel.local.wire.calls import Call, Reply
from kennel.local.wire.errors import ApiError, not_in_local_mode
from kennel.local.wire.signature import check_expiry

THREADS = 8
MAX_DOCUMENT_BYTES = 8 * 2**20  # ten thousand parts with their checksums

T = TypeVar("T")
Route = tuple[str, str, str]  # what it is about, method, subresource
Handler = Callable[[Request], Reply]

SUBRESOURCES = (
    *("abac", "accelerate", "acl", "analytics", "attributes", "cors", "delete", "encryption"),
    *("intelligent-tiering", "inventory", "legal-hold", "lifecycle", "location", "logging"),
    *("metadataConfiguration", "metadataTable", "metrics", "notification", "object-lock"),
    *("ownershipControls", "policy", "policyStatus", "publicAccessBlock", "renameObject"),
    *("replication", "requestPayment", "restore", "retention", "select", "session", "tagging"),
    *("torrent", "uploadId", "uploads", "versioning", "versions", "website"),
)
OBJECT_ROUTES: Mapping[Route, Callable[[Objects, Request], Reply]] = {
    ("service", "GET", ""): bucket_api.list_buckets,
    ("bucket", "GET", ""): bucket_api.list_objects,
    ("bucket", "PUT", ""): bucket_api.create_bucket,
    ("bucket", "HEAD", ""): bucket_api.head_bucket,
    ("bucket", "GET", "location"): bucket_api.get_bucket_location,
    ("bucket", "GET", "versioning"): bucket_api.get_bucket_versioning,
    ("bucket", "POST", "delete"): bucket_api.delete_objects,
    ("object", "GET", ""): object_api.get_object,
    ("object", "HEAD", ""): object_api.head_object,
    ("object", "PUT", ""): object_api.put_object,
    ("object", "PUT", "copy"): object_api.copy_object,
    ("object", "DELETE", ""): object_api.delete_object,
    ("object", "GET", "tagging"): tags.get_object_tagging,
    ("object", "PUT", "tagging"): tags.put_object_tagging,
    ("object", "DELETE", "tagging"): tags.delete_object_tagging,
}
UPLOAD_ROUTES: Mapping[Route, Callable[[Uploads, Request], Reply]] = {
    ("bucket", "DELETE", ""): bucket_api.delete_bucket,
    ("bucket", "GET", "uploads"): upload_api.list_multipart_uploads,
    ("object", "POST", "uploads"): upload_api.create_multipart_upload,
    ("object", "PUT", "uploadId"): upload_api.upload_part,
    ("object", "PUT", "uploadId copy"): upload_api.upload_part_copy,
    ("object", "POST", "uploadId"): upload_api.complete_multipart_upload,
    ("object", "DELETE", "uploadId"): upload_api.abort_multipart_upload,
    ("object", "GET", "uploadId"): upload_api.list_parts,
}
STREAMED = {("object", "PUT", ""), ("object", "PUT", "uploadId")}
READING = {"GET", "HEAD"}


class S3:
    """The API over an object store."""

    def __init__(self, objects: Objects) -> None:
        uploads = Uploads(objects)
        self._objects = objects
        self._handlers: dict[Route, Handler] = {
            **{route: partial(handler, objects) for route, handler in OBJECT_ROUTES.items()},
            **{route: partial(handler, uploads) for route, handler in UPLOAD_ROUTES.items()},
        }
        self._threads = ThreadPoolExecutor(THREADS, "s3")

    async def answer(self, call: Call, receive: Receive) -> Reply:
        """
        Answer one request.

        Raises:
            ApiError: S3 refuses it, or it is not in local mode.
            ClientGoneError: The client went away before its body was complete.
        """
        check_access(call)
        request = Request(call, *address(call))
        route = route_of(request)
        handler = self._handlers.get(route)
        if handler is None:
            await whole(receive, MAX_DOCUMENT_BYTES)
            raise self._unknown(route)
        if route in STREAMED:
            return await self._store(handler, request, receive)
        document = await whole(receive, MAX_DOCUMENT_BYTES)
        return await self._run(handler, replace(request, body=document))

    async def _store(self, handler: Handler, request: Request, receive: Receive) -> Reply:
        """Write the body to a file, all but the last block on the way, then call the handler."""
        body = Body(request.headers, receive)
        writer = Writer(self._objects.tree.new_file(), Digests(request.headers))
        last: bytes | None = None
        try:
            async for block in body.blocks():
                if last is not None:
                    await self._run(writer.write, last)
                last = block

            def finish() -> Reply:
                arrived = writer.finish(last or b"", body.trailers)
                try:
                    return handler(replace(request, arrived=arrived))
                finally:
                    writer.discard()

            return await self._run(finish)
        except BaseException:
            writer.discard()
            raise

    async def _run(self, function: Callable[..., T], *arguments: object) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, function, *arguments)

    def _unknown(self, route: Route) -> ApiError:
        level, method, subresource = route
        what = f"s3 {method} of a {level}" + (f" with ?{subresource}" if subresource else "")
        supported = {**OBJECT_ROUTES, **UPLOAD_ROUTES}.values()
        names = (handler.__name__.title().replace("_", "") for handler in supported)
        return not_in_local_mode(what, names)

    def close(self) -> None:
        """Wait for what is being answered."""
        self._threads.shutdown()


def check_access(call: Call) -> None:
    """
    Refuse a presigned URL that has expired, and anonymous writing: a web page could do that.

    Raises:
        ApiError: ``AccessDenied``.
    """
    check_expiry(call.query, datetime.now(UTC))
    if call.signer is None and call.method not in READING:
        message = "Access Denied: anonymous requests may read only; sign the request"
        raise ApiError("AccessDenied", message, 403)


def route_of(request: Request) -> Route:
    """Return what a request asks for."""
    level = "object" if request.key else "bucket" if request.bucket else "service"
    found = [name for name in SUBRESOURCES if name in request.call.query]
    words = [*found[:1], *(["copy"] if "x-amz-copy-source" in request.headers else [])]
    return level, request.call.method, " ".join(words)
