"""
The training jobs of a tuning job, as AWS summarises them and as the search sees them.

Pure. A tuning job's document has an entry for each, in the order of their launch: its Name, the
Values that were chosen for it and, once it has ended, all that is to be known of it (Ended), so
that neither its deletion nor that of its log takes anything from the search.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from kennel.local.resources import LOCAL, Document
from kennel.local.sagemaker.names import TRAINING_JOB
from kennel.local.sagemaker.training.record import has_ended
from kennel.local.sagemaker.tuning import definition
from kennel.tuning.trials import State, Trial

TIMES = ("CreationTime", "TrainingStartTime", "TrainingEndTime")
AS_THEY_ARE = ("TrainingJobName", "TrainingJobArn", *TIMES, "TrainingJobStatus", "FailureReason")
SECONDS = ("TrainingTimeInSeconds", "BillableTimeInSeconds")
OBJECTIVE = "FinalHyperParameterTuningJobObjectiveMetric"


def entries(tuning: Document) -> list[Document]:
    """Return what a tuning job's document says of its training jobs."""
    found: list[Document] = tuning[LOCAL]["Trials"]
    return found


def unsettled(tuning: Document) -> list[Document]:
    """Return the entries of those whose end has not been noted."""
    return [entry for entry in entries(tuning) if "Ended" not in entry]


def summary(tuning: Document, entry: Document, job: Document | None) -> Document:
    """
    Return AWS's summary of a training job, with more that its shape lacks and the search needs.

    Args:
        job: Its document; None when somebody has deleted it, which only one that has ended can be.
    """
    if job is None:
        job = gone(tuning, entry)
    metrics = {one["MetricName"]: one["Value"] for one in job.get("FinalMetricDataList", [])}
    objective = definition.objective(tuning)
    value = metrics.get(objective["MetricName"])
    is_final = has_ended(job) and job["TrainingJobStatus"] != "Failed" and value is not None
    return {
        **{member: job.get(member) for member in (*AS_THEY_ARE, *SECONDS)},
        "TrainingJobDefinitionName": tuning["TrainingJobDefinition"].get("DefinitionName"),
        "TuningJobName": tuning["HyperParameterTuningJobName"],
        "TunedHyperParameters": entry["Values"],
        "ObjectiveStatus": objective_status(job, is_final=is_final),
        OBJECTIVE: {**objective, "Value": value} if is_final else None,
        "Metrics": metrics,
    }


def gone(tuning: Document, entry: Document) -> Document:
    """Return what is left of a training job that was deleted before its end was noted."""
    return {
        "TrainingJobName": entry["Name"],
        "TrainingJobArn": TRAINING_JOB.arn(entry["Name"]),
        "CreationTime": tuning["CreationTime"],
        "TrainingJobStatus": "Stopped",
    }


def objective_status(job: Document, *, is_final: bool) -> str:
    """Return whether the objective of a training job is known, will be, or never will."""
    if not has_ended(job):
        return "Pending"
    return "Succeeded" if is_final else "Failed"


def settled(tuning: Document, ended: Mapping[str, Document], now: datetime) -> Document:
    """Return the tuning job with the end of some training jobs noted, by name."""
    noted = [
        {**entry, "Ended": ended[entry["Name"]]} if entry["Name"] in ended else entry
        for entry in entries(tuning)
    ]
    return tuning | {"LastModifiedTime": now, LOCAL: tuning[LOCAL] | {"Trials": noted}}


def with_entry(tuning: Document, name: str, values: Mapping[str, str]) -> Document:
    """Return the tuning job with one more training job."""
    entry = {"Name": name, "Values": dict(values)}
    return tuning | {LOCAL: tuning[LOCAL] | {"Trials": [*entries(tuning), entry]}}


def trial(summary: Document, curve: Sequence[float] = ()) -> Trial:
    """Return a training job as the search sees it, from its summary and its objective so far."""
    final, status = summary[OBJECTIVE], summary["TrainingJobStatus"]
    state = "InProgress" if status == "Stopping" else status
    return Trial(
        name=summary["TrainingJobName"],
        values=summary["TunedHyperParameters"],
        state=cast("State", state),
        objective=final["Value"] if final else None,
        curve=tuple(summary.get("Curve", curve)),
        seconds=summary["TrainingTimeInSeconds"],
        billable_s=summary["BillableTimeInSeconds"],
        reason=summary["FailureReason"] or "",
        started=summary["TrainingStartTime"],
        ended=summary["TrainingEndTime"],
        metrics=summary["Metrics"],
    )


def counters(summaries: Sequence[Document]) -> Document:
    """Return TrainingJobStatusCounters and ObjectiveStatusCounters."""
    statuses = [one["TrainingJobStatus"] for one in summaries]
    internal = [is_internal(one) for one in summaries if one["TrainingJobStatus"] == "Failed"]
    objectives = [one["ObjectiveStatus"] for one in summaries]
    return {
        "TrainingJobStatusCounters": {
            "Completed": statuses.count("Completed"),
            "InProgress": statuses.count("InProgress") + statuses.count("Stopping"),
            "RetryableError": sum(internal),
            "NonRetryableError": len(internal) - sum(internal),
            "Stopped": statuses.count("Stopped"),
        },
        "ObjectiveStatusCounters": {
            status: objectives.count(status) for status in ("Succeeded", "Pending", "Failed")
        },
    }


def is_internal(summary: Document) -> bool:
    """Return whether a training job failed by the platform's fault, so that it may be retried."""
    return str(summary["FailureReason"] or "").startswith("InternalServerError")


def best(summaries: Iterable[Document]) -> Document | None:
    """Return the summary with the best objective; of equals, the one that was launched first."""
    known = [one for one in summaries if one[OBJECTIVE]]
    if not known:
        return None
    sign = 1 if known[0][OBJECTIVE]["Type"] == "Maximize" else -1
    return max(known, key=lambda one: sign * float(one[OBJECTIVE]["Value"]))


def warm(parent: Document, names: Iterable[str]) -> list[Document]:
    """
    Return what a later tuning job learns from *parent*: its training jobs that have ended.

    Args:
        names: Of the hyperparameters that the later one tunes; of those that are static in the
            parent, every training job had the same value.
    """
    fixed = definition.static(parent)
    known = [entry["Ended"] for entry in entries(parent) if "Ended" in entry]
    return [
        one
        | {
            "TunedHyperParameters": {
                name: value
                for name, value in {**fixed, **one["TunedHyperParameters"]}.items()
                if name in set(names)
            }
        }
        for one in known
    ]


def overall_best(tuning: Document, best_of_own: Document | None) -> Document | None:
    """Return the best of a warm start's own and its parents' training jobs, which AWS compares."""
    warm_start: Mapping[str, Any] = tuning.get("WarmStartConfig", {})
    if warm_start.get("WarmStartType") != "IdenticalDataAndAlgorithm":
        return None
    return best([*filter(None, [best_of_own]), *tuning[LOCAL]["Parents"]])
