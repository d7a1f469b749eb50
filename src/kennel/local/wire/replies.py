"""
Answers and errors in the protocol that the caller understands, so that boto3 raises ClientError.

Pure. Which protocol a caller speaks is told by what it sent: see error_reply.
"""

import json
import re
import uuid
from collections.abc import Mapping
from xml.sax.saxutils import escape

from kennel.local.wire.calls import Call, Reply
from kennel.local.wire.errors import ApiError

REST_XML = frozenset({"s3", "cloudfront", "route53"})  # by the name they sign with
EC2 = "ec2"
JSON_TYPE = "application/x-amz-json-1.1"
HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


def fits_header(value: str) -> bool:
    """Say whether HTTP can carry *value* in a header: ISO-8859-1 without control characters."""
    return HEADER_VALUE.fullmatch(value) is not None


def request_id() -> str:
    """Return a new id for an answer."""
    return str(uuid.uuid4())


def json_reply(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """Return the answer of a JSON-protocol operation."""
    common = {"content-type": JSON_TYPE, "x-amzn-requestid": request_id()}
    return Reply(status, {**common, **(headers or {})}, body)


def xml_reply(body: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """Return an XML document as an answer; *body* comes without its declaration."""
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'
    common = {"content-type": "application/xml", "x-amz-request-id": request_id()}
    return Reply(status, {**common, **(headers or {})}, text.encode())


def error_reply(error: ApiError, call: Call) -> Reply:
    """Word *error* in the protocol of *call*."""
    service = call.signer.service if call.signer else "s3"
    if "x-amz-target" in call.headers:
        return json_error(error)
    if service in REST_XML:
        return s3_error(error, call)
    if is_form(call):
        return query_error(error, service)
    return rest_json_error(error)


def is_form(call: Call) -> bool:
    """Say whether a call is of the query protocol."""
    form = call.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    return form or "Action" in call.query


def json_error(error: ApiError) -> Reply:
    """Return an error of the JSON protocol."""
    body = {"__type": error.code, "message": error.message, **error.fields}
    return json_reply(json.dumps(body).encode(), error.status, error.headers)


def rest_json_error(error: ApiError) -> Reply:
    """Return an error of the REST-JSON protocol, which names the code in a header."""
    body = json.dumps({"message": error.message, "Message": error.message, **error.fields})
    headers = {"content-type": "application/json", "x-amzn-errortype": error.code}
    return json_reply(body.encode(), error.status, {**headers, **error.headers})


def query_error(error: ApiError, service: str) -> Reply:
    """Return an error of the query protocol, or of its EC2 variety."""
    details = f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"
    identity = request_id()
    if service == EC2:
        body = f"<Response><Errors><Error>{details}</Error></Errors><RequestID>{identity}"
        return xml_reply(f"{body}</RequestID></Response>", error.status)
    body = f"<ErrorResponse><Error><Type>Sender</Type>{details}</Error><RequestId>{identity}"
    return xml_reply(f"{body}</RequestId></ErrorResponse>", error.status)


def s3_error(error: ApiError, call: Call) -> Reply:
    """Return an error of S3; none has a body in answer to HEAD."""
    if call.method == "HEAD":
        return Reply(error.status, {"x-amz-request-id": request_id(), **error.headers})
    parts = {"Code": error.code, "Message": error.message, "Resource": call.path, **error.fields}
    body = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in parts.items())
    return xml_reply(f"<Error>{body}</Error>", error.status, error.headers)
