"""
Conditional requests and byte ranges, decided from headers. Pure.

RFC 9110, sections 13 and 14.2, as far as S3 follows them: one range, no weak ETags.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from kennel.local.s3.index import Stored
from kennel.local.wire.errors import ApiError

RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")
COPIED_RANGE = re.compile(r"bytes=(\d{1,19})-(\d{1,19})")


def check_read(headers: Mapping[str, str], stored: Stored, names: str = "") -> bool:
    """
    Say whether the object is to be sent; False means 304 Not Modified.

    Args:
        names: What the header names start with: ``x-amz-copy-source-`` for the source of a copy.

    Raises:
        ApiError: ``PreconditionFailed``.
    """
    match, none_match = headers.get(f"{names}if-match"), headers.get(f"{names}if-none-match")
    since = moment(headers.get(f"{names}if-modified-since"))
    unmodified_since = moment(headers.get(f"{names}if-unmodified-since"))
    modified = written(stored)
    if match is not None and not has_etag(match, stored.etag):
        raise failed("If-Match")
    if match is None and unmodified_since is not None and modified > unmodified_since:
        raise failed("If-Unmodified-Since")
    if none_match is not None:
        return not has_etag(none_match, stored.etag)
    return since is None or modified > since


def write_condition(headers: Mapping[str, str]) -> Callable[[Stored | None], None]:
    """
    Return the check that a write makes of what is there: If-None-Match: * and If-Match.

    Raises:
        ApiError: ``NotImplemented``, for a condition that S3 does not take either.
    """
    match, none_match = headers.get("if-match"), headers.get("if-none-match")
    if none_match not in (None, "*"):
        message = "A header you provided implies functionality that is not implemented"
        fields = {"Header": "If-None-Match"}
        raise ApiError("NotImplemented", message, HTTPStatus.NOT_IMPLEMENTED, fields=fields)

    def check(current: Stored | None) -> None:
        if none_match and current is not None:
            raise failed("If-None-Match")
        check_match(match, current)

    return check


def delete_condition(
    match: str | None, modified: str | None, size: str | None
) -> Callable[[Stored | None], None]:
    """
    Return the check that a deletion makes of what is there.

    Args:
        match: The ETag that it must have, or ``*``.
        modified: When it must have been written, as an HTTP date.
        size: How many bytes it must have.
    """

    def check(current: Stored | None) -> None:
        check_match(match, current)
        if current is None:
            return
        if modified is not None and moment(modified) != written(current):
            raise failed("If-Match-Last-Modified-Time")
        if size is not None and size != str(current.size):
            raise failed("If-Match-Size")

    return check


def check_match(match: str | None, current: Stored | None) -> None:
    """
    Compare If-Match with what is there.

    Raises:
        ApiError: ``PreconditionFailed``, or ``NoSuchKey`` where nothing is.
    """
    if match is None:
        return
    if current is None:
        raise ApiError("NoSuchKey", "The specified key does not exist.", HTTPStatus.NOT_FOUND)
    if not has_etag(match, current.etag):
        raise failed("If-Match")


def copied_range(header: str | None, size: int) -> tuple[int, int]:
    """
    Return the (first, last) byte that x-amz-copy-source-range names; without it, all of them.

    Raises:
        ApiError: ``InvalidArgument``: unlike a reader's, it must name both, and lie in the object.
    """
    if header is None:
        return 0, size - 1
    found = COPIED_RANGE.fullmatch(header)
    if not found:
        message = (
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and"
            " last are the zero-based offsets of the first and last bytes to copy"
        )
    elif int(found[1]) <= int(found[2]) < size:
        return int(found[1]), int(found[2])
    else:
        message = f"Range specified is not valid for source object of size: {size}"
    fields = {"ArgumentName": "x-amz-copy-source-range", "ArgumentValue": header}
    raise ApiError("InvalidArgument", message, fields=fields)


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """
    Return the (first, last) byte that a Range header asks for.

    None means the whole: there is no header, or one that HTTP tells us to ignore.

    Raises:
        ApiError: ``InvalidRange``, when the object has none of the bytes.
    """
    found = RANGE.fullmatch((header or "").replace(" ", ""))
    if not found or not any(found.groups()):
        return None
    first, last = found.groups()
    if not first:
        first, last = str(max(size - int(last), 0)) if int(last) else str(size), ""
    elif last and int(last) < int(first):
        return None
    if int(first) >= size:
        fields = {"RangeRequested": header, "ActualObjectSize": size}
        message = "The requested range is not satisfiable"
        status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
        content_range = {"content-range": f"bytes */{size}"}
        raise ApiError("InvalidRange", message, status, fields=fields, headers=content_range)
    return int(first), min(int(last), size - 1) if last else size - 1


def has_etag(header: str, etag: str) -> bool:
    """Say whether a list of ETags, or ``*``, has this one."""
    listed = {item.strip().removeprefix("W/").strip('"') for item in header.split(",")}
    return bool(listed & {"*", etag})


def written(stored: Stored) -> datetime:
    """Return when an object was written, in whole seconds as S3 shows it."""
    return datetime.fromtimestamp(stored.modified_ns // 10**9, UTC)


def moment(header: str | None) -> datetime | None:
    """Return an HTTP date; one that is no date is ignored, as HTTP has it."""
    try:
        parsed = parsedate_to_datetime(header) if header else None
    except ValueError:
        return None
    return parsed.replace(tzinfo=UTC) if parsed and parsed.tzinfo is None else parsed


def failed(condition: str) -> ApiError:
    """Return the error for a condition that does not hold."""
    message = "At least one of the pre-conditions you specified did not hold"
    fields = {"Condition": condition}
    return ApiError("PreconditionFailed", message, HTTPStatus.PRECONDITION_FAILED, fields=fields)
