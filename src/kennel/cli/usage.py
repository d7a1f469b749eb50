"""
Bad usage, answered with the usage of the very command and with what was probably meant.

Which commands and options there are stands in ``parser``.
"""

import argparse
import difflib
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import NoReturn

SIMILAR = 0.6  # from 0, nothing in common, to 1, the same


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that refuses what it does not know itself, and leaves it to no parent."""

    # Names that --set takes: whoever writes --epochs 3 is answered --set epochs=3.
    settable: Callable[[], Iterable[str]] = staticmethod(tuple)

    def parse_known_args(  # type: ignore[override] # argparse's own are overloads of this
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Refuse what is left over: a parent would show its own usage for it."""
        found, left = super().parse_known_args(args, namespace)
        if left:
            self.error(unknown(left, list(self._option_string_actions), self.settable()))
        return found, left

    def _check_value(self, action: argparse.Action, value: object) -> None:
        if action.nargs != argparse.PARSER:
            super()._check_value(action, value)
        elif value not in (known := list(action.choices or ())):
            raise argparse.ArgumentError(None, no_command(str(value), known))

    def error(self, message: str) -> NoReturn:
        """Show the usage and the mistake, and exit as bad usage does."""
        self.print_usage(sys.stderr)
        self.exit(2, f"error: {message}\n")


def unknown(left: Sequence[str], options: Sequence[str], settable: Iterable[str]) -> str:
    """
    Say that the arguments *left* are unknown, and which was probably meant.

    Args:
        left: As they were typed, the values of unknown options among them.
        options: That there are, with their hyphens.
        settable: Names that ``--set`` takes.
    """
    problem = f"unknown arguments: {' '.join(left)}"
    option = next((text for text in left if text.startswith("--")), None)
    if option is None:
        return problem
    typed, _, value = option.partition("=")
    following = left[left.index(option) + 1 :]
    value = value or next((text for text in following if not text.startswith("--")), "VALUE")
    meant = {f"--{name}": f"--set {name}={value}" for name in settable}
    near = _nearest(typed.lower().replace("_", "-"), [*options, *meant])
    return f"{problem}\n  try: {meant.get(near, near)}" if near else problem


def no_command(typed: str, known: Sequence[str]) -> str:
    """Say that there is no command *typed*, and which there are."""
    near = _nearest(typed, known)
    problem = f"there is no command {typed!r}\n  expected: one of {', '.join(known)}"
    return f"{problem}\n  try: {near}" if near else problem


def _nearest(typed: str, known: Sequence[str]) -> str | None:
    return next(iter(difflib.get_close_matches(typed, known, n=1, cutoff=SIMILAR)), None)
