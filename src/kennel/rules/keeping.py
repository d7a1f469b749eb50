"""Where outcomes are kept: a JSON document for each, named by its configuration."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from kennel import documents
from kennel.rules.outcome import Outcome

LONGEST_NAME = 200  # a file's name has at most 255 bytes on every file system


def write(folder: Path, outcomes: Sequence[Outcome]) -> tuple[Path, ...]:
    """
    Keep *outcomes*; what was there of the same names is replaced, each file at once.

    Args:
        folder: Is made when it is missing.
    Returns:
        The files, in the order of *outcomes*.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return tuple(_write(folder / file_name(outcome.name), outcome) for outcome in outcomes)


def read(folder: Path) -> tuple[Outcome, ...]:
    """Return what ``write`` has kept, by name; what is no such document is passed over."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            found.append(Outcome.of({"Rule": path.stem, **document}))
        except (OSError, ValueError, TypeError, AttributeError):  # somebody else's file
            continue
    return tuple(found)


def file_name(name: str) -> str:
    """Return a name for the file of a configuration, whose own may hold any character."""
    safe = quote(name, safe=" ()[]+,=@")
    if len(safe) > LONGEST_NAME:
        mark = hashlib.sha256(name.encode()).hexdigest()[:16]
        safe = f"{safe[:LONGEST_NAME]}-{mark}"
    return f"{safe}.json"


def _write(path: Path, outcome: Outcome) -> Path:
    # A user's own rule may have put anything into its details
    documents.write_text(path, json.dumps(outcome.document(), indent=1, default=str))
    return path
