"""
A range of [tune.ranges], as a settings file, the environment or the command line writes it.

``{ min = 0.001, max = 0.1, scaling = "Logarithmic" }`` or ``0.001..0.1:Logarithmic``; a list of
values, or ``32,64,128``. What a hyperparameter can be, and that one value is no range, is judged in
kennel.jobs.tuning.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SCALINGS = ("Auto", "Linear", "Logarithmic", "ReverseLogarithmic")
FORMS = (
    '{ min = 0.001, max = 0.1, scaling = "Logarithmic" } or a list of values; in one text '
    "0.001..0.1, 0.001..0.1:Logarithmic, or 32,64,128"
)
KEYS = ("min", "max", "scaling")


@dataclass(frozen=True)
class Range:
    """Either the two ends, or the values: texts, as they were written."""

    low: str | None = None
    high: str | None = None
    scaling: str = "Auto"
    values: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Write it as the command line takes it."""
        if self.values:
            return ",".join(self.values)
        scaling = "" if self.scaling == "Auto" else f":{self.scaling}"
        return f"{self.low}..{self.high}{scaling}"


def read(value: object) -> Range | None:
    """Return the range that *value* spells, None where it spells none."""
    match value:
        case str():
            return _of_text(value)
        case int() | float():
            return Range(values=(_text(value),))
        case Mapping():
            return _of_table(value)
        case Sequence() if value and all(isinstance(one, str | int | float) for one in value):
            return Range(values=tuple(map(_text, value)))
    return None


def _of_text(text: str) -> Range | None:
    ends, _, scaling = text.partition(":")
    low, dots, high = ends.partition("..")
    if not dots:
        values = tuple(part.strip() for part in text.split(","))
        return Range(values=values) if all(values) else None
    return _of_ends(low.strip(), high.strip(), scaling.strip() or "Auto")


def _of_table(table: Mapping[str, object]) -> Range | None:
    if not {"min", "max"} <= set(table) <= set(KEYS):
        return None
    low, high, scaling = table["min"], table["max"], table.get("scaling", "Auto")
    if not all(isinstance(end, str | int | float) and end is not True for end in (low, high)):
        return None
    return _of_ends(_text(low), _text(high), str(scaling))


def _of_ends(low: str, high: str, scaling: str) -> Range | None:
    known = {name.lower(): name for name in SCALINGS}
    if not low or not high or scaling.lower() not in known:
        return None
    return Range(low, high, known[scaling.lower()])


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
