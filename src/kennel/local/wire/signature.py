"""
What a request's signature says: who signed it for which service and region, and until when.

Pure. Signatures are not verified: whoever reaches 127.0.0.1 owns the data anyway. They route the
request, and a presigned URL expires as it does on AWS.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from kennel.local.wire.context import DEFAULT_REGION
from kennel.local.wire.errors import ApiError

CREDENTIAL = re.compile(r"Credential=([^,\s]+)")
SCOPE_PARTS = 5  # key/date/region/service/aws4_request
LONGEST = timedelta(days=7)


class Signer(NamedTuple):
    """The service and the region that a request was signed for."""

    service: str
    region: str


def signer(headers: Mapping[str, str], query: Mapping[str, str]) -> Signer | None:
    """Return what the request was signed for, or None for an anonymous one."""
    authorization = headers.get("authorization", "")
    if found := CREDENTIAL.search(authorization):
        return scope(found[1])
    if "X-Amz-Credential" in query:
        return scope(query["X-Amz-Credential"])
    if authorization.startswith("AWS ") or {"AWSAccessKeyId", "Signature"} <= query.keys():
        return Signer("s3", DEFAULT_REGION)  # the signature before version 4 names neither
    return None


def scope(credential: str) -> Signer:
    """Read ``KEY/DATE/REGION/SERVICE/aws4_request``; a key may itself contain slashes."""
    parts = credential.split("/")
    if len(parts) < SCOPE_PARTS or parts[-1] != "aws4_request":
        message = f"the credential scope {credential!r} is malformed"
        raise ApiError("AuthorizationHeaderMalformed", message)
    return Signer(service=parts[-2], region=parts[-3])


def check_expiry(query: Mapping[str, str], now: datetime) -> None:
    """
    Refuse a presigned URL whose time is over.

    Raises:
        ApiError: ``AccessDenied``, or ``AuthorizationQueryParametersError`` for one that is torn.
    """
    if "X-Amz-Signature" in query:
        expires = presigned_until(query)
    elif "Signature" in query and "Expires" in query:
        expires = epoch(query["Expires"])
    else:
        return
    if now >= expires:
        fields = {"Expires": expires.isoformat(), "ServerTime": now.isoformat()}
        raise ApiError("AccessDenied", "Request has expired", 403, fields=fields)


def presigned_until(query: Mapping[str, str]) -> datetime:
    """Return when a URL presigned with version 4 expires."""
    try:
        signed = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        lifetime = timedelta(seconds=int(query["X-Amz-Expires"]))
    except (KeyError, ValueError, OverflowError) as error:
        raise torn("needs X-Amz-Date and X-Amz-Expires") from error
    if not timedelta(0) <= lifetime <= LONGEST:
        raise torn("X-Amz-Expires must be between 0 and 604800 seconds")
    return signed + lifetime


def epoch(text: str) -> datetime:
    """Return when a URL presigned before version 4 expires."""
    try:
        return datetime.fromtimestamp(int(text), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise torn("Expires must be seconds since 1970") from error


def torn(message: str) -> ApiError:
    """Return the error for a presigned URL that misses something."""
    return ApiError("AuthorizationQueryParametersError", f"the presigned URL {message}")
