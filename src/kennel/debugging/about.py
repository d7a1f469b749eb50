"""
What a training is of, beside its tensors: names of classes, kinds of layers.

The file is ours and lies in the trial's folder, where smdebug passes it over; a trial that kennel
did not save has none.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kennel import documents

FILE = "about.json"


@dataclass(frozen=True)
class About:
    """
    What a training has said of itself.

    Args:
        classes: Names, by the number that labels have.
        layers: Kinds of the model's layers, e.g. ``Conv2d``; empty: nobody has said.
    """

    classes: tuple[str, ...] = ()
    layers: frozenset[str] = frozenset()

    def named(self, label: int) -> str:
        """Return the name of a class, or its number where it has none."""
        return self.classes[label] if 0 <= label < len(self.classes) else str(label)

    def lacks(self, kinds: Iterable[str]) -> bool:
        """Tell whether the model is known to have no layer of these kinds."""
        return bool(self.layers) and self.layers.isdisjoint(kinds)


NOTHING = About()


def write(folder: Path, about: About) -> None:
    """Leave it in a trial's folder, at once."""
    document = {"classes": list(about.classes), "layers": sorted(about.layers)}
    documents.write_text(folder / FILE, json.dumps(document))


def read(folder: Path) -> About:
    """Return what a trial's folder says; nothing where it says nothing that can be read."""
    try:
        document = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return About(
            tuple(map(str, document.get("classes", ()))),
            frozenset(map(str, document.get("layers", ()))),
        )
    except (OSError, ValueError, AttributeError, TypeError):
        return NOTHING
