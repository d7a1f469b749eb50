"""
What a debugger's page draws (series.json): losses, norms of gradients, ratios of updates, epochs.

kennel.debugging writes it from the saved tensors. What of it is missing or malformed is left out.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from math import inf, isfinite
from pathlib import Path
from typing import Any, Self

FILE = "series.json"
DRAWN = 200_000  # points of a kind of series, all together; of more, the extremes are kept
FEWEST = 60  # of one series

DIGITS = re.compile(r"(\d+)")
KINDS = (re.compile("conv|fc|linear"), re.compile("bn|gn|ln|norm"))  # of the same number
LAST = 10**9  # the place of what has no number
HEAD = re.compile(r"(?:^|[._/])(?:classifier|fc|heads?)\.")

Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Epoch:
    """An epoch's end: the step after which it came, and what was measured; None: it was not."""

    epoch: float
    step: float | None = None
    train_loss: float | None = None
    train_accuracy: float | None = None
    valid_loss: float | None = None
    valid_accuracy: float | None = None


@dataclass(frozen=True)
class Drawn:
    """
    What there is to draw; points are (step, value), and a value may be no number.

    Args:
        losses: By mode: train, eval.
        gradient_norms: By layer, in the order of the document.
        weight_update_ratios: The same.
        epochs: In order.
    """

    losses: Mapping[str, Points] = field(default_factory=dict)
    gradient_norms: Mapping[str, Points] = field(default_factory=dict)
    weight_update_ratios: Mapping[str, Points] = field(default_factory=dict)
    epochs: tuple[Epoch, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read what is in *folder*, a debug-output."""
        try:
            document = json.loads((folder / FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return cls()
        if not isinstance(document, dict):
            return cls()
        return cls(
            named(document.get("losses")),
            by_layer(named(document.get("gradient_norms"))),
            by_layer(named(document.get("weight_update_ratios"))),
            tuple(epoch(each) for each in listed(document.get("epochs")) if isinstance(each, dict)),
        )


def named(document: Any) -> dict[str, Points]:  # noqa: ANN401 - any JSON
    """Return the series of an object, without those that have no points."""
    if not isinstance(document, dict):
        return {}
    most = max(FEWEST, DRAWN // max(len(document), 1))
    found = {str(name): points(extremes(listed(each), most)) for name, each in document.items()}
    return {name: there for name, there in found.items() if there}


def by_layer(found: dict[str, Points]) -> dict[str, Points]:
    """Return layers in their order (where the document's is the alphabet's: by name), shortened."""
    model = model_of(list(found))
    names = {name.removeprefix(model): each for name, each in found.items()}
    if list(found) != sorted(found):
        return names
    return {name: names[name] for name in sorted(names, key=place)}


def model_of(layers: Sequence[str]) -> str:
    """Return the model's class, which smdebug puts before each layer: ``ResNet_``; empty: none."""
    model, line, _ = (layers[0] if layers else "").partition("_")
    prefix = model + line
    is_model = model[:1].isupper() and all(
        len(each) > len(prefix) and each.startswith(prefix) for each in layers
    )
    return prefix if is_model and line else ""


def place(layer: str) -> tuple[bool, list[tuple[int, int, str]]]:
    """
    Return the place of a layer by its name, the head of a network last.

    Numbers come before words, since they count blocks and operations across their kinds; of the
    same number a convolution comes before the norm that is put to it: conv1, bn1, layer1, conv2.
    """
    parts = []
    for part in layer.split("."):
        number = DIGITS.search(part)
        word = DIGITS.sub("", part)
        kind = next((i for i, each in enumerate(KINDS) if each.fullmatch(word)), len(KINDS))
        parts.append((int(number[1]) if number else LAST, kind, word))
    return bool(HEAD.search(layer)), parts


def points(pairs: Sequence[Any]) -> Points:
    """Return the points of a list of pairs, in the order of their steps."""
    found = []
    for pair in pairs:
        if isinstance(pair, list) and len(pair) == 2:  # noqa: PLR2004 - step and value
            step, value = (number(each) for each in pair)
            if step is not None:
                found.append((step, float("nan") if value is None else value))
    return tuple(sorted(found, key=lambda pair: pair[0]))


def extremes(pairs: Sequence[Any], most: int) -> Sequence[Any]:
    """Return at most about *most* of *pairs*: of neighbours the least and the greatest."""
    if len(pairs) <= most:
        return pairs
    size = -(-2 * len(pairs) // most)
    kept: list[Any] = []
    for first in range(0, len(pairs), size):
        part = sorted(range(first, min(first + size, len(pairs))), key=lambda i: rank(pairs[i]))
        kept += [pairs[i] for i in sorted({part[0], part[-1]})]
    return kept


def rank(pair: Any) -> float:  # noqa: ANN401 - any JSON
    """Return what a pair is compared by: its value, and infinity where that is no number."""
    value = pair[1] if isinstance(pair, list) and len(pair) > 1 else None
    return value if isinstance(value, int | float) and isfinite(value) else inf


def epoch(document: Mapping[str, Any]) -> Epoch:
    """Return an epoch of an object."""
    known = {spec.name: number(document.get(spec.name)) for spec in fields(Epoch)}
    return Epoch(known.pop("epoch") or 0.0, **known)


def number(value: Any) -> float | None:  # noqa: ANN401 - any JSON
    """Return a number, one that was written as text too (NaN has no JSON); None where none is."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def listed(value: Any) -> Sequence[Any]:  # noqa: ANN401 - any JSON
    """Return a list, an empty one where none is."""
    return value if isinstance(value, list) else ()
