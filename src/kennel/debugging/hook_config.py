"""
What the hook saves and how often, as one of AWS's DebugHookConfig documents.

The platform's own (debughookconfig.json) is taken as it is, but for what smdebug stumbles over; of
hyperparameters one is made. Nothing is saved here: hook.py does.
"""

import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kennel.debugging.collections import COLLECTIONS, EARLY, OFTEN, Part
from kennel.errors import RuleError

SAVED_STEPS = 20  # at least so many of a run, where nobody says how often
LONGEST = 500  # steps between two that are saved: AWS's and smdebug's default
OFTEN_SHARE = 4  # losses are saved so many times as often
OFTEN_FILES = 5000  # at most, of a long run's losses
EARLY_STEPS = 12  # saved steps: what says how the weights were drawn
NONE = "none"
EVALUATED = 32  # batches of an evaluation, at most

_FLAGS = ("save_raw_tensor", "save_shape")


@dataclass(frozen=True)
class Pace:
    """How often: intervals in training steps, and in batches of evaluations."""

    every: int
    often: int
    evaluation: int

    @classmethod
    def of(cls, steps: int, evaluation_batches: int, every: int | None = None) -> "Pace":
        """
        Choose intervals by a run's length.

        Args:
            steps: Of the whole run.
            evaluation_batches: Of one evaluation.
            every: Steps between two full ones, where somebody says so.
        """
        chosen = every or min(LONGEST, max(1, steps // SAVED_STEPS))
        often = max(1, chosen // OFTEN_SHARE, -(-steps // OFTEN_FILES))
        return cls(chosen, min(often, chosen), max(1, -(-evaluation_batches // EVALUATED)))


@dataclass(frozen=True)
class Saving:
    """
    What is saved.

    Args:
        document: A DebugHookConfig, of which smdebug makes its hook.
        is_platforms: Whether the request asked for it, so that the platform says when it ends.
        frozen: Whether weights that are not trained are saved too.
    """

    document: Mapping[str, Any]
    is_platforms: bool = False
    frozen: bool = False

    @property
    def folder(self) -> Path | None:
        """LocalPath, where the document has one."""
        local = self.document.get("LocalPath")
        return Path(local) if local else None

    @property
    def every_worker(self) -> bool:
        """Whether every process saves what it sees, and not the first alone."""
        parameters = self.document.get("HookParameters") or {}
        return str(parameters.get("include_workers", "one")).lower() == "all"

    @property
    def names(self) -> tuple[str, ...]:
        """The collections."""
        parts = self.document.get("CollectionConfigurations") or ()
        return tuple(str(part.get("CollectionName", "")) for part in parts)


def asked(names: str, include: str, pace: Pace) -> Saving:
    """
    Return what hyperparameters ask for.

    Args:
        names: Of ``COLLECTIONS``, with commas; none.
        include: Regular expressions, with commas: tensors to save whole; none.
        pace: How often.

    Raises:
        RuleError: See ``require``.
    """
    parts = [part for name in require(names, include) for part in COLLECTIONS[name]]
    own = [] if include.lower() == NONE else [Part("default", include)]
    return Saving(
        {"CollectionConfigurations": [_configuration(part, pace) for part in [*parts, *own]]}
    )


def require(names: str, include: str) -> tuple[str, ...]:
    """
    Return the names of collections that a text asks for.

    Raises:
        RuleError: There is no such collection, or *include* is no list of regular expressions.
    """
    listed = [] if names.lower() == NONE else [name.strip() for name in names.split(",")]
    found = tuple(dict.fromkeys(name for name in listed if name))
    unknown = next((name for name in found if name not in COLLECTIONS), None)
    if unknown is not None:
        near = difflib.get_close_matches(unknown, COLLECTIONS, n=1)
        raise RuleError(
            f"debug-collections has {unknown!r}",
            expected=f"of {', '.join(COLLECTIONS)}; none",
            remedy=near[0] if near else "debug-include, for tensors by a regular expression",
        )
    for pattern in include.split(","):
        try:
            re.compile(pattern)
        except re.error as error:
            raise RuleError(
                f"debug-include has {pattern!r}: {error}",
                expected="regular expressions, with commas between them",
            ) from error
    return found


def platforms(document: Mapping[str, Any]) -> Saving:
    """
    Return what the platform's debughookconfig.json asks for.

    smdebug takes texts where it wants truths, and no collection of its user's without a pattern.

    Raises:
        RuleError: A collection has no name.
    """
    parts = document.get("CollectionConfigurations") or []
    cleaned = {
        **document,
        "HookParameters": _truths(document.get("HookParameters") or {}),
        "CollectionConfigurations": [_completed(part) for part in parts],
    }
    if not parts:  # AWS saves losses alone then; smdebug wants to hear nothing
        del cleaned["CollectionConfigurations"]
    return Saving(cleaned, is_platforms=True, frozen=True)


def read(path: Path) -> Saving | None:
    """
    Read the platform's file, if there is one that asks for anything.

    Raises:
        RuleError: It is no JSON.
    """
    if not path.exists():
        return None
    try:
        document = json.loads(path.read_text())
    except ValueError as error:
        raise RuleError(f"{path} is not JSON: {error}", expected="a DebugHookConfig") from error
    return platforms(document) if document else None


def _completed(part: Mapping[str, Any]) -> dict[str, Any]:
    name = str(part.get("CollectionName") or "")
    if not name:
        raise RuleError(
            "a collection of the DebugHookConfig has no name", expected="CollectionName"
        )
    parameters = _truths(part.get("CollectionParameters") or {})
    known = {each.name: each.pattern for each in _every_part()}
    if "include_regex" not in parameters and known.get(name):
        parameters["include_regex"] = known[name]
    return {"CollectionName": name, "CollectionParameters": parameters}


def _every_part() -> list[Part]:
    module = [
        Part(f"{kind}_{end}", rf"(?i){kind}\d*_{end}_\d+$")
        for kind in ("relu", "sigmoid", "tanh")
        for end in ("input", "output")
    ]
    return [*module, *(part for parts in COLLECTIONS.values() for part in parts)]


def _truths(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: str(value).lower() == "true" if name in _FLAGS else value
        for name, value in parameters.items()
    }


def _configuration(part: Part, pace: Pace) -> dict[str, Any]:
    return {
        "CollectionName": part.name,
        "CollectionParameters": {
            **({"include_regex": part.pattern} if part.pattern else {}),
            **({"reductions": part.reductions} if part.reductions else {}),
            **_paced(part.pace, pace, evaluated=part.evaluated),
        },
    }


def _paced(kind: str, pace: Pace, *, evaluated: bool = False) -> dict[str, str]:
    interval = pace.often if kind == OFTEN else pace.every
    training = {"train.save_interval": str(interval)}
    if kind == EARLY:
        training["train.end_step"] = str(EARLY_STEPS * interval)
    evaluation = (
        {"eval.save_interval": str(pace.evaluation)} if evaluated else {"eval.end_step": "0"}
    )
    return {**training, **evaluation}
