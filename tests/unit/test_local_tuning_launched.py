"""What a tuning job tells of its training jobs follows from their documents."""

from datetime import UTC, datetime, timedelta

import pytest

from kennel.local.resources import LOCAL
from kennel.local.sagemaker.tuning import launched

START = datetime(2026, 1, 1, tzinfo=UTC)


def tuning(kind="Maximize", static=None, **local):
    return {
        "HyperParameterTuningJobName": "tune",
        "CreationTime": START,
        "HyperParameterTuningJobConfig": {
            "HyperParameterTuningJobObjective": {"Type": kind, "MetricName": "acc"}
        },
        "TrainingJobDefinition": {"StaticHyperParameters": static or {}},
        LOCAL: {"Trials": [], "Parents": [], **local},
    }


def job(status="Completed", value=0.5, **members):
    metrics = [{"MetricName": "acc", "Value": value, "Timestamp": START}]
    return {
        "TrainingJobName": "tune-001",
        "TrainingJobStatus": status,
        "CreationTime": START,
        "FinalMetricDataList": [] if value is None else metrics,
        **members,
    }


def summary(document=None, kind="Maximize", name="tune-001", **values):
    entry = {"Name": name, "Values": values or {"lr": "0.1"}}
    return launched.summary(tuning(kind), entry, document)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        pytest.param(job("Completed"), ("Succeeded", 0.5), id="completed"),
        pytest.param(job("Stopped"), ("Succeeded", 0.5), id="stopped"),
        pytest.param(job("Failed"), ("Failed", None), id="failed"),
        pytest.param(job("Completed", None), ("Failed", None), id="silent"),
        pytest.param(job("InProgress"), ("Pending", None), id="in-progress"),
        pytest.param(job("Stopping"), ("Pending", None), id="stopping"),
    ],
)
def test_an_objective_is_final_when_its_job_has_ended_well(document, expected):
    """
    That of a job that runs is pending; one that failed, or never printed it, has none.
    """
    found = summary(document)
    final = found[launched.OBJECTIVE]

    assert (found["ObjectiveStatus"], final and final["Value"]) == expected
    assert launched.trial(found).objective == expected[1]


def test_a_deleted_job_is_stopped_without_an_objective():
    """
    Somebody may delete a training job before the tuning job has noted its end.
    """
    found = summary(None)

    assert (found["TrainingJobName"], found["TrainingJobStatus"]) == ("tune-001", "Stopped")
    assert found["ObjectiveStatus"] == "Failed"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [pytest.param("Maximize", 0.9, id="maximize"), pytest.param("Minimize", 0.2, id="minimize")],
)
def test_the_best_is_by_the_objectives_direction(kind, expected):
    """
    Those without an objective do not count.
    """
    values = [0.5, 0.9, 0.2]
    summaries = [summary(job(value=value), kind) for value in values]
    found = launched.best([summary(job("Failed"), kind), *summaries])

    assert found[launched.OBJECTIVE]["Value"] == expected


def test_without_an_objective_there_is_no_best():
    """
    As long as none has ended well.
    """
    assert launched.best([summary(job("InProgress"))]) is None


def test_errors_of_the_platform_may_be_retried():
    """
    The counters tell them from those of the algorithm.
    """
    reasons = ["InternalServerError: lost", "AlgorithmError: NaN", "ClientError: no data"]
    failed = [summary(job("Failed", FailureReason=reason)) for reason in reasons]
    counted = launched.counters([*failed, summary(job("Stopping"))])

    assert counted["TrainingJobStatusCounters"] == {
        "Completed": 0,
        "InProgress": 1,
        "RetryableError": 1,
        "NonRetryableError": 2,
        "Stopped": 0,
    }


def test_the_search_sees_a_trial_whole():
    """
    Values, state, curve, times and metrics are what the summary says.
    """
    end = START + timedelta(seconds=5)
    found = summary(
        job(TrainingStartTime=START, TrainingEndTime=end, TrainingTimeInSeconds=5), lr="0.2"
    )
    trial = launched.trial(found | {"Curve": [0.1, 0.5]})

    assert (trial.values, trial.state) == ({"lr": "0.2"}, "Completed")
    assert (trial.curve, trial.metrics) == ((0.1, 0.5), {"acc": 0.5})
    assert (trial.started, trial.ended, trial.seconds) == (START, end, 5)


def test_one_that_is_stopping_still_runs_for_the_search():
    """
    What comes of it is not known yet.
    """
    trial = launched.trial(summary(job("Stopping")), [0.1, 0.2])

    assert trial.running
    assert trial.curve == (0.1, 0.2)


def test_a_warm_start_learns_what_was_static_in_its_parent():
    """
    Every trial of the parent had that value; what the new job does not tune is left out.
    """
    ended = summary(job(), lr="0.1", momentum="0.9")
    parent = tuning(
        static={"batch-size": "32", "epochs": "3"},
        Trials=[{"Name": "tune-001", "Values": {}, "Ended": ended}, {"Name": "tune-002"}],
    )

    (learned,) = launched.warm(parent, ["lr", "batch-size"])
    assert learned["TunedHyperParameters"] == {"lr": "0.1", "batch-size": "32"}


def test_an_end_is_noted_of_its_own_entry():
    """
    The other entries, and their order, stay.
    """
    both = launched.with_entry(launched.with_entry(tuning(), "a", {"lr": "1"}), "b", {"lr": "2"})
    noted = launched.settled(both, {"a": {"Curve": []}}, START)

    assert [entry["Name"] for entry in launched.entries(noted)] == ["a", "b"]
    assert [entry["Name"] for entry in launched.unsettled(noted)] == ["b"]
    assert noted["LastModifiedTime"] == START
