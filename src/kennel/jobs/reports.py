"""
What a job has left for its reports, brought here: its output data, and what the platform keeps.

Takes clients, opens none. Judging and writing pages is the callers': no room that judges is seen
from here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kennel import contract
from kennel.errors import JobError
from kennel.jobs import storage
from kennel.jobs.clients import Client
from kennel.jobs.lookup import Answer
from kennel.jobs.storage import Location
from kennel.rules import configuration, keeping
from kennel.rules.configuration import Configuration
from kennel.rules.outcome import Outcome

STATUSES = {
    "DebugRuleConfigurations": "DebugRuleEvaluationStatuses",
    "ProfilerRuleConfigurations": "ProfilerRuleEvaluationStatuses",
}
DEBUGGER, PROFILER = STATUSES
RULES = Path("debug-output/rules")  # of a job's output data
SYSTEM = "system"  # of what the profiler leaves: the platform's samples


FLAGS = ("debug", "profile")  # hyperparameters


@dataclass(frozen=True)
class Fetched:
    """
    What was brought here of a job.

    Args:
        folder: Where it is, laid out as the job's output data.
        output: Whether there was output data of its own.
        sampled: Whether the platform has sampled the machine.
    """

    folder: Path
    output: bool
    sampled: bool


def fetch(s3: Client, described: Answer, folder: Path) -> Fetched:
    """
    Bring here what a job has left so far.

    Raises:
        JobError: Its output data is torn.
    """
    output = unpacked(s3, described, folder)
    sampled = metrics(s3, described, folder)
    verdicts(s3, described, folder)
    return Fetched(folder, output, sampled)


def unpacked(s3: Client, described: Answer, folder: Path) -> bool:
    """Unpack the job's output data, and say whether there is any."""
    if described["TrainingJobStatus"] not in contract.TRAINING_ENDED:
        return False
    archive = storage.outputs(described)
    if storage.size(s3, archive) is None:
        return False
    storage.unpack(s3, archive, folder)
    return True


def metrics(s3: Client, described: Answer, folder: Path) -> bool:
    """Bring the platform's samples of the machine, and say whether there are any."""
    config = described.get("ProfilerConfig", {})
    if config.get("DisableProfiler") or not config.get("S3OutputPath"):
        return False
    place = below(config["S3OutputPath"], described) / contract.PROFILER_PREFIX
    target = folder / contract.PROFILER_PREFIX / SYSTEM
    return bool(storage.fetch(s3, place / SYSTEM, target))


def verdicts(s3: Client, described: Answer, folder: Path) -> None:
    """
    Keep what the platform's evaluators of tensors have said, where the job has not said it itself.

    AWS's closed evaluators leave a status and nothing else; kennel's local server leaves outcomes.
    """
    there = {outcome.name for outcome in keeping.read(folder / RULES)}
    rules = configuration.read(described.get(DEBUGGER, []))
    for rule, document in zip(rules, described.get(DEBUGGER, []), strict=True):
        if rule.name not in there:
            found = _left(s3, described, document, rule, folder)
            keeping.write(folder / RULES, [found or of_status(described, rule)])


def _left(
    s3: Client, described: Answer, document: Mapping[str, Any], rule: Configuration, folder: Path
) -> Outcome | None:
    uri = document.get("S3OutputPath") or described["OutputDataConfig"]["S3OutputPath"]
    name = keeping.file_name(rule.name).removesuffix(".json")
    place = below(uri, described) / f"{contract.RULES_PREFIX}/{name}"
    target = folder / contract.RULES_PREFIX / name
    storage.fetch(s3, place, target)
    found = (outcome for path in _folders(target) for outcome in keeping.read(path))
    return next((outcome for outcome in found if outcome.name == rule.name), None)


def _folders(folder: Path) -> Iterator[Path]:
    yield folder
    yield from (path for path in sorted(folder.rglob("*")) if path.is_dir())


def of_status(described: Answer, rule: Configuration) -> Outcome:
    """Return the outcome that a rule's status alone makes."""
    statuses = {one["RuleConfigurationName"]: one for one in described.get(STATUSES[DEBUGGER], [])}
    status: Answer = statuses.get(rule.name, {})
    return Outcome(
        rule.name,
        rule.rule,
        status.get("RuleEvaluationStatus", "InProgress"),
        rule.parameters,
        reason=status.get("StatusDetails", ""),
    )


def tensors(described: Answer) -> Location:
    """
    Return where the platform keeps the tensors of a job.

    Raises:
        JobError: Nothing says that it does.
    """
    config = described.get("DebugHookConfig", {})
    if not config.get("S3OutputPath"):
        raise JobError(f"training job {described['TrainingJobName']} has no DebugHookConfig")
    return below(config["S3OutputPath"], described) / contract.TENSORS_PREFIX


def below(uri: str, described: Answer) -> Location:
    """Return the job's own folder below an S3OutputPath."""
    return Location.parse(uri) / str(described["TrainingJobName"])


def is_watched(described: Answer) -> bool:
    """Say whether a job was asked to be profiled or debugged."""
    given = described.get("HyperParameters", {})
    asked = any(given.get(name) == "true" for name in FLAGS)
    return asked or any(described.get(member) for member in ("DebugHookConfig", *STATUSES))
