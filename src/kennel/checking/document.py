"""The table of all checks in docs/check.md: ``python -m kennel.checking.document FILE``."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kennel.checking.catalogue import CHECKS, PARTS, Check, of_part

BEGIN: Final = "<!-- the checks: python -m kennel.checking.document docs/check.md -->"
END: Final = "<!-- end of the checks -->"


def checks() -> str:
    """Return every check as Markdown, a table for each part."""
    return "\n".join(line for part in PARTS for line in _part(part))


def _part(part: str) -> Iterator[str]:
    yield f"\n### {part.capitalize()}\n"
    yield "| check | the contract | where it is not kept |"
    yield "|---|---|---|"
    yield from (_row(CHECKS[check_id]) for check_id in of_part(part))


def _row(check: Check) -> str:
    cells = (f"`{check.id}`", check.contract, check.remedy)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def renewed(text: str) -> str:
    """Return a document with the table as it is now."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{checks()}\n\n{END}{after}"


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(renewed(path.read_text()))
