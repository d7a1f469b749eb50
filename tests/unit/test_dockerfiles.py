"""Both Dockerfiles make the torch layer by the same lines, so that a disk holds it once."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TRAIN, SERVE = ROOT / "docker/train/Dockerfile", ROOT / "docker/serve/Dockerfile"
BASE = "FROM ${BASE_IMAGE}"


def stages(path):
    """Return the stages of a Dockerfile by name, without comments; "" is the last one."""
    text = re.sub(r"^#.*\n", "", path.read_text(), flags=re.MULTILINE)
    found = re.split(r"^(?=FROM )", text, flags=re.MULTILINE)[1:]
    return {stage.splitlines()[0].partition(" AS ")[2]: stage.strip() for stage in found}


def down_to_torch(stage):
    """Return what makes the layers up to torch's, from the line after FROM."""
    lines, torch, rest = stage.partition("from=torch-wheels,source=/wheels,target=/mnt")
    assert torch
    return lines.splitlines()[1:], rest.partition("\nRUN ")[0].splitlines()[:2]


@pytest.mark.parametrize("stage", ["tools", "torch-wheels", "rest-wheels", "kennel-wheel"])
def test_wheels_are_built_by_the_same_lines(stage):
    """
    Else BuildKit would build them twice.
    """
    assert stages(TRAIN)[stage] == stages(SERVE)[stage]


def test_torch_is_installed_by_the_same_lines():
    """
    On the same layers, from the base image on.
    """
    train, serve = stages(TRAIN)[""], stages(SERVE)["serve"]

    assert train.splitlines()[0] == BASE
    assert serve.splitlines()[0] == f"{BASE} AS serve"
    assert down_to_torch(train) == down_to_torch(serve)


def test_torch_has_the_same_pins(tmp_path):
    """
    The GPU images get the same wheels, by the same hashes.
    """
    found = []
    for lock in ("train/requirements.txt", "serve/requirements-gpu.txt"):
        folder = tmp_path / lock.partition("/")[0]
        folder.mkdir()
        given = (ROOT / "docker" / lock, ROOT / "requirements/dev.txt", folder)
        subprocess.run([ROOT / "docker/pins.sh", *given], check=True)  # noqa: S603 - our own script
        found.append((folder / "torch.txt").read_text())
        assert "torch==" not in (folder / "rest.txt").read_text()

    # Why each is there is said in comments below it, and differs.
    train, serve = (re.sub(r"^ +#.*\n", "", text, flags=re.MULTILINE) for text in found)
    assert train == serve
    assert "nvidia-cudnn-cu12==" in train
