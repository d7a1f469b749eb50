"""
How much a training saved of itself: steps, their distance, bytes, collections.

Only names and sizes of smdebug's files are read, and what smdebug says of its collections. The
tensors themselves are kennel.debugging's.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

EVENT = re.compile(r"(\d+)_(.+)\.tfevents")
INDEX = re.compile(r"(\d+)_(.+)\.json")
INDEXES = 2000  # are read, at most, to tell modes apart
MODE = re.compile(rb'"mode":\s*"(?:ModeKeys\.)?(\w+)"')
HEAD_BYTES = 4096  # of an index: what it says first


@dataclass(frozen=True)
class Saved:
    """
    What lies in a folder of tensors.

    Args:
        steps: How many.
        first: The first of them.
        last: The last.
        every: The most frequent distance between two of the same mode; None: there are no two.
        modes: Mode → its steps; of very many steps, of the first ones.
        size: Of all files, in bytes.
        collections: Collection → how many tensors it has, those that have any.
    """

    steps: int = 0
    first: int = 0
    last: int = 0
    every: int | None = None
    modes: dict[str, int] = field(default_factory=dict)
    size: int = 0
    collections: dict[str, int] = field(default_factory=dict)


def read(folder: Path) -> Saved | None:
    """Return what lies in *folder*, None where nothing does."""
    size, steps = 0, set()
    for path in (folder / "events").glob("*/*.tfevents"):
        found = EVENT.fullmatch(path.name)
        if found:
            steps.add(int(found[1]))
            size += path.stat().st_size
    if not steps:
        return None
    by_mode = dict(modes(folder))
    return Saved(
        len(steps),
        min(steps),
        max(steps),
        distance(by_mode, steps),
        dict(Counter(by_mode.values())),
        size,
        collections(folder),
    )


def modes(folder: Path) -> Iterator[tuple[int, str]]:
    """Yield steps with their modes, in order."""
    for path in islice(sorted((folder / "index").glob("*/*.json")), INDEXES):
        found = INDEX.fullmatch(path.name)
        if found:
            with path.open("rb") as index:
                mode = MODE.search(index.read(HEAD_BYTES))
            if mode:
                yield int(found[1]), mode[1].decode().lower()


def distance(by_mode: dict[int, str], steps: set[int]) -> int | None:
    """Return the most frequent distance between saved steps, those of the training if known."""
    training = sorted(step for step, mode in by_mode.items() if mode == "train")
    between = Counter(b - a for a, b in pairwise(training or sorted(steps)))
    return between.most_common(1)[0][0] if between else None


def collections(folder: Path) -> dict[str, int]:
    """Return how many tensors each collection has."""
    counts: dict[str, int] = {}
    for path in (folder / "collections").glob("*/*_collections.json"):
        for name, found in documents(path):
            tensors = found.get("tensor_names")
            if isinstance(tensors, list) and tensors:
                counts[name] = max(counts.get(name, 0), len(tensors))
    return dict(sorted(counts.items()))


def documents(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the collections that a file tells of, by name."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    found = document.get("collections") if isinstance(document, dict) else None
    for name, each in (found or {}).items():
        if isinstance(each, dict):
            yield str(name), each
