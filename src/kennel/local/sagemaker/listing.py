"""
Filter, sort and page what a List operation answers. Pure.

A token holds the place of the last item shown, not a number, so that what is created or deleted
between two pages neither repeats an item nor hides one.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from kennel.local.resources import Document
from kennel.local.sagemaker.names import invalid

DEFAULT_MAX_RESULTS = 10

Place = list[str | float]  # sort key, then name


def page(
    documents: Iterable[Document],
    params: Mapping[str, Any],
    *,
    name: str,
    status: str = "",
    order: str = "Descending",
) -> tuple[list[Document], str | None]:
    """
    Return the documents that a List request asks for, and the token of the next page.

    Args:
        documents: Every document of the kind.
        params: The request: filters, SortBy, SortOrder, MaxResults, NextToken.
        name: Member with the name.
        status: Member that StatusEquals means and that SortBy Status sorts by; any other SortBy
            but Name is the name of a member.
        order: SortOrder when the request has none.

    Raises:
        ApiError: ``ValidationException``, when the token is none of ours.
    """
    asked = params.get("SortBy", "CreationTime")
    sort_by = {"Name": name, "Status": status}.get(asked, asked)
    descending = params.get("SortOrder", order) == "Descending"
    kept = [item for item in documents if matches(item, params, name=name, status=status)]
    kept.sort(key=lambda item: place(item, sort_by, name), reverse=descending)
    if token := params.get("NextToken"):
        last = decoded(token)
        kept = [i for i in kept if is_after(place(i, sort_by, name), last, descending=descending)]
    shown = kept[: params.get("MaxResults", DEFAULT_MAX_RESULTS)]
    more = len(kept) > len(shown)
    return shown, encoded(place(shown[-1], sort_by, name)) if more else None


def matches(document: Document, params: Mapping[str, Any], *, name: str, status: str) -> bool:
    """Return whether a document passes every filter of the request."""
    return (
        params.get("NameContains", "").lower() in document[name].lower()
        and params.get("StatusEquals") in (None, document.get(status))
        and is_between(document, params, "CreationTime")
        and is_between(document, params, "LastModifiedTime")
    )


def is_between(document: Document, params: Mapping[str, Any], member: str) -> bool:
    """Return whether the time in *member* is after and before what the request says."""
    after, before = params.get(f"{member}After"), params.get(f"{member}Before")
    return (after is None or document[member] > after) and (
        before is None or document[member] < before
    )


def place(document: Document, sort_by: str, name: str) -> Place:
    """Return where a document stands in the order; no two stand in the same place."""
    key = document[sort_by]
    return [key.timestamp() if isinstance(key, datetime) else key, document[name]]


def is_after(item: Place, last: Place, *, descending: bool) -> bool:
    """Return whether *item* comes after *last* in the order of the listing."""
    try:
        return item < last if descending else item > last
    except TypeError:  # a token of a listing that was sorted by something else
        raise invalid("Invalid NextToken for this SortBy.") from None


def encoded(last: Sequence[str | float]) -> str:
    """Return the token for what comes after *last*."""
    return base64.urlsafe_b64encode(json.dumps(last).encode()).decode()


def decoded(token: str) -> Place:
    """Return the place that a token of ours stands for."""
    try:
        last = json.loads(base64.urlsafe_b64decode(token))
    except (binascii.Error, ValueError):
        raise invalid(f"Invalid NextToken: {token}") from None
    if not isinstance(last, list):
        raise invalid(f"Invalid NextToken: {token}")
    return last
