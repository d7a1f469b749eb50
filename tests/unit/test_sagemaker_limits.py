"""When a job has had enough time, and what a Spot interruption does to its times."""

from datetime import UTC, datetime, timedelta

import pytest

from kennel.contract import STOP_GRACE_S
from kennel.local.resources import LOCAL
from kennel.local.sagemaker.training import limits, spot, status
from kennel.local.wire.errors import ApiError

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds):
    return START + timedelta(seconds=seconds)


def training(**members):
    """A job on Spot that has been training since the tenth second."""
    request = {
        "TrainingJobName": "job",
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 2},
        "StoppingCondition": {"MaxRuntimeInSeconds": 100, "MaxWaitTimeInSeconds": 200},
        "EnableManagedSpotTraining": True,
        **members,
    }
    job = request | status.created(START) | {LOCAL: spot.first_attempt(request, START)}
    job = spot.started(status.advance(job, "Downloading", at(10)), at(10))
    return status.advance(job, "Training", at(10))


def interrupted_for(away_s, *, after_s):
    job = spot.interrupted(training(), away_s, at(after_s))
    return spot.released(limits.ending(job, at(after_s)), at(after_s))


def test_time_counts_from_when_there_are_instances():
    """
    What a job waits before it runs does not count as its running.
    """
    assert limits.exceeded(training(), at(109)) is None
    assert limits.exceeded(training(), at(110)) == "MaxRuntimeExceeded"


def test_time_without_instances_is_waited_not_run():
    """
    After 30 s with instances and 60 s without, 70 s are left to run.
    """
    job = interrupted_for(60, after_s=40)
    assert spot.billed_s(job, at(99)) == 30
    assert spot.capacity_in_s(job, at(40)) == 60

    job = spot.started(job, at(100))

    assert job["TrainingStartTime"] == at(10)
    assert limits.exceeded(job, at(169)) is None
    assert limits.exceeded(job, at(170)) == "MaxRuntimeExceeded"


def test_waiting_has_its_own_limit():
    """
    MaxWaitTimeInSeconds counts from the creation of the job, whatever it does.
    """
    job = interrupted_for(600, after_s=40)

    assert limits.exceeded(job, at(199)) is None
    assert limits.exceeded(job, at(200)) == "MaxWaitTimeExceeded"


def test_a_released_job_begins_anew():
    """
    It has a stream for each fresh host, read from its beginning, and nothing of its former end.
    """
    job = interrupted_for(60, after_s=40)

    stamp = int(at(100).timestamp())
    assert job[LOCAL]["Streams"] == [
        {"Name": f"job/algo-1-{stamp}", "Offset": 0},
        {"Name": f"job/algo-2-{stamp}", "Offset": 0},
    ]
    assert not {"TerminatedAt", "AwaySeconds"} & job[LOCAL].keys()


def test_a_job_that_was_stopped_meanwhile_is_not_released():
    """
    A stop wins over the restart.
    """
    job = spot.interrupted(training(), 60, at(40))
    job = status.advance(job, "Stopping", at(41))

    assert spot.released(job, at(42)) == job


@pytest.mark.parametrize("away_s", [-1, float("nan"), float("inf")])
def test_a_time_that_cannot_be_is_refused(away_s):
    """
    The error names it.
    """
    with pytest.raises(ApiError, match="Capacity cannot be away for"):
        spot.interrupted(training(), away_s, at(40))


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        pytest.param({}, STOP_GRACE_S, id="stop"),
        pytest.param({"FailedHost": 0}, limits.PEER_GRACE_S, id="another-failed"),
    ],
)
def test_the_others_of_a_failed_host_have_less_time(local, expected):
    """
    The job is to fail within a minute; a stop leaves the 120 s that SageMaker does.
    """
    assert limits.grace_s({LOCAL: local}) == expected
    assert limits.PEER_GRACE_S < 60


def test_the_moment_of_the_first_sigterm_counts():
    """
    A server that sends it again does not prolong the grace.
    """
    job = limits.ending(status.advance(training(), "Stopping", at(50)), at(50))

    assert limits.ending(job, at(90))[LOCAL]["TerminatedAt"] == at(50)
