"""
Digests of a body as it arrives, compared with what the client says they are. Pure.

MD5, SHA-1, SHA-256 and CRC32 are computed. CRC32C and CRC64NVME, which boto3 does not send unless
asked to, are kept and given back as they came: the standard library has neither.
"""

import base64
import hashlib
import zlib
from collections.abc import Callable, Mapping
from typing import Protocol

from kennel.local.wire.errors import ApiError

CHECKSUM = "x-amz-checksum-"
LENGTHS = {"crc32": 4, "crc32c": 4, "crc64nvme": 8, "sha1": 20, "sha256": 32}  # bytes
SHA256_HEX_CHARS = 64


class Digest(Protocol):
    """A digest being computed."""

    def update(self, data: bytes, /) -> None:
        """Take more bytes."""

    def digest(self) -> bytes:
        """Return the digest of the bytes so far."""


class Crc32:
    """CRC-32 with the interface of hashlib."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes) -> None:
        """Take more bytes."""
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        """Return four bytes, the highest first."""
        return self._value.to_bytes(4, "big")


COMPUTED: dict[str, Callable[[], Digest]] = {
    "crc32": Crc32,
    "sha1": lambda: hashlib.sha1(usedforsecurity=False),
    "sha256": hashlib.sha256,
}


class Digests:
    """
    The digests that an upload asks for.

    Args:
        headers: Of the request, names in lower case.
    """

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers
        self._md5 = hashlib.md5(usedforsecurity=False)
        announced = {name: v for name, v in headers.items() if is_checksum(name)}
        trailer = headers.get("x-amz-trailer", "").lower()
        names = [*announced, *([trailer] if is_checksum(trailer) else [])]
        algorithms = {name.removeprefix(CHECKSUM) for name in names}
        if len(hash_of_payload(headers)) == SHA256_HEX_CHARS:
            algorithms.add("sha256")
        self._digests = {name: COMPUTED[name]() for name in algorithms if name in COMPUTED}

    def update(self, data: bytes) -> None:
        """Take more of the body."""
        self._md5.update(data)
        for digest in self._digests.values():
            digest.update(data)

    def etag(self) -> str:
        """Return the MD5 in hex."""
        return self._md5.hexdigest()

    def verified(self, trailers: Mapping[str, str]) -> dict[str, str]:
        """
        Return the client's checksum headers, which agree with the body.

        Raises:
            ApiError: ``BadDigest`` and its kin, when one does not agree or is malformed.
        """
        self._check_md5()
        self._check_payload()
        said = {**self._headers, **trailers}
        checksums = {name: value for name, value in said.items() if is_checksum(name)}
        for name, value in checksums.items():
            self._check(name, value)
        return checksums

    def _check_md5(self) -> None:
        header = self._headers.get("content-md5")
        if header is None:
            return
        if len(unbase64(header)) != self._md5.digest_size:
            raise ApiError("InvalidDigest", "The Content-MD5 you specified was invalid.")
        if unbase64(header) != self._md5.digest():
            message = "The Content-MD5 you specified did not match what we received."
            fields = {"ExpectedDigest": header, "CalculatedDigest": encoded(self._md5.digest())}
            raise ApiError("BadDigest", message, fields=fields)

    def _check_payload(self) -> None:
        said = hash_of_payload(self._headers)
        if len(said) == SHA256_HEX_CHARS and said != self._digests["sha256"].digest().hex():
            message = "The provided 'x-amz-content-sha256' header does not match what was computed."
            raise ApiError("XAmzContentSHA256Mismatch", message)

    def _check(self, name: str, value: str) -> None:
        algorithm = name.removeprefix(CHECKSUM)
        if len(unbase64(value)) != LENGTHS[algorithm]:
            raise ApiError("InvalidRequest", f"Value for {name} header is invalid.")
        if algorithm not in self._digests:
            return
        computed = self._digests[algorithm].digest()
        if computed != unbase64(value):
            message = (
                f"The {algorithm.upper()} you specified did not match the calculated checksum."
            )
            raise ApiError("BadDigest", message)


def is_checksum(name: str) -> bool:
    """Say whether a header carries a checksum."""
    return name.removeprefix(CHECKSUM) in LENGTHS and name.startswith(CHECKSUM)


def hash_of_payload(headers: Mapping[str, str]) -> str:
    """Return x-amz-content-sha256: a digest in hex, or one of the words that stand for none."""
    return headers.get("x-amz-content-sha256", "")


def unbase64(text: str) -> bytes:
    """Return the bytes of a Base64 text; none for what is not one."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:  # binascii.Error is one, and text that is not ASCII is another
        return b""


def encoded(digest: bytes) -> str:
    """Write a digest as S3's headers do."""
    return base64.b64encode(digest).decode()
