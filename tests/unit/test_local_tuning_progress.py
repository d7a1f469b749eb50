"""How a tuning job ends is decided by its training jobs and by who stops it."""

from datetime import UTC, datetime, timedelta

import pytest

from kennel.contract import FAILURE_REASON_CHARS
from kennel.local.resources import LOCAL
from kennel.local.sagemaker.tuning import launched, progress
from kennel.local.wire.errors import ApiError

START = datetime(2026, 1, 1, tzinfo=UTC)
LATER = START + timedelta(seconds=90)


def tuning(status="InProgress", **local):
    metric = {"Name": "acc", "Regex": "acc=([0-9.]+)"}
    return {
        "HyperParameterTuningJobStatus": status,
        "CreationTime": START,
        "HyperParameterTuningJobConfig": {
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "acc"}
        },
        "TrainingJobDefinition": {"AlgorithmSpecification": {"MetricDefinitions": [metric]}},
        LOCAL: local,
    }


def summary(name, status, objective=None, reason=None):
    objective = {"MetricName": "acc", "Type": "Maximize", "Value": objective} if objective else None
    return {
        **dict.fromkeys((*launched.AS_THEY_ARE, *launched.SECONDS)),
        "TrainingJobName": name,
        "TrainingJobStatus": status,
        "FailureReason": reason,
        "TunedHyperParameters": {},
        "Metrics": {},
        launched.OBJECTIVE: objective,
    }


FAILED = summary("b", "Failed", reason="AlgorithmError: no data")
QUIET = summary("a", "Completed")


def ended(*summaries):
    """Return how a tuning job ends that had these training jobs."""
    return progress.ended(progress.about_to_end(tuning(), "Completed"), summaries, LATER)


def test_the_reason_is_that_of_the_first_failure():
    """
    What the others say is mostly the same.
    """
    last = ended(QUIET, FAILED, summary("c", "Failed", reason="later"))

    assert last["FailureReason"] == (
        "No training job succeeded after 3 attempts. The first that failed, b:"
        " AlgorithmError: no data"
    )


def test_training_jobs_that_ended_well_and_said_nothing_are_told_of_the_metric():
    """
    Whose regular expression most likely fits no line of theirs.
    """
    last = ended(QUIET, summary("b", "Stopped"))

    assert last["FailureReason"].startswith("No objective metrics found after running 2 ")
    assert "has a finite acc by 'acc=([0-9.]+)'" in last["FailureReason"]


def test_a_long_reason_is_cut_to_what_aws_shows():
    """
    FailureReason has 1024 characters.
    """
    ending = progress.about_to_end(tuning(), "Failed", "x" * 5000)

    assert len(progress.ended(ending, [], LATER)["FailureReason"]) == FAILURE_REASON_CHARS


def test_a_stop_wins_over_an_end_that_was_coming():
    """
    A tuning job that is stopping ends Stopped, and without a reason.
    """
    asked = progress.stopping(progress.about_to_end(tuning(), "Failed", "why"), LATER)
    last = progress.ended(asked, [], LATER)

    assert last["HyperParameterTuningJobStatus"] == "Stopped"
    assert "FailureReason" not in last


def test_the_first_end_that_was_noted_stays():
    """
    What goes wrong while the training jobs are being stopped does not change it.
    """
    noted = progress.about_to_end(progress.about_to_end(tuning(), "Completed"), "Failed", "why")

    assert progress.ending(noted) == ("Completed", "")


def test_nothing_that_succeeded_is_a_failure():
    """
    However the search came to its end; one success is enough for Completed.
    """
    assert ended(FAILED)["HyperParameterTuningJobStatus"] == "Failed"
    assert ended()["HyperParameterTuningJobStatus"] == "Failed"
    succeeded = ended(FAILED, summary("a", "Completed", 0.5))
    assert succeeded["HyperParameterTuningJobStatus"] == "Completed"
    assert "FailureReason" not in succeeded


@pytest.mark.parametrize("status", ["Completed", "Failed", "Stopped"])
def test_what_has_ended_cannot_be_stopped(status):
    """
    The refusal names the status.
    """
    with pytest.raises(ApiError, match=f"is in status {status}"):
        progress.stopping(tuning(status), LATER)


def test_the_runtime_ends_with_the_job():
    """
    It is counted from the creation, as MaxRuntimeInSeconds is.
    """
    last = ended(summary("a", "Completed", 0.5))

    assert progress.runtime_s(tuning(), LATER) == 90
    assert progress.runtime_s(last, LATER + timedelta(days=1)) == 90
