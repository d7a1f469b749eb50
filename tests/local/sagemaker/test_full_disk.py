"""While there is no room on the disk jobs wait; none is lost or forgotten."""

import sqlite3
from contextlib import contextmanager

import pytest

from kennel.local.database import Database
from kennel.local.logs import Logs
from kennel.local.runtimes.process import ProcessRuntime
from kennel.local.s3.objects import Objects
from kennel.local.sagemaker import record
from kennel.local.sagemaker.service import SageMaker

TALKS = """
import os, time
base = os.environ["SAGEMAKER_BASE_DIR"]
open(base + "/model/model.txt", "w").close()
while not os.path.exists(base + "/go"):
    print("talks", flush=True)
    time.sleep(0.01)
"""


class FullDatabase(Database):
    """A database on a disk that may be full, as SQLite words it."""

    is_full = False
    refused = 0

    @contextmanager
    def transaction(self):
        if self.is_full:
            self.refused += 1
            raise sqlite3.OperationalError("database or disk is full")
        with super().transaction() as connection:
            yield connection


@pytest.fixture
def database(tmp_path):
    database = FullDatabase(tmp_path / "state.sqlite")
    yield database
    database.close()


@pytest.fixture
def local(database, tmp_path, monkeypatch):
    """SageMaker without a server around it."""
    monkeypatch.setattr(record, "RETRY_S", 0.05)
    objects = Objects(tmp_path / "objects", database)
    objects.create_bucket("bucket")
    runtime = ProcessRuntime(tmp_path / "runtime")
    url = "http://127.0.0.1:1"
    local = SageMaker(
        database, objects, Logs(database), runtime, folder=tmp_path / "scratch", endpoint_url=url
    )
    yield local
    local.close()


@pytest.fixture
def described(local):
    return lambda name: local.jobs.describe({"TrainingJobName": name})


@pytest.fixture
def training(local, job_request, described, until):
    """A job that is training; it is ended in any case."""
    request = job_request(TALKS, OutputDataConfig={"S3OutputPath": "s3://bucket/output"})
    name = request["TrainingJobName"]
    local.jobs.create(request)
    until(lambda: described(name)["SecondaryStatus"] == "Training")
    yield name
    local.platform.runtime.remove(f"train-{name}")


@pytest.fixture
def bucket():
    """The name that job_request asks for: there is no server to make it at."""
    return "bucket"


def test_a_job_goes_on_when_there_is_room_again(database, local, training, described, until):
    """
    It ends as if nothing had been: with its model, without a word of the disk.
    """
    database.is_full = True
    until(lambda: database.refused > 5)
    database.is_full = False
    (local.platform.folder / training / "ml" / "go").touch()

    job = until(lambda: (job := described(training)) and "TrainingEndTime" in job and job)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert job["ModelArtifacts"]["S3ModelArtifacts"].endswith("/model.tar.gz")


@pytest.fixture
def tuning(local, tuning_request, tmp_path):
    """A tuning job whose first training job waits for a file, and that file."""
    gate = tmp_path / "gate"
    request = tuning_request("0.3", "0.1", static={"gate": str(gate)}, MaxParallelTrainingJobs=1)
    local.operations["CreateHyperParameterTuningJob"](request)
    name = {"HyperParameterTuningJobName": request["HyperParameterTuningJobName"]}
    return lambda: local.operations["DescribeHyperParameterTuningJob"](name), gate


def test_a_search_goes_on_when_there_is_room_again(database, tuning, until):
    """
    Nothing that was to be written down meanwhile is taken for a failure.
    """
    described, gate = tuning
    until(lambda: described()["TrainingJobStatusCounters"]["InProgress"])
    database.is_full = True
    gate.touch()
    until(lambda: database.refused > 5)
    database.is_full = False

    last = until(lambda: (now := described()) and "HyperParameterTuningEndTime" in now and now)
    assert last["HyperParameterTuningJobStatus"] == "Completed", last.get("FailureReason")
    assert last["ObjectiveStatusCounters"] == {"Succeeded": 2, "Pending": 0, "Failed": 0}
