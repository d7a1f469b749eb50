"""A server that dies at any moment loses nothing: the next one finds everything again."""

import io
import os
import signal
import tarfile
import time
from datetime import timedelta

import pytest

from kennel.contract import METRIC_DEFINITIONS, STOP_GRACE_S
from kennel.local import daemon, layout, shutdown
from kennel.local.database import Database
from kennel.local.resources import LOCAL, Resources
from kennel.local.runtimes import shim
from kennel.local.sagemaker.names import TRAINING_JOB, TUNING_JOB

SLOW = """
import os, time
base = os.environ["SAGEMAKER_BASE_DIR"]
print("acc=0.5")
while not os.path.exists(base + "/go"):
    time.sleep(0.01)
print("acc=0.75")
open(base + "/model/model.txt", "w").write("learnt")
"""
WHOLE = ["Starting", "Downloading", "Training"]
INTERRUPTED_ONCE = [*WHOLE, "Interrupted", "Restarting", *WHOLE, "Uploading", "Completed"]
METRIC = {"MetricDefinitions": [{"Name": "acc", "Regex": "acc=([0-9.]+)"}]}


@pytest.fixture
def state(tmp_path):
    """The state folder of a server of this test's own, which it may kill."""
    return tmp_path / "state"


@pytest.fixture
def server(state):
    address = daemon.start(state, 0)
    yield address
    daemon.stop(state)


@pytest.fixture
def aws(server, clients_of_server):
    return clients_of_server(server.url)


@pytest.fixture
def kill(server, state, until):
    """End the server as a crash does; return what starts it anew, at the same address."""

    def end():
        os.kill(daemon.status(state).pid, signal.SIGKILL)
        until(lambda: not daemon.is_running(state))
        return lambda: daemon.start(state, server.port)

    return end


@pytest.fixture
def go(state):
    """Let the slow job of this name end."""
    return lambda name: (state / "sagemaker" / name / "ml" / "go").touch()


@pytest.fixture
def ended(state, until):
    """Wait until the container of the job of this name has ended."""
    return lambda name: until((state / "runtime" / f"train-{name}" / shim.EXIT_FILE).exists)


@pytest.fixture
def ending(finished, logs, s3):
    """Wait for the end of a job; return its lines, the last value of its metric and its model."""

    def what(name):
        job = finished(name)
        return lines_of(logs, f"{name}/"), job["FinalMetricDataList"][0]["Value"], model_of(s3, job)

    return what


@pytest.fixture
def stopped_before(sagemaker, state, until):
    """Stop a job and restart the server, as if the stop had been asked for long before."""

    def stop(name, ago, kill):
        resources = Resources(Database(state / layout.DATABASE))

        def local():
            return resources.find(TRAINING_JOB.path, name)[LOCAL]

        sagemaker.stop_training_job(TrainingJobName=name)
        until(lambda: "TerminatedAt" in local())
        restart = kill()
        earlier = {"TerminatedAt": local()["TerminatedAt"] - ago}
        resources.change(TRAINING_JOB.path, name, lambda job: job | {LOCAL: job[LOCAL] | earlier})
        resources.database.close()
        restart()

    return stop


@pytest.fixture
def ended_long_ago(state, go, ended):
    """Let a job end while no server runs, as if it had started a day before."""

    def earlier(job):
        start = job[LOCAL]["AttemptStart"] - timedelta(days=1)
        return job | {LOCAL: job[LOCAL] | {"AttemptStart": start}}

    def end(name):
        go(name)
        ended(name)
        change(state, TRAINING_JOB, name, earlier)

    return end


@pytest.fixture
def tuning_created_before(state):
    """Note of a tuning job, while no server runs, that it was created longer ago."""

    def before(name, ago):
        member = "CreationTime"
        change(state, TUNING_JOB, name, lambda tuning: tuning | {member: tuning[member] - ago})

    return before


def change(state, kind, name, how):
    """Change what the state folder knows of a resource, while no server runs."""
    database = Database(state / layout.DATABASE)
    Resources(database).change(kind.path, name, how)
    database.close()


def shim_of(state, launch):
    return int((state / "runtime" / launch / shim.PROCESS_FILE).read_text().split()[0])


