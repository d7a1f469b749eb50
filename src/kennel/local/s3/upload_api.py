"""Handlers of multipart uploads."""

from kennel.local.s3 import documents
from kennel.local.s3.conditions import check_read, copied_range, failed, write_condition
from kennel.local.s3.digests import CHECKSUM, is_checksum
from kennel.local.s3.documents import element, flag, optional, owner, text
from kennel.local.s3.files import copy_bytes
from kennel.local.s3.multipart import MAX_PART_NUMBER, Part, Upload, Uploads
from kennel.local.s3.object_api import copy_result
from kennel.local.s3.requests import Request, attributes, copy_source
from kennel.local.wire.calls import Reply
from kennel.local.wire.errors import ApiError
from kennel.local.wire.replies import xml_reply

PAGE = 1000
FULL_OBJECT, COMPOSITE = "FULL_OBJECT", "COMPOSITE"


def create_multipart_upload(uploads: Uploads, request: Request) -> Reply:
    """Start an upload."""
    algorithm = request.headers.get("x-amz-checksum-algorithm", "").lower()
    kind = request.headers.get("x-amz-checksum-type", COMPOSITE)
    upload = uploads.create(
        request.bucket,
        request.key,
        attributes(request.headers),
        algorithm=algorithm,
        whole=kind == FULL_OBJECT,
    )
    said = {"x-amz-checksum-algorithm": algorithm.upper(), "x-amz-checksum-type": kind}
    return xml_reply(
        documents.root("InitiateMultipartUploadResult", place(upload), identity(upload)),
        headers=said if algorithm else {},
    )


def upload_part(uploads: Uploads, request: Request) -> Reply:
    """Take a part."""
    arrived = request.body_arrived()
    upload = find(uploads, request)
    number = part_number(request)
    uploads.add_part(upload, number, arrived.file, arrived.etag, arrived.checksums)
    return Reply(200, {"etag": f'"{arrived.etag}"', **arrived.checksums})


def upload_part_copy(uploads: Uploads, request: Request) -> Reply:
    """Take a part from an object, or from a range of it."""
    upload, number = find(uploads, request), part_number(request)
    source, file = uploads.objects.open(*copy_source(request.headers["x-amz-copy-source"]))
    target = uploads.objects.tree.new_file()
    try:
        with file, target.open("xb") as part:
            if not check_read(request.headers, source, "x-amz-copy-source-"):
                raise failed("x-amz-copy-source-if-none-match")
            wanted = request.headers.get("x-amz-copy-source-range")
            first, last = copied_range(wanted, source.size)
            file.seek(first)
            etag = copy_bytes(file, part, last - first + 1)
        added = uploads.add_part(upload, number, target, etag, {})
    finally:
        target.unlink(missing_ok=True)
    return xml_reply(copy_result("CopyPartResult", added.etag, added.modified_ns))


def complete_multipart_upload(uploads: Uploads, request: Request) -> Reply:
    """Join the parts to an object."""
    upload = find(uploads, request)
    wanted = named_parts(request.body)
    stored = uploads.complete(upload, wanted, write_condition(request.headers))
    checksums = (text(member(name), value) for name, value in stored.checksums.items())
    kind = text("ChecksumType", checksum_type(upload)) if stored.checksums else ""
    return xml_reply(
        documents.root(
            "CompleteMultipartUploadResult",
            text("Location", f"http://{request.headers.get('host', '')}{request.call.path}"),
            place(upload),
            text("ETag", f'"{stored.etag}"'),
            *(*checksums, kind),
        )
    )


def abort_multipart_upload(uploads: Uploads, request: Request) -> Reply:
    """Forget an upload."""
    uploads.abort(find(uploads, request))
    return Reply(204)


def list_parts(uploads: Uploads, request: Request) -> Reply:
    """List a page of an upload's parts."""
    upload = find(uploads, request)
    marker, limit = request.number("part-number-marker", 0), request.number("max-parts", PAGE)
    left = [part for part in uploads.parts(upload) if part.number > marker]
    page, truncated = left[:limit], len(left) > limit
    return xml_reply(
        documents.root(
            "ListPartsResult",
            place(upload),
            identity(upload),
            element("PartNumberMarker", marker),
            element("NextPartNumberMarker", page[-1].number if page else 0),
            element("MaxParts", limit),
            flag("IsTruncated", truncated),
            owner("Initiator"),
            owner(),
            text("StorageClass", "STANDARD"),
            optional("ChecksumAlgorithm", upload.algorithm.upper()),
            optional("ChecksumType", upload.algorithm and checksum_type(upload)),
            *map(listed_part, page),
        )
    )


