"""A CPU is served where torch is not installed; and nobody is told of it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from kennel.vision import artifact, models, trained
from kennel.vision.artifact import Artifact
from kennel.vision.preprocessing import Preprocessing

# To Python a module that is None is not there.
WITHOUT_TORCH = "import sys; sys.modules['torch'] = sys.modules['torchvision'] = None"
SERVE = """
import io, json
from pathlib import Path
from PIL import Image
from kennel.serving import handler, loaded, worker
from kennel.serving.application import Request, respond

file = io.BytesIO()
Image.new("RGB", (90, 70), "red").save(file, "PNG")
classifier = loaded.start(Path(sys.argv[1]), "auto", 1)
print(respond(classifier, Request(file.getvalue(), "image/png")).body.decode())
"""
# What a process does that others can notice: processes and connections of its own.
NOTICED = """
import sys
noticed = []
watched = {"os.fork", "os.posix_spawn", "subprocess.Popen", "socket.connect", "socket.getaddrinfo"}
sys.addaudithook(lambda event, _: noticed.append(event) if event in watched else None)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An artifact with a model for OpenVINO."""
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    described = Artifact("squeezenet1_1", ("cat", "dog"), Preprocessing.for_size(64))
    trained.save(folder, models.build("squeezenet1_1", 2), described)
    trained.convert(folder)
    return folder


def run(*lines, arguments=(), **environment):
    return subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", "\n".join(lines), *map(str, arguments)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_an_artifact_is_served_without_torch(folder, tmp_path):
    """
    Nor is model.pth needed: of the artifact only what OpenVINO reads.
    """
    for path in folder.iterdir():
        if path.name != artifact.WEIGHTS_FILE:
            (tmp_path / path.name).symlink_to(path)

    done = run(WITHOUT_TORCH, SERVE, arguments=[tmp_path])

    assert done.returncode == 0, done.stderr
    (ranking,) = json.loads(done.stdout)["predictions"]
    assert {entry["class"] for entry in ranking} == {"cat", "dog"}


def test_an_artifact_without_an_openvino_model_says_what_to_do(folder, tmp_path):
    """
    What was exported before there was one, or could not be converted.
    """
    described = json.loads((folder / "artifact.json").read_text())
    del described["openvino"]
    (tmp_path / "artifact.json").write_text(json.dumps(described))

    done = run(WITHOUT_TORCH, SERVE, arguments=[tmp_path])

    assert done.returncode == 1
    assert "the artifact has no OpenVINO model" in done.stderr
    assert "expected: model.xml and model.bin beside model.pth" in done.stderr
    assert "the gpu variant of the image, which has torch" in done.stderr


def test_a_cpu_is_served_without_importing_torch_where_it_is_installed(folder):
    """
    It would take seconds, and memory.
    """
    done = run("import sys", SERVE, "print('torch' in sys.modules)", arguments=[folder])

    assert done.stdout.splitlines()[-1] == "False", done.stderr


@pytest.mark.parametrize("threads", [1, 2])
def test_a_worker_computes_on_as_many_threads_as_it_is_told(folder, threads):
    """
    And none is bound to a core: other workers', which count them alike, would be bound to the same.
    """
    count = """
import os, sys, time
from pathlib import Path
import numpy as np
from kennel.vision import openvino_model

def ticks():  # of a hundredth of a second that each thread has computed
    stats = {task: task.joinpath("stat").read_text() for task in Path("/proc/self/task").iterdir()}
    return {task: sum(map(int, stat.split()[13:15])) for task, stat in stats.items()}

threads = int(sys.argv[2])
logits = openvino_model.compiled(Path(sys.argv[1]), threads=threads)
before, computing, end = ticks(), 0, time.monotonic() + 60  # a thread may wait long for a core
while time.monotonic() < end:
    for _ in range(50):
        logits(np.zeros((64, 3, 64, 64), np.float32))
    spent = [value - before.get(task, 0) for task, value in ticks().items()]
    computing = sum(value > 5 for value in spent)
    if sum(spent) > 50 and computing >= threads:
        break
assert {frozenset(os.sched_getaffinity(int(task.name))) for task in ticks()} == {
    frozenset(os.sched_getaffinity(0))
}
print(computing)
"""

    done = run(count, arguments=[folder, threads])

    assert done.stdout == f"{threads}\n", done.stderr


@pytest.mark.parametrize(
    "name", ["artifact", "classifiers", "images", "openvino_model", "preprocessing"]
)
def test_what_serving_and_checking_share_needs_no_torch(name):
    """
    These of vision's modules are imported where torch is not.
    """
    done = run(WITHOUT_TORCH, f"import kennel.vision.{name}")

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "use",
    [
        pytest.param("from kennel.vision import trained; trained.convert(folder)", id="convert"),
        pytest.param(
            "from kennel.serving import loaded; loaded.start(folder, 'auto', 1)", id="serve"
        ),
    ],
)
def test_openvino_tells_nobody_that_it_is_used(folder, tmp_path, use):
    """
    Unless kept from it, its import alone starts a process that reports to its makers, and leaves
    an identity in the home folder; also where no variable says that this is CI.
    """
    undeclared = dict.fromkeys(("CI", "TF_BUILD", "JENKINS_URL"), "")

    done = run(
        NOTICED,
        f"from pathlib import Path; folder = Path(sys.argv[1]); {use}",
        "print(noticed, 'openvino' in sys.modules, sys.modules.get('openvino_telemetry'))",
        arguments=[folder],
        HOME=str(tmp_path),
        **undeclared,
    )

    assert done.stdout.splitlines()[-1] == "[] True None", done.stderr
    assert list(Path(tmp_path).iterdir()) == []
