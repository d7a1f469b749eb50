"""
The tuning jobs there are, read from SageMaker: its own, and searches inside one training job.

Takes clients, opens none. Both kinds become the same value, kennel.tuning.trials.Tuning. What is
asked for in a new one stands in ``tuning``; following one is ``watch``'s loop around ``Reader``.
"""

import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from botocore.exceptions import ClientError

from kennel import contract
from kennel.errors import JobError
from kennel.jobs import lookup, naming, search_log, storage, watch
from kennel.jobs.aws import Aws
from kennel.jobs.clients import Client
from kennel.jobs.failures import is_missing
from kennel.jobs.lookup import Answer
from kennel.jobs.naming import TUNING
from kennel.jobs.watch import LogReader, metric_in, training_log
from kennel.tuning import trials
from kennel.tuning.trials import Tuning

PAGES = {"PageSize": 100}  # the most that SageMaker takes; unasked it gives ten
SEVERAL = 5  # names in an error


@dataclass(frozen=True)
class Job:
    """A tuning job as AWS describes it, or the training job that searches by itself."""

    described: Answer

    @property
    def in_job(self) -> bool:
        """Whether it is a training job."""
        return "TrainingJobName" in self.described

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
    Describe the tuning job *name*, of either kind.

    Raises:
        JobError: There is none.
    """
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


class Reader:
    """
    Reads one tuning job as often as it is asked to; of trials that have ended once.

    Raises:
        JobError: There is no such tuning job.
    """

    def __init__(self, aws: Aws, name: str) -> None:
        self._aws = aws
        self._name = name
        self._ended: dict[str, Answer] = {}
        self._log: LogReader | None = None
        self._told = search_log.Trials(name, ())
        self.job = find(aws.sagemaker, name)

    def read(self) -> Tuning:
        """Return the tuning job as it is now, with its trials."""
        self.job = find(self._aws.sagemaker, self._name)
        if not self.job.in_job:
            return trials.from_answers(self.job.described, self._trials())
        document = self._left()
        described = as_tuning_job(self.job.described, document.get("Tuning", {}))
        answers = document.get("TrainingJobs") or self._so_far(described)
        return trials.from_answers(described, answers, document.get("Curves"))

    def _trials(self) -> list[Answer]:
        pages = self._aws.sagemaker.get_paginator(
            "list_training_jobs_for_hyper_parameter_tuning_job"
        ).paginate(HyperParameterTuningJobName=self._name, PaginationConfig=PAGES)
        summaries = [one for page in pages for one in page["TrainingJobSummaries"]]
        return [*summaries, *map(self._described, summaries)]

    def _described(self, summary: Answer) -> Answer:
        """Return what the summary lacks: metrics, and the seconds that are paid for."""
        name = summary["TrainingJobName"]
        if name not in self._ended:
            described = lookup.job(self._aws.sagemaker, name)
            if described["TrainingJobStatus"] not in contract.TRAINING_ENDED:
                return described
            self._ended[name] = described
        return self._ended[name]

    def _left(self) -> Answer:
        """Return what a search in one job has left; nothing while it runs, or where it broke."""
        described = self.job.described
        if described["TrainingJobStatus"] not in contract.TRAINING_ENDED:
            return {}
        with tempfile.TemporaryDirectory() as folder:
            try:
                storage.unpack(self._aws.s3, storage.outputs(described), Path(folder))
                return dict(json.loads((Path(folder) / contract.SEARCH_RESULT).read_text()))
            except (JobError, FileNotFoundError):
                return {}

    def _so_far(self, described: Answer) -> list[Answer]:
        """Return the trials that the log of a search in one job tells of."""
        ranges = described["HyperParameterTuningJobConfig"]["ParameterRanges"]
        if self._log is None:
            names = [one["Name"] for kind in ranges.values() for one in kind]
            self._log = training_log(self._aws.logs, self._name)
            self._told = search_log.Trials(self._name, names)
        return self._told.read(self._log.new_lines())

    def with_curves(self) -> Tuning:
        """Return the tuning job with the learning curves of its trials, as their logs have them."""
        tuning = self.read()
        if self.job.in_job:
            return tuning
        definition = self.job.described.get("TrainingJobDefinition", {})
        metrics = definition.get("AlgorithmSpecification", {}).get("MetricDefinitions", ())
        regex = {one["Name"]: one["Regex"] for one in metrics}.get(tuning.metric)
        if regex is None:  # of a built-in algorithm, or of several definitions
            return tuning
        curves = {t.name: tuple(self._curve(t.name, regex)) for t in tuning.trials}
        return replace(
            tuning, trials=tuple(replace(t, curve=curves[t.name]) for t in tuning.trials)
        )

    def _curve(self, job: str, regex: str) -> list[float]:
        lines = training_log(self._aws.logs, job).new_lines()
        return [value for line in lines if (value := metric_in(line.text, regex)) is not None]


def as_tuning_job(described: Answer, left: Mapping[str, object]) -> Answer:
    """
    Describe a search in one training job as AWS describes a tuning job.

    Args:
        described: The training job.
        left: What the search says of itself, so far or at its end.
    """
    static = dict(described["HyperParameters"])
    config = json.loads(static.pop(contract.SEARCH_HYPERPARAMETER))
    ended = described.get("TrainingEndTime")
    return {
        "HyperParameterTuningJobConfig": config,
        "TrainingJobDefinition": {"StaticHyperParameters": static},
        **left,
        "HyperParameterTuningJobName": described["TrainingJobName"],
        "HyperParameterTuningJobStatus": described["TrainingJobStatus"],
        "CreationTime": described["CreationTime"],
        **({"HyperParameterTuningEndTime": ended} if ended else {}),
        **({"FailureReason": r} if (r := described.get("FailureReason")) else {}),
    }
