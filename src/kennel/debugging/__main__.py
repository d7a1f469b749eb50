"""
``python -m kennel.debugging evaluate``: judge tensors in a process of its own.

    evaluate FOLDER --configurations FILE --output FOLDER [--hyperparameters FILE]
                    [--follow] [--interval-s N]

FOLDER holds tensors as smdebug lays them out, and is only read. The configurations are a request's
DebugRuleConfigurations as JSON. Findings are printed as they come, a line each; outcomes are kept
below the output whenever one changes. With --follow the folder may still be empty, and is read
until its training_job_end.ts is there.

Exit code 0: judged to the end, whatever was found, or told to end by SIGTERM (then what is
undecided is Stopped); 1: a rule, or all of it, could not be judged; 2: usage.
"""

import argparse
import json
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kennel.debugging.evaluator import Evaluator
from kennel.errors import KennelError, RuleError
from kennel.rules import configuration
from kennel.rules.outcome import ERROR, Outcome

INTERVAL_S = 2.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge what the command line asks for; return the exit code."""
    options = _parser().parse_args(arguments)
    told_to_end = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told_to_end.set())
    try:
        outcomes = evaluate(options, told_to_end)
    except KennelError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    except OSError as error:  # no space left, say
        sys.stderr.write(f"{options.output} cannot be written: {error}\n")
        return 1
    return 1 if any(outcome.status == ERROR for outcome in outcomes) else 0


def evaluate(options: argparse.Namespace, told_to_end: threading.Event) -> tuple[Outcome, ...]:
    """
    Judge a folder once, or until it ends.

    Raises:
        RuleError: The configurations or the folder cannot be read.
    """
    configurations = configuration.read(_listed(options.configurations))
    if not options.follow and not options.folder.is_dir():
        raise RuleError(f"there is no folder {options.folder}", expected="smdebug's tensors")
    hyperparameters = _texts(options.hyperparameters) if options.hyperparameters else {}
    evaluator = Evaluator(options.folder, configurations, hyperparameters)
    if options.follow:
        _follow(evaluator, options, told_to_end)
    if not told_to_end.is_set():
        evaluator.finish()
    _print(evaluator)
    outcomes = evaluator.write(options.output, stopped=told_to_end.is_set())
    for outcome in outcomes:
        reason = f": {outcome.reason}" if outcome.reason else ""
        _say(f"{outcome.name}: {outcome.status}{reason}")
    return outcomes


def _follow(evaluator: Evaluator, options: argparse.Namespace, told: threading.Event) -> None:
    kept: tuple[tuple[str, int], ...] = ()
    while not (told.is_set() or evaluator.is_ended):
        outcomes = evaluator.advance()
        _print(evaluator)
        now = tuple((outcome.status, outcome.violations) for outcome in outcomes)
        if now != kept:
            kept = now
            evaluator.write(options.output)
        if not evaluator.is_ended:
            told.wait(options.interval_s)


def _print(evaluator: Evaluator) -> None:
    for asked, finding in evaluator.news():
        advice = f"; {finding.advice}" if finding.advice else ""
        _say(f"rule {asked.name}: {finding.subject}: {finding.problem}{advice}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _listed(path: Path) -> list[dict[str, Any]]:
    document = _document(path)
    if not isinstance(document, list) or not all(isinstance(each, dict) for each in document):
        raise RuleError(f"{path} is no list of rules", expected="DebugRuleConfigurations")
    return document


def _texts(path: Path) -> dict[str, str]:
    document = _document(path)
    if not isinstance(document, dict):
        raise RuleError(f"{path} has no hyperparameters", expected="a JSON object of texts")
    return {str(name): str(value) for name, value in document.items()}


def _document(path: Path) -> Any:  # noqa: ANN401 - whatever JSON holds
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RuleError(f"{path} cannot be read: {error}", expected="a JSON file") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m kennel.debugging")
    commands = parser.add_subparsers(dest="command", required=True)
    judging = commands.add_parser("evaluate", help="judge tensors by rules")
    judging.add_argument("folder", type=Path, help="of the tensors; is only read")
    judging.add_argument("--configurations", type=Path, required=True, help="JSON file")
    judging.add_argument("--output", type=Path, required=True, help="folder of the outcomes")
    judging.add_argument("--hyperparameters", type=Path, help="JSON file, for advice")
    judging.add_argument("--follow", action="store_true", help="until the training has ended")
    judging.add_argument("--interval-s", type=float, default=INTERVAL_S, help="between two looks")
    return parser


if __name__ == "__main__":
    sys.exit(main())
