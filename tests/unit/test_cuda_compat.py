"""A host's older driver makes an entry point start again with NVIDIA's libraries for it."""

import json
import subprocess
import sys

import pytest

from kennel import cuda_compat

PROPRIETARY = (
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024\n"
    "GCC version:  gcc version 10.5.0\n"
)
OPEN = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  535.183.01  Release Build  (dvs)\n"


@pytest.fixture
def libraries(tmp_path):
    """A folder as NVIDIA's images have it, of the driver that came with CUDA 12.8."""
    folder = tmp_path / "compat"
    folder.mkdir()
    (folder / "libcuda.so.570.124.06").touch()
    (folder / "libcuda.so.1").symlink_to("libcuda.so.570.124.06")
    return folder


@pytest.mark.parametrize("text", [PROPRIETARY, OPEN], ids=["proprietary", "open"])
def test_the_driver_is_read_from_proc(tmp_path, text):
    """
    Both of NVIDIA's kernel modules say their version.
    """
    (tmp_path / "version").write_text(text)

    assert cuda_compat.driver(tmp_path / "version") == (535, 183, 1)


def test_without_a_gpu_there_is_no_driver(tmp_path):
    """
    A host without NVIDIA's module has no such file.
    """
    assert cuda_compat.driver(tmp_path / "version") is None


@pytest.mark.parametrize(
    ("driver", "needed"),
    [
        pytest.param((535, 183, 1), True, id="older"),
        pytest.param((570, 86, 10), True, id="older-in-its-branch"),
        pytest.param((570, 124, 6), False, id="the-same"),
        pytest.param((580, 65, 6), False, id="newer"),
        pytest.param(None, False, id="no-gpu"),
    ],
)
def test_only_an_older_driver_needs_the_libraries(libraries, driver, needed):
    """
    A newer one is better than they are, and would be hidden by them.
    """
    path = cuda_compat.library_path("/usr/lib/x", driver, libraries)

    assert path == (f"{libraries}:/usr/lib/x" if needed else None)


def test_an_image_without_the_libraries_starts_as_it_is(tmp_path):
    """
    Debian's images do not have them; CUDA's minor version compatibility holds there.
    """
    assert cuda_compat.library_path("", (535, 183, 1), tmp_path / "none") is None


def test_the_libraries_are_put_there_once(libraries):
    """
    The program that was started again goes on.
    """
    assert cuda_compat.library_path(f"{libraries}", (535, 183, 1), libraries) is None


PROGRAM = """
import json, os, sys
from pathlib import Path
from kennel import cuda_compat

cuda_compat.start(host_driver=Path(sys.argv[1]), libraries=Path(sys.argv[2]))
print(json.dumps([os.getpid(), os.environ["LD_LIBRARY_PATH"], sys.argv[3:], sys.flags.utf8_mode]))
"""


def test_the_same_process_goes_on_with_the_libraries_on_its_path(tmp_path, libraries):
    """
    PID 1 stays PID 1, with its arguments and Python's own options; the variable is in force.
    """
    (tmp_path / "version").write_text(PROPRIETARY)
    command = [
        sys.executable,
        "-X",
        "utf8",
        "-c",
        PROGRAM,
        tmp_path / "version",
        libraries,
        "train",
    ]

    with subprocess.Popen(  # noqa: S603 - our own program
        command, env={"LD_LIBRARY_PATH": "/lib/x"}, stdout=subprocess.PIPE, text=True
    ) as process:
        output, _ = process.communicate(timeout=60)

    said, result = output.splitlines()
    assert "older than the image's CUDA" in said
    assert json.loads(result) == [process.pid, f"{libraries}:/lib/x", ["train"], 1]


ENTRY_POINT = """
import runpy, sys
from kennel import cuda_compat

def start():
    print("torch" in sys.modules)
    sys.exit(7)

cuda_compat.start = start
sys.argv = ["module", sys.argv[2]]
runpy.run_module(sys.orig_argv[-2], run_name="__main__")
"""


@pytest.mark.parametrize(
    "command", [("kennel.training", "train"), ("kennel.serving", "serve")], ids=lambda c: c[1]
)
def test_both_entry_points_look_before_torch_is_loaded(command):
    """
    Whoever has loaded libcuda has chosen it.
    """
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", ENTRY_POINT, *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (done.returncode, done.stdout) == (7, "False\n"), done.stderr