def listed_part(part: Part) -> str:
    """Return a part's entry in a listing."""
    return element(
        "Part",
        element("PartNumber", part.number),
        text("LastModified", documents.iso(part.modified_ns)),
        text("ETag", f'"{part.etag}"'),
        element("Size", part.size),
        *(text(member(name), value) for name, value in part.checksums.items()),
    )


def list_multipart_uploads(uploads: Uploads, request: Request) -> Reply:
    """List a page of a bucket's uploads."""
    prefix, spell = request.param("prefix"), documents.spelling(request.param("encoding-type"))
    marker = (request.param("key-marker"), request.param("upload-id-marker"))
    limit = min(request.number("max-uploads", PAGE), PAGE)
    found = sorted(uploads.in_progress(request.bucket, prefix), key=lambda u: (u.key, u.id))
    left = [u for u in found if after_marker(u, *marker)]
    page, truncated = left[:limit], len(left) > limit
    last = page[-1] if truncated and page else None
    return xml_reply(
        documents.root(
            "ListMultipartUploadsResult",
            text("Bucket", request.bucket),
            text("KeyMarker", spell(marker[0])),
            text("UploadIdMarker", marker[1]),
            text("NextKeyMarker", spell(last.key)) if last else "",
            text("NextUploadIdMarker", last.id) if last else "",
            text("Prefix", spell(prefix)),
            optional("EncodingType", request.param("encoding-type")),
            element("MaxUploads", limit),
            flag("IsTruncated", truncated),
            *(listed_upload(upload, spell) for upload in page),
        )
    )


def after_marker(upload: Upload, key: str, upload_id: str) -> bool:
    """Say whether a listing that goes on after the markers has this upload."""
    return (upload.key, upload.id) > (key, upload_id) if upload_id else upload.key > key


def listed_upload(upload: Upload, spell: documents.Spell) -> str:
    """Return an upload's entry in a listing."""
    return element(
        "Upload",
        text("Key", spell(upload.key)),
        identity(upload),
        owner("Initiator"),
        owner(),
        text("StorageClass", "STANDARD"),
        text("Initiated", documents.iso(upload.started_ns)),
    )


def named_parts(body: bytes) -> list[tuple[int, str]]:
    """
    Return the (number, ETag) of each part that a completion names.

    Raises:
        ApiError: ``MalformedXML``.
    """
    nodes = documents.parse(body).findall("Part")
    try:
        named = [
            (int(node.findtext("PartNumber", "")), node.findtext("ETag", "").strip().strip('"'))
            for node in nodes
        ]
    except ValueError as error:
        raise documents.malformed() from error
    if not named:
        raise documents.malformed()
    return named


def find(uploads: Uploads, request: Request) -> Upload:
    """Return the upload that a request is about."""
    return uploads.find(request.bucket, request.key, request.param("uploadId"))


def part_number(request: Request) -> int:
    """
    Return the number of a part.

    Raises:
        ApiError: ``InvalidArgument``.
    """
    number = request.number("partNumber", 0)
    if not 1 <= number <= MAX_PART_NUMBER:
        message = f"Part number must be an integer between 1 and {MAX_PART_NUMBER}, inclusive"
        raise ApiError("InvalidArgument", message, fields={"ArgumentName": "partNumber"})
    return number


def place(upload: Upload) -> str:
    """Return where an upload goes."""
    return text("Bucket", upload.bucket) + text("Key", upload.key)


def identity(upload: Upload) -> str:
    """Return an upload's id."""
    return text("UploadId", upload.id)


def checksum_type(upload: Upload) -> str:
    """Return what an upload's checksum is of."""
    return FULL_OBJECT if upload.whole else COMPOSITE


def member(header: str) -> str:
    """Return the XML name of a checksum header: ChecksumCRC32."""
    assert is_checksum(header)  # noqa: S101 - nothing else is stored there
    return f"Checksum{header.removeprefix(CHECKSUM).upper()}"
