"""The operations of tuning jobs: create, describe, list, stop, delete, and list their trials."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from kennel.local.resources import Document
from kennel.local.sagemaker.listing import page
from kennel.local.sagemaker.names import TUNING_JOB
from kennel.local.sagemaker.platform import Platform, now
from kennel.local.sagemaker.tags import Tags
from kennel.local.sagemaker.training.jobs import TrainingJobs
from kennel.local.sagemaker.tuning import checks, definition, launched, progress
from kennel.local.sagemaker.tuning.driver import Driver
from kennel.local.sagemaker.tuning.record import summaries
from kennel.local.wire.errors import ApiError

KIND = TUNING_JOB.path
NAME = TUNING_JOB.member
SUMMARY = (
    *(NAME, "HyperParameterTuningJobArn", progress.STATUS, "CreationTime"),
    *("HyperParameterTuningEndTime", "LastModifiedTime"),
)
ANY_NUMBER, ANY_DIGITS = 1, "00000000"  # of a training job that stands for all
BY_OBJECTIVE = "FinalObjectiveMetricValue"


class TuningJobs:
    """Tuning jobs, as their API shows them."""

    def __init__(
        self, platform: Platform, tags: Tags, driver: Driver, training: TrainingJobs
    ) -> None:
        self.resources = platform.resources
        self.tags = tags
        self.driver = driver
        self.training = training

    def create(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer CreateHyperParameterTuningJob: check it, write it down, start it."""
        name = params[NAME]
        parents = {one: self.resources.find(KIND, one) for one in parent_names(params)}
        checks.check(params, parents)
        trial = definition.trial_name(name, ANY_NUMBER, ANY_DIGITS)
        self.training.check(definition.request(params, trial, {}))
        tuned = [each.name for each in checks.configuration(params).ranges]
        learned = [one for each in parents.values() if each for one in launched.warm(each, tuned)]
        tuning = progress.created(params, learned, now())
        with self.resources.database.transaction():
            if not self.resources.add(KIND, name, tuning):
                raise taken(name)
            self.tags.put(TUNING_JOB, name, params.get("Tags", []))
        self.driver.start(name)
        return {"HyperParameterTuningJobArn": tuning["HyperParameterTuningJobArn"]}

    def describe(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer DescribeHyperParameterTuningJob."""
        tuning = self._find(params[NAME])
        known = summaries(self.resources, tuning)
        best = launched.best(known)
        return {
            **tuning,
            **launched.counters(known),
            "BestTrainingJob": best,
            "OverallBestTrainingJob": launched.overall_best(tuning, best),
            "TuningJobCompletionDetails": progress.details(tuning, known),
            "ConsumedResources": {"RuntimeInSeconds": round(progress.runtime_s(tuning, now()))},
        }

    def list(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer ListHyperParameterTuningJobs."""
        shown, token = page(
            self.resources.all(KIND),
            {"SortBy": "Name", **params},
            name=NAME,
            status=progress.STATUS,
            order="Ascending",
        )
        return {
            "HyperParameterTuningJobSummaries": [self._summary(tuning) for tuning in shown],
            "NextToken": token,
        }

    def _summary(self, tuning: Document) -> Document:
        config = tuning["HyperParameterTuningJobConfig"]
        return {
            **{member: tuning.get(member) for member in SUMMARY},
            "Strategy": config["Strategy"],
            "ResourceLimits": config["ResourceLimits"],
            **launched.counters(summaries(self.resources, tuning)),
        }

    def list_training_jobs(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer ListTrainingJobsForHyperParameterTuningJob."""
        known = summaries(self.resources, self._find(params[NAME]))
        if params.get("SortBy") == BY_OBJECTIVE:  # then AWS leaves out those without one
            known = [
                one | {BY_OBJECTIVE: one[launched.OBJECTIVE]["Value"]}
                for one in known
                if one[launched.OBJECTIVE]
            ]
        shown, token = page(
            known,
            {"SortBy": "Name", **params},
            name="TrainingJobName",
            status="TrainingJobStatus",
            order="Ascending",
        )
        return {"TrainingJobSummaries": shown, "NextToken": token}

    def stop(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer StopHyperParameterTuningJob: its training jobs are stopped, too."""
        change = partial(progress.stopping, now=now())
        if self.resources.change(KIND, params[NAME], change) is None:
            raise missing()
        return {}

    def delete(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer DeleteHyperParameterTuningJob; its training jobs stay, as AWS leaves them."""
        name = params[NAME]
        with self.resources.database.transaction():
            tuning = self._find(name)
            if not progress.has_ended(tuning):
                raise ApiError(
                    "ResourceInUse",
                    f"Hyperparameter tuning job {tuning['HyperParameterTuningJobArn']} is"
                    f" {tuning[progress.STATUS]}: stop it first.",
                )
            self.resources.remove(KIND, name)
            self.tags.forget(TUNING_JOB, name)
        return {}

    def _find(self, name: str) -> Document:
        tuning = self.resources.find(KIND, name)
        if tuning is None:
            raise missing()
        return tuning


def parent_names(params: Mapping[str, Any]) -> list[str]:
    """Return the names of a warm start's parents."""
    parents = params.get("WarmStartConfig", {}).get("ParentHyperParameterTuningJobs", [])
    return [parent.get(NAME, "") for parent in parents]


def taken(name: str) -> ApiError:
    """Return AWS's error for a name that was used before."""
    return ApiError(
        "ResourceInUse",
        "Hyperparameter tuning job names must be unique within an AWS account and region, and a"
        f" tuning job with this name already exists ({TUNING_JOB.arn(name)})",
    )


def missing() -> ApiError:
    """Return AWS's error for a tuning job that is not there."""
    return ApiError("ResourceNotFound", "Requested resource not found.")
