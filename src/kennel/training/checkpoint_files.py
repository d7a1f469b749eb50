"""
The files that checkpoints are in: two names by turns, each file whole or known to be torn.

Two names and no more, for S3 keeps whatever was ever synced there. A file begins with a line that
says how far in the run it is and the digest of the rest, so that a torn one, ours or one that was
restored from S3 in part, is known before it is read. What is in them is checkpoint.py's.
"""

import hashlib
import io
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch

from kennel.training import feature_cache
from kennel.training.log import say

NAMES = ("checkpoint-1.pt", "checkpoint-2.pt")  # the newest, and the one before in case it is torn
PARTIAL = ".checkpoint.partial"
HEADER = re.compile(rb"kennel checkpoint epochs=(\d{6}) step=(\d{9}) sha256=([0-9a-f]{64})\n")
HEADER_BYTES = 119

Place = tuple[int, int]  # epochs done, steps of the next
NOWHERE: Place = (-1, -1)


def write(folder: Path, document: Mapping[str, Any], place: Place) -> Path:
    """
    Write a checkpoint over the older of the two; a crash at any moment leaves the newer whole.

    Args:
        folder: Is there.
        document: What torch.save takes.
        place: How far in the run it is.

    Raises:
        OSError: The disk has no room for it, or the folder cannot be written to.
        RuntimeError: The same, said by torch; the OSError is its context.
    """
    partial = folder / PARTIAL
    with partial.open("w+b") as file:
        file.write(bytes(HEADER_BYTES))
        torch.save(document, file)
        digest = _digest(file)
        file.seek(0)
        file.write(b"kennel checkpoint epochs=%06d step=%09d sha256=%s\n" % (*place, digest))
        file.flush()
        os.fsync(file.fileno())
    path = min((folder / name for name in NAMES), key=place_of)
    partial.replace(path)
    _sync(folder)
    return path


def newest_first(folder: Path) -> list[Path]:
    """
    Return the checkpoints, those first that do not say how far they are, then the furthest.

    Args:
        folder: May be missing.
    """
    found = [path for name in NAMES if (path := folder / name).is_file()]
    torn = [path for path in found if place_of(path) == NOWHERE]
    return torn + sorted(set(found) - set(torn), key=place_of, reverse=True)


def place_of(path: Path) -> Place:
    """Return how far in the run a checkpoint says it is, NOWHERE if it says nothing."""
    try:
        with path.open("rb") as file:
            header = HEADER.fullmatch(file.read(HEADER_BYTES))
    except FileNotFoundError:
        return NOWHERE
    return (int(header[1]), int(header[2])) if header else NOWHERE


def foreign(folder: Path) -> list[str]:
    """Return the names of what others left in the folder."""
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return sorted(set(names) - {*NAMES, PARTIAL, feature_cache.FOLDER})


def read(path: Path) -> dict[str, Any] | None:
    """Return the contents, on the CPU, or None after removing the file if it is torn."""
    with path.open("rb") as file:
        header = HEADER.fullmatch(file.read(HEADER_BYTES))
        is_whole = header is not None and _digest(file) == header[3]
        file.seek(HEADER_BYTES)
        contents = file.read() if is_whole else b""
    if not is_whole:
        say(f"{path.name} is torn: removed, trying the one before")
        path.unlink(missing_ok=True)
        return None
    document: dict[str, Any] = torch.load(
        io.BytesIO(contents), map_location="cpu", weights_only=True
    )
    return document


def _digest(file: BinaryIO) -> bytes:
    """Return the digest of what follows the header."""
    file.seek(HEADER_BYTES)
    return hashlib.file_digest(file, "sha256").hexdigest().encode()  # type: ignore[arg-type] # a file that was opened for both is readable


def _sync(folder: Path) -> None:
    """Let the rename itself survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
