"""How a tuning job ends is decided by its training jobs and by who stops it."""

from datetime import UTC, datetime, timedelta

import pytest

from kennel.contract import FAILURE_REASON_CHARS
from kennel.local.resources import LOCAL
from kennel.local.sagemaker.tuning import progress
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


def some(**counts):
    return [{"ObjectiveStatus": status} for status, count in counts.items() for _ in range(count)]


@pytest.mark.parametrize(
    ("summaries", "most", "expected"),
    [
        pytest.param(some(Failed=4), 10, False, id="four-of-ten"),
        pytest.param(some(Failed=5), 10, True, id="five-of-ten"),
        pytest.param(some(Failed=5, Pending=1), 10, True, id="while-one-runs"),
        pytest.param(some(Failed=9, Succeeded=1), 10, False, id="not-when-one-succeeded"),
        pytest.param(some(Failed=2), 2, True, id="all-there-may-be"),
        pytest.param(some(Failed=4), None, False, id="four-of-who-knows"),
        pytest.param(some(Failed=5), None, True, id="five-of-who-knows"),
        pytest.param([], 1, False, id="none-yet"),
    ],
)
def test_five_in_vain_are_enough(summaries, most, expected):
    """
    Then nothing more is started; what runs may still succeed.
    """
    assert progress.is_hopeless(summaries, most=most) is expected


def failed(name, reason):
    return {"TrainingJobName": name, "TrainingJobStatus": "Failed", "FailureReason": reason}


def test_the_reason_is_that_of_the_first_failure():
    """
    What the others say is mostly the same.
    """
    quiet = {"TrainingJobName": "a", "TrainingJobStatus": "Completed"}
    summaries = [quiet, failed("b", "AlgorithmError: no data"), failed("c", "later")]

    assert progress.in_vain(tuning(), summaries) == (
        "No training job succeeded after 3 attempts. The first that failed, b:"
        " AlgorithmError: no data"
    )


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
    However the search came to its end.
    """
    over = progress.about_to_end(tuning(), "Completed")
    last = progress.ended(over, [failed("a", "no data") | {"ObjectiveStatus": "Failed"}], LATER)

    assert last["HyperParameterTuningJobStatus"] == "Failed"
    assert last["FailureReason"].startswith("No training job succeeded after 1 attempts.")


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
    last = progress.ended(progress.about_to_end(tuning(), "Completed"), some(Succeeded=1), LATER)

    assert progress.runtime_s(tuning(), LATER) == 90
    assert progress.runtime_s(last, LATER + timedelta(days=1)) == 90
