"""
What the settings mean for a training that is watched: hyperparameters, and AWS's own Debugger.

Pure. By default kennel judges inside the training, told by hyperparameters, and the request has
nothing of AWS's Debugger; what it has of that stands in ``debugging_request``. The profiler's rules
are kennel.profiling's, and handed in: this room does not see it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from kennel import contract
from kennel.errors import RuleError
from kennel.jobs import debugging_request
from kennel.jobs.debugging_request import Place
from kennel.jobs.requests import Request
from kennel.rules import debugger
from kennel.rules.configuration import RULE, Configuration
from kennel.settings import Debug, Profile, Settings

SAGEMAKER = "sagemaker"  # the evaluator that is not ours


@dataclass(frozen=True)
class Rules:
    """
    What is known of a kind of rules.

    Args:
        asked: all, none, names with commas or JSON → the rules; RuleError where there is none.
        check: Raises RuleError where one of them has a parameter that is wrong.
    """

    asked: Callable[[str], tuple[Configuration, ...]]
    check: Callable[[Sequence[Configuration]], None]


DEBUGGER = Rules(debugger.asked, debugger.check)


@dataclass(frozen=True)
class Watched:
    """What a job that is watched has more than another."""

    hyperparameters: Mapping[str, str] = field(default_factory=dict)
    request: Request = field(default_factory=dict)  # members of CreateTrainingJob


def watched(settings: Settings, profiler: Rules, place: Place, *, own_program: bool) -> Watched:
    """
    Return what the settings ask of a training job beside its training.

    Args:
        profiler: The profiler's rules.
        own_program: It runs a program that is not kennel's: that saves tensors by itself, or none.

    Raises:
        RuleError: There is no such rule, or a parameter of one is wrong.
        SettingsError: AWS has no Debugger where it is asked for.
    """
    debug, profile = settings.debug, settings.profile
    by_aws = debug.enabled and debug.evaluator == SAGEMAKER
    rules = chosen("debug", debug, DEBUGGER) if debug.enabled else ()
    of_time = chosen("profile", profile, profiler) if profile.enabled else ()
    return Watched(
        {
            **(debugs(debug, rules) if debug.enabled and not by_aws and not own_program else {}),
            **(profiles(profile, of_time) if profile.enabled else {}),
        },
        {
            **(debugging_request.debugger(debug, rules, place) if by_aws else {}),
            **(
                debugging_request.sampling(profile, place)
                if settings.asks_for_platform_metrics
                else {}
            ),
            **(debugging_request.profiler(profile, of_time, place) if by_aws and of_time else {}),
        },
    )


def debugs(debug: Debug, rules: Sequence[Configuration]) -> dict[str, str]:
    """Return the hyperparameters of a training that saves tensors and judges them itself."""
    given = {
        "debug-collections": debug.collections,
        "debug-include": debug.include,
        "debug-save-interval": debug.save_interval,
        "debug-stop": "true" if debug.stop else None,
    }
    return {"debug": "true", "debug-rules": spelt(debug, rules), **texts(given)}


def profiles(profile: Profile, rules: Sequence[Configuration]) -> dict[str, str]:
    """Return the hyperparameters of a training that is profiled."""
    return {
        "profile": "true",
        "profile-interval-ms": str(profile.interval_ms),
        "profile-rules": spelt(profile, rules),
        **texts({"profile-trace": profile.trace}),
    }


def texts(values: Mapping[str, object]) -> dict[str, str]:
    """Drop what is not set."""
    return {name: str(value) for name, value in values.items() if value is not None}


def chosen(section: str, asked: Debug | Profile, rules: Rules) -> tuple[Configuration, ...]:
    """
    Return the rules that a section of the settings asks for.

    Raises:
        RuleError: There is no such rule, a parameter of one is wrong, or is one of a rule that is
            not asked for.
    """
    try:
        found = rules.asked(asked.rules)
        _require_asked(asked, [rule.name for rule in found])
        given = tuple(
            replace(rule, parameters={**rule.parameters, **asked.parameters.get(rule.name, {})})
            for rule in found
        )
        rules.check(given)
    except RuleError as error:
        raise RuleError(
            f"[{section}] {error.problem}", expected=error.expected, remedy=error.remedy
        ) from error
    return given


def _require_asked(asked: Debug | Profile, names: Sequence[str]) -> None:
    if unused := set(asked.parameters) - set(names):
        raise RuleError(
            f"parameters of {min(unused)}, which rules = {asked.rules!r} does not ask for",
            expected=f"parameters of {', '.join(names) or 'no rule'}",
        )


def spelt(asked: Debug | Profile, rules: Sequence[Configuration]) -> str:
    """
    Return the rules as the training takes them: as they were asked for, or else as JSON.

    Raises:
        RuleError: They are too long for a hyperparameter.
    """
    text = asked.rules
    if asked.parameters:
        documents = [short(rule) for rule in rules]
        text = json.dumps(documents, separators=(",", ":"))
    if len(text) > contract.HYPERPARAMETER_VALUE_CHARS:
        raise RuleError(
            f"the rules with their parameters take {len(text)} characters to describe",
            expected=f"at most {contract.HYPERPARAMETER_VALUE_CHARS}, in a hyperparameter",
            remedy="rules = names of those that matter",
        )
    return text


def short(rule: Configuration) -> Request:
    """Return a rule's document without what can be left out of it."""
    document = rule.document()
    if rule.name == rule.rule:
        document["RuleParameters"].pop(RULE)
    return {key: value for key, value in document.items() if value}