def lines_of(logs, prefix):
    group = "/aws/sagemaker/TrainingJobs"
    events = logs.filter_log_events(logGroupName=group, logStreamNamePrefix=prefix)["events"]
    return [event["message"] for event in events]


def model_of(s3, job):
    bucket, _, key = job["ModelArtifacts"]["S3ModelArtifacts"].removeprefix("s3://").partition("/")
    body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        return tar.extractfile("model.txt").read()


class TestJob:
    """A training job in the life of two servers."""

    @pytest.fixture
    def job(self, submit, printed):
        """A job that has said its first line and runs on until it may go."""
        name = submit(SLOW, METRIC)
        printed(name, "acc=0.5")
        return name

    def test_ends_while_the_server_is_dead(self, kill, job, go, ended, finished):
        """
        The container goes on without a server; its result is stored by the next.
        """
        restart = kill()
        go(job)
        ended(job)
        restart()

        assert finished(job)["TrainingJobStatus"] == "Completed"

    def test_that_ended_in_time_did_not_take_too_long(self, kill, job, finished, ended_long_ago):
        """
        It is judged by how it ended, however late the next server comes.
        """
        restart = kill()
        ended_long_ago(job)
        restart()

        assert finished(job)["SecondaryStatus"] == "Completed"

    def test_keeps_its_logs_and_its_model(self, kill, job, go, ending):
        """
        Every line is there once, the metrics go on, and the model is stored.
        """
        kill()()
        go(job)

        assert ending(job) == (["acc=0.5", "acc=0.75"], 0.75, b"learnt")

    def test_can_be_stopped_by_the_next_server(self, kill, job, sagemaker, finished):
        """
        The new server reaches a container that the old one started.
        """
        kill()()
        sagemaker.stop_training_job(TrainingJobName=job)

        assert finished(job)["TrainingJobStatus"] == "Stopped"

    def test_that_is_stopping_is_stopped_by_the_next_server(self, kill, job, sagemaker, finished):
        """
        A stop that was asked for is not forgotten.
        """
        sagemaker.stop_training_job(TrainingJobName=job)
        kill()()

        assert finished(job)["TrainingJobStatus"] == "Stopped"

    def test_that_ignores_sigterm_is_killed_after_its_grace(
        self, kill, submit, printed, stopped_before, finished
    ):
        """
        SIGKILL comes 120 s after the SIGTERM, whoever sent that.
        """
        deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        name = submit(deaf + "print('deaf'); time.sleep(60)")
        printed(name, "deaf")
        stopped_before(name, timedelta(seconds=STOP_GRACE_S + 1), kill)

        assert finished(name)["TrainingJobStatus"] == "Stopped"

    def test_that_vanished_is_failed_with_a_reason(self, kill, job, state, finished):
        """
        After a reboot nobody can say how the container ended, so the job says that.
        """
        restart = kill()
        os.kill(shim_of(state, f"train-{job}"), signal.SIGKILL)
        restart()
        found = finished(job)

        assert found["TrainingJobStatus"] == "Failed"
        assert "nobody saw how it ended" in found["FailureReason"]
        assert not (state / "sagemaker" / job).exists()

    def test_survives_an_orderly_restart(self, server, job, go, state, finished):
        """
        Stopping the server leaves jobs running, too.
        """
        daemon.stop(state)
        daemon.start(state, server.port)
        go(job)

        assert finished(job)["TrainingJobStatus"] == "Completed"


