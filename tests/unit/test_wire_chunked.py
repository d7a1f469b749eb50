"""aws-chunked bodies are decoded, however they are cut on the way."""

import random

import pytest

from kennel.local.wire.chunked import ChunkedDecoder
from kennel.local.wire.errors import ApiError

SIGNED = (
    b"5;chunk-signature=aa\r\nhello\r\n6;chunk-signature=bb\r\n world\r\n"
    b"0;chunk-signature=cc\r\nx-amz-checksum-crc32:DUoRhQ==\r\nx-amz-trailer-signature:dd\r\n\r\n"
)
UNSIGNED = b"B\r\nhello world\r\n0\r\nx-amz-checksum-crc32: DUoRhQ==\r\n\r\n"


@pytest.mark.parametrize("body", [SIGNED, UNSIGNED], ids=["signed", "unsigned"])
@pytest.mark.parametrize("seed", range(20))
def test_pieces_of_any_size_make_the_same_body(body, seed):
    """
    Where the network cuts a body does not matter.
    """
    draw = random.Random(seed)  # noqa: S311 - where to cut
    decoder, decoded, rest = ChunkedDecoder(), b"", body

    while rest:
        size = draw.randint(1, 9)
        decoded += decoder.feed(rest[:size])
        rest = rest[size:]
    decoder.finish()

    assert decoded == b"hello world"
    assert decoder.trailers["x-amz-checksum-crc32"] == "DUoRhQ=="


def test_a_body_may_contain_what_looks_like_a_frame():
    """
    Lengths decide, not line breaks.
    """
    decoder = ChunkedDecoder()

    assert decoder.feed(b"7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n") == b"\r\n0\r\n\r\n"
    decoder.finish()


@pytest.mark.parametrize("cut", [3, 9, 30, len(SIGNED) - 90])
def test_a_torn_body_is_incomplete(cut):
    """
    A body without its last chunk is an error, not a short object.
    """
    decoder = ChunkedDecoder()
    decoder.feed(SIGNED[:cut])

    with pytest.raises(ApiError, match="IncompleteBody"):
        decoder.finish()


@pytest.mark.parametrize(
    "body", [b"hello\r\n", b"-5\r\nhello\r\n", b"5\r\nhello!\r\n", b"x" * 20000]
)
def test_what_is_not_chunked_is_refused(body):
    """
    A wrong length or none is an invalid request.
    """
    with pytest.raises(ApiError, match="InvalidRequest"):
        ChunkedDecoder().feed(body)
