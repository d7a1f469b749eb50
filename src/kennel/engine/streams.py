"""
An engine's multiplexed output, put together again. Pure.

A container's standard output and error come interleaved, in frames: eight bytes that say which and
how long, then the frame. A line of more than 16 KiB comes in several frames, between which lines of
the other stream may stand.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

HEADER_BYTES = 8
ENGINES_OWN = 3  # not the container's: the engine's word on why it cannot go on
HELD_BYTES = 2**18  # of a line that has no end


@dataclass(frozen=True)
class Piece:
    """A line, or a part of one."""

    stream: int  # 1 standard output, 2 standard error
    stamp: bytes  # when the engine got it, to the nanosecond
    data: bytes


def pieces(blocks: Iterable[bytes]) -> Iterator[Piece]:
    """
    Yield what comes, frame by frame; one that breaks off is left out.

    Args:
        blocks: Cut anywhere.
    """
    buffered = b""
    for block in blocks:
        buffered += block
        start = 0
        while (end := end_of_frame(buffered, start)) <= len(buffered):
            stamp, _, data = buffered[start + HEADER_BYTES : end].partition(b" ")
            yield Piece(buffered[start], stamp, data)
            start = end
        buffered = buffered[start:]


def end_of_frame(buffered: bytes, start: int) -> int:
    """Return where the frame that begins at *start* ends, or its header where that is not whole."""
    body = start + HEADER_BYTES
    if body > len(buffered):
        return body
    return body + int.from_bytes(buffered[body - 4 : body], "big")


class Lines:
    """Whole lines of two interleaved streams; the same pieces always give the same bytes."""

    def __init__(self) -> None:
        self._held: dict[int, bytes] = {}

    def feed(self, piece: Piece) -> bytes:
        """Take a piece, and return what is a whole line now, or too long to be waited for."""
        held = self._held.pop(piece.stream, b"") + piece.data
        if held.endswith(b"\n") or len(held) >= HELD_BYTES:
            return held
        self._held[piece.stream] = held
        return b""

    def rest(self) -> bytes:
        """Return the last lines, which have no end."""
        return b"".join(self._held.pop(stream) for stream in sorted(self._held))
