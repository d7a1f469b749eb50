"""
Numbers that stand for a tensor in training: taken on its device, in as few passes as they allow.

They are those of statistics.py, by the same names. Of a large tensor our own few (percentiles,
updates) are taken of a sample: numbers spread evenly over it.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch
from torch import Tensor

from kennel.debugging.statistics import ABSOLUTE

SAMPLE = 2048  # numbers of a tensor that percentiles and updates are taken of
EXACT = 2**16  # numbers; the variance of more comes of their sums: its own pass is a slow one
PERCENTILES = (0.05, 0.95)
KERNELS = 2 * 3 * 5 * 7 * 11  # what the sizes of kernels and layers are made of


@contextmanager
def on_one_thread() -> Iterator[None]:
    """Compute on one of a CPU's threads: to wake the others takes longer than they would save."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def flat(tensor: Tensor) -> Tensor:
    """Return all numbers in a row, in the order of memory where that spares a copy, as floats."""
    if tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last):  # noqa: PLR2004 - N, C, H, W
        tensor = tensor.permute(0, 2, 3, 1)
    row = tensor.detach().reshape(-1)
    return row if row.dtype in (torch.float32, torch.float64) else row.float()


def sample(row: Tensor) -> Tensor:
    """Return at most ``SAMPLE`` of a row's numbers, evenly spread: a view."""
    return row[:: _stride(len(row))]


@lru_cache(maxsize=1024)
def _stride(count: int) -> int:
    """Return a step that goes through all places of a kernel, and not through its corners alone."""
    stride = -(-count // SAMPLE)
    while math.gcd(stride, KERNELS) > 1:
        stride += 1
    return max(stride, 1)


def taken(tensor: Tensor, names: Iterable[str]) -> dict[str, Tensor]:
    """
    Return name -> statistic of a tensor with numbers in it: scalars, on its device.

    A single number has no variance and no std: they are left out.

    Raises:
        KeyError: There is no statistic of such a name.
    """
    row = Row(flat(tensor))
    found = {name: row.statistic(name) for name in names}
    return {name: value for name, value in found.items() if value is not None}


class Row:
    """Numbers in a row, and what several of their statistics share."""

    def __init__(self, numbers: Tensor) -> None:
        self._numbers = numbers
        self._count = len(numbers)
        self._known: dict[str, Tensor] = {}

    def statistic(self, name: str) -> Tensor | None:
        """Return one, or None of a single number that has none."""
        own = name in _OF
        if not own and name.startswith(ABSOLUTE):
            return Row(self._numbers.abs()).statistic(name.removeprefix(ABSOLUTE))
        return _OF[name](self)

    def sum(self) -> Tensor:
        """Return the sum."""
        return self._once("sum", Tensor.sum)

    def mean(self) -> Tensor:
        """Return the mean."""
        return self.sum() / self._count

    def abs_sum(self) -> Tensor:
        """Return the sum of absolute values."""
        return self._once("abs_sum", lambda numbers: numbers.abs().sum())

    def squares(self) -> Tensor:
        """Return the sum of squares."""
        return self._once("squares", lambda numbers: torch.dot(numbers, numbers))

    def ends(self) -> Tensor:
        """Return the least and the most, (2,); NaN where there is one."""
        return self._once("ends", lambda numbers: torch.stack(torch.aminmax(numbers)))

    def variance(self) -> Tensor | None:
        """Return the variance, over n - 1."""
        if self._count == 1:
            return None
        if self._count <= EXACT:
            return self._once("variance", Tensor.var)
        spread = self.squares().double() - self.sum().double().square() / self._count
        return (spread.clamp(min=0) / (self._count - 1)).float()

    def std(self) -> Tensor | None:
        """Return the standard deviation, over n - 1."""
        variance = self.variance()
        return None if variance is None else variance.sqrt()

    def _once(self, name: str, of: Callable[[Tensor], Tensor]) -> Tensor:
        if name not in self._known:
            self._known[name] = of(self._numbers)
        return self._known[name]

    def prod(self) -> Tensor:
        """Return the product."""
        return self._once("prod", Tensor.prod)


_OF: dict[str, Callable[[Row], Tensor | None]] = {
    "sum": Row.sum,
    "mean": Row.mean,
    "prod": Row.prod,
    "variance": Row.variance,
    "std": Row.std,
    "min": lambda row: row.ends()[0],
    "max": lambda row: row.ends()[1],
    "l1": Row.abs_sum,
    "l2": lambda row: row.squares().sqrt(),
    "abs_sum": Row.abs_sum,
    "abs_mean": lambda row: row.abs_sum() / row._count,  # noqa: SLF001 - the table of the class
    "abs_max": lambda row: row.ends().abs().amax(),
    "abs_l1": Row.abs_sum,
    "abs_l2": lambda row: row.squares().sqrt(),
}


def percentiles(tensor: Tensor) -> Tensor:
    """Return the 5th and the 95th percentile, (2,), of a sample, without interpolation."""
    row = sample(flat(tensor))
    ranks = [1 + round(share * (len(row) - 1)) for share in PERCENTILES]
    return torch.stack([row.kthvalue(rank).values for rank in ranks])


def active(outputs: Tensor) -> Tensor:
    """
    Return for each unit the share of a batch's positions at which it is not 0, (units,).

    Args:
        outputs: Of a ReLU, (N, units, ...); all numbers of fewer dimensions are units.
    """
    awake = outputs.detach().sign().abs_()
    if awake.dim() == 1:
        return awake
    return awake.mean(dim=[dim for dim in range(awake.dim()) if dim != 1])


def distance(before: Tensor, tensor: Tensor) -> Tensor:
    """Return the l2 norm of what changed since *before*, a ``sample`` of it, was taken."""
    row = flat(tensor)
    now = sample(row)
    return torch.dist(now, before) * math.sqrt(len(row) / len(now))
