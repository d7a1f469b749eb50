"""S3's XML, written and read. Pure."""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from email.utils import formatdate
from urllib.parse import quote
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from kennel.local.s3.index import Bucket, Stored
from kennel.local.s3.listing import Page
from kennel.local.wire.context import ACCOUNT_ID
from kennel.local.wire.errors import ApiError

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
OWNER_ID = ACCOUNT_ID
CONTROLS = re.compile(r"[\x00-\x1f\x7f]")

Spell = Callable[[str], str]  # how a listing writes keys: as they are, or percent-encoded


def element(name: str, *content: str | int | None) -> str:
    """Return an element around markup and numbers; without content it is empty."""
    return f"<{name}>{''.join(str(part) for part in content if part is not None)}</{name}>"


def text(name: str, content: str) -> str:
    """Return an element around text."""
    references = CONTROLS.sub(lambda found: f"&#{ord(found[0])};", escape(content))
    return element(name, references)


def root(name: str, *content: str) -> str:
    """Return a document."""
    return f'<{name} xmlns="{NAMESPACE}">{"".join(content)}</{name}>'


def parse(body: bytes) -> ET.Element:
    """
    Read a document; names lose their namespace.

    Raises:
        ApiError: ``MalformedXML``.
    """
    if b"<!DOCTYPE" in body:
        raise malformed()
    try:
        document = ET.fromstring(body)  # noqa: S314 - expat without a DTD has nothing to expand
    except ET.ParseError as error:
        raise malformed() from error
    for node in document.iter():
        node.tag = node.tag.rpartition("}")[2]
    return document


def malformed() -> ApiError:
    """Return S3's error for a body that is not the document it should be."""
    message = (
        "The XML you provided was not well-formed or did not validate against our published schema"
    )
    return ApiError("MalformedXML", message)


def iso(ns: int) -> str:
    """Write a time as in a listing: whole seconds, as S3 keeps them."""
    return datetime.fromtimestamp(ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def http_date(ns: int) -> str:
    """Write a time as in a header."""
    return formatdate(ns // 10**9, usegmt=True)


def spelling(encoding_type: str) -> Spell:
    """
    Return how a listing writes keys.

    Raises:
        ApiError: ``InvalidArgument``.
    """
    if encoding_type == "url":
        return lambda key: quote(key, safe="/*-._~")
    if encoding_type:
        raise ApiError("InvalidArgument", "Invalid Encoding Method specified in Request")
    return lambda key: key


def owner(name: str = "Owner") -> str:
    """Return who owns everything here."""
    return element(name, text("ID", OWNER_ID), text("DisplayName", "local"))


def bucket_list(buckets: Iterable[Bucket]) -> str:
    """Return the answer of ListBuckets."""
    listed = (
        element("Bucket", text("Name", each.name), text("CreationDate", iso(each.created_ns)))
        for each in buckets
    )
    return root("ListAllMyBucketsResult", owner(), element("Buckets", *listed))


def contents(stored: Stored, spell: Spell, *, with_owner: bool) -> str:
    """Return an object's entry in a listing."""
    return element(
        "Contents",
        text("Key", spell(stored.key)),
        text("LastModified", iso(stored.modified_ns)),
        text("ETag", f'"{stored.etag}"'),
        element("Size", stored.size),
        owner() if with_owner else None,
        text("StorageClass", stored.headers.get("x-amz-storage-class", "STANDARD")),
    )


def entries(page: Page, spell: Spell, *, with_owner: bool) -> str:
    """Return the objects and common prefixes of a page."""
    objects = (contents(stored, spell, with_owner=with_owner) for stored in page.objects)
    prefixes = (element("CommonPrefixes", text("Prefix", spell(p))) for p in page.prefixes)
    return "".join((*objects, *prefixes))


def flag(name: str, value: bool) -> str:  # noqa: FBT001 - the content of an element
    """Return an element that says true or false."""
    return element(name, str(value).lower())


def optional(name: str, value: str | None) -> str:
    """Return an element, or nothing where there is no value."""
    return text(name, value) if value else ""
