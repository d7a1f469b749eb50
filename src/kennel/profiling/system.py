"""
System metrics of a run, as the platform writes them and sampler.py does.

One JSON object a line, with Type, Name, Dimension, Value, NodeId and Timestamp:

  cpu      cpu0, cpu1, …               CPUUtilization, I/OWaitPercentage         percent of the core
  memory   MemoryUsedPercent           (none)                                    percent
  i/o      IOPS                        (none)                                    a second
  i/o      ReadThroughputInBytesPerSecond, WriteThroughputInBytesPerSecond       (none)
  network  ReceiveBytesPerSecond, TransmitBytesPerSecond   Algorithm, Platform   the platform's own
  gpu      gpu0, gpu1, …               GPUUtilization, GPUMemoryUtilization      percent

in ``system/incremental/YYYYMMDDHH/MINUTE.NODE.json``, the minute in seconds since 1970. The
standard library is all that reading them needs.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

CPU, MEMORY, IO, NETWORK, GPU = "cpu", "memory", "i/o", "network", "gpu"
UTILIZATION, IO_WAIT = "CPUUtilization", "I/OWaitPercentage"
MEMORY_USED = "MemoryUsedPercent"
IOPS = "IOPS"
READ, WRITE = "ReadThroughputInBytesPerSecond", "WriteThroughputInBytesPerSecond"
RECEIVE, TRANSMIT = "ReceiveBytesPerSecond", "TransmitBytesPerSecond"
ALGORITHM, PLATFORM = "Algorithm", "Platform"
GPU_UTILIZATION, GPU_MEMORY = "GPUUtilization", "GPUMemoryUtilization"

FOLDER = Path("system", "incremental")
READ_AT_MOST = 64 * 2**20  # bytes; of more, samples are left out evenly

Key = tuple[str, str, str, str]


@dataclass(frozen=True)
class Series:
    """
    One metric of one node.

    Args:
        type: CPU, MEMORY, IO, NETWORK or GPU.
        name: Which one: cpu0, MemoryUsedPercent.
        dimension: What of it; may be empty.
        node: algo-1 and so on.
        times: Seconds since 1970, ascending.
        values: As many.
    """

    type: str
    name: str
    dimension: str
    node: str
    times: tuple[float, ...]
    values: tuple[float, ...]


def read(folder: Path, at_most: int = READ_AT_MOST) -> tuple[Series, ...]:
    """
    Return all metrics of a run, sorted by what they are of.

    Args:
        folder: profiler-output. Lines that are torn are passed over.
        at_most: Bytes that are taken in whole; of more, every second, third, … sample is read.
    """
    files = sorted((folder / "system").rglob("*.json"), key=lambda path: (path.name, str(path)))
    stride = 1 + sum(path.stat().st_size for path in files) // at_most
    found: dict[Key, tuple[list[float], list[float]]] = {}
    for path in files:
        for line in _every(stride, path):
            try:
                sample = json.loads(line)
                key = (
                    str(sample["Type"]),
                    str(sample.get("Name") or ""),
                    str(sample.get("Dimension") or ""),
                    str(sample["NodeId"]),
                )
                time, value = float(sample["Timestamp"]), float(sample["Value"])
            except (ValueError, KeyError, TypeError, AttributeError):
                continue
            times, values = found.setdefault(key, ([], []))
            times.append(time)
            values.append(value)
    return tuple(_series(key, *found[key]) for key in sorted(found, key=_order))


def _every(stride: int, path: Path) -> Iterator[str]:
    """Yield the lines of every *stride*-th sample: the lines of one say the same time."""
    with path.open(encoding="utf-8", errors="replace") as lines:
        if stride == 1:
            yield from lines
            return
        number, last = -1, ""
        for line in lines:
            stamp = line[line.rfind('"Timestamp"') :]
            if stamp != last:
                number, last = number + 1, stamp
            if number % stride == 0:
                yield line


def _series(key: Key, times: list[float], values: list[float]) -> Series:
    if any(later < earlier for earlier, later in pairwise(times)):
        pairs = sorted(zip(times, values, strict=True))
        times, values = [time for time, _ in pairs], [value for _, value in pairs]
    return Series(*key, tuple(times), tuple(values))


def _order(key: Key) -> tuple[str, str, int, str, str]:
    """Sort cpu10 behind cpu9."""
    type_, name, dimension, node = key
    digits = name.lstrip("abcdefghijklmnopqrstuvwxyz")
    return node, type_, int(digits) if digits.isdecimal() else -1, name, dimension
