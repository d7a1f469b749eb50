"""What is where in the local server's state folder, and the note that says where it listens."""

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kennel.errors import LocalServerError

HOST = "127.0.0.1"
HEALTH_PATH = "/_kennel/health"  # no bucket can be called so
INTERRUPT_PATH = "/_kennel/interrupt"

DATABASE = "kennel.db"
OBJECTS = "s3"  # BUCKET/KEY
SCRATCH = "sagemaker"  # folders of jobs and endpoints
RUNTIME = "runtime"  # what a runtime notes about its containers


def lock_path(state: Path) -> Path:
    """Return the file that a running server holds locked."""
    return state / "server.lock"


def info_path(state: Path) -> Path:
    """Return the note of a running server; one without a lock was left by a server that died."""
    return state / "server.json"


def log_path(state: Path) -> Path:
    """Return the log of a detached server."""
    return state / "server.log"


@contextmanager
def usable(state: Path) -> Iterator[None]:
    """
    Do something with the state folder that needs it readable and writable.

    Raises:
        LocalServerError: It is not.
    """
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise LocalServerError(
            f"the state folder {state} cannot be used: {error}",
            expected="a folder that you can write",
            remedy="name another as state in kennel.toml's [local], or KENNEL_LOCAL_STATE",
        ) from error


def write_info(state: Path, about: Mapping[str, Any]) -> None:
    """Write the note, at once or not at all."""
    path = info_path(state)
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps(about))
    draft.replace(path)


def read_info(state: Path) -> dict[str, Any]:
    """Return the note, empty when there is none."""
    try:
        return dict(json.loads(info_path(state).read_text()))
    except (FileNotFoundError, ValueError):
        return {}
