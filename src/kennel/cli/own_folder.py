"""
A folder for what is fetched: kennel's own from the first fetch on, and whole or as it was before.

What is fetched into it, and where it is by default, is the callers' to know.
"""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kennel.errors import SettingsError

MARK = ".fetched.json"  # says whose the contents are


@contextmanager
def replaced(folder: Path, source: str) -> Iterator[Path]:
    """
    Yield an empty folder to fill; its contents replace those of *folder* if all goes well.

    Args:
        source: What is fetched, a job or an address: only what was fetched of it is replaced.

    Raises:
        SettingsError: *folder* holds something else, or cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            _require_own(folder, source)
            mark = folder / MARK
            mark.write_text(json.dumps({"source": source}) + "\n", encoding="utf-8")
            try:
                with tempfile.TemporaryDirectory(prefix=".new-", dir=folder) as draft:
                    yield Path(draft)
                    _move(Path(draft), folder)
            finally:
                if [path.name for path in folder.iterdir()] == [MARK]:
                    mark.unlink()
                    folder.rmdir()
    except OSError as error:
        raise SettingsError(
            f"{folder} cannot be written: {error.strerror or error}",
            expected="a folder of your own, or one that is not there yet, with room on its disk",
            remedy="--to FOLDER",
        ) from error


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until nobody else fetches into *folder*, and keep it so."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)


def _move(draft: Path, folder: Path) -> None:
    """Put what is in *draft* in the place of everything else in *folder*."""
    for old in folder.iterdir():
        if old.is_dir() and not old.is_symlink():
            if old != draft:
                shutil.rmtree(old)
        elif old.name != MARK:
            old.unlink()
    for new in draft.iterdir():
        new.rename(folder / new.name)


def _require_own(folder: Path, source: str) -> None:
    if folder.is_dir() and any(folder.iterdir()) and _marked(folder / MARK) != source:
        raise SettingsError(
            f"{folder} holds something that was not fetched from {source}",
            expected="an empty folder, or one that is not there yet",
            remedy=f"--to {folder / 'new'}",
        )


def _marked(mark: Path) -> str:
    try:
        return str(json.loads(mark.read_text(encoding="utf-8"))["source"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
