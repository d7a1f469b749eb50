"""
What a tuning job searches: ranges of hyperparameters, and the values that lie in them.

How a request says them is ``parameter_ranges``'s, which values are tried ``search``'s. Needs the
standard library alone.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kennel.contract import (
    HYPERPARAMETER_KEY_CHARS,
    MAX_CATEGORIES,
    RANGE_VALUE_CHARS,
)
from kennel.errors import TuningError

AUTO, LINEAR, LOGARITHMIC, REVERSE = "Auto", "Linear", "Logarithmic", "ReverseLogarithmic"
LARGEST = 2**40  # far beyond it, neighbouring whole numbers are the same to the model
WIDE = 10  # Auto is logarithmic beyond it: AWS advises Linear within one order of magnitude


@dataclass(frozen=True)
class Continuous:
    """
    Floating-point numbers from *low* to *high*, both included.

    Raises:
        TuningError: No number lies in it, or the scaling does not fit it.
    """

    name: str
    low: float
    high: float
    scaling: str = AUTO

    def __post_init__(self) -> None:
        """Refuse what cannot be searched."""
        _check_numbers(self, (AUTO, LINEAR, LOGARITHMIC, REVERSE))
        if self.scaling == REVERSE and not (self.low >= 0 and self.high < 1):
            raise TuningError(
                f"range {self.name}: {REVERSE} scaling from {self.low!r} to {self.high!r}",
                expected="bounds in [0, 1), since the distance to 1 is what is scaled",
                remedy=f"{LINEAR} scaling, or other bounds",
            )


@dataclass(frozen=True)
class Integer:
    """
    Whole numbers from *low* to *high*, both included.

    Raises:
        TuningError: No number lies in it, or the scaling does not fit it.
    """

    name: str
    low: int
    high: int
    scaling: str = AUTO

    def __post_init__(self) -> None:
        """Refuse what cannot be searched."""
        _check_numbers(self, (AUTO, LINEAR, LOGARITHMIC))


@dataclass(frozen=True)
class Categorical:
    """
    Any of some texts.

    Raises:
        TuningError: There are none, more than AWS takes, or one is there twice.
    """

    name: str
    values: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse what cannot be searched."""
        _check_name(self.name)
        if not 1 <= len(self.values) <= MAX_CATEGORIES:
            raise TuningError(
                f"range {self.name} has {len(self.values)} values",
                expected=f"1 to {MAX_CATEGORIES} of them",
            )
        if twice := sorted({text for text in self.values if self.values.count(text) > 1}):
            raise TuningError(
                f"range {self.name} has {', '.join(map(repr, twice))} more than once",
                remedy="name each value once",
            )
        if long := next((text for text in self.values if len(text) > RANGE_VALUE_CHARS), None):
            raise TuningError(
                f"range {self.name} has a value of {len(long)} characters",
                expected=f"at most {RANGE_VALUE_CHARS}",
            )


Range = Continuous | Integer | Categorical


def scaling(numbers: Continuous | Integer) -> str:
    """Return the scaling that *numbers* are searched with: what Auto stands for, or what it is."""
    if numbers.scaling != AUTO:
        return numbers.scaling
    return LOGARITHMIC if 0 < numbers.low * WIDE < numbers.high else LINEAR


def size(ranges: Iterable[Range]) -> int | None:
    """Return the number of different combinations, None where numbers are continuous."""
    product = 1
    for each in ranges:
        match each:
            case Continuous():
                return None
            case Integer():
                product *= each.high - each.low + 1
            case Categorical():
                product *= len(each.values)
    return product


def members(each: Range) -> Sequence[float | str]:
    """
    Return all values of a range.

    Raises:
        ValueError: It is continuous.
    """
    match each:
        case Continuous():
            raise ValueError(f"{each.name} has no end of values")
        case Integer():
            return range(each.low, each.high + 1)
        case Categorical():
            return each.values


def at(each: Range, share: float) -> float | int | str:
    """Return the value *share* of the way through a range, by its scaling; 0 <= share < 1."""
    if isinstance(each, Categorical):
        return each.values[int(share * len(each.values))]
    ends = each.low, each.high + (1 if isinstance(each, Integer) else 0)
    match scaling(each):
        case kind if kind == LOGARITHMIC:
            reached = ends[0] * (ends[1] / ends[0]) ** share
        case kind if kind == REVERSE:
            reached = 1 - (1 - ends[0]) * ((1 - ends[1]) / (1 - ends[0])) ** share
        case _:
            reached = ends[0] + (ends[1] - ends[0]) * share
    reached = min(max(reached, each.low), each.high)
    return int(reached) if isinstance(each, Integer) else reached


def text(value: float | str) -> str:
    """Return a value as a request says it: the shortest text that reads back as the same value."""
    return value if isinstance(value, str) else repr(value)


def value(each: Range, given: str) -> float | int | str | None:
    """Return the value that a text stands for; None where it is not in the range."""
    if isinstance(each, Categorical):
        return given if given in each.values else None
    try:
        number = int(given) if isinstance(each, Integer) else float(given)
    except ValueError:
        return None
    return number if each.low <= number <= each.high else None


def _check_name(name: str) -> None:
    if not 1 <= len(name) <= HYPERPARAMETER_KEY_CHARS:
        raise TuningError(
            f"a range has a name of {len(name)} characters",
            expected=f"1 to {HYPERPARAMETER_KEY_CHARS}",
        )


def _check_numbers(numbers: Continuous | Integer, scalings: tuple[str, ...]) -> None:
    _check_name(numbers.name)
    bounds = f"from {numbers.low!r} to {numbers.high!r}"
    if not (math.isfinite(numbers.low) and math.isfinite(numbers.high)):
        raise TuningError(f"range {numbers.name} goes {bounds}", expected="finite bounds")
    if max(abs(numbers.low), abs(numbers.high)) > LARGEST:
        raise TuningError(
            f"range {numbers.name} goes {bounds}",
            expected=f"bounds from -{LARGEST} to {LARGEST}",
            remedy="a hyperparameter in another unit, or the exponent as the hyperparameter",
        )
    if numbers.low >= numbers.high:
        raise TuningError(
            f"range {numbers.name} goes {bounds}",
            expected="MinValue below MaxValue",
            remedy="swap them"
            if numbers.low > numbers.high
            else "make a value that does not change a static hyperparameter",
        )
    if numbers.scaling not in scalings:
        raise TuningError(
            f"range {numbers.name}: scaling {numbers.scaling!r}",
            expected=f"one of {', '.join(scalings)}",
        )
    if numbers.scaling == LOGARITHMIC and numbers.low <= 0:
        raise TuningError(
            f"range {numbers.name}: {LOGARITHMIC} scaling {bounds}",
            expected="MinValue above 0, since 0 has no logarithm",
            remedy=f"a small MinValue such as 1e-6, or {LINEAR} scaling",
        )
