"""
What CreateHyperParameterTuningJob refuses, beyond what the service model says. Pure.

What AWS would refuse of a trial's own request is found by asking training's checks about one; the
strategy, the ranges and what ends the search are judged by kennel.tuning.
"""

from collections.abc import Mapping
from typing import Any

from kennel.contract import MAX_HYPERPARAMETERS, MAX_PARALLEL_TRIALS, MAX_TRIALS
from kennel.errors import TuningError
from kennel.local.resources import Document
from kennel.local.sagemaker.names import TUNING_JOB, invalid, not_here
from kennel.local.sagemaker.training.checks import missing
from kennel.local.sagemaker.training.metrics import compiled
from kennel.local.sagemaker.tuning import definition, progress
from kennel.local.wire.errors import ApiError
from kennel.tuning import ranges
from kennel.tuning.configuration import Configuration, read

Request = Mapping[str, Any]

ELSEWHERE = ("TuningObjective", "HyperParameterRanges")  # of a definition: only in a list of them


def check(request: Request, parents: Mapping[str, Document | None]) -> None:
    """
    Check a CreateHyperParameterTuningJob request whose shape is right.

    Args:
        parents: The tuning jobs of WarmStartConfig, by name; None when there is no such job.

    Raises:
        ApiError: ``ValidationException``, or ``ResourceLimitExceeded``.
    """
    check_parts(request)
    check_objective(request)
    asked = configuration(request)
    check_hyperparameters(request, [each.name for each in asked.ranges])
    check_limits(asked)
    for name, parent in parents.items():
        check_parent(request, name, parent)


def check_parts(request: Request) -> None:
    """Ask for one definition, an objective and ranges, and for nothing that local mode lacks."""
    for member in ("Autotune", "TrainingJobDefinitions"):
        if member in request:
            raise not_here(member, "Give ParameterRanges, and one TrainingJobDefinition.")
    if "TrainingJobDefinition" not in request:
        raise missing("trainingJobDefinition")
    for member in ("HyperParameterTuningJobObjective", "ParameterRanges"):
        if member not in request["HyperParameterTuningJobConfig"]:
            raise missing(f"hyperParameterTuningJobConfig.{member[0].lower()}{member[1:]}")
    for member in ELSEWHERE:
        if member in request["TrainingJobDefinition"]:
            raise invalid(
                f"{member} is for a list of TrainingJobDefinitions. With one TrainingJobDefinition"
                " it belongs into HyperParameterTuningJobConfig."
            )
    resources = request["TrainingJobDefinition"].get("HyperParameterTuningResourceConfig")
    if resources is not None and "ResourceConfig" in request["TrainingJobDefinition"]:
        raise invalid("Give ResourceConfig or HyperParameterTuningResourceConfig, not both.")


def check_objective(request: Request) -> None:
    """Ask that the objective is one of the metrics."""
    specification = request["TrainingJobDefinition"]["AlgorithmSpecification"]
    known = compiled(specification.get("MetricDefinitions", []))
    name = definition.objective(request)["MetricName"]
    if name not in known:
        raise invalid(
            "A metric is required for this hyperparameter tuning job objective. Provide a metric in"
            f" the metric definitions: {name!r} is none of them ({', '.join(known) or 'none'})."
        )


def configuration(request: Request) -> Configuration:
    """Return what is to be searched, and how; what is impossible is AWS's to refuse, too."""
    static = definition.static(request)
    try:
        return read(request["HyperParameterTuningJobConfig"], static)
    except TuningError as error:
        message = "; ".join(line.strip() for line in str(error).splitlines())
        raise invalid(message) from error


