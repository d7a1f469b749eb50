"""
What this process may use of the machine: cores and memory, as its container limits them.

Both versions of Linux's control groups are read, where Docker and SageMaker mount them; the
standard library is all it needs.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
PROC = Path("/proc")
UNLIMITED = 2**60  # bytes; version 1 says "no limit" with a number above


@dataclass(frozen=True)
class Limits:
    """
    A container's share of its machine.

    Args:
        cores: That its processes may run on, by number.
        quota: Cores that its time is worth; None: all of them.
        memory_bytes: None: all of the machine's.
    """

    cores: tuple[int, ...]
    quota: float | None = None
    memory_bytes: int | None = None

    @property
    def worth(self) -> float:
        """Cores that it may keep busy."""
        return min(float(len(self.cores)), self.quota or float("inf"))

    @classmethod
    def of_this_process(cls, cgroups: Path = CGROUPS) -> "Limits":
        """Read them."""
        cores = tuple(sorted(os.sched_getaffinity(0)))
        quota = _quota(cgroups)
        memory = _number(cgroups / "memory.max") or _number(
            cgroups / "memory" / "memory.limit_in_bytes"
        )
        return cls(
            cores,
            quota if quota and quota < len(cores) else None,
            memory if memory and memory < min(UNLIMITED, machine_memory()) else None,
        )


def machine_memory(proc: Path = PROC) -> int:
    """Return the bytes that the machine has."""
    return meminfo(proc).get("MemTotal", 0)


def meminfo(proc: Path = PROC) -> Mapping[str, int]:
    """Return what Linux tells of the machine's memory, in bytes."""
    rows = (line.split() for line in _text(proc / "meminfo").splitlines())
    return {row[0].rstrip(":"): 1024 * int(row[1]) for row in rows if len(row) > 1}


def memory_used(cgroups: Path = CGROUPS) -> int | None:
    """Return the bytes that the container uses, without what can be dropped at once; None: ?"""
    v2, v1 = cgroups, cgroups / "memory"
    for used, statistics, droppable in (
        (v2 / "memory.current", v2 / "memory.stat", "inactive_file"),
        (v1 / "memory.usage_in_bytes", v1 / "memory.stat", "total_inactive_file"),
    ):
        whole = _number(used)
        if whole is not None:
            return max(0, whole - _rows(statistics).get(droppable, 0))
    return None


def cpu_used_s(cgroups: Path = CGROUPS) -> float | None:
    """Return the seconds of a core that the container has used so far; None: that is not told."""
    if used := _rows(cgroups / "cpu.stat").get("usage_usec"):
        return used / 1e6
    nanoseconds = _number(cgroups / "cpuacct" / "cpuacct.usage")
    return None if nanoseconds is None else nanoseconds / 1e9


def _quota(cgroups: Path) -> float | None:
    quota, _, period = _text(cgroups / "cpu.max").strip().partition(" ")
    if not quota:
        quota = _text(cgroups / "cpu" / "cpu.cfs_quota_us").strip()
        period = _text(cgroups / "cpu" / "cpu.cfs_period_us").strip()
    if quota.isdecimal() and period.isdecimal():
        return int(quota) / int(period)
    return None


def _rows(path: Path) -> dict[str, int]:
    rows = (line.split() for line in _text(path).splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdecimal()}  # noqa: PLR2004 - name and number


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdecimal() else None


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
