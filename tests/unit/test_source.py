"""A digest of what the images are made from tells whether an image has this tree's code."""

import subprocess
import sys

import pytest

from kennel import source

MADE_FROM = ("pyproject.toml", "src/kennel/a/b.py", "docker/pins.sh", "docker/train/Dockerfile")


@pytest.fixture
def tree(tmp_path):
    """A repository, as far as the images are concerned."""
    for name in (*MADE_FROM, "README.md", "docker/README.md", "docker/weights/README"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path


@pytest.mark.parametrize("name", MADE_FROM)
def test_whatever_an_image_is_made_from_changes_it(tree, name):
    """
    Code, pins and the build itself; and it is what it was when they are.
    """
    before = source.digest(tree)
    (tree / name).write_text("changed")
    changed = source.digest(tree)
    (tree / name).write_text(name)

    assert changed != before
    assert source.digest(tree) == before


def test_a_file_that_comes_or_goes_changes_it(tree):
    """
    Also an empty one, whether git knows it or not.
    """
    before = source.digest(tree)
    (tree / "src/kennel/new.py").touch()
    assert source.digest(tree) != before

    (tree / "src/kennel/new.py").rename(tree / "src/kennel/other.py")
    renamed = source.digest(tree)
    (tree / "src/kennel/other.py").unlink()
    assert source.digest(tree) == before != renamed


def test_what_no_container_runs_leaves_it(tree):
    """
    Texts, weights and Python's own caches.
    """
    before = source.digest(tree)
    (tree / "src/kennel/__pycache__").mkdir()
    (tree / "src/kennel/__pycache__/b.pyc").touch()
    for name in ("README.md", "docker/README.md", "docker/weights/resnet18.pth"):
        (tree / name).write_text("changed")

    assert source.digest(tree) == before


def test_an_installed_wheel_has_no_tree(tmp_path):
    """
    Then there is nothing to compare.
    """
    assert source.digest(tmp_path) is None


def test_the_build_gets_the_digest_that_kennel_compares(tmp_path):
    """
    The file runs on the standard library alone, from any folder.
    """
    done = subprocess.run(  # noqa: S603 - our own file
        [sys.executable, "-I", source.__file__],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == f"{source.digest()}\n"
    assert len(done.stdout) == source.DIGITS + 1