def check_hyperparameters(request: Request, tuned: list[str]) -> None:
    """Ask for no hyperparameter of AWS's own, and for no more than a training job may have."""
    fixed = definition.static(request)
    reserved = definition.OBJECTIVE_HYPERPARAMETER
    if reserved in (*fixed, *tuned):
        raise invalid(f"The hyperparameter {reserved} is reserved: every training job gets it.")
    count = len(fixed) + len(tuned) + 1
    if count > MAX_HYPERPARAMETERS:
        raise invalid(
            f"A training job would have {count} hyperparameters, {reserved} included:"
            f" at most {MAX_HYPERPARAMETERS} are possible."
        )


def check_limits(asked: Configuration) -> None:
    """Ask for no more training jobs at a time than in all, for enough to try, within quotas."""
    jobs, parallel, size = asked.limits.jobs, asked.limits.parallel, ranges.size(asked.ranges)
    check_quota("MaxNumberOfTrainingJobs", size if jobs is None else jobs, MAX_TRIALS)
    check_quota("MaxParallelTrainingJobs", parallel, MAX_PARALLEL_TRIALS)
    if jobs is not None and parallel > jobs:
        raise invalid(
            f"MaxParallelTrainingJobs ({parallel}) cannot be greater than MaxNumberOfTrainingJobs"
            f" ({jobs})."
        )
    if jobs is not None and size is not None and size < jobs:
        raise invalid(
            "You don't have enough combinations of hyperparameter ranges. The total number of"
            f" hyperparameter combinations for the provided ranges [{size}] must be equal or"
            f" greater than the value of MaxNumberOfJobs, [{jobs}]. Provide additional ranges."
        )


def check_quota(member: str, count: int | None, quota: int) -> None:
    """
    Ask for no more than the highest quota that AWS gives.

    Args:
        count: What is asked for; without MaxNumberOfTrainingJobs, as many as a grid has.

    Raises:
        ApiError: ``ResourceLimitExceeded``.
    """
    if count is not None and count > quota:
        raise ApiError(
            "ResourceLimitExceeded",
            f"{member}: {count} training jobs are asked for, and {quota} are AWS's quota.",
        )


def check_parent(request: Request, name: str, parent: Document | None) -> None:
    """Ask that a warm start's parent is there, has ended and is like enough."""
    if parent is None:
        raise invalid(f'Could not find {TUNING_JOB.noun} "{TUNING_JOB.arn(name)}".')
    if not progress.has_ended(parent):
        raise invalid(
            f"The parent tuning job {name} is {parent['HyperParameterTuningJobStatus']}: a warm"
            " start needs one that is Completed, Stopped or Failed."
        )
    if request["WarmStartConfig"]["WarmStartType"] == "IdenticalDataAndAlgorithm":
        check_identical(request, name, parent)


def check_identical(request: Request, name: str, parent: Document) -> None:
    """Ask for the parent's objective, image and hyperparameters."""
    if definition.objective(request) != definition.objective(parent):
        raise invalid(
            "The objective metric for the current tuning job must be the same as for all parent"
            f" jobs: {shown(request)}, but {shown(parent)} in {name}."
        )
    if image(request) != image(parent):
        raise invalid(
            "The training image must be the same as for all parent jobs:"
            f" {image(request)}, but {image(parent)} in {name}."
        )
    if names(request) != names(parent):
        differing = ", ".join(sorted(names(request) ^ names(parent)))
        raise invalid(
            "The set of tunable plus static HyperParameter names is not the same across current and"
            " parent tuning jobs. Please ensure this set is constant when warm starting. Note that"
            " previously static HyperParameters can be tuned in warm start jobs and vice versa."
            f" Only in one of this job and {name}: {differing}."
        )


def shown(tuning: Request) -> str:
    """Write an objective."""
    return "{Type} {MetricName}".format(**definition.objective(tuning))


def image(tuning: Request) -> str:
    """Return the image that is trained."""
    return str(tuning["TrainingJobDefinition"]["AlgorithmSpecification"].get("TrainingImage"))


def names(tuning: Request) -> set[str]:
    """Return the names of all hyperparameters, tuned and static."""
    tuned = {each.name for each in configuration(tuning).ranges}
    return tuned | definition.static(tuning).keys()
