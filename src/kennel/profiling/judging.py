"""
Where the outcomes of the profiler's rules are kept: beside what they were judged by.

Judging itself is kennel.profiling.rules'; a document's form is kennel.rules.keeping's.
"""

from collections.abc import Sequence
from pathlib import Path

from kennel.rules import keeping
from kennel.rules.outcome import Outcome

FOLDER = "profiler-reports"


def write(folder: Path, outcomes: Sequence[Outcome]) -> tuple[Path, ...]:
    """Keep *outcomes* in *folder*, a profiler-output; those of the same names are replaced."""
    return keeping.write(folder / FOLDER, outcomes)


def read(folder: Path) -> tuple[Outcome, ...]:
    """Return what ``write`` has kept in *folder*, a profiler-output."""
    return keeping.read(folder / FOLDER)
