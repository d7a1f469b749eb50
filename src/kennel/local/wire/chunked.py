r"""
The ``aws-chunked`` content encoding: a body in chunks, each with its length, then trailers.

    SIZE-IN-HEX[;chunk-signature=…]\r\n BYTES \r\n … 0[;chunk-signature=…]\r\n NAME:VALUE\r\n … \r\n

Pure. It is not HTTP's own chunking, which the HTTP server has undone already. Chunk signatures are
not verified, as no signature is (see signature).
"""

import re
from collections.abc import Callable

from kennel.local.wire.errors import ApiError

Step = Callable[[bytearray], bool]

MAX_LINE_BYTES = 16384
SIZE = re.compile(rb"([0-9a-fA-F]{1,16})\s*(?:;|$)")


class ChunkedDecoder:
    """
    Decodes a body as it arrives, in pieces of any size.

    After ``finish``, ``trailers`` holds what came after the last chunk, names in lower case.
    """

    def __init__(self) -> None:
        self.trailers: dict[str, str] = {}
        self._buffer = bytearray()
        self._left = 0  # of the chunk being read
        self._step: Step = self._size

    def feed(self, data: bytes) -> bytes:
        """
        Take what arrived and return what it carries.

        Raises:
            ApiError: ``InvalidRequest``, when it is not aws-chunked.
        """
        self._buffer += data
        out = bytearray()
        while self._step(out):
            pass
        return bytes(out)

    def finish(self) -> None:
        """
        Say that nothing more comes.

        Raises:
            ApiError: ``IncompleteBody``, when the last chunk is missing.
        """
        if self._step != self._trailer or self._buffer.strip(b"\r\n"):
            message = "The request body terminated unexpectedly"
            raise ApiError("IncompleteBody", message)

    # Steps: each uses up what it can, and says whether the next one may go on.

    def _size(self, _: bytearray) -> bool:
        line = self._line()
        if line is None:
            return False
        if not (size := SIZE.match(line)):
            raise malformed(line)
        self._left = int(size[1], 16)
        self._step = self._data if self._left else self._trailer
        return True

    def _data(self, out: bytearray) -> bool:
        taken = self._buffer[: self._left]
        out += taken
        del self._buffer[: len(taken)]
        self._left -= len(taken)
        if self._left:
            return False
        self._step = self._end_of_chunk
        return True

    def _end_of_chunk(self, _: bytearray) -> bool:
        line = self._line()
        if line is None:
            return False
        if line:
            raise malformed(line)
        self._step = self._size
        return True

    def _trailer(self, _: bytearray) -> bool:
        line = self._line()
        if line is None:
            return False
        if b":" in line:
            name, value = [part.strip() for part in line.decode("latin-1").split(":", 1)]
            self.trailers[name.lower()] = value
        return True

    def _line(self) -> bytes | None:
        end = self._buffer.find(b"\r\n")
        if end < 0:
            if len(self._buffer) > MAX_LINE_BYTES:
                raise malformed(bytes(self._buffer[:40]))
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line


def malformed(line: bytes) -> ApiError:
    """Return the error for a body that is not what its headers say."""
    return ApiError("InvalidRequest", f"the body is not aws-chunked: {line!r}")
