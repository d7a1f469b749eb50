"""``kennel images`` tells, as train and deploy do, that an image has other code than the tree."""

import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from kennel import source
from kennel.local import daemon

KENNEL = Path(sys.executable).with_name("kennel")


@pytest.fixture
def images(engine, build_image, tmp_path):
    """Return ``images(digest, runtime)``: what is said of a training image with that label."""
    tag = f"test-{uuid.uuid4().hex[:12]}"
    name = f"kennel-train:{tag}"

    def images(digest, runtime="auto"):
        lines = f"LABEL {source.LABEL}={digest} org.opencontainers.image.revision=0123456789ab"
        engine.images.get(build_image(lines)).tag("kennel-train", tag)
        others = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "KENNEL_"))}
        local = {"STATE": str(tmp_path), "PORT": "0", "RUNTIME": runtime}
        variables = {f"KENNEL_LOCAL_{key}": value for key, value in local.items()}
        done = subprocess.run(  # noqa: S603 - kennel itself
            [KENNEL, "local", "run", "--", KENNEL, "images"],
            cwd=tmp_path,
            env=others | variables | {"KENNEL_IMAGES_TRAIN": name, "KENNEL_IMAGES_SERVE": "mine"},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stderr.replace(name, "kennel-train")

    yield images
    daemon.stop(tmp_path)
    engine.images.remove(name)


def test_an_image_of_other_code_is_told(images):
    """
    With its commit and what makes it new.
    """
    assert images("other") == (
        "note: kennel-train was not built from this tree's code: it is of commit 0123456789ab\n"
        "  try: make build\n"
    )


def test_an_image_of_this_tree_needs_no_word(images):
    """
    The label that the build gives is the digest that kennel compares.
    """
    assert images(source.digest()) == ""


def test_processes_run_the_tree_itself(images):
    """
    There the image is a name and nothing more.
    """
    assert images("other", runtime="process") == ""
