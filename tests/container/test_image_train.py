"""Statements of fact about the training image, through docker run and files in /opt/ml alone."""

import json
import time

import pytest

from kennel.contract import FAILURE_REASON_CHARS, STOP_GRACE_S
from kennel.vision import artifact

ANYONE = "12345:12345"


def test_it_trains_from_files_alone(trained):
    """
    Strings as hyperparameters and pictures in channels go in; artifact and figures come out.
    """
    figures = json.loads(trained.files("/opt/ml/output/data")["metrics.json"])

    assert "epoch=12/12 " in trained.logs()
    assert figures["test_accuracy"] > 0.7
    assert trained.files("/opt/ml/output/failure") == {}


def test_its_artifact_is_one(trained, tmp_path):
    """
    What lies in /opt/ml/model can be loaded, and names the classes.
    """
    for path, content in trained.files("/opt/ml/model").items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)

    assert artifact.describe(tmp_path).class_names == ("dark", "light")


def test_it_leaves_a_checkpoint(trained):
    """
    /opt/ml/checkpoints is what the platform syncs to S3.
    """
    assert len(trained.files("/opt/ml/checkpoints")) in (1, 2)


def test_any_uid_trains_with_a_root_that_is_read_only(started, train_image, job):
    """
    It writes below /opt/ml and /tmp, and nowhere else.
    """
    container = started(
        train_image,
        "train",
        files=job(epochs="1"),
        hostname="algo-1",
        user=ANYONE,
        read_only=True,
        tmpfs={"/tmp": ""},  # noqa: S108 - of the container
        cap_drop=["ALL"],
    )

    assert container.wait() == 0, container.logs()
    assert "artifact.json" in container.files("/opt/ml/model")
    assert "Permission denied" not in container.logs()
    assert "Read-only file system" not in container.logs()


def test_a_failure_leaves_its_reason(started, train_image, job):
    """
    Exit code 1, and a failure file whose first 1024 characters name the cause.
    """
    container = started(train_image, "train", files=job(lr="fast"), hostname="algo-1")

    assert container.wait() == 1
    reason = container.files("/opt/ml/output/failure")["."].decode()[:FAILURE_REASON_CHARS]
    assert reason.startswith("HyperparameterError: ")
    assert "fast" in reason


def test_without_its_files_it_fails_at_once(started, train_image):
    """
    Nobody waits for what the platform has not written.
    """
    container = started(train_image, "train")

    assert container.wait() == 1
    assert "hyperparameters.json" in container.logs()


@pytest.mark.parametrize("arguments", [[], ["serve"]], ids=["none", "serve"])
def test_another_argument_is_wrong_usage(started, train_image, arguments):
    """
    The platform's word is ``train``.
    """
    container = started(train_image, *arguments)

    assert container.wait() == 2
    assert "usage: " in container.logs()


def test_sigterm_saves_and_ends(started, train_image, job):
    """
    A stop or a Spot interruption: well within the grace, exit code 0, checkpoint and artifact.
    """
    container = started(train_image, "train", files=job(epochs="100000"), hostname="algo-1")
    container.wait_for("epoch=1/")
    first = container.itself.top()["Processes"][0][-1]
    before = time.monotonic()

    container.itself.stop(timeout=STOP_GRACE_S)

    assert container.wait() == 0
    assert time.monotonic() - before < STOP_GRACE_S / 2
    assert "stopped: checkpoint" in container.logs()
    assert container.files("/opt/ml/checkpoints")
    assert "artifact.json" in container.files("/opt/ml/model")
    assert first == "/opt/venv/bin/python3 -m kennel.training train"


WEIGHTS = "squeezenet1_1-b8a52dc0.pth"
LOAD = "from kennel.vision import models; print(len(models.imagenet_state_dict('squeezenet1_1')))"


def test_baked_in_weights_are_found_without_a_network(engine, train_image):
    """
    torchvision looks where the build puts IMAGENET_WEIGHTS, under any uid.
    """
    save = (
        f"import torch; torch.save({{'a': torch.zeros(1)}}, '/opt/torch/hub/checkpoints/{WEIGHTS}')"
    )

    said = engine.containers.run(
        train_image,
        ["-c", f"{save}\n{LOAD}"],
        entrypoint=["python3"],
        user=ANYONE,
        network_mode="none",
        remove=True,
    )

    assert said.decode().strip() == "1"
