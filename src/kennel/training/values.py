"""
One value of a request, read as its row of the hyperparameter table says: type, range and choices.

The rows themselves are in hyperparameters.py.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, Field
from typing import Any

from kennel.errors import HyperparameterError

Value = str | int | float | bool | None
Row = Field[Any]

TRUE = ("true", "1", "yes", "on")
FALSE = ("false", "0", "no", "off")
AUTO = "auto"


def read(spec: Row, given: object) -> Value:
    """
    Return the value that *given* spells, of the row's own type.

    Args:
        spec: A field of Hyperparameters.
        given: Text, or text within JSON: the SageMaker SDK sends ``"resnet18"`` with its quotes.

    Raises:
        HyperparameterError: Malformed or out of range.
    """
    text = _plain(given)
    if spec.metadata.get("auto") and text.lower() == AUTO:
        return None
    try:
        value = _READERS[kind(spec)](text.lower() if spec.metadata.get("choices") else text)
    except (ValueError, OverflowError):
        value = MISSING
    if value is MISSING or not _in_range(spec, value):
        raise HyperparameterError(
            f"hyperparameter {name(spec)} is {text!r}",
            expected=f"{article(kind(spec))}, {allowed(spec)} (default {shown(spec.default)})",
        )
    return value  # type: ignore[no-any-return] # a reader's result


def _plain(given: object) -> str:
    """Return the text of a value that may come as JSON, as text, or as JSON of text."""
    if isinstance(given, str):
        text = given.strip()
        if text[:1] == text[-1:] == '"' and len(text) > 1:
            try:
                return str(json.loads(text)).strip()
            except ValueError:
                return text
        return text
    return json.dumps(given)


def _read_flag(text: str) -> bool:
    if text.lower() in TRUE:
        return True
    if text.lower() in FALSE:
        return False
    raise ValueError(text)


def _read_integer(text: str) -> int:
    number = float(text)  # a tuner may send an integer as 32.0
    if number != int(number):
        raise ValueError(text)
    return int(text) if text.lstrip("+-").isdigit() else int(number)


def _read_number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


_READERS: Mapping[str, Any] = {
    "flag": _read_flag,
    "integer": _read_integer,
    "number": _read_number,
    "text": str,
}


def _in_range(spec: Row, value: Any) -> bool:  # noqa: ANN401 - of the row's own type
    rules = spec.metadata
    if kind(spec) == "text":
        return value in rules["choices"] if rules["choices"] else bool(value)
    if "low" not in rules:
        return True
    low, high = rules["low"], rules["high"]
    return bool((low < value if rules.get("above") else low <= value) and value <= high)


def name(spec: Row) -> str:
    """Return the name as a request spells it."""
    return spec.name.replace("_", "-")


def kind(spec: Row) -> str:
    """Return the word for the type of the row: that of its default."""
    if spec.metadata.get("auto"):
        return "integer"
    words = {bool: "flag", int: "integer", float: "number", str: "text"}
    return words[type(spec.default)]


def article(word: str) -> str:
    """Return the type's word as a sentence needs it."""
    return {"flag": "a flag", "integer": "an integer", "number": "a number"}.get(word, "text")


def allowed(spec: Row) -> str:
    """Say which values the row takes."""
    rules = spec.metadata
    match kind(spec):
        case "flag":
            return "true or false"
        case "text":
            return f"one of {', '.join(rules['choices'])}" if rules["choices"] else "a name"
        case _:
            low = f"above {rules['low']}" if rules.get("above") else f"{rules['low']}"
            range_ = f"{low} to {rules['high']}"
            return f"auto or {range_}" if rules.get("auto") else range_


def shown(value: object) -> str:
    """Return the value as a request spells it."""
    if value is None:
        return AUTO
    return str(value).lower() if isinstance(value, bool) else str(value)
