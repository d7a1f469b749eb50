"""A launch as a container: the options of docker run, compared as values."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kennel.engine import Bind, Found
from kennel.local.runtimes import containers
from kennel.local.runtimes.containers import Machine
from kennel.local.runtimes.protocol import Launch, Mount, State, Status

FOLDER = Path("/state/runtime")
ROOT = Path("/state/job/ml")
MACHINE = Machine(memory_bytes=2**34, gpus=True, user=None)
BOOTED = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def launch(**parts):
    return Launch(**{"id": "job", "image": "image", "role": "train", "root": ROOT} | parts)


def container(about=MACHINE, image_environment=(), **parts):
    return containers.container(
        launch(**parts),
        FOLDER,
        about,
        folders=["input", "model"],
        image_environment=dict(image_environment),
    )


def found(status="exited", code=0, started=BOOTED + HOUR, finished=BOOTED + 2 * HOUR, **parts):
    about = {"id": "1", "name": "n", "image_id": "i", "labels": {}, "error": "", "port": None}
    return Found(
        **about
        | {"status": status, "exit_code": code, "started": started, "finished": finished}
        | {"out_of_memory": False, "raw": {}}
        | parts
    )


def test_a_training_job_has_half_of_the_memory_to_share():
    """
    An endpoint has the engine's default, and its port published.
    """
    train, serve = container(), container(role="serve")

    assert (train.shm_bytes, train.port) == (2**33, None)
    assert (serve.shm_bytes, serve.port) == (None, 8080)


@pytest.mark.parametrize(
    ("instance_type", "has", "gets"),
    [
        ("ml.g5.xlarge", True, True),
        ("ml.p4d.24xlarge", True, True),
        ("ml.g5.xlarge", False, False),
        ("ml.m5.large", True, False),
        ("", True, False),
    ],
)
def test_gpus_are_for_instances_that_have_some(instance_type, has, gets):
    """
    If this machine's engine has some to give; with the limits that they need.
    """
    made = container(Machine(1, has, None), instance_type=instance_type)

    assert made.gpus == gets
    assert made.ulimits == ({"memlock": -1, "stack": 2**26} if gets else {})


def test_gpus_that_are_missing_are_told():
    """
    By the instance type that would have had them.
    """
    gpu = launch(instance_type="ml.g5.xlarge")

    assert "ml.g5.xlarge has GPUs" in containers.missing_gpus(gpu, Machine(1, False, None))  # noqa: FBT003 - has GPUs
    assert containers.missing_gpus(gpu, MACHINE) == ""
    assert containers.missing_gpus(launch(), Machine(1, False, None)) == ""  # noqa: FBT003 - has GPUs


def test_the_folders_that_are_filled_are_mounted_one_by_one():
    """
    Writable, then what must not be changed below them, then what is somewhere else.
    """
    mount = Mount(Path("/bucket"), "input/data/large")
    made = container(read_only=("input/data",), mounts=(mount,))

    assert made.binds == [
        Bind(ROOT / "input", "/opt/ml/input"),
        Bind(ROOT / "model", "/opt/ml/model"),
        Bind(ROOT / "input/data", "/opt/ml/input/data", read_only=True),
        Bind(Path("/bucket"), "/opt/ml/input/data/large", read_only=True),
    ]
    assert Bind(ROOT / "model", "/opt/ml/model") not in container(read_only=("model",)).binds


def test_containers_and_networks_are_named_after_their_state():
    """
    So that two servers on one machine do not meet.
    """
    made = container(network="mine", hostname="algo-2")
    other = containers.name(Path("/other/runtime"), "job")

    assert made.name.startswith("kennel-")
    assert made.name.endswith("-job")
    assert made.name != other
    assert made.network.removesuffix("mine") == made.name.removesuffix("job")
    assert made.labels == {
        "kennel.state": "/state/runtime",
        "kennel.launch": "job",
        "kennel.role": "train",
        "kennel.network": made.network,
    }
    assert "kennel.network" not in container().labels


@pytest.mark.parametrize(
    ("image", "request_", "home"),
    [
        pytest.param({}, {}, containers.HOME_OF_NOBODY, id="neither"),
        pytest.param({"HOME": "/home/x"}, {}, None, id="images"),
        pytest.param({}, {"HOME": "/opt/ml"}, "/opt/ml", id="requests"),
    ],
)
def test_a_user_whom_the_image_does_not_know_has_a_home(image, request_, home):
    """
    One to write to, unless image or request have another.
    """
    made = container(Machine(1, False, "7:8"), image, environment=request_)  # noqa: FBT003 - has GPUs

    assert made.user == "7:8"
    assert made.environment.get("HOME") == home


@pytest.mark.parametrize(
    ("uid", "security", "user"),
    [
        pytest.param(1000, ["name=seccomp,profile=default"], "1000:100", id="ordinary"),
        pytest.param(0, [], None, id="root"),
        pytest.param(1000, ["name=rootless"], None, id="rootless"),
    ],
)
def test_what_a_container_writes_belongs_to_who_runs_the_server(uid, security, user):
    """
    Root's runs as the image says; a rootless engine's root is its user already.
    """
    info = {"MemTotal": 1, "SecurityOptions": security, "Runtimes": {"runc": {}, "nvidia": {}}}

    assert containers.machine(info, uid, 100) == Machine(1, gpus=True, user=user)


@pytest.mark.parametrize(
    ("container", "state"),
    [
        pytest.param(None, State(Status.LOST), id="gone"),
        pytest.param(found("running"), State(Status.RUNNING), id="running"),
        pytest.param(found("paused"), State(Status.RUNNING), id="paused"),
        pytest.param(found("created", 0, None, None), State(Status.ABSENT), id="not-started"),
        pytest.param(found("exited", 3), State(Status.EXITED, 3), id="exited"),
        pytest.param(
            found("exited", 137, out_of_memory=True),
            State(Status.EXITED, 137, containers.OUT_OF_MEMORY),
            id="out-of-memory",
        ),
        pytest.param(
            found("exited", 255, started=BOOTED - HOUR), State(Status.LOST), id="machine-restarted"
        ),
        pytest.param(
            found("exited", 1, started=BOOTED - 2 * HOUR, finished=BOOTED - HOUR),
            State(Status.EXITED, 1),
            id="ended-before-the-machine-was-restarted",
        ),
    ],
)
def test_a_launch_stands_where_its_container_does(container, state):
    """
    What ended with the machine is lost: the exit code that the engine gives it then is made up.
    """
    assert containers.state(container, BOOTED) == state


def test_what_cannot_be_run_is_told_in_a_line():
    """
    Without the layers of the engine.
    """
    said = (
        "the Docker engine cannot start a container: OCI runtime create failed: runc create failed:"
        ' unable to start container process: exec: "nope": executable file not found in $PATH:'
        " unknown"
    )

    words = 'exec: "nope": executable file not found in $PATH'
    assert containers.start_problem(said) == words