class TestTuningJob:
    """A tuning job in the life of two servers."""

    LRS = ("0.1", "0.2", "0.3", "0.4", "0.5")

    @pytest.mark.parametrize("after_s", [0.0, 0.05, 0.1, 0.3, 0.7])
    def test_is_gone_on_with_wherever_it_was(self, kill, tune, logs, after_s):
        """
        Whenever the server dies, each value is tried once and none is lost.
        """
        name = tune(*self.LRS, static={"epochs": "3", "pause": "0.05"})
        time.sleep(after_s)
        kill()()
        tuning = tune.ended(name)

        tried = [one["TunedHyperParameters"]["lr"] for one in tune.trials(name)]
        starts = [line for line in lines_of(logs, f"{name}-") if line.startswith("told=")]
        assert sorted(tried) == list(self.LRS)
        assert len(starts) == len(self.LRS)
        assert tuning["HyperParameterTuningJobStatus"] == "Completed"
        assert tuning["TrainingJobStatusCounters"]["Completed"] == len(self.LRS)
        assert tuning["BestTrainingJob"]["TunedHyperParameters"]["lr"] == "0.3"

    def test_knows_what_ended_while_the_server_was_dead(self, kill, tune, printed, ended, tmp_path):
        """
        A trial goes on without a server; its objective is read by the next.
        """
        gate = tmp_path / "gate"
        name = tune("0.3", static={"gate": str(gate)})
        trial = tune.first_trial(name)
        printed(trial, "acc=")
        restart = kill()
        gate.touch()
        ended(trial)
        restart()

        assert tune.ended(name)["ObjectiveStatusCounters"]["Succeeded"] == 1

    def test_that_is_stopping_is_stopped_by_the_next_server(self, kill, tune, sagemaker):
        """
        A stop that was asked for is not forgotten, and nothing is started any more.
        """
        name = tune(*self.LRS, static={"epochs": "1000", "pause": "0.05"})
        tune.first_trial(name)
        sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
        kill()()
        tuning = tune.ended(name)

        assert tuning["HyperParameterTuningJobStatus"] == "Stopped"
        assert len(tune.trials(name)) <= 2
        assert tuning["TrainingJobStatusCounters"]["InProgress"] == 0

    def test_is_counted_when_none_of_its_trials_runs(self, state, tune, printed, until, tmp_path):
        """
        Neither a server nor the lack of one hides a search that has not come to its end.
        """
        gate = tmp_path / "gate"
        name = tune(*self.LRS, static={"gate": str(gate)}, MaxParallelTrainingJobs=1)
        trial = tune.first_trial(name)
        printed(trial, "acc=")
        with_server = daemon.status(state)
        daemon.stop(state)
        gate.touch()
        until(lambda: daemon.status(state).training_jobs == 0)
        without = daemon.status(state)
        daemon.stop(state, everything=True)
        stopped = daemon.status(state)
        daemon.start(state, with_server.address.port)  # for what ends the tuning job of this test

        assert (with_server.training_jobs, with_server.tuning_jobs) == (1, 1)
        assert without.tuning_jobs == 1
        assert stopped.tuning_jobs == 0

    def test_ends_when_its_time_is_over(self, kill, tune, printed, tuning_created_before):
        """
        MaxRuntimeInSeconds counts from its creation, without a server too; AWS takes 120 at least.
        """
        limits = {"MaxRuntimeInSeconds": 120, "MaxParallelTrainingJobs": 1}
        name = tune("0.3", "0.1", static={"epochs": "1000", "pause": "0.05"}, **limits)
        printed(tune.first_trial(name), "acc=")
        restart = kill()
        tuning_created_before(name, timedelta(seconds=120))
        restart()
        tuning = tune.ended(name)

        assert tuning["HyperParameterTuningJobStatus"] == "Completed"
        assert tuning["TrainingJobStatusCounters"]["Stopped"] == 1
        assert len(tune.trials(name)) == 1
        assert tuning["ConsumedResources"]["RuntimeInSeconds"] >= 120

    def test_is_stopped_with_everything_else(self, server, state, tune):
        """
        ``kennel local stop --all`` stops the search, too: the next server starts no new trial.
        """
        name = tune(*self.LRS, static={"epochs": "1000", "pause": "0.05"})
        tune.first_trial(name)
        daemon.stop(state)
        shutdown.stop_launches(state)
        daemon.start(state, server.port)

        assert tune.ended(name)["HyperParameterTuningJobStatus"] == "Stopped"
        assert len(tune.trials(name)) <= 2

    @pytest.fixture
    def digits(self, s3, bucket, few_digits):
        """The S3 URI of each split of a few digits, by its name."""
        for path in few_digits.rglob("*.png"):
            s3.upload_file(str(path), bucket, f"digits/{path.relative_to(few_digits)}")
        return {split.name: f"s3://{bucket}/digits/{split.name}" for split in few_digits.iterdir()}

    def test_of_real_trainings_loses_none(self, kill, tune, printed, digits):
        """
        kennel's own trainings are searched by the metric that they print, over a crash.
        """
        name = tune(request=real_trainings(tune.build(), digits))
        printed(tune.first_trial(name), "epoch=1/")
        kill()()
        tuning = tune.ended(name)

        assert tuning["TrainingJobStatusCounters"]["Completed"] == 3
        assert tuning["ObjectiveStatusCounters"]["Succeeded"] == 3
        best = tuning["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]
        values = [
            one["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for one in tune.trials(name)
        ]
        assert best["Value"] == min(values)


def real_trainings(request, splits):
    """Return a tuning job's request with kennel's training image, on what is in S3."""
    config, definition = request["HyperParameterTuningJobConfig"], request["TrainingJobDefinition"]
    config |= {
        "Strategy": "Random",
        "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "valid_loss"},
        "ResourceLimits": {"MaxNumberOfTrainingJobs": 3, "MaxParallelTrainingJobs": 2},
        "ParameterRanges": {
            "ContinuousParameterRanges": [{"Name": "lr", "MinValue": "0.001", "MaxValue": "0.1"}]
        },
    }
    regex = METRIC_DEFINITIONS["valid_loss"]
    definition["AlgorithmSpecification"] |= {
        "TrainingImage": "kennel-train",
        "MetricDefinitions": [{"Name": "valid_loss", "Regex": regex}],
    }
    definition["StaticHyperParameters"] = {
        "model": "shufflenet_v2_x0_5",
        "weights": "none",
        "image-size": "32",
        "epochs": "2",
        "workers": "0",
    }
    definition["InputDataConfig"] = [
        {
            "ChannelName": split,
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}},
        }
        for split, uri in splits.items()
    ]
    return request


