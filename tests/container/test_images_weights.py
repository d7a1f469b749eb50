"""docker/weights.sh, the build's step, takes weights that torchvision would take and no others."""

import hashlib
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "docker" / "weights.sh"
LINES = "COPY weights.sh /\nCOPY {name} /given/"
FOLDER = "/torch/hub/checkpoints"
CONTENT = "the weights"
DIGEST = hashlib.sha256(CONTENT.encode()).hexdigest()


@pytest.fixture
def step(build_image, started):
    """Return ``step(name, then)``: the step on a file of this name, then a shell's command."""

    def step(name, then="true"):
        files = {"weights.sh": SCRIPT.read_text(), name: CONTENT}
        image = build_image(LINES.format(name=name), files)
        return started(image, "sh", "-ec", f"/weights.sh {FOLDER}; {then}")

    return step


def test_weights_keep_the_name_that_torchvision_looks_for(step):
    """
    They lie where TORCH_HOME has them, readable by every uid.
    """
    container = step(f"resnet18-{DIGEST[:8]}.pth", f"stat -c '%a %n' {FOLDER}/*")

    assert container.wait() == 0
    assert container.logs() == f"644 {FOLDER}/resnet18-{DIGEST[:8]}.pth\n"


@pytest.mark.parametrize("name", ["resnet18-f37072fd.pth", "resnet18.pth"], ids=["torn", "named"])
def test_other_files_end_the_build(step, name):
    """
    A download that was cut off, and a name that torchvision would not look for.
    """
    container = step(name)

    assert container.wait() == 1
    assert f"{name} is not one of torchvision's weights, or is torn" in container.logs()


def test_without_weights_the_folder_is_open_to_all(step):
    """
    torchvision may download there, under any uid.
    """
    container = step("README", f"ls -A {FOLDER}; stat -c %a {FOLDER}")

    assert container.wait() == 0
    assert container.logs() == "1777\n"
