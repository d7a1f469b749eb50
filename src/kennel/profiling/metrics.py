"""
One look at the machine: what system.py's series are made of.

Rates and shares are those since the look before. Of a container with a quota, a core of it stands
for as much of its time; which of the machine's cores it has spent it on nobody tells.
"""

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from kennel.profiling import limits
from kennel.profiling.gpus import Gpus
from kennel.profiling.limits import Limits
from kennel.profiling.system import (
    ALGORITHM,
    CPU,
    GPU,
    GPU_MEMORY,
    GPU_UTILIZATION,
    IO,
    IO_WAIT,
    IOPS,
    MEMORY,
    MEMORY_USED,
    NETWORK,
    READ,
    RECEIVE,
    TRANSMIT,
    UTILIZATION,
    WRITE,
)

Sample = tuple[str, str, str, float]  # type, name, dimension, value
LOOPBACK = "lo"


@dataclass(frozen=True)
class _Counters:
    """Everything that only grows."""

    at: float
    cores: Mapping[int, tuple[float, float, float]]  # busy, waiting for a disk, all; in seconds
    used_s: float | None  # by the container
    disk: tuple[float, float, float]  # operations, bytes read, bytes written
    network: tuple[float, float]  # bytes received, bytes sent


class Machine:
    """
    Looks at the machine, again and again.

    Args:
        own: What of it is ours.
        gpus: Its GPUs.
        cgroups: Where Linux tells of the container.
    """

    def __init__(self, own: Limits, gpus: Gpus, cgroups: Path = limits.CGROUPS) -> None:
        self._own, self._gpus, self._cgroups = own, gpus, cgroups
        self._last = self._counters()

    def look(self) -> list[Sample]:
        """Return what there is to see, and what was done since the last look."""
        last, now = self._last, self._counters()
        self._last = now
        seconds = max(now.at - last.at, 1e-3)
        return [
            *self._cores(last, now, seconds),
            (MEMORY, MEMORY_USED, "", self._memory()),
            *_rates(IO, (IOPS, READ, WRITE), "", last.disk, now.disk, seconds),
            *_rates(NETWORK, (RECEIVE, TRANSMIT), ALGORITHM, last.network, now.network, seconds),
            *self._gpu_samples(),
        ]

    def _cores(self, last: _Counters, now: _Counters, seconds: float) -> Iterator[Sample]:
        shares = {core: _shares(last.cores[core], now.cores[core]) for core in now.cores}
        quota = self._own.quota
        if quota is None or now.used_s is None or last.used_s is None:
            for core, (busy, waiting) in shares.items():
                yield CPU, f"cpu{core}", UTILIZATION, busy
                yield CPU, f"cpu{core}", IO_WAIT, waiting
            return
        busy = min(100.0, 100 * (now.used_s - last.used_s) / (quota * seconds))
        waiting = sum(share for _, share in shares.values()) / max(1, len(shares))
        for core in range(math.ceil(quota)):
            yield CPU, f"cpu{core}", UTILIZATION, busy
            yield CPU, f"cpu{core}", IO_WAIT, waiting

    def _memory(self) -> float:
        used = limits.memory_used(self._cgroups)
        if self._own.memory_bytes and used is not None:
            return min(100.0, 100 * used / self._own.memory_bytes)
        memory = limits.meminfo()
        return 100 * (1 - memory.get("MemAvailable", 0) / max(1, memory.get("MemTotal", 0)))

    def _gpu_samples(self) -> Iterator[Sample]:
        for number, (busy, memory) in self._gpus.look().items():
            yield GPU, f"gpu{number}", GPU_UTILIZATION, busy
            yield GPU, f"gpu{number}", GPU_MEMORY, memory

    def _counters(self) -> _Counters:
        cores = psutil.cpu_times(percpu=True)
        return _Counters(
            time.monotonic(),
            {core: _times(cores[core]) for core in self._own.cores if core < len(cores)},
            limits.cpu_used_s(self._cgroups) if self._own.quota else None,
            _disk(),
            _network(),
        )


def _times(core: Any) -> tuple[float, float, float]:  # noqa: ANN401 - psutil's, by platform
    waiting = getattr(core, "iowait", 0.0)
    guests = getattr(core, "guest", 0.0) + getattr(core, "guest_nice", 0.0)  # counted in user too
    whole = sum(core) - guests
    return whole - core.idle - waiting, waiting, whole


def _shares(
    last: tuple[float, float, float], now: tuple[float, float, float]
) -> tuple[float, float]:
    """Return how busy a core was and how long it waited for a disk, in percent."""
    busy, waiting, whole = (
        max(0.0, after - before) for before, after in zip(last, now, strict=True)
    )
    return (100 * busy / whole, 100 * waiting / whole) if whole else (0.0, 0.0)


def _disk() -> tuple[float, float, float]:
    counters = psutil.disk_io_counters()
    if counters is None:  # a machine without disks, or that does not tell
        return 0.0, 0.0, 0.0
    operations = counters.read_count + counters.write_count
    return float(operations), float(counters.read_bytes), float(counters.write_bytes)


def _network() -> tuple[float, float]:
    cards = psutil.net_io_counters(pernic=True)
    outside = [card for name, card in cards.items() if name != LOOPBACK]
    received, sent = (sum(getattr(c, f"bytes_{way}") for c in outside) for way in ("recv", "sent"))
    return float(received), float(sent)


def _rates(  # noqa: PLR0913, PLR0917 - of several metrics at once
    type_: str,
    names: tuple[str, ...],
    dimension: str,
    last: tuple[float, ...],
    now: tuple[float, ...],
    seconds: float,
) -> Iterator[Sample]:
    for name, before, after in zip(names, last, now, strict=True):
        yield type_, name, dimension, max(0.0, after - before) / seconds
