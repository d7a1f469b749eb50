"""How a run in several processes is laid out and started, and how its end is told."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from kennel.errors import DataError, HyperparameterError, JobError
from kennel.training import config, draws, launch
from kennel.training.launch import Plan
from kennel.training.peers import LEFT, Place, Sightings
from kennel.training.stopping import Stop

TWO = Plan(("algo-1", "algo-2"), "algo-2", 1, "eth0")
# as torchrun writes it
TORCHRUN = """\
E1121 rank.py FAILED
------------------------------------------------------------
Root Cause (first observed failure):
[0]:
  time      : 2026-11-21_02:45:32
  host      : algo-2
  rank      : 5 (local_rank: 1)
  exitcode  : -9 (pid: 137)
  error_file: <N/A>
  traceback : Signal 9 (SIGKILL) received by PID 137
"""


def toolkit_environment(gpus=0, hosts=("algo-1",), **asked):
    """What launch.plan reads of sagemaker-training's Environment."""
    return SimpleNamespace(
        additional_framework_parameters=asked,
        hosts=list(hosts),
        current_host=hosts[-1],
        num_gpus=gpus,
        network_interface_name="lo",
    )


@pytest.mark.parametrize(
    ("environment", "size"),
    [
        pytest.param(toolkit_environment(), 1, id="one-cpu-host"),
        pytest.param(toolkit_environment(gpus=1), 1, id="one-gpu"),
        pytest.param(toolkit_environment(gpus=4), 4, id="four-gpus"),
        pytest.param(toolkit_environment(hosts=("algo-1", "algo-2")), 2, id="two-hosts"),
        pytest.param(toolkit_environment(gpus=8, hosts=("algo-1", "algo-2")), 16, id="both"),
        pytest.param(
            toolkit_environment(sagemaker_mpi_num_of_processes_per_host=3), 3, id="asked-for"
        ),
    ],
)
def test_there_is_a_process_for_each_gpu_or_else_for_each_host(environment, size):
    """
    Unless the request asks for another number by sagemaker-training's own hyperparameter.
    """
    assert launch.plan(environment).size == size


@pytest.mark.parametrize(
    ("asked", "gpus", "expected"),
    [
        ("0", 0, "from 1 to 64"),
        (-2, 0, "1 to 64"),
        ("two", 0, "1 to 64"),
        (5, 4, "1 to 4, the GPU"),
    ],
)
def test_a_number_of_processes_that_cannot_be_is_refused(asked, gpus, expected):
    """
    Before anything is started; two processes cannot use one GPU together.
    """
    environment = toolkit_environment(gpus, sagemaker_mpi_num_of_processes_per_host=asked)

    with pytest.raises(HyperparameterError, match=f"per_host={asked}\n.*{expected}"):
        launch.plan(environment)


@pytest.mark.parametrize(
    ("present", "visible", "count"), [(4, None, 4), (4, "0,2", 2), (4, "", 0), (1, "0,1", 1)]
)
def test_gpus_that_are_hidden_are_not_used(present, visible, count):
    """
    CUDA_VISIBLE_DEVICES counts, as torch does.
    """
    environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}

    assert launch.visible_gpus(present, environment) == count


def test_an_interface_that_is_not_there_is_not_insisted_on():
    """
    On a machine of one's own the interface has another name than in a container.
    """
    environment = toolkit_environment()
    environment.network_interface_name = "no-such-interface"

    assert launch.plan(environment).network_interface == ""
    assert launch.plan(toolkit_environment()).network_interface == "lo"


def test_the_processes_find_their_settings(tmp_path):
    """
    The interface, the file that says stop, torchrun on the path, and no more threads than cores.
    """
    settings = launch.settings(TWO, {"PATH": "/usr/bin"}, tmp_path / "stop")

    assert settings["GLOO_SOCKET_IFNAME"] == "eth0"
    assert settings[launch.STOP_VARIABLE] == str(tmp_path / "stop")
    assert (settings["PATH"].split(os.pathsep))[-1] == "/usr/bin"
    assert "OMP_NUM_THREADS" not in settings
    assert "PET_MASTER_PORT" not in settings


