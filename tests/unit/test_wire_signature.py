"""A request's signature says for which service and region it is, and until when."""

from datetime import UTC, datetime, timedelta

import pytest

from kennel.local.wire.calls import Call
from kennel.local.wire.errors import ApiError
from kennel.local.wire.replies import error_reply
from kennel.local.wire.signature import Signer, check_expiry, signer

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
CREDENTIAL = "AKIA/20260701/eu-west-1/sagemaker/aws4_request"


@pytest.mark.parametrize(
    ("headers", "query", "expected"),
    [
        pytest.param(
            {"authorization": f"AWS4-HMAC-SHA256 Credential={CREDENTIAL}, SignedHeaders=host"},
            {},
            Signer("sagemaker", "eu-west-1"),
            id="header",
        ),
        pytest.param(
            {}, {"X-Amz-Credential": CREDENTIAL}, Signer("sagemaker", "eu-west-1"), id="presigned"
        ),
        pytest.param(
            {},
            {"X-Amz-Credential": "a/b/20260701/us-east-1/s3/aws4_request"},
            Signer("s3", "us-east-1"),
            id="slash in the key",
        ),
        pytest.param({"authorization": "AWS key:sig"}, {}, Signer("s3", "us-east-1"), id="v2"),
        pytest.param({}, {}, None, id="anonymous"),
    ],
)
def test_the_signer_is_read(headers, query, expected):
    """
    From the header, from a presigned URL, from the old signatures.
    """
    assert signer(headers, query) == expected


def test_a_torn_scope_is_refused():
    """
    A credential without a scope is malformed.
    """
    with pytest.raises(ApiError, match="AuthorizationHeaderMalformed"):
        signer({"authorization": "AWS4-HMAC-SHA256 Credential=AKIA, Signature=x"}, {})


def presigned(lifetime_s, age_s):
    signed = NOW - timedelta(seconds=age_s)
    date = signed.strftime("%Y%m%dT%H%M%SZ")
    return {"X-Amz-Signature": "x", "X-Amz-Date": date, "X-Amz-Expires": str(lifetime_s)}


@pytest.mark.parametrize(
    "query",
    [
        pytest.param(presigned(60, 59), id="version 4"),
        pytest.param({"Signature": "x", "Expires": str(int(NOW.timestamp()) + 1)}, id="version 2"),
        pytest.param({}, id="not presigned"),
        pytest.param({"Expires": "1"}, id="a parameter of something else"),
    ],
)
def test_a_url_is_good_until_it_expires(query):
    """
    Before its time is over it is let through.
    """
    check_expiry(query, NOW)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        pytest.param(presigned(60, 60), "AccessDenied", id="version 4"),
        pytest.param({"Signature": "x", "Expires": "1"}, "AccessDenied", id="version 2"),
        pytest.param({"X-Amz-Signature": "x"}, "AuthorizationQueryParametersError", id="torn"),
        pytest.param(presigned(604801, 0), "AuthorizationQueryParametersError", id="too long"),
    ],
)
def test_an_expired_or_torn_url_is_refused(query, code):
    """
    With S3's codes.
    """
    with pytest.raises(ApiError) as caught:
        check_expiry(query, NOW)

    assert caught.value.code == code


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        pytest.param(
            Call("POST", "/", {}, {"x-amz-target": "A.B"}, Signer("logs", "x")),
            b'{"__type": "Code", "message": "a < b"}',
            id="json",
        ),
        pytest.param(
            Call("POST", "/", {"Action": "X"}, {}, Signer("sts", "x")),
            b"<ErrorResponse><Error><Type>Sender</Type><Code>Code</Code>",
            id="query",
        ),
        pytest.param(
            Call("POST", "/", {"Action": "X"}, {}, Signer("ec2", "x")),
            b"<Response><Errors><Error><Code>Code</Code>",
            id="ec2",
        ),
        pytest.param(
            Call("GET", "/b/k", {}, {}, None),
            b"<Error><Code>Code</Code><Message>a &lt; b</Message><Resource>/b/k</Resource>",
            id="s3",
        ),
        pytest.param(Call("HEAD", "/b/k", {}, {}, None), b"", id="s3 head"),
        pytest.param(
            Call("POST", "/x", {}, {}, Signer("lambda", "x")),
            b'{"message": "a < b"',
            id="rest json",
        ),
    ],
)
def test_errors_are_in_the_callers_protocol(call, expected):
    """
    The same error looks as each protocol wants it.
    """
    reply = error_reply(ApiError("Code", "a < b", 403), call)

    assert reply.status == 403
    assert expected in reply.body
