"""What makes a command local is its environment."""

import shlex
import subprocess
from pathlib import Path

import pytest

from kennel.cli import local
from kennel.jobs import images
from kennel.local.daemon import Address, Status
from kennel.settings import Aws, Images, Local, Settings

ROLE = "arn:aws:iam::123456789012:role/kennel"


def test_a_command_is_pointed_at_the_server_and_away_from_aws(tmp_path):
    """
    Address, dummy keys, and stand-ins for role and images; no profile of the user's.
    """
    environment = {"AWS_PROFILE": "work", "HOME": "/home/me"}
    settings = Settings(local=Local(state=tmp_path))

    found = local.commands_environment(settings, Address(4510), environment)

    assert found["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4510"
    assert found["HOME"] == "/home/me"
    assert "AWS_PROFILE" not in found
    assert local.STAND_INS.items() <= found.items()


@pytest.mark.parametrize(
    ("settings", "left"),
    [
        pytest.param(Settings(), set(local.STAND_INS), id="nothing-set"),
        pytest.param(
            Settings(aws=Aws(role=ROLE)),
            {"KENNEL_IMAGES_TRAIN", "KENNEL_IMAGES_SERVE"},
            id="role-set",
        ),
        pytest.param(
            Settings(aws=Aws(role=ROLE), images=Images("a", "b")), set(), id="everything-set"
        ),
    ],
)
def test_what_is_set_is_not_replaced(settings, left):
    """
    A role and images of one's own go into the requests here as they would on AWS.
    """
    assert set(local.stand_ins(settings)) == left


def test_what_is_kept_comes_with_how_to_delete_it():
    """
    Nothing goes by itself; where there is nothing, nothing is to be done.
    """
    assert local.kept(0) == "0 B"
    assert local.kept(2_000_000).startswith("2.0 MB, kept until you delete it: ")
    assert "aws s3 rm --recursive s3://" in local.kept(1)


@pytest.mark.parametrize(
    ("region", "left"),
    [
        pytest.param("eu-west-1", {"KENNEL_AWS_ROLE", "KENNEL_IMAGES_SERVE"}, id="this-region"),
        pytest.param("us-east-1", set(local.STAND_INS), id="another-region"),
    ],
)
def test_an_image_that_was_pushed_here_needs_no_stand_in(tmp_path, region, left):
    """
    The record is in the state folder, apart from that of AWS; it counts in its region only.
    """
    image = images.Image("localhost:5000/kennel-train@sha256:0", "abc", "2026-01-01")
    images.write(tmp_path / "images.json", "000000000000/eu-west-1", {images.TRAIN: image})
    settings = Settings(aws=Aws(region=region), local=Local(state=tmp_path))

    found = local.own_variables(settings)

    assert found.pop("KENNEL_IMAGES_RECORD") == str(tmp_path / "images.json")
    assert set(found) == left


@pytest.mark.parametrize(
    ("jobs", "endpoints", "said"),
    [
        (0, 0, ""),
        (1, 0, "1 training job"),
        (2, 1, "2 training jobs and 1 endpoint process"),
        (0, 3, "3 endpoint processes"),
    ],
)
def test_what_goes_on_is_said(jobs, endpoints, said):
    """
    A server that has stopped leaves its jobs and endpoints running.
    """
    status = Status(Path("state"), Path("log"), training_jobs=jobs, endpoints=endpoints)

    assert local.going_on(status) == said


@pytest.mark.parametrize(
    ("count", "said"), [(0, ""), (1, "1 tuning job goes on"), (2, "2 tuning jobs go on")]
)
def test_what_waits_for_the_next_server_is_said(count, said):
    """
    Without a server a tuning job starts no training jobs, but it has not ended.
    """
    assert local.to_go_on(Status(Path("state"), Path("log"), tuning_jobs=count)) == said


def test_the_lines_that_are_printed_can_be_evaluated():
    """
    Any value survives a shell; a variable that would lead astray is removed.
    """
    text = local.exports({"A": "it's $HOME"}, ["AWS_PROFILE"])

    script = f'AWS_PROFILE=x; {text}\nprintf "%s %s" "$A" "${{AWS_PROFILE-gone}}"'
    done = subprocess.run(  # noqa: S602 - evaluating is the point
        script, shell=True, capture_output=True, text=True, check=True
    )

    assert done.stdout == "it's $HOME gone"
    assert shlex.split(text.splitlines()[-1]) == ["export", "A=it's $HOME"]
