"""The Makefile says what it can do, and hands commands on as they were given."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A folder with the Makefile and an environment that looks ready."""
    folder = tmp_path_factory.mktemp("make")
    for name in ("Makefile", "pyproject.toml", "requirements/dev.txt", "scripts/preflight.sh"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    (folder / ".venv").mkdir()
    (folder / ".venv" / ".ready").touch()
    return folder


@pytest.fixture
def make(copy):
    """Run make there, and return what it would do or say."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}

    def make(*arguments):
        command = ["make", "--no-print-directory", *arguments]
        return subprocess.run(  # noqa: S603 - our own Makefile
            command, cwd=copy, env=clean, capture_output=True, text=True, check=False
        )

    return make


def targets():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^\.PHONY: (.+)$", text, re.MULTILINE)) - {"preflight"}


def test_make_alone_lists_every_target(make):
    """
    Whoever types make sees all that there is.
    """
    done = make()

    assert done.returncode == 0
    assert set(re.findall(r"^  ([a-z-]+) ", done.stdout, re.MULTILINE)) == targets()


def test_nothing_is_undefined(make):
    """
    No target warns of a variable that nobody has set.
    """
    for target in targets():
        assert "warning" not in make("--dry-run", target, "IMAGE=a.jpg").stderr


def test_a_missing_argument_stops_with_what_to_set(make):
    """
    predict without pictures does nothing and names the variable.
    """
    done = make("--dry-run", "predict")

    assert done.returncode == 2
    assert "set IMAGE to" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param(["train"], ".venv/bin/kennel train", id="aws"),
        pytest.param(
            ["train", "LOCAL=1"],
            ".venv/bin/kennel local run -- .venv/bin/kennel train",
            id="local",
        ),
        pytest.param(["push"], "scripts/push_ecr.sh", id="push"),
        pytest.param(
            ["push", "LOCAL=1"],
            ".venv/bin/kennel local run -- scripts/push_ecr.sh",
            id="push-local",
        ),
        pytest.param(
            ["train", "DATA=d", "SET=lr=0.1 epochs=3"],
            ".venv/bin/kennel train --data 'd' --set lr=0.1 --set epochs=3",
            id="options",
        ),
        pytest.param(
            ["tune", "LOCAL=1", "MODEL=m", "RANGE=lr=0.1..1", "DATA=d"],
            ".venv/bin/kennel tune --data 'd' --set model=m --range lr=0.1..1",
            id="tune",
        ),
        pytest.param(["train", "SET=lr=1"], "train --set lr=1 --tuned", id="train-tuned"),
        pytest.param(
            ["train", "TUNED=", "ARGS=--no-wait"], "kennel train --no-wait", id="train-untuned"
        ),
        pytest.param(["train", "PROFILE=1"], "train --tuned --profile", id="train-profiled"),
        pytest.param(["report", "JOB=one another"], "kennel report one another", id="report"),
        pytest.param(["rules", "FROM=s3://b/t s"], "kennel rules 's3://b/t s'", id="rules"),
        pytest.param(["rules", "JOB=one", "LOCAL=1"], "-- .venv/bin/kennel rules one", id="job"),
        pytest.param(["demo", "TUNE=1"], "kennel demo --tune", id="demo-tune"),
        pytest.param(
            ["predict", "IMAGE=a.jpg b", "ENDPOINT=e"],
            ".venv/bin/kennel predict a.jpg b --endpoint e",
            id="pictures",
        ),
        pytest.param(
            ["demo", "DATA=d", "WEIGHTS=w.pth"],
            ".venv/bin/kennel demo --data 'd' --weights 'w.pth'",
            id="demo",
        ),
    ],
)
def test_a_target_runs_its_command(make, arguments, expected):
    """
    LOCAL=1 puts "kennel local run --" before the same command.
    """
    done = make("--dry-run", *arguments)

    assert expected in re.sub(r"[\\\s]+", " ", done.stdout)


@pytest.fixture
def kennel(copy):
    """A command in the copy's environment that prints its arguments, one a line."""
    path = copy / ".venv" / "bin" / "kennel"
    path.parent.mkdir(exist_ok=True)
    path.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    path.chmod(0o755)
    yield
    path.unlink()


@pytest.mark.usefixtures("kennel")
@pytest.mark.parametrize("name", ["../mes chiens é", "it's", 'a "b" `c` \\'])
@pytest.mark.parametrize("target", ["data", "train", "demo"])
def test_a_path_may_have_any_letters(make, target, name):
    """
    Blanks and quotes reach the command as they were typed.
    """
    done = make(target, f"DATA={name}", f"WEIGHTS={name}")

    assert done.returncode == 0, done.stderr
    assert set(done.stdout.splitlines()) <= {
        *["data", "check", "stage", "train", "demo"],
        "--data",
        "--weights",
        "--tuned",
        name,
    }
    assert name in done.stdout.splitlines()


@pytest.mark.usefixtures("kennel")
def test_pictures_are_a_list_that_the_shell_splits(make):
    """
    One of them may be quoted.
    """
    done = make("predict", "IMAGE=a.jpg 'my dog.jpg'")

    assert done.stdout.splitlines() == ["predict", "a.jpg", "my dog.jpg"]


PYTHON = """#!/bin/sh
if [ "$1" != -m ]; then exec {python} "$@"; fi
mkdir -p .venv/bin
cat > .venv/bin/pip <<'EOF'
#!/bin/sh
case "$*" in *--quiet*) exit 0 ;; esac
echo "Collecting torch"
echo "Downloading torch (700 MB)"
echo "WARNING: Running pip as the 'root' user" >&2
echo "ERROR: no disk" >&2
exit {status}
EOF
chmod +x .venv/bin/pip
"""


@pytest.mark.parametrize("status", [0, 1], ids=["succeeds", "fails"])
def test_setup_is_brief_and_hides_no_failure(copy, tmp_path, make, status):
    """
    What takes long is told, and errors are; warnings are not. A failed installation is not ready.
    """
    python = tmp_path / "python"
    python.write_text(PYTHON.format(python=sys.executable, status=status))
    python.chmod(0o755)
    ready = copy / ".venv" / ".ready"
    ready.unlink()

    done = make("setup", f"PYTHON={python}")

    there = ready.exists()
    ready.touch()
    assert (done.returncode == 0) == (status == 0) == there
    assert "Downloading torch" in done.stdout
    assert "Collecting" not in done.stdout
    assert "ERROR: no disk" in done.stderr
    assert "WARNING" not in done.stdout + done.stderr


def test_preflight_says_what_is_missing_with_the_remedy():
    """
    One line for each thing that the machine lacks, and one that says what to do.
    """
    done = subprocess.run(  # noqa: S603 - our own script
        [ROOT / "scripts" / "preflight.sh", "999999999"],
        env=os.environ | {"PYTHON": "no-python", "JAVA": "no-java"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    missing, remedies = done.stderr.splitlines()[::2], done.stderr.splitlines()[1::2]
    assert [re.search("Python|Java|disk", line)[0] for line in missing] == [
        "Python",
        "Java",
        "disk",
    ]
    assert all(line.startswith("  try: ") for line in remedies)
