"""What is advised can be pasted."""

import argparse
import os
import stat

import pytest

from kennel.cli import hints
from kennel.cli.parser import parser

LOCAL = {hints.VARIABLE: ".venv/bin/kennel local run -- .venv/bin/kennel"}


@pytest.fixture(autouse=True)
def called(monkeypatch):
    """Kennel is not on PATH, and was called by its path."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("sys.argv", [".venv/bin/kennel", "train"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kennel logs j --follow", ".venv/bin/kennel logs j --follow"),
        (
            "try: kennel jobs, or kennel train",
            "try: .venv/bin/kennel jobs, or .venv/bin/kennel train",
        ),
        ('eval "$(kennel local env)"', 'eval "$(.venv/bin/kennel local env)"'),
        ("kennel local run -- kennel …", ".venv/bin/kennel local run -- .venv/bin/kennel …"),
        ("as kennel serves, below .venv/bin/kennel train", None),
    ],
)
def test_a_command_is_shown_as_it_was_called(text, expected):
    """
    The path of the executable stands before each command, and nothing else changes.
    """
    assert hints.typed(text, {}) == (expected or text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kennel logs j", ".venv/bin/kennel local run -- .venv/bin/kennel logs j"),
        ("kennel data stage d", ".venv/bin/kennel local run -- .venv/bin/kennel data stage d"),
        ("kennel data check d", ".venv/bin/kennel data check d"),
        ("kennel local status", ".venv/bin/kennel local status"),
        ("kennel local run -- kennel jobs", ".venv/bin/kennel local run -- .venv/bin/kennel jobs"),
    ],
)
def test_a_command_started_by_local_run_advises_local_run(text, expected):
    """
    Commands that ask AWS go to the local server again; those that do not are called as they are.
    """
    assert hints.typed(text, LOCAL) == expected


def test_local_run_is_advised_with_its_options():
    """
    Another settings file names another server.
    """
    run = hints.local_run(["--settings", "my file.toml"])

    assert run == ".venv/bin/kennel local run --settings 'my file.toml' -- .venv/bin/kennel"


def test_kennel_on_the_path_needs_no_path(tmp_path, monkeypatch):
    """
    In an activated environment the advice is short; any other program is not taken for kennel.
    """
    script = tmp_path / "kennel"
    script.touch()
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", os.fspath(tmp_path))

    assert hints.executable(str(script)) == "kennel"
    assert hints.executable(".venv/bin/kennel") == ".venv/bin/kennel"
    assert hints.executable("/usr/bin/pytest") == "kennel"


def test_every_command_is_known():
    """
    What can be typed can be advised.
    """

    def names(one, path=()):
        groups = [a.choices for a in one._actions if a.nargs == argparse.PARSER]  # noqa: SLF001 - argparse offers no walk
        for name, sub in [item for choices in groups for item in choices.items()]:
            yield from names(sub, (*path, name))
        if not groups:
            yield " ".join(path)

    known = (*hints.ON_AWS, *hints.HERE)
    assert [
        name for name in names(parser()) if name not in known and name.split()[0] not in known
    ] == []
