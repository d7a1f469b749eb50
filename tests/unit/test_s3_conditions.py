"""Ranges, conditions and digests are decided from headers, as HTTP and S3 have it."""

from dataclasses import replace

import pytest

from kennel.local.s3.conditions import byte_range, check_read, write_condition
from kennel.local.s3.digests import Digests
from kennel.local.s3.index import Stored
from kennel.local.wire.errors import ApiError

STORED = Stored("b", "k", 10, "abc", 1_000_000_000 * 10**9, 0)
WRITTEN, EARLIER, LATER = (
    "Sun, 09 Sep 2001 01:46:40 GMT",
    "Sun, 09 Sep 2001 01:46:39 GMT",
    "Sun, 09 Sep 2001 01:46:41 GMT",
)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-3", (0, 3)),
        ("bytes=4-", (4, 9)),
        ("bytes=-3", (7, 9)),
        ("bytes=-30", (0, 9)),
        ("bytes=8-100", (8, 9)),
        ("bytes=9-9", (9, 9)),
        (None, None),
        ("bytes=5-2", None),
        ("bytes=0-1,3-4", None),
        ("bytes=-", None),
        ("lines=0-1", None),
    ],
)
def test_ranges_are_read(header, expected):
    """
    First and last byte; what HTTP says to ignore is the whole.
    """
    assert byte_range(header, 10) == expected


@pytest.mark.parametrize(("header", "size"), [("bytes=10-", 10), ("bytes=-0", 10), ("bytes=0-", 0)])
def test_a_range_of_nothing_is_refused(header, size):
    """
    With the object's size, so that the client can do better.
    """
    with pytest.raises(ApiError) as caught:
        byte_range(header, size)

    assert (caught.value.code, caught.value.status) == ("InvalidRange", 416)
    assert caught.value.headers == {"content-range": f"bytes */{size}"}


@pytest.mark.parametrize(
    ("headers", "sent"),
    [
        ({}, True),
        ({"if-match": '"abc"'}, True),
        ({"if-match": "*"}, True),
        ({"if-none-match": '"abc"'}, False),
        ({"if-none-match": '"x", W/"abc"'}, False),
        ({"if-none-match": '"x"'}, True),
        ({"if-modified-since": WRITTEN}, False),
        ({"if-modified-since": EARLIER}, True),
        ({"if-modified-since": "yesterday"}, True),
        ({"if-unmodified-since": WRITTEN}, True),
        ({"if-match": '"abc"', "if-unmodified-since": EARLIER}, True),
        ({"if-none-match": '"x"', "if-modified-since": LATER}, True),
    ],
)
def test_conditions_of_reading(headers, sent):
    """
    The ETag decides before the date does.
    """
    assert check_read(headers, STORED) is sent


@pytest.mark.parametrize("headers", [{"if-match": '"x"'}, {"if-unmodified-since": EARLIER}])
def test_a_failed_precondition_is_412(headers):
    """
    With S3's code.
    """
    with pytest.raises(ApiError) as caught:
        check_read(headers, STORED)

    assert (caught.value.code, caught.value.status) == ("PreconditionFailed", 412)


@pytest.mark.parametrize(
    ("headers", "current", "code"),
    [
        ({"if-none-match": "*"}, None, None),
        ({"if-none-match": "*"}, STORED, "PreconditionFailed"),
        ({"if-match": '"abc"'}, STORED, None),
        ({"if-match": '"abc"'}, replace(STORED, etag="x"), "PreconditionFailed"),
        ({"if-match": '"abc"'}, None, "NoSuchKey"),
    ],
)
def test_conditions_of_writing(headers, current, code):
    """
    What is there when the write lands decides.
    """
    condition = write_condition(headers)

    if code is None:
        condition(current)
    else:
        with pytest.raises(ApiError, match=code):
            condition(current)


def verified(headers, body=b"hello", trailers=None):
    digests = Digests(headers)
    digests.update(body)
    return digests.verified(trailers or {})


SHA256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
GOOD = {
    "content-md5": "XUFAKrxLKna5cZ2REBfFkg==",
    "x-amz-checksum-crc32": "NhCmhg==",
    "x-amz-checksum-sha1": "qvTGHdzF6KLavt4PO0gs2a6pQ00=",
    "x-amz-checksum-sha256": "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=",
    "x-amz-content-sha256": SHA256,
}


@pytest.mark.parametrize("name", GOOD)
def test_a_digest_that_agrees_passes_and_another_does_not(name):
    """
    Every digest that the client sends is computed and compared.
    """
    checksums = verified({name: GOOD[name]})

    assert checksums == ({name: GOOD[name]} if "checksum" in name else {})
    with pytest.raises(ApiError, match=r"BadDigest|XAmzContentSHA256Mismatch"):
        verified({name: GOOD[name]}, b"hullo")


def test_a_trailer_is_compared_as_a_header_is():
    """
    boto3 sends its checksum behind the body when it streams.
    """
    headers = {"x-amz-trailer": "x-amz-checksum-crc32"}
    trailer = {"x-amz-checksum-crc32": "NhCmhg=="}

    assert verified(headers, trailers=trailer) == trailer
    with pytest.raises(ApiError, match="BadDigest"):
        verified(headers, b"hullo", trailer)


def test_what_cannot_be_computed_is_kept_as_sent():
    """
    CRC32C and CRC64NVME are given back as they came.
    """
    sent = {"x-amz-checksum-crc64nvme": "M3eFcAZSQlc=", "x-amz-checksum-crc32c": "mnG7TA=="}

    assert verified(sent) == sent


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"content-md5": "hello"}, "InvalidDigest"),
        ({"content-md5": "é"}, "InvalidDigest"),
        ({"x-amz-checksum-crc32": "AA=="}, "InvalidRequest"),
        ({"x-amz-checksum-sha256": "?"}, "InvalidRequest"),
    ],
)
def test_a_malformed_digest_is_refused(headers, code):
    """
    With S3's code, rather than taken for a wrong one.
    """
    with pytest.raises(ApiError, match=code):
        verified(headers)
