"""
Judge every value that was found, and make the settings of them.

Which settings there are stands in ``model``; where values are looked for in ``load``.
"""

import dataclasses
import difflib
import math
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kennel.errors import SettingsError
from kennel.settings import ranges
from kennel.settings.model import Settings
from kennel.settings.ranges import Range

TRUTHS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


@dataclass(frozen=True)
class Found:
    """A value as it was found, where, and the folder that a relative path in it starts from."""

    value: object
    origin: str
    base: Path


Layer = dict[tuple[str, str], Found]  # (section, key) → value; a free table is a section "a.b"


def sections() -> list[str]:
    """Return the names of the sections."""
    return [field.name for field in dataclasses.fields(Settings)]


def tables() -> list[str]:
    """Return the names of the tables whose keys are the user's own, e.g. train.environment."""
    return [f"{s}.{key}" for s in sections() for key, kind in fields(s).items() if is_table(kind)]


def fields(section: str) -> dict[str, Any]:
    """Return the keys of *section* with their types."""
    return typing.get_type_hints(typing.get_type_hints(Settings)[section])


def is_table(kind: object) -> bool:
    """Say whether a setting is a table of the user's own names."""
    return typing.get_origin(kind) is Mapping


def build(layer: Layer, root: Path) -> Settings:
    """Judge every value and make the settings of them; *root* is where default paths start."""
    hints = typing.get_type_hints(Settings)
    return Settings(**{name: _section(name, hints[name], layer, root) for name in sections()})


def _section(section: str, kind: Any, layer: Layer, root: Path) -> Any:  # noqa: ANN401 - any of the section classes
    made = kind(**dict(_values(section, kind, layer)))
    rooted = {
        field.name: root / value
        for field in dataclasses.fields(made)
        if isinstance(value := getattr(made, field.name), Path)
    }
    return dataclasses.replace(made, **rooted)


def _values(section: str, kind: type, layer: Layer) -> Iterator[tuple[str, object]]:
    for field in dataclasses.fields(kind):
        hint = fields(section)[field.name]
        if is_table(hint):
            inside = {k: v for (s, k), v in layer.items() if s == f"{section}.{field.name}"}
            if inside:
                read = _reader(typing.get_args(hint)[1])
                yield field.name, {key: read(found) for key, found in inside.items()}
        elif (section, field.name) in layer:
            yield field.name, judge(layer[section, field.name], hint, field.metadata)


def _reader(kind: object) -> Callable[[Found], object]:
    """Return what reads the values of a free table, given what they are."""
    if kind is Range:
        return range_
    return parameters if is_table(kind) else text


def text(found: Found) -> str:
    """Return a value of a free table as the string that SageMaker takes: true, not True."""
    match found.value:
        case bool(value):
            return str(value).lower()
        case str() | int() | float():
            return str(found.value)
    raise SettingsError(f"{found.origin} is {found.value!r}", expected="a text, number or boolean")


def range_(found: Found) -> Range:
    """Return a range of the user's own names."""
    made = ranges.read(found.value)
    if made is None:
        raise _wrong(found, f"a range: {ranges.FORMS}")
    return made


def parameters(found: Found) -> dict[str, str]:
    """Return a table of names and values; in one text ``a=1,b=2``, as the environment has it."""
    value = found.value
    if isinstance(value, str):
        pairs = [part.partition("=") for part in value.split(",")]
        if all(name.strip() and equals for name, equals, _ in pairs):
            return {name.strip(): given.strip() for name, _, given in pairs}
    if not isinstance(value, Mapping):
        raise _wrong(found, "a table { name = value }, or a text name=value,name=value")
    return {
        str(name): text(dataclasses.replace(found, value=given, origin=f"{found.origin}.{name}"))
        for name, given in value.items()
    }


def judge(found: Found, hint: object, metadata: Mapping[str, Any]) -> object:
    """Return the value in its type, or say what is wrong with it."""
    (kind,) = [k for k in typing.get_args(hint) or (hint,) if k is not types.NoneType]
    value = _typed(found, kind)
    words = {word.lower(): word for word in _words(metadata.get("pattern", ""))}
    value = words.get(str(value).lower(), value)
    if "pattern" in metadata and not re.fullmatch(metadata["pattern"], str(value)):
        near = difflib.get_close_matches(str(value).lower(), words, n=1, cutoff=0.5)
        remedy = words[near[0]] if near else ""
        raise _wrong(found, f"{metadata['rule']}, e.g. {metadata['example']}", remedy)
    if "low" in metadata and not metadata["low"] <= typing.cast("int", value) <= metadata["high"]:
        raise _wrong(found, f"a whole number from {metadata['low']} to {metadata['high']}")
    return value


def _words(pattern: str) -> list[str]:
    """Return the words that a pattern lets choose from; none where it is more than that."""
    words = pattern.split("|")
    return words if all(word.isalpha() for word in words) else []


def _typed(found: Found, kind: object) -> object:
    value = found.value
    if kind is bool:
        truth = value if isinstance(value, bool) else TRUTHS.get(str(value).lower())
        if truth is None:
            raise _wrong(found, "true or false")
        return truth
    if kind is int:
        if not re.fullmatch(r"-?\d{1,18}", str(value)):
            raise _wrong(found, "a whole number")
        return int(str(value))
    if kind is float:
        return _number(found)
    if not isinstance(value, str | Path):
        raise _wrong(found, "a text in quotes")
    return found.base / Path(value).expanduser() if kind is Path else str(value)


def _number(found: Found) -> float:
    try:
        number = float(str(found.value))
    except ValueError:
        raise _wrong(found, "a number") from None
    if not math.isfinite(number):
        raise _wrong(found, "a number")
    return number


def _wrong(found: Found, expected: str, remedy: str = "") -> SettingsError:
    problem = f"{found.origin} is {found.value!r}"
    return SettingsError(problem, expected=expected, remedy=remedy)
