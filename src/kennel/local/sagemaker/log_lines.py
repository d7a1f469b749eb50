"""
The lines of a growing output file, as events for CloudWatch Logs.

Where to go on after the server has restarted is a number that the caller keeps: how far the file
was read. Storing events is kennel.local.logs' business.
"""

import time
from collections.abc import Iterator
from pathlib import Path

EVENT_BYTES = 256 * 1024 - 26  # what CloudWatch takes in one event, its overhead aside
READ_BYTES = 2**20

Event = tuple[int, str]  # milliseconds since 1970, text


def read_lines(path: Path, offset: int, *, ended: bool) -> tuple[list[str], int]:
    """
    Return the lines written since *offset*, and the offset to go on from.

    Args:
        ended: Nothing more will come, so that what stands after the last newline is a line too.

    Returns:
        Lines without their newline; one that is longer than an event may be is cut into several.
        At most READ_BYTES of the file at a time: call again until nothing comes.
    """
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(READ_BYTES)
    except FileNotFoundError:
        return [], offset
    whole = data if ended and len(data) < READ_BYTES else data[: data.rfind(b"\n") + 1]
    if not whole and len(data) >= EVENT_BYTES:  # one endless line must not fill the memory
        whole = data[:EVENT_BYTES]
    lines = whole.removesuffix(b"\n").split(b"\n") if whole else []
    return [piece for line in lines for piece in pieces(line)], offset + len(whole)


def all_lines(path: Path) -> list[str]:
    """Return the lines of an output file that nobody writes to any more."""
    lines: list[str] = []
    offset, end = 0, -1
    while offset != end:
        end = offset
        some, offset = read_lines(path, offset, ended=True)
        lines += some
    return lines


def pieces(line: bytes) -> Iterator[str]:
    """Yield a line as texts that fit into events; a carriage return at its end is no part of it."""
    text = line.removesuffix(b"\r").decode(errors="replace")
    if len(text) * 4 <= EVENT_BYTES:
        yield text
        return
    data = text.encode()
    for start in range(0, len(data), EVENT_BYTES):
        yield data[start : start + EVENT_BYTES].decode(errors="replace")


def events(lines: list[str]) -> list[Event]:
    """Return *lines* as events of this moment; CloudWatch knows no empty message."""
    now_ms = time.time_ns() // 10**6
    return [(now_ms, line or " ") for line in lines]


def last_words(path: Path, *, lines: int = 5, chars: int = 600) -> str:
    """Return the end of an output file, for a reason of failure."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - chars * 4))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    kept = [line for line in text.splitlines() if line.strip()][-lines:]
    return "\n".join(kept)[-chars:]
