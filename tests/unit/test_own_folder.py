"""The folder that something is fetched into: whole or as it was, and nobody else's."""

import subprocess
import sys

import pytest

from kennel.cli import own_folder
from kennel.errors import JobError, SettingsError


def fill(folder, source, **files):
    with own_folder.replaced(folder, source) as draft:
        for name, text in files.items():
            (draft / name).mkdir()
            (draft / name / "file").write_text(text)


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != own_folder.MARK)


def test_what_was_fetched_before_is_replaced(tmp_path):
    """
    All of it: what the source has no longer is gone.
    """
    folder = tmp_path / "new" / "job"
    fill(folder, "kennel-1", a="1", b="1")
    fill(folder, "kennel-1", b="2")

    assert names(folder) == ["b"]
    assert (folder / "b" / "file").read_text() == "2"


def test_a_fetch_that_fails_leaves_what_was_there(tmp_path):
    """
    The earlier one, whole; of a first one nothing.
    """
    folder = tmp_path / "job"
    fill(folder, "kennel-1", a="1")
    for target in (folder, tmp_path / "first"):
        with (  # noqa: PT012 - it is filled before it fails
            pytest.raises(JobError, match="torn"),
            own_folder.replaced(target, "kennel-1") as draft,
        ):
            (draft / "half").touch()
            raise JobError("torn")

    assert names(folder) == ["a"]
    assert names(tmp_path) == ["job"]


def test_what_a_killed_fetch_has_left_goes_with_the_next(tmp_path):
    """
    It was killed before its first file, or while it fetched again.
    """
    fill(tmp_path, "kennel-1", a="1")
    (tmp_path / ".new-killed").mkdir()
    (tmp_path / ".new-killed" / "half").touch()
    fill(tmp_path, "kennel-1", a="2")

    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("mark", ["", "[]", '{"source": "kennel-2"}', None])
def test_a_folder_of_anything_else_is_left_alone(tmp_path, mark):
    """
    Of another source, or nobody knows of whom.
    """
    (tmp_path / "thesis.tex").touch()
    if mark is not None:
        (tmp_path / own_folder.MARK).write_text(mark)

    with pytest.raises(SettingsError, match="not fetched from kennel-1"):
        fill(tmp_path, "kennel-1")
    assert names(tmp_path) == ["thesis.tex"]


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_where_no_folder_can_be_is_an_error(tmp_path, place):
    """
    With the place, and what to try: no traceback.
    """
    (tmp_path / "file").write_text("mine")

    with pytest.raises(SettingsError, match="cannot be written") as caught:
        fill(tmp_path / place, "kennel-1")
    assert "--to" in caught.value.remedy
    assert (tmp_path / "file").read_text() == "mine"


def test_two_fetches_at_once_are_one_after_the_other(tmp_path):
    """
    The second waits for the first, and neither takes the other's files for old ones.
    """
    filling = (
        "import sys, time; from pathlib import Path; from kennel.cli import own_folder\n"
        "with own_folder.replaced(Path(sys.argv[1]), 'kennel-1') as draft:\n"
        "    (draft / 'a').touch(); time.sleep(0.2); (draft / 'b').touch()\n"
    )
    command = [sys.executable, "-c", filling, str(tmp_path / "job")]
    both = [subprocess.Popen(command) for _ in range(2)]  # noqa: S603 - ourselves

    assert [one.wait(60) for one in both] == [0, 0]
    assert names(tmp_path / "job") == ["a", "b"]
