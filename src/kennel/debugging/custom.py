"""
A user's own rules: subclasses of smdebug.rules.Rule, as AWS takes them.

A rule is a class in a Python file. It is made as ``Class(base_trial, **parameters)``, every
parameter a text, over smdebug's own trial, and invoked at each saved step; what it raises as
RuleEvaluationConditionMet is a finding. The file is the user's code and runs with this process's
rights.
"""

import contextlib
import importlib.util
import logging
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from kennel.debugging.quiet import quiet
from kennel.debugging.reading import Trial
from kennel.debugging.rules.judge import EVAL, Step, Steps, Verdict
from kennel.errors import RuleError
from kennel.rules.configuration import Configuration
from kennel.rules.outcome import Finding


class CustomRule(Steps):
    """
    A user's rule, judged step by step as ours are.

    Args:
        configuration: Its ``source`` is a Python file, its ``rule`` the name of a class there.
        folder: Of the tensors.
    Raises:
        RuleError: The file or the class is not there, or the class cannot be made.
    """

    def __init__(self, configuration: Configuration, folder: Path) -> None:
        self._name, self._folder = configuration.rule, folder
        self._source = Path(configuration.source)
        self._class = load(self._source, configuration.rule)
        self._parameters = configuration.parameters
        self._rule: Any = None

    def at(self, trial: Trial, step: Step) -> Verdict:  # noqa: ARG002 - smdebug's trial is read
        """Invoke the rule at a step; a step without the tensors that it wants says nothing."""
        from smdebug.exceptions import (  # noqa: PLC0415 - takes a second, and few runs want it
            RuleEvaluationConditionMet,
            StepUnavailable,
            TensorUnavailable,
            TensorUnavailableForStep,
        )

        if self._rule is None:
            self._rule = _made(self._class, self._folder, self._parameters)
        try:
            self._rule.invoke(step.number)
        except (StepUnavailable, TensorUnavailable, TensorUnavailableForStep):
            return Verdict()
        except RuleEvaluationConditionMet:
            return Verdict(1, (self._finding(step),))
        except Exception as error:
            raise RuleError(f"{_where(error, self._source)} at {step}: {_said(error)}") from error
        return Verdict(1)

    def details(self) -> dict[str, Any]:
        """Return what the rule itself has put into its report."""
        report = getattr(self._rule, "report", {})
        return dict(report.get("Details", {})) if isinstance(report, Mapping) else {}

    def _finding(self, step: Step) -> Finding:
        at = f" in {step}" if step.mode == EVAL else ""
        return Finding(self._name, f"its condition is met{at}", "", 1.0, 0.0, step.training)


def load(source: Path, name: str) -> type[Any]:
    """
    Return a class of a Python file.

    Raises:
        RuleError: There is no such file or class, or the file cannot be run.
    """
    with quiet():
        from smdebug.rules import Rule  # noqa: PLC0415 - takes a second, and few runs want it

        found = getattr(_module(source), name, None)
    if not (isinstance(found, type) and issubclass(found, Rule)):
        raise RuleError(
            f"{source} has no rule {name!r}" if found is None else f"{name} is no rule",
            expected=f"class {name}(smdebug.rules.Rule)",
        )
    return found


def _module(source: Path) -> ModuleType:
    if not source.is_file():
        raise RuleError(f"there is no file {source}", expected="the Python file of the rule")
    spec = importlib.util.spec_from_file_location(f"kennel_rule_{source.stem}", source)
    if spec is None or spec.loader is None:
        raise RuleError(f"{source} is no Python file", expected="a name that ends in .py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise RuleError(f"{_where(error, source)} cannot be run: {_said(error)}") from error
    return module


def _where(error: Exception, source: Path) -> str:
    """Return the line of the user's file that an error came from, e.g. ``mine.py:12``."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == str(source)
    ]
    return f"{source.name}:{lines[-1]}" if lines else source.name


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _made(rule: type[Any], folder: Path, parameters: Mapping[str, str]) -> Any:  # noqa: ANN401 - theirs
    with quiet():
        from smdebug.trials import create_trial  # noqa: PLC0415 - takes a second, few runs want it

        logging.getLogger("smdebug").setLevel(logging.WARNING)
        trial = create_trial(str(folder), name=rule.__name__)
    try:
        with _action_is_optional():
            return rule(trial, **parameters)
    except TypeError as error:
        raise RuleError(
            f"rule {rule.__name__} cannot be made: {error}",
            expected="__init__(self, base_trial, …) with the rule's parameters",
        ) from error


@contextlib.contextmanager
def _action_is_optional() -> Iterator[None]:
    """
    Let rules call ``super().__init__(base_trial)``, as AWS's documentation and examples do.

    smdebug 1.0 asks for ``action_str`` there without a default; the actions are ours to take.
    """
    from smdebug.rules import Rule  # noqa: PLC0415 - takes a second, and few runs want it

    made: Any = Rule.__init__
    before, made.__defaults__ = made.__defaults__, ("", None)
    try:
        yield
    finally:
        made.__defaults__ = before
