"""
Where the outcomes of the profiler's rules are kept: a JSON document for each, by its name.

Judging itself is kennel.profiling.rules'.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from kennel.rules.outcome import Outcome

FOLDER = "profiler-reports"


def write(folder: Path, outcomes: Sequence[Outcome]) -> None:
    """
    Keep *outcomes*; what was there of the same names is replaced, each file at once.

    Args:
        folder: profiler-output.
    """
    reports = folder / FOLDER
    reports.mkdir(parents=True, exist_ok=True)
    for outcome in outcomes:
        path = reports / f"{outcome.name}.json"
        draft = path.with_suffix(".tmp")
        draft.write_text(json.dumps(outcome.document(), indent=1), encoding="utf-8")
        os.replace(draft, path)


def read(folder: Path) -> tuple[Outcome, ...]:
    """
    Return what ``write`` has kept, by name; what is no JSON is passed over.

    Args:
        folder: profiler-output.
    """
    found = []
    for path in sorted((folder / FOLDER).glob("*.json")):
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(document, dict):
            found.append(Outcome.of({"Rule": path.stem, **document}))
    return tuple(found)
