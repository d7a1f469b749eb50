"""Starting, finding and stopping the local server; its state outlives it, however it ends."""

import os
import shutil
import signal
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from kennel.errors import LocalServerError
from kennel.local import daemon, serve
from kennel.local.ecr.registry import Registry
from kennel.local.runtimes import process


@pytest.fixture
def folder(tmp_path):
    """A state folder whose server, if any, is stopped in the end."""
    folder = tmp_path / "state"
    yield folder
    daemon.stop(folder)


@pytest.fixture
def taken_port():
    """A port that another program listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def killed(folder):
    """Kill the server as a power cut would, and wait until it is gone."""
    pid = daemon.status(folder).pid
    os.kill(pid, signal.SIGKILL)
    daemon.reap(pid)


def test_a_server_is_started_once(folder):
    """
    A second start finds the first, and says so; the status knows it.
    """
    first, second = daemon.start(folder, 0), daemon.start(folder, 0)

    status = daemon.status(folder)
    assert (first.started, second.started) == (True, False)
    assert first.url == second.url == status.address.url == f"http://127.0.0.1:{first.port}"
    assert (status.running, status.runtime, status.endpoints) == (True, "process", 0)
    assert status.log.exists()


def test_two_starts_at_the_same_moment_are_one_server(folder):
    """
    Both get the same address.
    """
    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(lambda _: daemon.start(folder, 0), range(2)))

    assert found[0].url == found[1].url


def test_stopping_leaves_nothing_running(folder):
    """
    And is fine where nothing runs; an environment there is none then.
    """
    address = daemon.start(folder, 0)
    pid = daemon.status(folder).pid

    assert daemon.stop(folder) is True
    assert daemon.stop(folder) is False
    assert daemon.status(folder).running is False
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", address.port))
    with pytest.raises(LocalServerError, match="no local server runs"):
        daemon.environment(folder)


def test_small_answers_are_sent_at_once():
    """
    Connections do not wait for acknowledgements (Nagle), which would cost 40 ms an answer.
    """
    with serve.bound(0) as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_taken_port_is_named_with_what_to_try(folder, taken_port):
    """
    The error is the server's own.
    """
    with pytest.raises(
        LocalServerError, match=f"port {taken_port} of 127.0.0.1 is taken"
    ) as caught:
        daemon.start(folder, taken_port)

    assert "--port 0" in str(caught.value)
    assert daemon.status(folder).running is False


def test_a_server_that_runs_otherwise_than_asked_is_an_error(folder):
    """
    Another port or registry than it has is not silently ignored.
    """
    address = daemon.start(folder, 0)

    with pytest.raises(LocalServerError, match=f"runs on port {address.port}"):
        daemon.start(folder, address.port + 1)
    with pytest.raises(LocalServerError, match="names the registry localhost:5000") as caught:
        daemon.start(folder, 0, registry=Registry("localhost:5001"))
    assert caught.value.expected == "localhost:5001"


def test_an_unknown_runtime_is_an_error(folder):
    """
    Said by name, and nothing is left running.
    """
    with pytest.raises(LocalServerError, match="no runtime 'podman'"):
        daemon.start(folder, 0, "podman")

    assert daemon.status(folder).running is False


def test_a_port_of_another_local_server_is_named_with_its_state(folder, tmp_path):
    """
    Whose it is, so that one can stop it.
    """
    address = daemon.start(folder, 0)

    with pytest.raises(LocalServerError, match=f"taken by the local server of {folder}"):
        daemon.start(tmp_path / "other", address.port)


def test_an_error_tells_of_this_start_alone(folder, taken_port):
    """
    What former servers have logged would mislead.
    """
    for _ in range(2):
        with pytest.raises(LocalServerError) as caught:
            daemon.start(folder, taken_port)

    assert str(caught.value).count("is taken by") == 1


@pytest.mark.parametrize("port", [-1, 65536, 99999])
def test_what_is_no_port_is_refused(folder, port):
    """
    With what one is.
    """
    with pytest.raises(LocalServerError, match=f"{port} is no port"):
        daemon.start(folder, port)


def test_a_state_folder_that_is_none_is_an_error(tmp_path):
    """
    The error names it, and what can be done.
    """
    (tmp_path / "file").touch()

    with pytest.raises(LocalServerError, match="cannot be used") as caught:
        daemon.start(tmp_path / "file" / "state", 0)
    assert "KENNEL_LOCAL_STATE" in str(caught.value)


def test_a_database_that_cannot_be_used_is_an_error(folder):
    """
    In words, rather than as the end of a traceback.
    """
    (folder / "kennel.db").mkdir(parents=True)

    with pytest.raises(LocalServerError, match="cannot be used: unable to open") as caught:
        daemon.start(folder, 0)
    assert "Traceback" not in str(caught.value)


def test_a_server_ends_when_its_state_is_deleted(folder):
    """
    It would hold its port for nothing.
    """
    daemon.start(folder, 0)
    pid = daemon.status(folder).pid
    shutil.rmtree(folder)

    os.waitpid(pid, 0)


def test_what_goes_on_without_a_server_is_known_and_can_be_stopped(folder, clients_of_server):
    """
    A stop leaves a job running, and says so; a stop of everything ends it as StopTrainingJob does.
    """
    aws = clients_of_server(daemon.start(folder, 0).url)
    aws("s3").create_bucket(Bucket="bucket")
    aws("sagemaker").create_training_job(
        TrainingJobName="job",
        RoleArn="arn:aws:iam::000000000000:role/sagemaker",
        AlgorithmSpecification={
            "TrainingImage": "image",
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["sleep", "60"],
        },
        OutputDataConfig={"S3OutputPath": "s3://bucket/output"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
    )
    daemon.wait_until(lambda: process.running(folder / "runtime"), 20)

    daemon.stop(folder)
    assert daemon.status(folder).training_jobs == 1
    daemon.stop(folder, everything=True)
    assert daemon.status(folder).training_jobs == 0

    sagemaker = clients_of_server(daemon.start(folder, 0).url)("sagemaker")
    sagemaker.get_waiter("training_job_completed_or_stopped").wait(
        TrainingJobName="job", WaiterConfig={"Delay": 1, "MaxAttempts": 20}
    )
    job = sagemaker.describe_training_job(TrainingJobName="job")
    assert job["SecondaryStatus"] == "Stopped"


@pytest.mark.parametrize("end", [daemon.stop, killed])
def test_everything_survives_a_restart(folder, end, clients_of_server):
    """
    Objects, uploads in progress and logs, after a stop as after a kill.
    """
    aws = clients_of_server(daemon.start(folder, 0).url)
    s3, logs = aws("s3"), aws("logs")
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="a/b", Body=b"kept", Metadata={"m": "1"})
    upload = s3.create_multipart_upload(Bucket="bucket", Key="big")["UploadId"]
    part = s3.upload_part(Bucket="bucket", Key="big", UploadId=upload, PartNumber=1, Body=b"part")
    logs.create_log_group(logGroupName="/group")
    end(folder)

    aws = clients_of_server(daemon.start(folder, 0).url)
    s3, logs = aws("s3"), aws("logs")
    s3.complete_multipart_upload(
        Bucket="bucket",
        Key="big",
        UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
    )

    got = s3.get_object(Bucket="bucket", Key="a/b")
    assert (got["Body"].read(), got["Metadata"]) == (b"kept", {"m": "1"})
    assert s3.get_object(Bucket="bucket", Key="big")["Body"].read() == b"part"
    assert [g["logGroupName"] for g in logs.describe_log_groups()["logGroups"]] == ["/group"]


def test_the_environment_has_no_way_to_aws(folder):
    """
    Its endpoint is the server, its keys are not real.
    """
    address = daemon.start(folder, 0)

    environment = daemon.environment(folder)

    assert environment["AWS_ENDPOINT_URL"] == address.url
    assert environment["AWS_ACCESS_KEY_ID"] == environment["AWS_SECRET_ACCESS_KEY"]
    assert environment["AWS_EC2_METADATA_DISABLED"] == "true"


def test_the_server_has_no_aws_credentials(folder, monkeypatch):
    """
    What it starts could reach AWS with them.
    """
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "real")
    daemon.start(folder, 0)

    with open(f"/proc/{daemon.status(folder).pid}/environ", "rb") as file:  # noqa: PTH123
        assert b"AWS_SECRET" not in file.read()
