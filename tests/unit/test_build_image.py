"""scripts/build_image.sh decides what docker build is given; docker is a recorder here."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from kennel import source

ROOT = Path(__file__).parents[2]
WEIGHTS = "https://example.org/resnet18-f37072fd.pth"
RECORDER = """#!/bin/sh
if [ "$1" = version ]; then exit {version}; fi
if [ "$1" = image ]; then echo "${{4%% *}} 966000000"; exit; fi
printf '%s\\n' "$DOCKER_BUILDKIT" "$@" > {record}
"""


@pytest.fixture
def tree(tmp_path):
    """A repository with one commit: the script and the version."""
    folder = tmp_path / "tree"
    (folder / "scripts").mkdir(parents=True)
    shutil.copy2(ROOT / "scripts" / "build_image.sh", folder / "scripts")
    for name in ("src/kennel", "docker"):
        (folder / name).mkdir(parents=True)
    shutil.copy2(ROOT / "src/kennel/source.py", folder / "src/kennel")
    (folder / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for arguments in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "one"]):
        subprocess.run(["git", *arguments], cwd=folder, check=True)  # noqa: S603, S607 - git
    return folder


@pytest.fixture
def build(tree, tmp_path):
    """Return ``build(*arguments, **environment)``: what was said, and what docker build got."""

    def build(*arguments, version=0, **environment):
        docker, record = tmp_path / "docker", tmp_path / "record"
        docker.write_text(RECORDER.format(version=version, record=record))
        docker.chmod(0o755)
        done = subprocess.run(  # noqa: S603 - our own script
            [tree / "scripts" / "build_image.sh", *arguments],
            env={"PATH": os.environ["PATH"], "DOCKER": str(docker)} | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done, record.read_text().splitlines() if record.exists() else []

    return build


def test_an_image_is_tagged_and_labelled_by_its_commit(build, tree):
    """
    Twelve digits; latest beside them; the version is the package's.
    """
    done, given = build("kennel-serve")
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"],  # noqa: S607 - whichever git it is
        cwd=tree,
        capture_output=True,
        text=True,
        check=True,
    )

    commit = head.stdout[:12]
    assert done.returncode == 0, done.stderr
    assert {"kennel-serve:latest", f"kennel-serve:{commit}"} <= set(given)
    assert {f"REVISION={commit}", "VERSION=1.2.3", "docker/serve/Dockerfile"} <= set(given)
    assert done.stdout == f"kennel-serve:{commit}  0.97 GB\n"


def test_an_image_is_labelled_by_its_code(build, tree):
    """
    What kennel compares with the tree that a job is started from.
    """
    _, given = build("kennel-serve")

    assert f"SOURCE={source.digest(tree)}" in given


def test_a_tree_with_changes_is_dirty(build, tree):
    """
    A file that git does not know enters the image too.
    """
    (tree / "new.py").touch()

    _, given = build("kennel-train")
    assert re.fullmatch("REVISION=[0-9a-f]{12}-dirty", given[given.index("VERSION=1.2.3") + 2])


def test_what_is_set_is_passed_on(build, tmp_path):
    """
    Settings as build arguments; what may hold credentials as secrets, which enter no image.
    """
    conf, bundle = tmp_path / "pip.conf", tmp_path / "ca bundle"
    for file in (conf, bundle):
        file.touch()
    secrets = {"PIP_CONF": str(conf), "CA_BUNDLE": str(bundle)}
    environment = {"BASE_IMAGE": "b:1", "TORCH_VERSION": "", **secrets}

    _, given = build("kennel-train", IMAGENET_WEIGHTS=WEIGHTS, **environment)

    assert {"BASE_IMAGE=b:1", f"IMAGENET_WEIGHTS={WEIGHTS}"} <= set(given)
    assert {f"id=pip_conf,src={conf}", f"id=ca_bundle,src={bundle}"} <= set(given)
    assert not [each for each in given if each.startswith("TORCH_VERSION")]
    assert given[0] == "1"  # DOCKER_BUILDKIT


def test_the_image_for_gpus_is_a_variant(build):
    """
    The same Dockerfile, with another set of requirements.
    """
    _, given = build("kennel-serve-gpu", IMAGENET_WEIGHTS=WEIGHTS)

    assert {"docker/serve/Dockerfile", "VARIANT=gpu", "kennel-serve-gpu:latest"} <= set(given)
    assert not [each for each in given if each.startswith("IMAGENET_WEIGHTS")]


@pytest.mark.parametrize(
    ("image", "options", "problem"),
    [
        pytest.param("kennel-x", {}, "there is no image 'kennel-x'", id="unknown"),
        pytest.param("", {}, "there is no image ''", id="none"),
        pytest.param("kennel-train", {"PIP_CONF": "/none"}, "PIP_CONF is /none", id="no-conf"),
        pytest.param("kennel-train", {"CA_BUNDLE": "/etc"}, "CA_BUNDLE is /etc", id="a-folder"),
        pytest.param(
            "kennel-train",
            {"IMAGENET_WEIGHTS": "/etc/hosts"},
            "IMAGENET_WEIGHTS is /etc/hosts, which is neither",
            id="weights-elsewhere",
        ),
        pytest.param(
            "kennel-train",
            {"IMAGENET_WEIGHTS": "docker/weights/none.pth"},
            "IMAGENET_WEIGHTS is docker/weights/none.pth",
            id="no-weights",
        ),
        pytest.param("kennel-train", {"PYTHON": "no-python"}, "Python cannot", id="no-python"),
        pytest.param("kennel-train", {"version": 1}, "no Docker engine answers", id="no-engine"),
        pytest.param("kennel-train", {"DOCKER": "no-docker"}, "is not installed", id="no-client"),
    ],
)
def test_what_is_missing_is_said_with_a_remedy(build, image, options, problem):
    """
    Before anything is built.
    """
    done, given = build(image, **options)

    assert done.returncode == 1
    assert problem in done.stderr
    assert "\n  try: " in done.stderr
    assert given == []