def test_the_processes_of_one_host_share_its_cores():
    """
    And meet on a port of their own, since other jobs may train on the same machine.
    """
    plan = Plan(("localhost",), "localhost", 64, "")
    settings = launch.settings(plan, {}, "stop")

    assert settings["OMP_NUM_THREADS"] == str(max(1, len(os.sched_getaffinity(0)) // 64))
    assert int(settings["PET_MASTER_PORT"]) > 1023
    assert "GLOO_SOCKET_IFNAME" not in settings
    assert "OMP_NUM_THREADS" not in launch.settings(plan, {"OMP_NUM_THREADS": "2"}, "stop")


def test_a_name_that_becomes_known_is_waited_for():
    """
    The other containers start at their own pace.
    """
    answers = iter([OSError("unknown"), OSError("unknown"), None])

    def look_up(_host):
        if answer := next(answers):
            raise answer

    assert launch.known(["algo-2"], Stop(), look_up)


def test_a_stop_ends_the_waiting_for_a_name():
    """
    Nothing has begun, so there is nothing to wait for.
    """
    stop = Stop()
    stop()

    def look_up(_host):
        raise OSError("unknown")

    assert not launch.known(["algo-2"], stop, look_up)


def test_a_name_that_stays_unknown_is_an_error(capsys):
    """
    It says for whom was waited; time passes by the clock that is given.
    """
    clock = iter(range(0, 1000, 15))

    def look_up(host):
        if host == "algo-2":
            raise OSError("unknown")

    with pytest.raises(JobError, match="the name of algo-2 is not known after 300 s"):
        launch.known(["algo-1", "algo-2"], Stop(), look_up, lambda: next(clock), lambda _: None)
    assert "waiting for algo-2: 30 s of 300 s" in capsys.readouterr().out


def test_a_rank_that_was_killed_is_named_with_its_host():
    """
    From what torchrun reports, where the rank itself could not say anything.
    """
    plan = Plan(("algo-1", "algo-2"), "algo-2", 4, "")

    assert launch.cause(TORCHRUN.splitlines(), plan, 1) == (
        "rank 5 of 8, on algo-2, ended: ExitCode -9 (SIGKILL: out of memory?)"
    )


def test_a_failure_of_torchrun_itself_has_its_last_words():
    """
    Such as that the other hosts never came.
    """
    tail = [
        "Traceback (most recent call last):",
        "  File ...",
        "DistStoreError: 1/2 clients joined",
    ]

    assert launch.cause(tail, TWO, 1).startswith(
        "torchrun failed: DistStoreError: 1/2 clients joined\n"
    )


def test_channels_that_are_shared_out_are_refused(tmp_path):
    """
    Each host would see other pictures, and train on batches that are none.
    """
    paths = config.ContainerPaths(tmp_path)
    paths.config.mkdir(parents=True)
    paths.input_data_config.write_text(
        '{"train": {"S3DistributionType": "ShardedByS3Key"}, "valid": {}}'
    )

    with pytest.raises(DataError, match="channel train is ShardedByS3Key"):
        launch.require_replicas(config.sharded(paths))


@pytest.mark.parametrize(("count", "size"), [(8, 3), (2, 3), (1, 4), (7, 1)])
def test_a_batch_is_divided_without_rest(count, size):
    """
    Every example is in exactly one part; a rank without one borrows the first.
    """
    batch = torch.arange(100, 100 + count)
    parts = [draws.part(batch, rank, size) for rank in range(size)]

    assert torch.equal(torch.cat(parts[:count]), batch)
    assert [part.tolist() for part in parts[count:]] == [[100]] * max(0, size - count)


def test_a_rank_is_named_with_its_host():
    """
    There its log is.
    """
    place = Place(0, 8, 0, 4, ("algo-1", "algo-2"))

    assert place.name(3) == "rank 3 of 8, on algo-1,"
    assert place.name(4) == "rank 4 of 8, on algo-2,"


def test_a_rank_is_silent_when_it_says_nothing_new():
    """
    What counts is when its words changed, by this process's own clock; who left may be silent.
    """
    sightings = Sightings([1, 2, 3], 0.0)
    sightings.look({1: "beat 1", 2: "beat 1", 3: "beat 1"}, 10.0)
    sightings.look({1: "beat 2", 2: "beat 1", 3: LEFT}, 20.0)

    assert sightings.silent(25.0, 10.0) == [2]
    assert sightings.silent(35.0, 10.0) == [1, 2]


# In a process of its own, for the relay looks at this process's children.
RELAY = """
import pathlib, subprocess, sys
from kennel.training.launch import Relay
from kennel.training.stopping import Stop
file, stand_in, stop = pathlib.Path("stop"), sys.argv[1], Stop()
if "begun" in stand_in:
    torchrun = subprocess.Popen(stand_in, shell=True, stdout=subprocess.PIPE)
    torchrun.stdout.readline()
stop()
with Relay(file, stop) as relay:
    if "begun" not in stand_in:
        torchrun = subprocess.Popen(stand_in, shell=True)
    code = torchrun.wait(30)
print(code, relay.ended_early, file.exists())
"""


@pytest.mark.parametrize(
    ("stand_in", "expected"),
    [
        pytest.param("exec sleep 60", "-9 True True", id="waits-for-hosts"),
        pytest.param(
            "echo begun; (until [ -e stop ]; do sleep 0.05; done; sleep 1) & wait",
            "0 False True",
            id="has-started-processes",
        ),
    ],
)
def test_a_stop_that_came_before_torchrun_ends_its_waiting(tmp_path, stand_in, expected):
    """
    Nothing else would, for minutes: the other hosts have stopped too. Processes get the word.
    """
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", RELAY, stand_in],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.stdout.strip() == expected, done.stderr
