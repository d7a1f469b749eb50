"""An object's body from the network to a file: in constant memory, digested on the way."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from kennel.local.s3.digests import Digests
from kennel.local.s3.files import BLOCK_BYTES
from kennel.local.s3.requests import Arrived
from kennel.local.wire.bodies import Receive, pieces
from kennel.local.wire.chunked import ChunkedDecoder
from kennel.local.wire.errors import ApiError


@dataclass
class Writer:
    """A file being written; blocking, so to be used in a worker thread."""

    path: Path
    digests: Digests
    _file: BinaryIO | None = None

    def write(self, block: bytes) -> None:
        """Append a block."""
        if self._file is None:
            self._file = self.path.open("xb")
        self._file.write(block)
        self.digests.update(block)

    def finish(self, last: bytes, trailers: Mapping[str, str]) -> Arrived:
        """
        Append the last block and check the digests.

        Raises:
            ApiError: A digest that the client sent does not agree.
        """
        self.write(last)
        self.close()
        checksums = self.digests.verified(trailers)
        return Arrived(self.path, self.digests.etag(), checksums)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def discard(self) -> None:
        """Delete the file, if nobody has taken it."""
        self.close()
        self.path.unlink(missing_ok=True)


class Body:
    """A request's body, without the aws-chunked encoding if it has that."""

    def __init__(self, headers: Mapping[str, str], receive: Receive) -> None:
        self._receive = receive
        self._decoder = ChunkedDecoder() if is_chunked(headers) else None
        self._announced = headers.get("x-amz-decoded-content-length")
        self._length = 0

    @property
    def trailers(self) -> Mapping[str, str]:
        """What came after the body."""
        return self._decoder.trailers if self._decoder else {}

    async def blocks(self) -> AsyncIterator[bytes]:
        """
        Yield blocks of about BLOCK_BYTES; the last one, which may be empty, is smaller.

        Raises:
            ApiError: The body is torn.
        """
        buffer = bytearray()
        async for piece in pieces(self._receive):
            data = self._decoder.feed(piece) if self._decoder else piece
            self._length += len(data)
            buffer += data
            if len(buffer) >= BLOCK_BYTES:
                yield bytes(buffer)
                buffer.clear()
        self._finish()
        yield bytes(buffer)

    def _finish(self) -> None:
        if self._decoder:
            self._decoder.finish()
        if self._announced is not None and self._announced != str(self._length):
            message = (
                "You did not provide the number of bytes specified by x-amz-decoded-content-length"
            )
            raise ApiError("IncompleteBody", message)


def is_chunked(headers: Mapping[str, str]) -> bool:
    """Say whether a body is aws-chunked."""
    payload = headers.get("x-amz-content-sha256", "")
    return payload.startswith("STREAMING-") or "aws-chunked" in headers.get("content-encoding", "")
