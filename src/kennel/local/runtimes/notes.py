"""
The note of a launch that is a container: which one it is, whatever the engine says later.

It lies in the launch's folder and needs no docker SDK, so that commands can ask quickly.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FILE = "container.json"


def write(folder: Path, note: Mapping[str, Any]) -> None:
    """Write a launch's note, whole or not at all."""
    draft = folder / f"{FILE}.partial"
    draft.write_text(json.dumps(note))
    draft.replace(folder / FILE)


def read(folder: Path) -> dict[str, Any] | None:
    """Return a launch's note, None where there is none."""
    try:
        return dict(json.loads((folder / FILE).read_text()))
    except FileNotFoundError:
        return None


def remove(folder: Path) -> None:
    """Forget the container of a launch."""
    (folder / FILE).unlink(missing_ok=True)


def is_any(folder: Path) -> bool:
    """Return whether a launch below *folder* is a container's."""
    return any(folder.glob(f"*/{FILE}"))
