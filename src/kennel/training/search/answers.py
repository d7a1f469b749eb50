"""
What a search in one job leaves in its output: the answers that AWS would give of a tuning job.

So tables and reports read both kinds of search in one way (kennel.tuning.trials). Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kennel.contract import FAILURE_REASON_CHARS
from kennel.training.search.journal import Progress
from kennel.training.search.request import Wanted
from kennel.training.search.trial import Result, curve, metrics
from kennel.tuning.trials import best

Document = dict[str, Any]

COUNTERS = {"Completed": "Completed", "Stopped": "Stopped", "Failed": "NonRetryableError"}


@dataclass(frozen=True)
class Job:
    """The training job that searches."""

    name: str
    arn: str  # empty: not known


def trial_name(job: str, number: int) -> str:
    """Return what a trial is called: names sort by number."""
    return f"{job}-{number:03d}"


def answers(
    wanted: Wanted, progress: Progress, job: Job, *, status: str, reason: str = ""
) -> Document:
    """
    Return the search as AWS's answers tell of one.

    Args:
        wanted: The search.
        progress: What it has come to.
        job: That it ran in.
        status: Completed, Stopped or Failed.
        reason: Of its failure.

    Returns:
        ``Tuning``, of DescribeHyperParameterTuningJob's shape; ``TrainingJobs``, one of
        DescribeTrainingJob's for each trial; ``Curves``, name → objective after each epoch. Times
        are seconds since 1970.
    """
    results = [result for _, result in sorted(progress.results.items())]
    metric = wanted.metric
    return {
        "Tuning": _tuning(wanted, progress, job, results, status)
        | ({"FailureReason": reason[:FAILURE_REASON_CHARS]} if reason else {}),
        "TrainingJobs": [_training_job(wanted, job, result) for result in results],
        "Curves": {
            trial_name(job.name, result.number): list(curve(result.history, metric))
            for result in results
        },
    }


def _tuning(
    wanted: Wanted, progress: Progress, job: Job, results: list[Result], status: str
) -> Document:
    metric, maximize = wanted.metric, wanted.configuration.maximize
    told = [result.trial(trial_name(job.name, result.number), metric) for result in results]
    winner = best(told, maximize=maximize)
    counted = dict.fromkeys(("Completed", "InProgress", "RetryableError"), 0)
    counted |= dict.fromkeys(("NonRetryableError", "Stopped"), 0)
    for result in results:
        counted[COUNTERS[result.state]] += 1
    succeeded = sum(trial.succeeded for trial in told)
    started = min((result.started for result in results), default=0.0)
    ended = max((result.ended for result in results), default=0.0)
    document = {
        "HyperParameterTuningJobName": job.name,
        "HyperParameterTuningJobArn": job.arn,
        "HyperParameterTuningJobConfig": dict(wanted.document),
        "TrainingJobDefinition": {"StaticHyperParameters": dict(wanted.static)},
        "HyperParameterTuningJobStatus": status,
        "CreationTime": started,
        "LastModifiedTime": ended,
        "HyperParameterTuningEndTime": ended,
        "TrainingJobStatusCounters": counted,
        "ObjectiveStatusCounters": {
            "Succeeded": succeeded,
            "Pending": 0,
            "Failed": len(told) - succeeded,
        },
    }
    if winner:
        result = progress.results[_number(winner.name)]
        document["BestTrainingJob"] = _summary(wanted, job, result)
    return document


def _number(name: str) -> int:
    return int(name.rpartition("-")[2])


def _training_job(wanted: Wanted, job: Job, result: Result) -> Document:
    measured = metrics(result.best) if result.best else {}
    document = {
        "TrainingJobName": trial_name(job.name, result.number),
        "TrainingJobArn": _arn(job, result),
        "TuningJobArn": job.arn,
        "TrainingJobStatus": result.state,
        "SecondaryStatus": result.state,
        "HyperParameters": {**wanted.static, **result.values},
        "CreationTime": result.started,
        "TrainingStartTime": result.started,
        "TrainingEndTime": result.ended,
        "LastModifiedTime": result.ended,
        "FinalMetricDataList": [
            {"MetricName": name, "Value": value, "Timestamp": result.ended}
            for name, value in measured.items()
        ],
    }
    return document | _failure(result)


def _summary(wanted: Wanted, job: Job, result: Result) -> Document:
    """Return a trial as ListTrainingJobsForHyperParameterTuningJob tells of it."""
    metric = wanted.metric
    kind = "Maximize" if wanted.configuration.maximize else "Minimize"
    measured = metrics(result.best) if result.best else {}
    final: Mapping[str, Any] = {"Type": kind, "MetricName": metric, "Value": measured.get(metric)}
    return {
        "TrainingJobName": trial_name(job.name, result.number),
        "TrainingJobArn": _arn(job, result),
        "CreationTime": result.started,
        "TrainingStartTime": result.started,
        "TrainingEndTime": result.ended,
        "TrainingJobStatus": result.state,
        "TunedHyperParameters": dict(result.values),
        "FinalHyperParameterTuningJobObjectiveMetric": dict(final),
        "ObjectiveStatus": "Succeeded",
        **_failure(result),
    }


def _failure(result: Result) -> Document:
    return {"FailureReason": result.reason[:FAILURE_REASON_CHARS]} if result.reason else {}


def _arn(job: Job, result: Result) -> str:
    return f"{job.arn}-{result.number:03d}" if job.arn else ""
