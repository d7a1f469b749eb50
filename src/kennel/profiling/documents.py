"""JSON documents that are replaced as a whole: who reads one never sees the half of it."""

import json
from pathlib import Path
from typing import Any


def write(path: Path, document: object) -> None:
    """Keep *document*, in a folder that is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(document, indent=1), encoding="utf-8")
    draft.replace(path)


def read(path: Path) -> dict[str, Any]:
    """Return a JSON object; an empty one where there is none."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}
