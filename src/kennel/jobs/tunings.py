"""
The tuning jobs there are, read from SageMaker: its own, and searches inside one training job.

Takes clients, opens none. What is asked for in a new one stands in ``tuning``; one with its trials
is read in ``tuning_reader``.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from botocore.exceptions import ClientError

from kennel import contract
from kennel.errors import JobError
from kennel.jobs import lookup, naming, watch
from kennel.jobs.clients import Client
from kennel.jobs.failures import is_missing
from kennel.jobs.lookup import Answer
from kennel.jobs.naming import TUNING

PAGES = {"PageSize": 100}  # the most that SageMaker takes; unasked it gives ten
SEVERAL = 5  # names in an error


@dataclass(frozen=True)
class Job:
    """A tuning job as AWS describes it, or the training job that searches by itself."""

    described: Answer

    @property
    def name(self) -> str:
        """Its whole name."""
        return name_of(self.described)

    @property
    def in_job(self) -> bool:
        """Whether it is a training job."""
        return "TrainingJobName" in self.described

    @property
    def config(self) -> Answer:
        """AWS's HyperParameterTuningJobConfig."""
        if not self.in_job:
            return dict(self.described["HyperParameterTuningJobConfig"])
        return dict(json.loads(self.described["HyperParameters"][contract.SEARCH_HYPERPARAMETER]))

    @property
    def best(self) -> tuple[str, float] | None:
        """The objective and its best value; None where there is none, or it is not told yet."""
        if self.in_job:
            metric = self.config["HyperParameterTuningJobObjective"]["MetricName"]
            ended = self.described["TrainingJobStatus"] in contract.TRAINING_ENDED
            value = watch.final_metrics(self.described).get(metric) if ended else None
            return None if value is None else (metric, value)
        trial = self.described.get("BestTrainingJob", {})
        found = trial.get("FinalHyperParameterTuningJobObjectiveMetric")
        return found and (found["MetricName"], found["Value"])

    @property
    def test_accuracy(self) -> float | None:
        """Of the best trial, where it was measured once, at the end of the one training job."""
        return watch.final_metrics(self.described).get("test_accuracy")

    @property
    def billable_s(self) -> float | None:
        """What AWS asks money for, of a training job; a tuning job's trials know it each."""
        return self.described.get("BillableTimeInSeconds")

    @property
    def channels(self) -> dict[str, str]:
        """What its trials read: channel → S3 prefix."""
        definition = self.described.get("TrainingJobDefinition", self.described)
        sources = {
            channel["ChannelName"]: channel["DataSource"].get("S3DataSource", {})
            for channel in definition.get("InputDataConfig", [])
        }
        return {name: source["S3Uri"] for name, source in sources.items() if "S3Uri" in source}


def find(sagemaker: Client, name: str) -> Job:
    """
    Describe the tuning job *name*, of either kind; hb1 is kennel-tune-hb1 too, as it was made.

    Raises:
        JobError: There is none.
    """
    try:
        return _find(sagemaker, name)
    except JobError:
        if (whole := naming.tuning_name(name)) == name:
            raise
        try:
            return _find(sagemaker, whole)
        except JobError:
            pass
        raise


def _find(sagemaker: Client, name: str) -> Job:
    try:
        return Job(
            sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
            if len(name) <= contract.TUNING_NAME_CHARS
            else _searching(sagemaker, name)
        )
    except ClientError as error:
        if not is_missing(error):
            raise
    return Job(_searching(sagemaker, name))


def _searching(sagemaker: Client, name: str) -> Answer:
    try:
        described = lookup.job(sagemaker, name)
    except JobError as error:
        raise JobError(f"there is no tuning job {name}", remedy="kennel tuning list") from error
    if contract.SEARCH_HYPERPARAMETER not in described.get("HyperParameters", {}):
        raise JobError(
            f"{name} is a training job that searches nothing",
            expected="a tuning job, or a training job of kennel tune --in-job",
            remedy="kennel tuning list",
        )
    return described


def newest(sagemaker: Client, *, most: int, status: str | None = None) -> list[Answer]:
    """Return the summaries of kennel's newest tuning jobs of both kinds, newest first."""
    which: dict[str, object] = {
        "NameContains": TUNING,
        **({"StatusEquals": status} if status else {}),
    }
    tuning = _listed(
        sagemaker, "list_hyper_parameter_tuning_jobs", "HyperParameterTuningJobSummaries", which
    )
    jobs = list(islice((one for one in tuning if name_of(one).startswith(TUNING)), most))
    if len(jobs) == most:  # trials are called alike: without this all of them would be read
        which["CreationTimeAfter"] = jobs[-1]["CreationTime"]
    training = _listed(sagemaker, "list_training_jobs", "TrainingJobSummaries", which)
    searches = islice((one for one in training if naming.is_tuning_job(name_of(one))), most)
    both = [*jobs, *searches]
    return sorted(both, key=lambda summary: summary["CreationTime"], reverse=True)[:most]


def _listed(
    sagemaker: Client, operation: str, key: str, which: Mapping[str, object]
) -> Iterator[Answer]:
    """Yield the summaries that a list of SageMaker's has under *key*, newest first."""
    pages = sagemaker.get_paginator(operation).paginate(
        **which, SortBy="CreationTime", SortOrder="Descending", PaginationConfig=PAGES
    )
    return (summary for page in pages for summary in page[key])


def latest(sagemaker: Client) -> str:
    """
    Return the name of kennel's newest tuning job.

    Raises:
        JobError: There is none.
    """
    for summary in newest(sagemaker, most=1):
        return name_of(summary)
    raise JobError(
        "there is no tuning job",
        expected=f"one whose name starts with {TUNING}, in this account and region",
        remedy="kennel tune",
    )


def running(sagemaker: Client) -> str:
    """
    Return the name of kennel's one tuning job that is in progress.

    Raises:
        JobError: There is none, or there are several.
    """
    names = [name_of(one) for one in newest(sagemaker, most=SEVERAL, status="InProgress")]
    if len(names) == 1:
        return names[0]
    raise JobError(
        f"several tuning jobs are running: {', '.join(names)}"
        if names
        else "no tuning job is running",
        expected="one that runs, or the name of a tuning job",
        remedy="kennel tuning list",
    )


def name_of(described: Answer) -> str:
    """Return the name of a tuning job of either kind, described or summed up."""
    return str(described.get("HyperParameterTuningJobName") or described["TrainingJobName"])


def status_of(described: Answer) -> str:
    """Return its status."""
    return str(described.get("HyperParameterTuningJobStatus") or described["TrainingJobStatus"])
