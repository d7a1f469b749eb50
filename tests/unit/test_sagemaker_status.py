"""The states of a training job read as DescribeTrainingJob tells them."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from kennel.local.resources import LOCAL
from kennel.local.runtimes.protocol import State, Status
from kennel.local.sagemaker.training import status
from kennel.local.sagemaker.training.jobs import stopping
from kennel.local.sagemaker.training.outcome import (
    algorithm_error,
    failed_at,
    failing,
    outcome,
    wants_model,
)

WHOLE = ["Starting", "Downloading", "Training"]
AGAIN = [*WHOLE, "Interrupted", "Restarting", *WHOLE]
LATE = "MaxRuntimeExceeded"
START = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds):
    return START + timedelta(seconds=seconds)


def running():
    job = status.advance(status.created(START), "Downloading", at(1))
    return status.advance(job | {"TrainingStartTime": at(1)}, "Training", at(2))


def test_a_new_job_is_in_progress_and_starting():
    """
    CreateTrainingJob leaves a job InProgress, Starting, modified when it was created.
    """
    job = status.created(START)

    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("InProgress", "Starting")
    assert job["CreationTime"] == job["LastModifiedTime"] == START


def test_each_transition_ends_the_one_before():
    """
    SecondaryStatusTransitions has no gaps: each ends when the next begins.
    """
    transitions = running()["SecondaryStatusTransitions"]

    assert [t["Status"] for t in transitions] == ["Starting", "Downloading", "Training"]
    assert [t.get("EndTime") for t in transitions] == [at(1), at(2), None]


def test_a_stopping_job_does_not_go_back_to_work():
    """
    A job that is Stopping stays so until it has stopped, whatever it does meanwhile.
    """
    job = status.advance(running(), "Stopping", at(3))

    assert status.advance(job, "Uploading", at(4)) == job
    assert status.advance(job, "Stopped", at(5))["TrainingJobStatus"] == "Stopped"


@pytest.mark.parametrize("secondary", ["Pending", "Downloading", "Training", "Uploading"])
def test_a_job_never_goes_back(secondary):
    """
    What a server does again, after the one before was killed, is no new transition.
    """
    job = status.advance(running(), "Uploading", at(3))

    assert status.advance(job, secondary, at(4)) == job


def test_a_job_that_is_uploading_is_not_stopped_any_more():
    """
    It has ended by itself; how it ends does not depend on whether the server sees the stop.
    """
    job = status.advance(running(), "Uploading", at(3))

    assert stopping(job) == job


@pytest.mark.parametrize("secondary", ["Downloading", "Training", "Uploading"])
def test_an_interrupted_job_does_nothing_but_restart(secondary):
    """
    What its containers do until they are gone is not shown; then all stages come again.
    """
    job = status.advance(running(), "Interrupted", at(3))
    assert status.advance(job, secondary, at(4)) == job

    for second, stage in enumerate(["Restarting", "Starting", "Downloading", "Training"], 5):
        job = status.advance(job, stage, at(second))
    assert [t["Status"] for t in job["SecondaryStatusTransitions"]] == AGAIN


def test_the_end_has_its_times():
    """
    Training and billable time are whole seconds from the start on the instance, at least one.
    """
    job = status.ended(running(), "Completed", at(61), billed_s=60.0)

    assert job["TrainingEndTime"] == at(61)
    assert job["TrainingTimeInSeconds"] == job["BillableTimeInSeconds"] == 60
    assert job["SecondaryStatusTransitions"][-1]["EndTime"] == at(61)
    assert "FailureReason" not in job


def test_a_job_that_never_ran_has_no_times():
    """
    One that was stopped while it waited was never billed.
    """
    job = status.ended(status.created(START), "Stopped", at(9), billed_s=0.0)

    assert not {"TrainingTimeInSeconds", "TrainingEndTime"} & job.keys()


def test_a_failure_reason_is_the_failure_file_and_the_exit_code():
    """
    The cause comes first and the exit code survives the cut at 1024 characters.
    """
    reason = algorithm_error("DataError: no images" + "x" * 2000, 1, "")

    assert reason.startswith("AlgorithmError: DataError: no images")
    assert reason.endswith(", exit code: 1")
    assert len(reason) == 1024


def test_without_a_failure_file_the_log_speaks():
    """
    A script that wrote no failure file is told by the end of its log, not by silence.
    """
    reason = algorithm_error("", 137, "Killed")

    assert "The log ends with: Killed" in reason
    assert reason.endswith("exit code: 137")


@pytest.mark.parametrize(
    ("job_status", "local", "code", "expected"),
    [
        pytest.param("InProgress", {}, 0, "Completed", id="success"),
        pytest.param("InProgress", {}, 1, "Failed", id="failure"),
        pytest.param("InProgress", {}, None, "Failed", id="lost"),
        pytest.param("Stopping", {}, 0, "Stopped", id="stopped"),
        pytest.param("Stopping", {}, 137, "Stopped", id="killed"),
        pytest.param(
            "Stopping", {"Exceeded": "MaxRuntimeExceeded"}, 0, "MaxRuntimeExceeded", id="late"
        ),
    ],
)
def test_how_a_job_ends(job_status, local, code, expected):
    """
    A stop is a stop however the container ends; without one the exit code decides.
    """
    job = {"TrainingJobStatus": job_status, LOCAL: local}
    state = State(Status.EXITED if code is not None else Status.LOST, code)

    secondary, reason = outcome(job, state, "", "")

    assert secondary == expected
    assert bool(reason) == (expected == "Failed")


def test_the_host_that_failed_is_named_where_there_are_several():
    """
    What is known of its end comes with the exit code, which is never cut off.
    """
    job = {"TrainingJobStatus": "InProgress", LOCAL: {"FailedHost": 1}}
    state = State(Status.EXITED, 137, "out of memory")

    _, reason = outcome(job, state, "x" * 2000, "", host="algo-2")

    assert reason.endswith(", exit code: 137 (host: algo-2, out of memory)")
    assert len(reason) == 1024


def test_a_host_that_failed_first_fails_the_job_whatever_comes_then():
    """
    A stop that comes while the other hosts are ended is too late.
    """
    job = {"TrainingJobStatus": "Stopping", LOCAL: {"FailedHost": 0}}

    assert outcome(job, State(Status.EXITED, 1), "DataError", "")[0] == "Failed"


@pytest.mark.parametrize(
    ("secondary", "local"),
    [
        pytest.param("Stopping", {}, id="stopped"),
        pytest.param("Interrupted", {}, id="interrupted"),
        pytest.param("Training", {"FailedHost": 0}, id="another-failed"),
    ],
)
def test_a_host_that_is_being_ended_does_not_fail(secondary, local):
    """
    How it ends follows from why it is ended.
    """
    status = "Stopping" if secondary == "Stopping" else "InProgress"
    job = {"TrainingJobStatus": status, "SecondaryStatus": secondary, LOCAL: local}

    assert failing(job, 1) == job


def test_the_first_failure_is_of_whom_was_killed(tmp_path):
    """
    Then the one that wrote its failure file first; who ended by itself without one comes last.
    """
    codes = {"killed": 137, "silent": 1, "first": 3, "second": 1}
    states = {name: State(Status.EXITED, code) for name, code in codes.items()}
    states["lost"] = State(Status.LOST)
    times = {"first": 10, "second": 20}
    for name, written in times.items():
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (written, written))

    def when(name):
        return failed_at(states[name], tmp_path / name)

    assert when("lost") == when("killed") < when("first") < when("second") < when("silent")


@pytest.mark.parametrize(
    ("secondary", "is_empty", "expected"),
    [
        pytest.param("Completed", True, True, id="completed-empty"),
        pytest.param("Stopped", False, True, id="stopped-with-a-model"),
        pytest.param("Stopped", True, False, id="stopped-empty"),
        pytest.param("MaxRuntimeExceeded", False, True, id="late-with-a-model"),
        pytest.param("Failed", False, False, id="failed"),
    ],
)
def test_whose_model_is_stored(secondary, is_empty, expected):
    """
    A completed job's always, a stopped one's if there is any, a failed one's never.
    """
    assert wants_model(secondary, is_empty=is_empty) is expected
