"""The whole way, as a user goes it: stage, train, deploy, predict, delete, on the local server."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from kennel import cli
from kennel.datasets.folders import Sample
from kennel.jobs.storage import Location
from kennel.local import daemon
from kennel.training.loop import evaluate
from kennel.training.pictures import PictureSource, Reading
from kennel.training.stopping import Stop
from kennel.vision.trained import load

KENNEL = [sys.executable, "-c", "import sys; from kennel.cli import main; sys.exit(main())"]
TRAIN = ("--weights", "none", "--set", "image-size=32", "--set", "epochs=1", "--set", "lr=0.001")


@pytest.fixture(scope="module")
def home(tmp_path_factory, state):
    """A folder whose kennel.toml names the session's server."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "kennel.toml").write_text(f'[local]\nstate = "{state}"\n')
    return folder


@pytest.fixture(scope="module")
def kennel(home, server):
    """Run ``kennel local run -- kennel ARGS`` there."""
    assert server

    def kennel(*args, code=0):
        done = subprocess.run(  # noqa: S603 - ourselves
            [*KENNEL, "local", "run", "--", *KENNEL, *map(str, args)],
            cwd=home,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == code, done.stderr
        return done

    return kennel


@pytest.fixture(scope="module")
def trained(kennel, few_digits):
    """A job that has completed: what ``kennel train --json`` says of it, and how it looked."""
    done = kennel("train", "--data", few_digits, *TRAIN, "--json")
    return json.loads(done.stdout), done.stderr


@pytest.fixture(scope="module")
def endpoint(kennel, trained):
    """An endpoint that serves the job's model."""
    kennel("deploy", trained[0]["job"], "--endpoint", "pipeline")
    yield "pipeline"
    kennel("delete", "--endpoint", "pipeline")


def test_training_shows_statuses_and_log_lines_as_they_come(trained):
    """
    Talk goes to standard error: every status, and the job's own lines once each.
    """
    outcome, talk = trained

    assert outcome["status"] == "Completed"
    assert [line for line in talk.splitlines() if line.startswith("Training: ")]
    assert talk.count("\nepoch=1/1 ") == 1
    assert talk.count("Test set: Average accuracy:") == 1


def test_training_ends_with_its_metrics_and_artifact(trained):
    """
    What a script needs next is on standard output.
    """
    outcome, talk = trained

    assert outcome["artifact"].endswith(f"{outcome['job']}/output/model.tar.gz")
    assert f"Average accuracy: {outcome['metrics']['test_accuracy']:.4f}" in talk


def test_a_job_can_be_come_back_to(kennel, trained):
    """
    Its log, its row among the jobs and its description are there afterwards.
    """
    name = trained[0]["job"]

    assert "epoch=1/1 " in kennel("logs", name).stdout
    assert "epoch=1/1 " in kennel("logs", name, "--follow").stdout
    assert name in kennel("jobs").stdout
    assert trained[0]["artifact"] in kennel("describe", name).stdout


def test_the_pictures_of_a_training_are_fetched(kennel, trained, home):
    """
    Beside the model stands output.tar.gz: describe says where, results unpacks it.
    """
    name = trained[0]["job"]
    assert f"/{name}/output/output.tar.gz" in kennel("describe", name).stdout

    found = json.loads(kennel("results", name, "--to", "fetched", "--json").stdout)

    assert found["job"] == name
    assert {"fetched/learning_curves.png", "fetched/confusion_matrix.png"} <= set(found["files"])
    assert all((home / path).is_file() for path in found["files"])


def test_a_job_is_gone_on_with(kennel, trained):
    """
    A new job begins where the other has ended, and has its request but for the epochs.
    """
    name = trained[0]["job"]

    done = kennel("train", "--resume", name, "--set", "epochs=2", "--json")

    assert json.loads(done.stdout)["status"] == "Completed"
    assert "\nepoch=1/" not in done.stderr
    assert done.stderr.count("\nepoch=2/2 ") == 1


@pytest.mark.parametrize(
    ("command", "message"),
    [
        pytest.param(["nowhere"], "there is no training job nowhere", id="no-such-job"),
        pytest.param([None, "--set", "lr=0.5"], "cannot have lr=0.5 (was 0.001)", id="another-run"),
    ],
)
def test_what_cannot_be_gone_on_with_is_an_error(kennel, trained, command, message):
    """
    Before a job is started: what there is not, and what would be another run.
    """
    words = [trained[0]["job"] if word is None else word for word in command]

    assert message in kennel("train", "--resume", *words, code=1).stderr


def test_the_same_data_is_not_uploaded_again(kennel, trained, few_digits):
    """
    Training from a folder has staged it; staging it again has nothing to do.
    """
    assert trained

    report = json.loads(kennel("data", "stage", few_digits, "--json").stdout)

    assert (report["uploaded"], report["unchanged"]) == (0, 180)


def test_predictions_name_the_classes(kennel, endpoint, few_digits):
    """
    A folder is classified whole, each picture with its classes, the likeliest first.
    """
    done = kennel(
        "predict", few_digits / "test" / "3", "--endpoint", endpoint, "--top", "3", "--json"
    )

    found = json.loads(done.stdout)
    assert [Path(one["image"]).parent.name for one in found] == ["3"] * 3
    for one in found:
        chances = [guess["probability"] for guess in one["predictions"]]
        assert len(chances) == 3
        assert chances == sorted(chances, reverse=True)


def test_a_bad_picture_is_reported_and_the_rest_go_on(kennel, endpoint, few_digits, tmp_path):
    """
    Exit code 1 in the end, and the good picture is classified all the same.
    """
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    good = next((few_digits / "test" / "7").iterdir())

    done = kennel("predict", tmp_path / "bad.jpg", good, "--endpoint", endpoint, code=1)

    table, failed = done.stdout.split("\n\n")
    assert "%" in table.splitlines()[1]
    assert failed.startswith("not classified: 1\n")
    assert "not a picture" in failed


@pytest.fixture
def evaluated(trained, aws, tmp_path):
    """Return the probability that the training's own evaluation gives a picture's class."""
    location = Location.parse(trained[0]["artifact"])
    aws("s3").download_file(location.bucket, location.key, str(tmp_path / "model.tar.gz"))
    (tmp_path / "model").mkdir()
    subprocess.run(["/bin/tar", "-xzf", "../model.tar.gz"], cwd=tmp_path / "model", check=True)
    model, described = load(tmp_path / "model")
    serving = described.preprocessing
    reading = Reading(serving, serving, 1, 0, 0, torch.device("cpu"))

    def evaluated(path):
        sample = Sample(path, described.class_names.index(path.parent.name))
        return math.exp(-evaluate(model, PictureSource([sample], reading), Stop()).loss)

    return evaluated


def test_an_endpoint_answers_as_the_training_evaluates(kennel, endpoint, few_digits, evaluated):
    """
    The probability of a picture's class is the one that the training loop's loss stands for.
    """
    done = kennel("predict", few_digits / "test", "--endpoint", endpoint, "--top", "10", "--json")

    for one in json.loads(done.stdout):
        path = Path(one["image"])
        answered = {guess["class"]: guess["probability"] for guess in one["predictions"]}
        assert answered[path.parent.name] == pytest.approx(evaluated(path), abs=1e-4)


def test_deploying_again_brings_a_new_version_and_clears_the_old(kennel, endpoint, aws):
    """
    The endpoint keeps its name and answers; one config and one model of it are left.
    """
    done = kennel("deploy", "--endpoint", endpoint, "--json")
    version = json.loads(done.stdout)["config"]

    assert f"model of training job {json.loads(done.stdout)['job']}, test accuracy" in done.stderr
    sagemaker = aws("sagemaker")
    described = sagemaker.describe_endpoint(EndpointName=endpoint)
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", version)
    configs = sagemaker.list_endpoint_configs(NameContains=endpoint)["EndpointConfigs"]
    models = sagemaker.list_models(NameContains=endpoint)["Models"]
    assert [config["EndpointConfigName"] for config in configs] == [version]
    assert [model["ModelName"] for model in models] == [version]


def test_deleting_leaves_nothing_and_may_be_done_twice(kennel, trained, aws):
    """
    The endpoint, its config and its model are gone; the second time there is nothing to do.
    """
    kennel("deploy", trained[0]["job"], "--endpoint", "short-lived")
    kennel("delete", "--endpoint", "short-lived")

    sagemaker = aws("sagemaker")
    assert not sagemaker.list_endpoints(NameContains="short-lived")["Endpoints"]
    assert not sagemaker.list_endpoint_configs(NameContains="short-lived")["EndpointConfigs"]
    assert not sagemaker.list_models(NameContains="short-lived")["Models"]
    assert "nothing to delete" in kennel("delete", "--endpoint", "short-lived").stderr


def test_a_job_that_fails_says_why(kennel, few_digits):
    """
    What only the container can know comes back as the error, with the log to read.
    """
    small = ("--set", "model=alexnet", "--set", "image-size=32")
    done = kennel("train", "--data", few_digits, "--weights", "none", *small, code=1)

    assert "ended as Failed" in done.stderr
    assert "cannot take pictures of 32 px" in done.stderr.rpartition("error:")[2]


def test_ctrl_c_leaves_the_job_running_and_says_how_to_come_back(
    home, server, few_digits, kennel, aws
):
    """
    The follower ends with 130; the job goes on until it is stopped.
    """
    assert server
    long = (
        "--data",
        few_digits,
        "--weights",
        "none",
        "--set",
        "epochs=10000",
        "--set",
        "image-size=32",
    )
    command = [*KENNEL, "local", "run", "--", *KENNEL, "train", *map(str, long)]
    bounded = {**os.environ, "KENNEL_TRAIN_MAX_RUNTIME_S": "60"}  # each epoch is a checkpoint
    with subprocess.Popen(  # noqa: S603 - ourselves
        command, cwd=home, env=bounded, stderr=subprocess.PIPE, text=True
    ) as following:
        said = read_until(following, "hyperparameters: ")
        following.send_signal(signal.SIGINT)
        rest = following.stderr.read()

    assert following.returncode == cli.parser.INTERRUPTED
    name = next(line.split()[-1] for line in said if line.startswith("training job "))
    assert f"kennel logs {name} --follow" in rest
    described = aws("sagemaker").describe_training_job(TrainingJobName=name)
    assert described["TrainingJobStatus"] == "InProgress"

    assert f"kennel stop {name}" in rest
    stopped = kennel("stop", name)
    assert name in stopped.stdout
    assert f"kennel train --resume {name}" in stopped.stderr
    assert "ended as Stopped" in kennel("logs", name, "--follow", code=1).stderr


def test_an_interrupted_demo_leaves_nothing_running(tmp_path):
    """
    Ctrl-C in the middle of the training: the job and the server are gone when the command is.
    """
    command = [*KENNEL, "demo", "--folder", str(tmp_path / "demo")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:  # noqa: S603 - ourselves
        read_until(running, "Training: ")
        running.send_signal(signal.SIGINT)
        running.stderr.read()

    assert running.returncode == cli.parser.INTERRUPTED
    assert not daemon.is_running(tmp_path / "demo" / "server")
    assert processes_of(tmp_path) == []


def read_until(process, text):
    """Read standard error up to the line that holds *text*."""
    lines = []
    for line in process.stderr:
        lines.append(line)
        if text in line:
            return lines
    pytest.fail(f"{text!r} never came:\n{''.join(lines)}")


def processes_of(folder):
    """Return the command lines of the processes that speak of *folder*, a second being enough."""
    deadline = time.monotonic() + 1
    while (found := list(speaking_of(str(folder)))) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def speaking_of(text):
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:  # it has just ended
            continue
        if text in line and int(process.name) != os.getpid():
            yield line
