"""A rule's table of parameters, and reading what a request gives for them: all of it is text."""

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kennel.errors import RuleError

TRUE, FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")

Value = bool | int | float | str


@dataclass(frozen=True)
class Parameter:
    """
    One parameter of a rule.

    Args:
        name: As AWS spells it, where AWS has it.
        default: Also says the type: bool, int, float or str.
        help: What it decides, in a few words.
        low: The least that makes sense; None: any.
        high: The most.
        is_pattern: A text that is a regular expression; empty: none.
    """

    name: str
    default: Value
    help: str
    low: float | None = None
    high: float | None = None
    is_pattern: bool = False


def read(rule: str, table: Sequence[Parameter], given: Mapping[str, str]) -> dict[str, Any]:
    """
    Return name → value of every parameter of *rule*, defaults where nothing is given.

    Raises:
        RuleError: One is unknown, malformed or out of its range.
    """
    known = {parameter.name: parameter for parameter in table}
    for name in given:
        if name not in known:
            raise _unknown(rule, name, list(known))
    return {
        name: _value(rule, parameter, given[name]) if name in given else parameter.default
        for name, parameter in known.items()
    }


def texts(values: Mapping[str, Value]) -> dict[str, str]:
    """Return values as a request has them: the inverse of ``read``."""
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in values.items()
    }


def _value(rule: str, parameter: Parameter, given: str) -> Value:
    text = str(given).strip()
    try:
        value: Value = _READERS[type(parameter.default)](text)
    except (ValueError, OverflowError):
        raise _wrong(rule, parameter, text) from None
    if isinstance(value, float) and not math.isfinite(value):
        raise _wrong(rule, parameter, text)
    if not isinstance(value, str) and not _lies_within(parameter, value):
        raise _wrong(rule, parameter, text)
    if parameter.is_pattern:
        _require_pattern(rule, parameter, text)
    return value


def _flag(text: str) -> bool:
    if text.lower() in TRUE:
        return True
    if text.lower() in FALSE:
        return False
    raise ValueError(text)


def _whole(text: str) -> int:
    number = float(text)  # a notebook may send 10.0
    if number != int(number):
        raise ValueError(text)
    return int(number)


_READERS: Mapping[type, Any] = {bool: _flag, int: _whole, float: float, str: str}


def _lies_within(parameter: Parameter, value: float) -> bool:
    above = parameter.low is None or value >= parameter.low
    return above and (parameter.high is None or value <= parameter.high)


def _require_pattern(rule: str, parameter: Parameter, text: str) -> None:
    try:
        re.compile(text)
    except re.error as error:
        raise RuleError(
            f"rule {rule}: {parameter.name} is {text!r}: {error}", expected="a regular expression"
        ) from error


def _wrong(rule: str, parameter: Parameter, text: str) -> RuleError:
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    ends = [
        f"at least {parameter.low:g}" if parameter.low is not None else "",
        f"at most {parameter.high:g}" if parameter.high is not None else "",
    ]
    expected = ", ".join([words[type(parameter.default)], *filter(None, ends)])
    return RuleError(
        f"rule {rule}: {parameter.name} is {text!r}",
        expected=f"{expected} (default {parameter.default}): {parameter.help}",
    )


def _unknown(rule: str, name: str, known: Sequence[str]) -> RuleError:
    near = difflib.get_close_matches(name, known, n=1)
    return RuleError(
        f"rule {rule} has no parameter {name!r}",
        expected=f"one of {', '.join(known)}" if known else "no parameter: this rule has none",
        remedy=near[0] if near else "",
    )
