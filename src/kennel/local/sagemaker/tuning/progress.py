"""
How a tuning job stands, as DescribeHyperParameterTuningJob tells it. Pure: documents in, out.

What makes it move from one status to the next is the run's business, what its training jobs
amount to is launched's.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from kennel.contract import FAILURE_REASON_CHARS, TUNING_ENDED
from kennel.local.resources import LOCAL, Document
from kennel.local.sagemaker.names import TUNING_JOB, invalid
from kennel.local.sagemaker.tuning import definition, launched
from kennel.local.wire.context import region
from kennel.tuning import completion
from kennel.tuning.trials import Trial

STATUS = "HyperParameterTuningJobStatus"


def created(params: dict[str, Any], parents: Sequence[Document], now: datetime) -> Document:
    """
    Return the document of a new tuning job.

    Args:
        parents: What a warm start learns from, see launched.warm.
    """
    request = {member: value for member, value in params.items() if member != "Tags"}
    return {
        **request,
        "HyperParameterTuningJobArn": TUNING_JOB.arn(params["HyperParameterTuningJobName"]),
        STATUS: "InProgress",
        "CreationTime": now,
        "LastModifiedTime": now,
        LOCAL: {"Region": region(), "Trials": [], "Parents": list(parents)},
    }


def has_ended(tuning: Document) -> bool:
    """Return whether there is nothing more to do for a tuning job."""
    return tuning[STATUS] in TUNING_ENDED


def stopping(tuning: Document, now: datetime) -> Document:
    """
    Return *tuning* on its way to being stopped; one that is stopping already goes on doing so.

    Raises:
        ApiError: ``ValidationException``: it has ended.
    """
    if has_ended(tuning):
        raise invalid(
            "The request was rejected because the hyperparameter tuning job is in status"
            f" {tuning[STATUS]}."
        )
    return tuning | {STATUS: "Stopping", "LastModifiedTime": now}


def ending(tuning: Document) -> tuple[str, str] | None:
    """Return the status that a tuning job is about to end with, and the reason if it failed."""
    if tuning[STATUS] == "Stopping":
        return "Stopped", ""
    noted = tuning[LOCAL].get("Ending")
    return (noted["Status"], noted["Reason"]) if noted else None


def about_to_end(tuning: Document, status: str, reason: str = "") -> Document:
    """Return *tuning* with how it is going to end, once its training jobs have."""
    noted = {"Status": status, "Reason": reason[:FAILURE_REASON_CHARS]}
    return tuning | {LOCAL: {"Ending": noted} | tuning[LOCAL]}


def ended(tuning: Document, summaries: Sequence[Document], now: datetime) -> Document:
    """Return *tuning* at its end: one whose training jobs were all in vain has failed."""
    status, reason = ending(tuning) or ("Completed", "")
    trials = [launched.trial(one) for one in summaries]
    if status == "Completed" and not completion.has_success(trials):
        status, reason = "Failed", in_vain(tuning, trials)[:FAILURE_REASON_CHARS]
    last = {STATUS: status, "HyperParameterTuningEndTime": now, "LastModifiedTime": now}
    return tuning | last | ({"FailureReason": reason} if reason else {})


def runtime_s(tuning: Document, now: datetime) -> float:
    """Return for how long a tuning job has run."""
    until = tuning.get("HyperParameterTuningEndTime", now)
    return float((until - tuning["CreationTime"]).total_seconds())


def in_vain(tuning: Document, trials: Sequence[Trial]) -> str:
    """Return why a tuning job has failed whose training jobs all ended without an objective."""
    if any(trial.state == "Failed" for trial in trials):
        return completion.in_vain(trials)
    name, regex = definition.objective(tuning)["MetricName"], definition.regex(tuning)
    return (
        f"No objective metrics found after running {len(trials)} training jobs. Please ensure"
        " that the custom algorithm is emitting the objective metric as defined by the regular"
        f" expression provided: no line of theirs has a finite {name} by {regex!r}."
    )


def converged(tuning: Document, now: datetime) -> Document:
    """Return *tuning* with when no better objective was to be expected any more."""
    return tuning | {LOCAL: tuning[LOCAL] | {"ConvergedAt": now}}


def details(tuning: Document, summaries: Sequence[Document]) -> Document:
    """Return TuningJobCompletionDetails."""
    trials = [launched.trial(one) for one in summaries]
    stale = completion.not_improving(trials, maximize=definition.is_maximised(tuning))
    return {
        "NumberOfTrainingJobsObjectiveNotImproving": stale,
        "ConvergenceDetectedTime": tuning[LOCAL].get("ConvergedAt"),
    }
