"""
What CreateTrainingJob refuses of Debugger and Profiler, beyond what the service model says. Pure.

Whether buckets and a user's own rules are there is asked by kennel.local.sagemaker.training.jobs.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kennel.contract import PROFILING_INTERVALS_MS
from kennel.errors import RuleError
from kennel.local.s3.keys import COMPONENT_BYTES, tree_path
from kennel.local.sagemaker import s3_uri
from kennel.local.sagemaker.debugger import places
from kennel.local.sagemaker.debugger.statuses import DEBUG_RULES, PROFILER_RULES
from kennel.local.sagemaker.names import invalid
from kennel.profiling import rules as profiler_rules
from kennel.rules import configuration
from kennel.rules import debugger as debugger_rules

Request = Mapping[str, Any]

MAX_RULES = 20  # of each kind, as the service model has it for one request
TAKEN = (places.BASE.model, places.BASE.root / "input", places.BASE.output_data)


def check(request: Request) -> None:
    """
    Check the parts of a CreateTrainingJob request.

    Raises:
        ApiError: ``ValidationException``.
    """
    for member in places.LOCAL_PATHS:
        if member in request:
            check_local_path(request[member], member)
    check_profiler(request)
    for rules, judges in ((DEBUG_RULES, debugger_rules), (PROFILER_RULES, profiler_rules)):
        asked = request.get(rules, [])
        if len(asked) > MAX_RULES:  # with those of an update
            raise invalid(f"{rules}: {len(asked)} rules, and a job may have {MAX_RULES}")
        try:
            judges.check(configuration.read(asked))
        except RuleError as error:
            raise invalid(f"{rules}: {error}") from error
    for uri in uris(request):
        s3_uri.split(uri)
    if request.get(DEBUG_RULES) and places.HOOK in request:
        check_readable(places.uri_of(request, places.HOOK))


def check_readable(uri: str) -> None:
    """Ask that an evaluator can be given the prefix of the tensors as a folder."""
    if tree_path(s3_uri.split(uri)[1]) is None:
        raise invalid(
            f"{places.HOOK}.S3OutputPath: the rules read the tensors from a folder, and none can be"
            f" called {uri!r}: leave out empty parts, '.', '..' and parts above"
            f" {COMPONENT_BYTES} bytes"
        )


def check_local_path(config: Request, member: str) -> None:
    """Ask for a LocalPath that is below /opt/ml and not taken by something else."""
    if "LocalPath" not in config:
        return
    local, root = Path(config["LocalPath"]), places.BASE.root
    is_below = local.is_relative_to(root) and ".." not in local.parts
    taken = any(local.is_relative_to(path) for path in TAKEN)
    if not is_below or taken or local in (root, places.BASE.output):
        raise invalid(
            f"{member}.LocalPath {str(local)!r} is not possible: expected a folder below {root}"
            f" that is none of {', '.join(map(str, TAKEN))}"
        )


def check_profiler(request: Request) -> None:
    """Ask for an interval that there is, and for no rules over what is not measured."""
    check_interval(request.get(places.PROFILER, {}))
    if request.get(PROFILER_RULES) and not places.is_profiled(request):
        raise invalid(
            "ProfilerRuleConfigurations need what DisableProfiler turns off: leave out the one or"
            " the other."
        )


def check_interval(config: Request) -> None:
    """Ask for an interval that there is."""
    interval = config.get("ProfilingIntervalInMilliseconds")
    if interval is not None and interval not in PROFILING_INTERVALS_MS:
        allowed = ", ".join(map(str, PROFILING_INTERVALS_MS))
        raise invalid(
            f"ProfilingIntervalInMilliseconds is {interval}: expected one of {allowed} milliseconds"
        )


def sources(request: Request) -> list[str]:
    """Return the S3 URIs of the users' own rules."""
    return [one.source for one in configuration.read(request.get(DEBUG_RULES, [])) if one.source]


def uris(request: Request) -> Iterator[str]:
    """Yield every S3 URI to which something is stored."""
    for member in (*places.LOCAL_PATHS, places.PROFILER):
        if path := request.get(member, {}).get("S3OutputPath"):
            yield path
    for rules in (DEBUG_RULES, PROFILER_RULES):
        for rule in request.get(rules, []):
            if path := rule.get("S3OutputPath"):
                yield path
