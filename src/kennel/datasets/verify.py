"""
Decode every picture once, so that a bad one is known by name before anything long starts.

What to do about the bad ones is the caller's: kennel.datasets.check reports, kennel.training skips.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

from kennel.errors import ImageError
from kennel.vision.images import read_image

# JPEGs may be decoded at an eighth of their size: all of their bytes are read all the same.
_ENOUGH_PX: Final = 32


class Inspection(NamedTuple):
    """What one file turned out to be."""

    path: Path
    reason: str | None  # why it is no picture that we can read; None if it is
    digest: bytes  # of its bytes; empty if they cannot be read


class BadFile(NamedTuple):
    """A file that is no picture we can read."""

    path: Path
    reason: str


def inspect(path: Path) -> Inspection:
    """Read and decode one file; never raises for what it finds."""
    try:
        data = path.read_bytes()
    except OSError as error:
        return Inspection(path, f"cannot be read: {error.strerror}", b"")
    digest = hashlib.blake2b(data, digest_size=16).digest()
    try:
        read_image(data, at_least_px=_ENOUGH_PX)
    except ImageError as error:
        return Inspection(path, error.problem, digest)
    return Inspection(path, None, digest)


def inspect_all(paths: Iterable[Path], *, workers: int | None = None) -> Iterator[Inspection]:
    """
    Inspect files in parallel, in their order.

    Args:
        paths: Files.
        workers: Threads (decoding runs outside of Python's lock); by default one for each CPU.
    """
    with ThreadPoolExecutor(workers or len(os.sched_getaffinity(0))) as pool:
        yield from pool.map(inspect, paths)


def verify(paths: Iterable[Path], workers: int | None = None) -> tuple[list[Path], list[BadFile]]:
    """
    Tell the pictures from the rest.

    Returns:
        The files that decode, and those that do not with the reason; each in the order given.
    """
    good: list[Path] = []
    bad: list[BadFile] = []
    for path, reason, _ in inspect_all(paths, workers=workers):
        if reason is None:
            good.append(path)
        else:
            bad.append(BadFile(path, reason))
    return good, bad
