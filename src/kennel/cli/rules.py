"""
``kennel rules``: judge tensors that a training has saved, whoever saved them; list the rules.

Exit code 0: no rule is broken; 1: one is; 2: nothing could be judged, or a rule could not.
Where tensors are looked for is ``tensors``' to know; the rules are kennel.debugging's.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kennel.cli import context, show, tensors
from kennel.cli.report_view import sentence
from kennel.errors import KennelError, MissingToolError, RuleError, SettingsError
from kennel.jobs.failures import explained
from kennel.profiling import rules as profiler
from kennel.rules import debugger
from kennel.rules.configuration import Configuration
from kennel.rules.outcome import ERROR, ISSUES, NO_ISSUES, Outcome
from kennel.rules.parameters import Parameter

if TYPE_CHECKING:
    from rich.console import Console

CANNOT = 2
WIDE = 10_000  # characters: no line wraps
COLOURS = {ISSUES: "bold red", NO_ISSUES: "green", ERROR: "yellow"}


def rules(args: argparse.Namespace) -> int:
    """Judge, or list what can be judged by."""
    if args.list:
        return _list(as_json=args.json)
    try:
        outcomes = _judged(args)
    except KennelError as error:
        show.talk(f"error: {error}")
        return CANNOT
    if args.json:
        show.result(json.dumps([outcome.document() for outcome in outcomes], indent=2))
    else:
        _print(outcomes)
    if any(outcome.is_violated for outcome in outcomes):
        return 1
    return CANNOT if any(outcome.status == ERROR for outcome in outcomes) else 0


@explained()
def _judged(args: argparse.Namespace) -> tuple[Outcome, ...]:
    asked = configurations(args.rules, args.own, args.parameters)
    evaluator = _evaluator()
    saved = tensors.found(args.source, lambda: context.aws(context.settings(args)), args.to)
    show.talk(f"{show.near(saved.folder.absolute())}")
    judging = evaluator.Evaluator(saved.folder, asked, saved.hyperparameters)
    outcomes: tuple[Outcome, ...] = judging.finish()
    return outcomes


def _evaluator() -> Any:  # noqa: ANN401 - a module that this machine may lack the parts of
    try:
        from kennel.debugging import evaluator  # noqa: PLC0415 - imports NumPy and smdebug
    except ImportError as error:
        raise MissingToolError(
            f"tensors cannot be read here: {error}",
            expected="smdebug, which kennel's extra train brings",
            remedy="pip install 'kennel[train]'; kennel report JOB tells what the job has found",
        ) from error
    return evaluator


def configurations(
    names: Sequence[str], own: Sequence[str], assignments: Sequence[str]
) -> tuple[Configuration, ...]:
    """
    Return the rules that the command line asks for: all of ours where it names none.

    Args:
        names: Of our rules.
        own: ``FILE.py:CLASS`` of a user's.
        assignments: ``NAME=VALUE`` where there is one rule, else ``RULE.NAME=VALUE``.

    Raises:
        KennelError: There is no such rule or parameter.
    """
    require_of_tensors(names)
    asked = debugger.asked(",".join(names) if names or own else "all")
    found = [*asked, *map(of_own, own)]
    given = parameters(assignments, [rule.name for rule in found])
    with_parameters = tuple(replace(rule, parameters=given[rule.name]) for rule in found)
    debugger.check(with_parameters)
    return with_parameters


def require_of_tensors(names: Sequence[str]) -> None:
    """Raise RuleError if a rule is one of time, which is judged by what the profiler measured."""
    if of_time := [name for name in names if name in profiler.RULES]:
        raise RuleError(
            f"{' and '.join(of_time)}: a rule of the profiler judges no tensors",
            expected=f"rules of the debugger: {', '.join(debugger.TABLES)}",
            remedy="kennel report JOB, which has what the profiler's rules say",
        )


def of_own(text: str) -> Configuration:
    """Read ``FILE.py:CLASS``."""
    file, colon, name = text.rpartition(":")
    if not colon or not name.isidentifier():
        raise SettingsError(
            f"--own {text!r}", expected="FILE.py:CLASS, a subclass of smdebug.rules.Rule in a file"
        )
    if not Path(file).is_file():
        raise SettingsError(f"--own {text}: there is no file {file}")
    return Configuration(name, name, source=str(Path(file).resolve()))


def parameters(assignments: Sequence[str], names: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
    """Return rule → parameter → value, of assignments with or without the rule's name."""
    given: dict[str, dict[str, str]] = {name: {} for name in names}
    for assignment in assignments:
        left, equals, value = assignment.partition("=")
        rule, dot, name = left.rpartition(".")
        rule = rule if dot or len(names) != 1 else names[0]
        if not equals or not name or rule not in given:
            raise RuleError(
                f"--set {assignment!r}",
                expected="NAME=VALUE of the one rule that is asked for, else RULE.NAME=VALUE "
                f"with one of {', '.join(names)}",
                remedy="--rule NAME; kennel rules --list",
            )
        given[rule][name] = value
    return given


