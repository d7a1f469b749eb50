"""
Kinds of system metrics: how each is called and written, and what belongs together.

How they are drawn is ``utilisation``'.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from kennel.pages.words import amount, number, percent
from kennel.profiling import system
from kennel.profiling.system import Series

FULL = 100.0  # percent


def rate(bytes_per_s: float) -> str:
    """Return bytes a second."""
    return f"{amount(bytes_per_s)}/s"


def of_hundred(value: float) -> str:
    """Return a percentage that is given as one."""
    return percent(value / FULL)


@dataclass(frozen=True)
class Kind:
    """A kind of metric: its heading, how values are written, and their highest, if there is one."""

    heading: str
    written: Callable[[float], str]
    highest: float | None = None


KINDS: Mapping[tuple[str, str], Kind] = {
    (system.CPU, system.UTILIZATION): Kind("CPU", of_hundred, FULL),
    (system.CPU, system.IO_WAIT): Kind("CPU waiting for disks", of_hundred, FULL),
    (system.MEMORY, system.MEMORY_USED): Kind("Memory used", of_hundred, FULL),
    (system.GPU, system.GPU_UTILIZATION): Kind("GPU", of_hundred, FULL),
    (system.GPU, system.GPU_MEMORY): Kind("GPU memory used", of_hundred, FULL),
    (system.IO, system.READ): Kind("Read from disks", rate),
    (system.IO, system.WRITE): Kind("Written to disks", rate),
    (system.IO, system.IOPS): Kind("Operations of disks", lambda value: f"{number(value, 3)}/s"),
    (system.NETWORK, system.RECEIVE): Kind("Received", rate),
    (system.NETWORK, system.TRANSMIT): Kind("Sent", rate),
}


def grouped(series: Sequence[Series]) -> dict[tuple[str, str], list[Series]]:
    """Return series by their kind, those that are known first and in their order."""
    found: dict[tuple[str, str], list[Series]] = defaultdict(list)
    for each in series:
        if each.times:
            found[kind_of(each)].append(each)
    order = [*(known for known in KINDS if known in found), *sorted(set(found) - set(KINDS))]
    return {name: found[name] for name in order}


def kind_of(series: Series) -> tuple[str, str]:
    """Return the kind of a series: what is measured, for devices, and the metric otherwise."""
    is_device = series.type in (system.CPU, system.GPU)
    return series.type, series.dimension if is_device else series.name


def known(name: tuple[str, str]) -> Kind:
    """Return how a kind is shown, one that nobody here knows too."""
    return KINDS.get(name) or Kind(" ".join(filter(None, name)), lambda value: number(value, 3))


def name_of(series: Series, among: Sequence[Series]) -> str:
    """Return what a series is called, without the host where there is but one."""
    several = len({each.node for each in among}) > 1
    device = series.name if series.type in (system.CPU, system.GPU) else ""
    if series.type == system.NETWORK and len({each.dimension for each in among}) > 1:
        device = series.dimension.lower()
    return " ".join(filter(None, [series.node if several or not device else "", device]))
