"""
Ranges as a request says them: AWS's ParameterRanges, read and written.

What a range is, and which values lie in it, is ``ranges``'s. Needs the standard library alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kennel.contract import MAX_TUNED_HYPERPARAMETERS
from kennel.errors import TuningError
from kennel.tuning.ranges import AUTO, Categorical, Continuous, Integer, Range, text

KINDS = ("ContinuousParameterRanges", "IntegerParameterRanges", "CategoricalParameterRanges")


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
    continuous, integer, categorical = (document.get(kind) or () for kind in KINDS)
    ranges: tuple[Range, ...] = (
        *(_continuous(item) for item in continuous),
        *(_integer(item) for item in integer),
        *(
            Categorical(_name(item), tuple(map(str, item.get("Values", ()))))
            for item in categorical
        ),
    )
    _check_together(ranges)
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


def _check_together(ranges: Sequence[Range]) -> None:
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


def _kind(each: Range) -> str:
    kinds: dict[type, str] = dict(zip((Continuous, Integer, Categorical), KINDS, strict=True))
    return kinds[type(each)]
