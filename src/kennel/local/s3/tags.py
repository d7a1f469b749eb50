"""Handlers of object tagging."""

from dataclasses import replace

from kennel.local.s3 import documents
from kennel.local.s3.documents import element, text
from kennel.local.s3.objects import Objects
from kennel.local.s3.requests import Request, check_tags
from kennel.local.wire.calls import Reply
from kennel.local.wire.replies import xml_reply


def get_object_tagging(objects: Objects, request: Request) -> Reply:
    """Return an object's tags."""
    tags = objects.head(request.bucket, request.key).tags
    pairs = (element("Tag", text("Key", k), text("Value", v)) for k, v in tags.items())
    return xml_reply(documents.root("Tagging", element("TagSet", *pairs)))


def put_object_tagging(objects: Objects, request: Request) -> Reply:
    """Replace an object's tags."""
    document = documents.parse(request.body)
    found = document.iterfind("TagSet/Tag")
    tags = {tag.findtext("Key", ""): tag.findtext("Value", "") for tag in found}
    check_tags(tags)
    objects.update(replace(objects.head(request.bucket, request.key), tags=tags))
    return Reply()


def delete_object_tagging(objects: Objects, request: Request) -> Reply:
    """Remove an object's tags."""
    objects.update(replace(objects.head(request.bucket, request.key), tags={}))
    return Reply(204)
