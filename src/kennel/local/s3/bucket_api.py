"""Handlers of what concerns buckets, and of listing and deleting many objects."""

from xml.etree.ElementTree import Element

from kennel.local.s3 import documents
from kennel.local.s3.conditions import delete_condition
from kennel.local.s3.documents import element, flag, optional, spelling, text
from kennel.local.s3.listing import Listing, Page, parse_token, token
from kennel.local.s3.multipart import Uploads
from kennel.local.s3.object_api import check_version
from kennel.local.s3.objects import Objects
from kennel.local.s3.requests import Request
from kennel.local.wire.calls import Reply
from kennel.local.wire.context import DEFAULT_REGION
from kennel.local.wire.errors import ApiError
from kennel.local.wire.replies import xml_reply

MAX_KEYS = 1000


def list_buckets(objects: Objects, _: Request) -> Reply:
    """List every bucket."""
    return xml_reply(documents.bucket_list(objects.buckets()))


def create_bucket(objects: Objects, request: Request) -> Reply:
    """Make a bucket in the region that the request was signed for, which it must name as on AWS."""
    region = location_constraint(request.body) or DEFAULT_REGION
    if region != request.region:
        message = (
            f"The {'unspecified' if region == DEFAULT_REGION else region} location constraint is"
            " incompatible for the region specific endpoint this request was sent to."
        )
        raise ApiError("IllegalLocationConstraintException", message)
    if not objects.create_bucket(request.bucket, region) and region != DEFAULT_REGION:
        message = (
            "Your previous request to create the named bucket succeeded and you already own it."
        )
        fields = {"BucketName": request.bucket}
        raise ApiError("BucketAlreadyOwnedByYou", message, 409, fields=fields)
    return Reply(200, {"location": f"/{request.bucket}"})


def location_constraint(body: bytes) -> str:
    """Return the region that the body of CreateBucket names, if it does."""
    return documents.parse(body).findtext("LocationConstraint", "") if body.strip() else ""


def head_bucket(objects: Objects, request: Request) -> Reply:
    """Say that a bucket is there, and where."""
    return Reply(200, {"x-amz-bucket-region": objects.bucket(request.bucket).region})


def delete_bucket(uploads: Uploads, request: Request) -> Reply:
    """Delete a bucket without objects; uploads to it end."""
    uploads.delete_bucket(request.bucket)
    return Reply(204)


def get_bucket_location(objects: Objects, request: Request) -> Reply:
    """Return a bucket's region, which for us-east-1 is nothing."""
    region = objects.bucket(request.bucket).region
    content = "" if region == DEFAULT_REGION else region
    return xml_reply(
        f'<LocationConstraint xmlns="{documents.NAMESPACE}">{content}</LocationConstraint>'
    )


def get_bucket_versioning(objects: Objects, request: Request) -> Reply:
    """Say that versioning was never switched on."""
    objects.bucket(request.bucket)
    return xml_reply(documents.root("VersioningConfiguration"))


def list_objects(objects: Objects, request: Request) -> Reply:
    """List a page of a bucket, as either version of the call has it."""
    listing = Listing(
        request.bucket,
        request.param("prefix"),
        request.param("delimiter"),
        min(request.number("max-keys", MAX_KEYS), MAX_KEYS),
    )
    spelling(request.param("encoding-type"))
    version_2 = request.param("list-type") == "2"
    marker = request.param("start-after" if version_2 else "marker")
    start = listing.start_after(marker) if marker else ""
    if version_2 and "continuation-token" in request.call.query:
        start = parse_token(request.param("continuation-token"))
    objects.bucket(request.bucket)
    with objects.database.reading() as connection:
        page = listing.page(connection, start)
    return listed_2(request, listing, page) if version_2 else listed_1(request, listing, page)


def listed_2(request: Request, listing: Listing, page: Page) -> Reply:
    """Return a page as ListObjectsV2 shows it."""
    spell = spelling(request.param("encoding-type"))
    return xml_reply(
        documents.root(
            "ListBucketResult",
            common(request, listing, page),
            element("KeyCount", len(page)),
            optional("ContinuationToken", request.param("continuation-token")),
            optional("NextContinuationToken", page.start and token(page.start)),
            optional("StartAfter", spell(request.param("start-after"))),
            documents.entries(page, spell, with_owner=request.param("fetch-owner") == "true"),
        )
    )


def listed_1(request: Request, listing: Listing, page: Page) -> Reply:
    """Return a page as ListObjects shows it; the next marker comes with a delimiter only."""
    spell = spelling(request.param("encoding-type"))
    next_marker = page.last if page.start and listing.delimiter else ""
    return xml_reply(
        documents.root(
            "ListBucketResult",
            common(request, listing, page),
            text("Marker", spell(request.param("marker"))),
            optional("NextMarker", spell(next_marker)),
            documents.entries(page, spell, with_owner=True),
        )
    )


def common(request: Request, listing: Listing, page: Page) -> str:
    """Return what both versions of a listing say."""
    spell = spelling(request.param("encoding-type"))
    return "".join(
        (
            text("Name", listing.bucket),
            text("Prefix", spell(listing.prefix)),
            optional("Delimiter", spell(listing.delimiter)),
            element("MaxKeys", listing.limit),
            optional("EncodingType", request.param("encoding-type")),
            flag("IsTruncated", page.start is not None),
        )
    )


def delete_objects(objects: Objects, request: Request) -> Reply:
    """Delete up to a thousand objects; what speaks against one does not keep the others."""
    document = documents.parse(request.body)
    entries = document.findall("Object")
    if not 0 < len(entries) <= MAX_KEYS or not all(entry.findtext("Key") for entry in entries):
        raise documents.malformed()
    objects.bucket(request.bucket)
    quiet = document.findtext("Quiet") == "true"
    with objects.database.transaction():
        results = [deletion(objects, request.bucket, entry, quiet=quiet) for entry in entries]
    return xml_reply(documents.root("DeleteResult", *results))


def deletion(objects: Objects, bucket: str, entry: Element, *, quiet: bool) -> str:
    """Delete one of many objects, and return its part of the answer."""
    key = text("Key", entry.findtext("Key", ""))
    try:
        delete_entry(objects, bucket, entry)
    except ApiError as error:
        return element("Error", key, text("Code", error.code), text("Message", error.message))
    return "" if quiet else element("Deleted", key)


def delete_entry(objects: Objects, bucket: str, entry: Element) -> None:
    """Delete the object that *entry* names, if it is as it says."""
    key = entry.findtext("Key", "")
    check_version(key, entry.findtext("VersionId", ""))
    said = [entry.findtext(name) for name in ("ETag", "LastModifiedTime", "Size")]
    objects.delete(bucket, [key], delete_condition(*said))
