"""Whoever starts a job is told that its image has other code than the tree."""

import pytest

from kennel.cli import outdated
from kennel.settings import Local, Settings
from kennel.source import LABEL

HERE = "0123456789ab"
PUSHED = f"localhost:5000/kennel-train@sha256:{'1' * 64}"


def test_an_image_of_this_tree_needs_no_word():
    """
    Whatever its commit: a change of a text makes a new one.
    """
    labels = {LABEL: HERE, outdated.REVISION: "an-older-one"}

    assert outdated.worded("kennel-train", labels, HERE) is None


@pytest.mark.parametrize(
    ("image", "remedy"),
    [
        pytest.param("kennel-train", "make build", id="built"),
        pytest.param(PUSHED, "git commit, then make build push LOCAL=1", id="pushed"),
    ],
)
def test_an_image_of_other_code_is_told(image, remedy):
    """
    With its commit and what to do; without the digits that nobody reads.
    """
    said = outdated.worded(image, {LABEL: "other", outdated.REVISION: "abc-dirty"}, HERE)

    assert said == (
        f"note: {image.partition('@')[0]} was not built from this tree's code: "
        f"it is of commit abc-dirty\n  try: {remedy}"
    )


def test_an_image_without_labels_is_of_other_code():
    """
    This tree's build would have given it some.
    """
    assert "it is of commit unknown" in outdated.worded("kennel-serve", {}, HERE)


@pytest.mark.parametrize(
    ("image", "ours"),
    [
        ("kennel-train", True),
        ("kennel-serve:0123456789ab-dirty", True),
        ("kennel-serve-gpu", True),
        (PUSHED, True),
        ("kennel-trainer", False),
        ("registry:5000/team/mine@sha256:1", False),
        ("/usr/bin/kennel-local", False),
    ],
)
def test_only_our_own_images_are_judged(image, ours):
    """
    Another image has no code of this tree.
    """
    assert outdated.is_ours(image) is ours


@pytest.mark.parametrize("url", [None, "http://127.0.0.1:1"], ids=["aws", "another-server"])
def test_only_the_local_servers_images_are_judged(monkeypatch, tmp_path, url):
    """
    What AWS runs is what was pushed, as the reason says.
    """
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    if url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)

    assert outdated.note(Settings(local=Local(state=tmp_path)), "kennel-train") is None
