"""
What a tuning job searches: ranges of hyperparameters, as a request says them and as values.

Which values are tried is ``search``'s. Needs the standard library alone.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kennel.contract import (
    HYPERPARAMETER_KEY_CHARS,
    MAX_CATEGORIES,
    MAX_TUNED_HYPERPARAMETERS,
    RANGE_VALUE_CHARS,
)
from kennel.errors import TuningError

AUTO, LINEAR, LOGARITHMIC, REVERSE = "Auto", "Linear", "Logarithmic", "ReverseLogarithmic"
WIDE = 10  # Auto is logarithmic beyond it: AWS advises Linear within one order of magnitude
KINDS = ("ContinuousParameterRanges", "IntegerParameterRanges", "CategoricalParameterRanges")


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


def from_request(document: Mapping[str, Any]) -> tuple[Range, ...]:
    """
    Read AWS's ParameterRanges.

    Args:
        document: Its three lists, any of which may be missing; numbers are texts there.

    Returns:
        The ranges: continuous ones, integers, then categorical ones, each in the order given.

    Raises:
        TuningError: A range is malformed or empty, a name is there twice, or there are no ranges
            or too many.
    """
    if unknown := sorted(set(document) - set(KINDS)):
        raise TuningError(
            f"cannot search {', '.join(unknown)}",
            expected=f"ranges in {', '.join(KINDS)}",
            remedy="give the range of each hyperparameter",
        )
    continuous, integer, categorical = (document.get(kind, ()) for kind in KINDS)
    ranges: tuple[Range, ...] = (
        *(_continuous(item) for item in continuous),
        *(_integer(item) for item in integer),
        *(
            Categorical(_name(item), tuple(map(str, item.get("Values", ()))))
            for item in categorical
        ),
    )
    check(ranges)
    return ranges


def to_request(ranges: Iterable[Range]) -> dict[str, list[dict[str, Any]]]:
    """Return AWS's ParameterRanges of *ranges*; lists that would be empty are left out."""
    document: dict[str, list[dict[str, Any]]] = {}
    for each in ranges:
        match each:
            case Categorical():
                item: dict[str, Any] = {"Name": each.name, "Values": list(each.values)}
            case _:
                item = {
                    "Name": each.name,
                    "MinValue": text(each.low),
                    "MaxValue": text(each.high),
                    "ScalingType": each.scaling,
                }
        document.setdefault(_kind(each), []).append(item)
    return document


def check(ranges: Iterable[Range]) -> None:
    """
    Refuse ranges that cannot be searched together.

    Raises:
        TuningError: There are none, too many, or a name is there twice.
    """
    names = [each.name for each in ranges]
    if not names:
        raise TuningError(
            "there is nothing to search: no range of any hyperparameter",
            remedy="give at least one, e.g. lr from 0.001 to 0.1",
        )
    if len(names) > MAX_TUNED_HYPERPARAMETERS:
        raise TuningError(
            f"{len(names)} hyperparameters have a range",
            expected=f"at most {MAX_TUNED_HYPERPARAMETERS}",
            remedy="fix those that matter least",
        )
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise TuningError(
            f"more than one range for {', '.join(twice)}", remedy="give one for each hyperparameter"
        )


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


def _continuous(item: Mapping[str, Any]) -> Continuous:
    low, high = (_number(item, bound, float) for bound in ("MinValue", "MaxValue"))
    return Continuous(_name(item), low, high, item.get("ScalingType", AUTO))


def _integer(item: Mapping[str, Any]) -> Integer:
    low, high = (int(_number(item, bound, int)) for bound in ("MinValue", "MaxValue"))
    return Integer(_name(item), low, high, item.get("ScalingType", AUTO))


def _name(item: Mapping[str, Any]) -> str:
    return str(item.get("Name", ""))


def _number(item: Mapping[str, Any], bound: str, kind: type[int] | type[float]) -> float:
    given = item.get(bound)
    try:
        return kind(str(given))
    except ValueError:
        wanted = "a whole number" if kind is int else "a number"
        raise TuningError(
            f"range {_name(item)}: {bound} is {given!r}", expected=f"{wanted}, as a text"
        ) from None


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
    if numbers.low >= numbers.high:
        raise TuningError(
            f"range {numbers.name} goes {bounds}",
            expected="MinValue below MaxValue",
            remedy="make a value that does not change a static hyperparameter",
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


def _kind(each: Range) -> str:
    kinds: dict[type, str] = dict(zip((Continuous, Integer, Categorical), KINDS, strict=True))
    return kinds[type(each)]
