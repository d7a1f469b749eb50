"""
Numbers that stand for a tensor: smdebug's reductions, by its names, and a few of our own.

Here they are taken of values that were read; of tensors in training hook_statistics.py takes them.
What means what, as every rule reads it:

  mean, variance, std, min, max, sum, prod, l1, l2   smdebug's; ``abs_`` before it: of |x|

A variance is torch's where a hook has saved it (over n - 1), and numpy's where it is computed from
a value (over n), in smdebug as here.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

REDUCTIONS = ("min", "max", "mean", "std", "variance", "sum", "prod", "l1", "l2")
ABSOLUTE = "abs_"
PREFIX = "smdebug/reductions/"

Array = npt.NDArray[np.generic]
Numbers = npt.NDArray[np.float64]

_OF: dict[str, Callable[[Numbers], float]] = {
    "min": lambda x: float(x.min()),
    "max": lambda x: float(x.max()),
    "mean": lambda x: float(x.mean()),
    "std": lambda x: float(x.std()),
    "variance": lambda x: float(x.var()),
    "sum": lambda x: float(x.sum()),
    "prod": lambda x: float(x.prod()),
    "l1": lambda x: float(np.abs(x).sum()),
    "l2": lambda x: float(np.sqrt(np.square(x).sum())),
}


def known(statistic: str) -> bool:
    """Tell whether this is the name of one."""
    return statistic.removeprefix(ABSOLUTE) in REDUCTIONS


def reduced(value: Array, statistic: str) -> float:
    """
    Return a statistic of a tensor; NaN of one without numbers.

    Raises:
        KeyError: There is no statistic of this name.
    """
    of = _OF[statistic.removeprefix(ABSOLUTE)]
    if not value.size:
        return float("nan")
    numbers = value.astype(np.float64)
    with np.errstate(all="ignore"):
        return of(np.abs(numbers) if statistic.startswith(ABSOLUTE) else numbers)
