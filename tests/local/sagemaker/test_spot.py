"""A Spot interruption does here what it does on AWS: the job loses its instances and goes on."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager
from itertools import pairwise

import pytest

from kennel.errors import JobError, LocalServerError
from kennel.local import rehearsal

KENNEL = [sys.executable, "-c", "import sys; from kennel.cli import main; sys.exit(main())"]
# Hears SIGTERM and takes its time.
SLOW_TO_END = """
import os, signal, time
base = os.environ["SAGEMAKER_BASE_DIR"]
signal.signal(signal.SIGTERM, lambda *_: print("heard"))
open(base + "/model/model.txt", "w").close()
print("begun")
while not os.path.exists(base + "/go"):
    time.sleep(0.01)
"""
WHOLE = ["Starting", "Downloading", "Training"]
CANNOT = "only a job that is Training has instances to lose"


def statuses(job):
    return [transition["Status"] for transition in job["SecondaryStatusTransitions"]]


@pytest.fixture
def reached(sagemaker, until):
    """Wait until a job is in a secondary status."""

    def wait(name, secondary):
        def described():
            return sagemaker.describe_training_job(TrainingJobName=name)

        until(lambda: described()["SecondaryStatus"] == secondary)

    return wait


@pytest.fixture
def heard(printed, state):
    """Do something when a job that is SLOW_TO_END has heard SIGTERM; let it end after that."""

    @contextmanager
    def wait(name):
        printed(name, "heard")
        yield
        (state / "sagemaker" / name / "ml" / "go").touch()

    return wait


def test_an_interrupted_job_goes_on_from_its_checkpoints(spot_job, printed, interrupt, finished):
    """
    The script hears SIGTERM, and finds what it saved then, and nothing else of its former life.
    """
    name = spot_job()
    interrupt(name)

    job = finished(name)

    assert job["TrainingJobStatus"] == "Completed"
    assert printed(name, "life=2") == ["life=1 left=[]", "life=2 left=[]"]
    assert job["FinalMetricDataList"][0]["Value"] == 2


def test_the_transitions_are_those_of_aws(spot_job, interrupt, finished):
    """
    Interrupted, then Restarting, then all stages again, without a gap between them.
    """
    name = spot_job()
    interrupt(name)

    job = finished(name)

    ended = ["Uploading", "Completed"]
    assert statuses(job) == [*WHOLE, "Interrupted", "Restarting", *WHOLE, *ended]
    pairs = pairwise(job["SecondaryStatusTransitions"])
    assert all(before["EndTime"] == after["StartTime"] for before, after in pairs)


def test_the_time_without_instances_is_not_billed(spot_job, interrupt, finished):
    """
    Training time runs on while capacity is away, billable time does not.
    """
    name = spot_job()
    interrupt(name, 2.0)

    job = finished(name)

    took = (job["TrainingEndTime"] - job["TrainingStartTime"]).total_seconds()
    assert abs(job["TrainingTimeInSeconds"] - took) <= 0.5
    assert 1 <= job["BillableTimeInSeconds"] <= max(1, took - 2.0 + 0.5)


def test_each_attempt_has_a_log_stream(spot_job, interrupt, finished, logs):
    """
    Fresh instances write to a stream of their own, as every instance does.
    """
    name = spot_job()
    interrupt(name, 1.1)
    finished(name)

    streams = logs.describe_log_streams(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{name}/algo-1-"
    )
    assert len(streams["logStreams"]) == 2


def test_a_job_can_be_interrupted_again(spot_job, printed, interrupt, finished):
    """
    Every time it gets fresh instances.
    """
    name = spot_job(lives=3)
    interrupt(name)
    printed(name, "life=2")
    interrupt(name)

    assert statuses(finished(name)).count("Interrupted") == 2


def test_a_job_without_capacity_for_too_long_is_ended(spot_job, interrupt, finished):
    """
    MaxWaitTimeInSeconds counts from the creation; the status is AWS's.
    """
    name = spot_job(max_runtime_s=3, max_wait_s=3)
    interrupt(name, 600.0)

    job = finished(name)

    assert job["TrainingJobStatus"] == "Stopped"
    assert statuses(job)[-3:] == ["Restarting", "Stopping", "MaxWaitTimeExceeded"]


def test_a_job_without_capacity_has_nothing_here(spot_job, interrupt, reached, state):
    """
    What the instances had is lost with them.
    """
    name = spot_job()
    interrupt(name, 600.0)
    reached(name, "Restarting")

    assert not (state / "sagemaker" / name).exists()
    assert not (state / "runtime" / f"train-{name}").exists()


def test_a_job_without_capacity_can_be_stopped(spot_job, interrupt, reached, finished, sagemaker):
    """
    StopTrainingJob does not wait for instances to come.
    """
    name = spot_job()
    interrupt(name, 600.0)
    reached(name, "Restarting")
    sagemaker.stop_training_job(TrainingJobName=name)

    assert statuses(finished(name))[-3:] == ["Restarting", "Stopping", "Stopped"]


def test_a_stop_during_the_grace_keeps_the_model(spot_job, interrupt, heard, finished, sagemaker):
    """
    A job that is stopped while its instances are taken back ends as stopped jobs do.
    """
    name = spot_job(SLOW_TO_END, said="begun")
    interrupt(name)
    with heard(name):
        sagemaker.stop_training_job(TrainingJobName=name)

    job = finished(name)

    assert statuses(job) == [*WHOLE, "Interrupted", "Stopping", "Stopped"]
    assert job["ModelArtifacts"]["S3ModelArtifacts"].endswith("/model.tar.gz")


@pytest.mark.parametrize("spot", [True, False], ids=["has-ended", "on-demand"])
def test_what_cannot_be_interrupted_is_refused(submit, on_spot, interrupt, finished, spot):
    """
    Only a job on Spot that is training has instances to lose; the error says so.
    """
    changes = on_spot() if spot else {}
    name = submit("print('runs')", **changes)
    finished(name)

    with pytest.raises(JobError, match=CANNOT if spot else "is not on Spot"):
        interrupt(name)


def test_a_job_that_is_interrupted_is_not_interrupted_again(spot_job, interrupt):
    """
    It has no instances to lose any more.
    """
    name = spot_job()
    interrupt(name, 600.0)

    with pytest.raises(JobError, match=CANNOT):
        interrupt(name)


def test_a_job_that_is_not_there_is_named(interrupt, state):
    """
    A job on AWS is none of the local server's, and the error says whose interruption that is.
    """
    with pytest.raises(JobError, match=f"the local server of {state} has no training job nobody"):
        interrupt("nobody")


def test_without_a_server_there_is_nothing_to_interrupt(tmp_path):
    """
    The command does not start a server for it.
    """
    with pytest.raises(LocalServerError, match="no local server runs"):
        rehearsal.interrupt(tmp_path, "job", 0.0)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"no json", id="no-json"),
        pytest.param(b"[]", id="no-members"),
        pytest.param(b'{"TrainingJobName": "job"}', id="no-time"),
        pytest.param(b'{"TrainingJobName": "job", "CapacityAwayInSeconds": "x"}', id="no-number"),
    ],
)
def test_a_malformed_request_is_refused(server, body):
    """
    The server says what it expects.
    """
    request = urllib.request.Request(f"{server.url}/_kennel/interrupt", body, method="POST")  # noqa: S310 - our own server

    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)  # noqa: S310 - our own server

    assert caught.value.code == 400
    with caught.value as error:
        assert "xpected" in json.loads(error.read())["message"]


def test_the_command_line_interrupts(spot_job, state, tmp_path, finished):
    """
    ``kennel local interrupt JOB`` asks the server of the settings, and says what comes.
    """
    (tmp_path / "kennel.toml").write_text(f'[local]\nstate = "{state}"\n')
    name = spot_job()

    done = subprocess.run(  # noqa: S603 - ourselves
        [*KENNEL, "local", "interrupt", name, "--away", "0"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert f"{name} is interrupted" in done.stderr
    assert "Interrupted" in statuses(finished(name))
