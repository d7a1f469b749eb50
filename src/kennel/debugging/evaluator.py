"""
Judge a run's saved tensors, each step once: beside the training, or afterwards.

The rules are kennel.debugging.rules', a user's own kennel.debugging.custom's. What the debugger's
page draws is gathered on the way, so that no step is read twice. Where outcomes are kept:
kennel.rules.keeping.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kennel.rules.configuration import Configuration
from kennel.rules.outcome import Finding, Outcome


class Evaluator:
    """
    The rules over one run.

    Args:
        folder: Of the tensors, as smdebug lays them out; may still be empty.
        configurations: The rules that are asked for.
    """

    def __init__(self, folder: Path, configurations: Sequence[Configuration]) -> None:
        self.folder = folder
        self.configurations = tuple(configurations)

    def advance(self) -> tuple[Outcome, ...]:
        """Judge what was saved since; return how each rule stands, in the configurations' order."""
        return ()

    def news(self) -> tuple[tuple[Configuration, Finding], ...]:
        """Return the findings that are new since this was last asked."""
        return ()

    def stopper(self) -> Outcome | None:
        """Return the first outcome whose configuration stops the training; None: go on."""
        return None

    def finish(self) -> tuple[Outcome, ...]:
        """Judge the rest, and say how each rule has ended."""
        return self.advance()

    def series(self) -> dict[str, Any]:
        """Return what the debugger's page draws, of the steps judged so far (series.py)."""
        return {}
