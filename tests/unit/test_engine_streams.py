"""An engine's frames become whole lines, however they come."""

import pytest

from kennel.engine.streams import HELD_BYTES, Lines, Piece, pieces

OUT, ERR = 1, 2


def frame(stream, data, stamp=b"2026-01-01T00:00:00.000000001Z"):
    payload = stamp + b" " + data
    return bytes([stream, 0, 0, 0]) + len(payload).to_bytes(4, "big") + payload


def fed(*parts):
    lines = Lines()
    return [lines.feed(Piece(stream, b"", data)) for stream, data in parts], lines.rest()


@pytest.mark.parametrize("size", [1, 3, 8, 40, 10_000])
def test_frames_are_found_wherever_the_blocks_are_cut(size):
    """
    Stream, time and bytes of each, a space in the bytes included.
    """
    stream = frame(OUT, b"one two\n") + frame(ERR, b"") + frame(OUT, b"\0\xff")
    blocks = [stream[i : i + size] for i in range(0, len(stream), size)]

    found = [(piece.stream, piece.data) for piece in pieces(blocks)]

    assert found == [(OUT, b"one two\n"), (ERR, b""), (OUT, b"\0\xff")]


def test_a_frame_that_breaks_off_is_left_out():
    """
    It will be read again, whole.
    """
    stream = frame(OUT, b"one\n") + frame(OUT, b"two\n")

    assert [piece.data for piece in pieces([stream[:-1]])] == [b"one\n"]


def test_a_line_in_several_frames_is_joined():
    """
    What the other stream says in between comes before it.
    """
    assert fed((OUT, b"a"), (ERR, b"between\n"), (OUT, b"b\n")) == (
        [b"", b"between\n", b"ab\n"],
        b"",
    )


def test_what_no_newline_ends_is_the_rest():
    """
    Of both streams.
    """
    assert fed((ERR, b"err"), (OUT, b"out")) == ([b"", b""], b"outerr")


def test_an_endless_line_is_not_kept():
    """
    It comes in parts, none of them lost.
    """
    part = b"x" * (HELD_BYTES // 2)

    assert fed((OUT, part), (OUT, part), (OUT, b"end\n")) == ([b"", part * 2, b"end\n"], b"")