def _print(outcomes: Sequence[Outcome]) -> None:
    """Print a table of all rules, then what to do about those that are broken."""
    from rich.console import Console  # noqa: PLC0415 - slow to import
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    # In a pipe a line is as long as it is: whoever reads it there would have to join it again
    console = Console(width=show.width() if sys.stdout.isatty() else WIDE, highlight=False)
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for outcome in outcomes:
        colour = COLOURS.get(outcome.status, "dim")
        table.add_row(outcome.name, f"[{colour}]{outcome.status}[/]", escape(told(outcome)))
    with console.capture() as drawn:
        console.print(table)
        _advise(console, [outcome for outcome in outcomes if outcome.findings])
    show.result("\n".join(line.rstrip() for line in drawn.get().splitlines()))


def told(outcome: Outcome) -> str:
    """Say in a sentence what came of a rule."""
    if outcome.findings:
        more = outcome.violations - 1
        return sentence(outcome.findings[0]) + (f" (and {more} more)" if more > 0 else "")
    return outcome.reason or f"{outcome.datapoints:,} looked at"


def _advise(console: "Console", broken: Sequence[Outcome]) -> None:
    from rich.padding import Padding  # noqa: PLC0415 - slow to import
    from rich.text import Text  # noqa: PLC0415

    if broken:
        console.print("\n[bold]what to do[/]")
    for outcome in broken:
        console.print(outcome.name, style=COLOURS.get(outcome.status, "dim"), markup=False)
        for advice in dict.fromkeys(finding.advice for finding in outcome.findings):
            console.print(Padding(Text(advice), (0, 0, 0, 2)))


def _list(*, as_json: bool) -> int:
    kinds = {
        "debugger": {name: (t.help, t.parameters) for name, t in debugger.TABLES.items()},
        "profiler": {name: (r.help, r.parameters) for name, r in profiler.RULES.items()},
    }
    if as_json:
        whole = {
            kind: {
                name: {"help": help_, "parameters": [_parameter(one) for one in table]}
                for name, (help_, table) in found.items()
            }
            for kind, found in kinds.items()
        }
        show.result(json.dumps(whole, indent=2))
        return 0
    for kind, found in kinds.items():
        show.result(f"{kind}\n")
        for name, (help_, table) in found.items():
            show.result(f"{_called(name)}: {help_}")
            if table:
                rows = [(one.name, _default(one), one.help) for one in table]
                show.result(show.columns(rows, indent="  "))
        show.result("")
    return 0


def _parameter(one: Parameter) -> dict[str, Any]:
    return {"name": one.name, "default": one.default, "help": one.help}


def _called(name: str) -> str:
    """Return a rule's name, with the other that it may be asked for by."""
    return " or ".join([name, *(alias for alias, of in debugger.ALIASES.items() if of == name)])


def _default(one: Parameter) -> str:
    if isinstance(one.default, bool):
        return str(one.default).lower()
    return f"{one.default:g}" if isinstance(one.default, float) else str(one.default) or "-"