class TestInterruption:
    """A job that loses its Spot instances in the life of two servers."""

    @pytest.mark.parametrize("after_s", [0.0, 0.05, 0.1, 0.2, 0.4])
    def test_is_gone_on_with_wherever_it_was(self, kill, spot_job, interrupt, finished, after_s):
        """
        Whenever the server dies, the job has one interruption and goes on from what it saved.
        """
        name = spot_job()
        interrupt(name, 0.2)
        time.sleep(after_s)
        kill()()

        job = finished(name)

        assert job["TrainingJobStatus"] == "Completed"
        assert job["FinalMetricDataList"][0]["Value"] == 2
        assert [t["Status"] for t in job["SecondaryStatusTransitions"]] == INTERRUPTED_ONCE

    def test_waits_for_capacity_beyond_a_server(self, kill, spot_job, interrupt, until, sagemaker):
        """
        The next server starts the job no earlier than capacity is there, and can stop it.
        """
        name = spot_job()
        interrupt(name, 600.0)

        def status():
            return sagemaker.describe_training_job(TrainingJobName=name)["SecondaryStatus"]

        until(lambda: status() == "Restarting")
        kill()()

        assert status() == "Restarting"
        sagemaker.stop_training_job(TrainingJobName=name)
        until(lambda: status() == "Stopped")


class TestEndpoint:
    """An endpoint in the life of two servers."""

    @pytest.fixture
    def deployed(self, deploy, invoke):
        """An endpoint in service, and the process that answers."""
        name = deploy()
        return name, invoke(name)[0]["pid"]

    def test_answers_from_the_same_process(self, kill, deployed, invoke):
        """
        The container ran on, and is found again.
        """
        name, pid = deployed
        kill()()

        assert invoke(name)[0]["pid"] == pid

    def test_is_started_again_when_it_died_meanwhile(self, kill, deployed, invoke, until):
        """
        An endpoint that was in service is so again, whatever happened to its container.
        """
        name, pid = deployed
        restart = kill()
        os.kill(pid, signal.SIGKILL)
        restart()

        def answer():
            try:
                return invoke(name)[0]["pid"]
            except invoke.unavailable:
                return None

        assert until(answer) != pid

    def test_that_is_deleted_is_gone(self, kill, deployed, sagemaker, until, is_alive):
        """
        A deletion that was asked for is carried out by whichever server is there.
        """
        name, pid = deployed
        sagemaker.delete_endpoint(EndpointName=name)
        kill()()

        until(lambda: not sagemaker.list_endpoints(NameContains=name)["Endpoints"])
        assert not is_alive(pid)

    def test_that_is_being_created_comes_up(self, kill, endpoint, one_variant, settled):
        """
        A creation that was begun is gone on with.
        """
        name = endpoint(one_variant(), wait=False)
        kill()()

        assert settled(name)["EndpointStatus"] == "InService"
