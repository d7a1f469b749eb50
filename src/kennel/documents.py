"""
Files that are replaced as a whole: who reads one never sees the half of it. Most are JSON.

The standard library is all it needs.
"""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any


def write(path: Path, document: object) -> None:
    """
    Keep *document* as JSON; see ``put``.

    Raises:
        OSError: It cannot be written; what was there before still is.
    """
    write_text(path, json.dumps(document, indent=1))


def write_text(path: Path, text: str) -> None:
    """Keep a document that is text already; see ``put``."""
    put(path, text.encode())


def put(path: Path, content: bytes) -> None:
    """
    Keep *content*, in a folder that is made where it is missing.

    Raises:
        OSError: It cannot be written; what was there before still is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.tmp")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    except OSError:
        with suppress(OSError):
            draft.unlink()  # the half of it takes room where there may be none
        raise


def read(path: Path) -> dict[str, Any]:
    """Return a JSON object; an empty one where there is none."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}
