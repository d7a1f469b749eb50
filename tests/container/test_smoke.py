"""``make smoke`` trains, serves and predicts once, on any machine with an engine."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "smoke.sh"


def smoke(**environment):
    return subprocess.run(  # noqa: S603 - our own script
        [SCRIPT],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.usefixtures("train_image", "serve_image")
def test_the_images_train_and_serve(engine):
    """
    Nothing is left: no container, no volume.
    """
    done = smoke()

    assert done.returncode == 0, done.stderr
    assert "a dark picture: dark" in done.stdout
    assert done.stdout.endswith("ok\n")
    assert not engine.containers.list(all=True, filters={"name": "kennel-smoke"})
    assert not engine.volumes.list(filters={"name": "kennel-smoke"})


@pytest.mark.usefixtures("engine")
def test_a_missing_image_is_named():
    """
    With what makes it.
    """
    done = smoke(TRAIN_IMAGE="kennel-none")

    assert done.returncode == 1
    assert done.stderr == "there is no image kennel-none\n  try: make build\n"


def test_a_missing_engine_is_said():
    """
    With what the client said of it.
    """
    done = smoke(DOCKER_HOST="tcp://127.0.0.1:1")

    assert done.returncode == 1
    assert "no Docker engine answers: " in done.stderr
    assert "  try: start it, or set DOCKER_HOST\n" in done.stderr
