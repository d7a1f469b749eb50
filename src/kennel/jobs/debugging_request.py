"""
AWS's own Debugger in CreateTrainingJob: what is saved, by which rules it is judged, who samples.

Whose image its rules are stands in ``debugging_images``; when it is asked for, in ``debugging``.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kennel import contract
from kennel.errors import RuleError
from kennel.jobs import debugging_images
from kennel.jobs.requests import Request
from kennel.rules.configuration import ACTIONS, STOP_TRAINING, Configuration
from kennel.settings import Debug, Profile

ALL = "all"
REPORT = "ProfilerReport"  # AWS's name of all the profiler's rules, and their report
LOSSES_EVERY = 10  # steps; a loss is one number
# What AWS's rules read, where that is not known by the collection's name alone. smdebug names the
# tensors of torch's modules after their attributes, ``relu`` or ``ReLU``; AWS looks for the first.
RELU_INPUT, RELU_OUTPUT = r".*[Rr]e[Ll][Uu]_input", r".*[Rr]e[Ll][Uu]_output"
REGEXES = {"relu_input": RELU_INPUT, "relu_output": RELU_OUTPUT}
COLLECTIONS: Mapping[str, Sequence[str]] = {
    "VanishingGradient": ("gradients",),
    "ExplodingTensor": ("weights", "gradients"),
    "PoorWeightInitialization": ("weights", "gradients", "relu_input"),
    "AllZero": ("weights", "gradients"),
    "DeadRelu": ("relu_output",),
    "UnchangedTensor": ("weights",),
    "WeightUpdateRatio": ("weights",),
    "TensorVariance": ("weights",),
    "ClassImbalance": ("labels", "predictions"),
    "Confusion": ("labels", "predictions"),
}
LOSSES = "losses"  # of every other rule
CUSTOM = "custom"  # ours, of what is included besides
FOR_TORCH = {
    "PoorWeightInitialization": {"activation_inputs_regex": RELU_INPUT},
    "DeadRelu": {"tensor_regex": RELU_OUTPUT},
}
# Members of CreateTrainingJob that say how a job is watched
WATCHING = (
    "DebugHookConfig",
    "DebugRuleConfigurations",
    "ProfilerConfig",
    "ProfilerRuleConfigurations",
    "TensorBoardOutputConfig",
)


@dataclass(frozen=True)
class Place:
    """The job, and where it is."""

    job: str
    region: str
    output: str  # S3OutputPath of all that it leaves


def debugger(debug: Debug, rules: Sequence[Configuration], place: Place) -> Request:
    """Return DebugHookConfig, and DebugRuleConfigurations of AWS's own rules."""
    image = debugging_images.rule_image(place.region)
    documents = [
        evaluated(rule, image, stops=place.job if debug.stop or rule.stops else None)
        for rule in rules
    ]
    hook = {
        "S3OutputPath": place.output,
        "CollectionConfigurations": [collection(name, debug) for name in collections(debug, rules)],
    }
    return {
        "DebugHookConfig": hook,
        **({"DebugRuleConfigurations": documents} if documents else {}),
    }


def evaluated(rule: Configuration, image: str, *, stops: str | None = None) -> Request:
    """
    Return a rule as AWS's image is told of it.

    Args:
        stops: The job that it shall stop when it finds something.

    Raises:
        RuleError: It is a user's own.
    """
    if rule.source:
        raise RuleError(
            f"rule {rule.name} is your own, {rule.source}, and AWS's image has AWS's alone",
            expected="rules of AWS",
            remedy='[debug] evaluator = "kennel"',
        )
    own = {**FOR_TORCH.get(rule.rule, {}), **rule.parameters}
    document = replace(rule, parameters=own, image=image).document()
    if stops:
        document["RuleParameters"][ACTIONS] = stop_action(stops)
    return document


def stop_action(job: str) -> str:
    """Return AWS's action that stops *job*, its quotes escaped as AWS's own library does."""
    action = json.dumps({"name": STOP_TRAINING, "training_job_prefix": job})
    return f"[{action}]".replace('"', '\\"')


def collections(debug: Debug, rules: Sequence[Configuration]) -> list[str]:
    """Return the collections that AWS's rules read, and those that are asked for besides."""
    asked = [name.strip() for name in debug.collections.split(",")] if debug.collections else []
    read = [name for rule in rules for name in COLLECTIONS.get(rule.rule, (LOSSES,))]
    own = [CUSTOM] if debug.include else []
    return list(dict.fromkeys([LOSSES, *read, *asked, *own]))


def collection(name: str, debug: Debug) -> Request:
    """Return a CollectionConfiguration of raw tensors, which AWS's rules need: no reductions."""
    every = debug.save_interval or contract.TENSORS_EVERY_STEPS
    if name == LOSSES:
        intervals = {
            "train.save_interval": str(min(every, LOSSES_EVERY)),
            "eval.save_interval": "1",
        }
    else:
        intervals = {"save_interval": str(every)}
    regex = debug.include if name == CUSTOM else REGEXES.get(name)
    included = {"include_regex": regex} if regex else {}
    return {"CollectionName": name, "CollectionParameters": {**included, **intervals}}


def sampling(profile: Profile, place: Place) -> Request:
    """Return the ProfilerConfig that lets the platform sample the machine."""
    debugging_images.require_debugger(place.region)
    config = {
        "S3OutputPath": place.output,
        "ProfilingIntervalInMilliseconds": profile.interval_ms,
    }
    return {"ProfilerConfig": config}


def profiler(profile: Profile, rules: Sequence[Configuration], place: Place) -> Request:
    """Return ProfilerRuleConfigurations: ProfilerReport where all rules are asked for."""
    if profile.rules.lower() == ALL:
        own = {
            f"{rule.rule}_{key}": text for rule in rules for key, text in rule.parameters.items()
        }
        rules = (Configuration(REPORT, REPORT, own),)
    image = debugging_images.rule_image(place.region)
    return {"ProfilerRuleConfigurations": [evaluated(rule, image) for rule in rules]}


def resumed(described: Mapping[str, Any], name: str) -> Request:
    """
    Return what the job *name*, which goes on, takes over of how another was watched.

    What would stop the other stops it.
    """
    members = {key: described[key] for key in WATCHING if described.get(key)}
    rules = [
        {**rule, "RuleParameters": _renamed(rule, described["TrainingJobName"], name)}
        for rule in members.get("DebugRuleConfigurations", [])
    ]
    return {**members, **({"DebugRuleConfigurations": rules} if rules else {})}


def _renamed(rule: Mapping[str, Any], before: str, now: str) -> dict[str, str]:
    given: dict[str, str] = rule.get("RuleParameters", {})
    actions = {ACTIONS: given[ACTIONS].replace(before, now)} if ACTIONS in given else {}
    return {**given, **actions}
