"""Starting, finding and stopping the local server; its state outlives it, however it ends."""

import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from kennel.errors import LocalServerError
from kennel.local import daemon, serve


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
    Another port than it has is not silently ignored.
    """
    address = daemon.start(folder, 0)

    with pytest.raises(LocalServerError, match=f"runs on port {address.port}"):
        daemon.start(folder, address.port + 1)


def test_an_unknown_runtime_is_an_error(folder):
    """
    Said by name, and nothing is left running.
    """
    with pytest.raises(LocalServerError, match="no runtime 'podman'"):
        daemon.start(folder, 0, "podman")

    assert daemon.status(folder).running is False


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
