"""
Names that SageMaker takes, and that kennel finds its own work by.

Pure: the caller gives the time and the chance. Every job of ours starts with ``kennel-``, since a
list of jobs can be filtered by name and not by tag.
"""

import re
from datetime import datetime

from kennel.contract import TUNING_NAME_CHARS
from kennel.errors import SettingsError

PREFIX = "kennel-"
LONGEST = 63
TUNING = f"{PREFIX}tune"
FEATURES = f"{PREFIX}features"
PATTERN = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*")


def unique(stem: str, *, now: datetime, token: str, longest: int = LONGEST) -> str:
    """
    Return ``STEM-YYYYMMDD-HHMMSS-TOKEN``, the stem cut so that it fits into *longest*.

    Args:
        stem: Any text; what SageMaker does not take becomes a hyphen.
        token: A few letters that differ between two calls of the same second.
    """
    end = f"-{now:%Y%m%d-%H%M%S}-{token}"
    return f"{slug(stem)[: longest - len(end)].rstrip('-')}{end}"


def is_version(name: str, *, of: str) -> bool:
    """Say whether ``unique(of)`` made *name*, and not the name of an endpoint that starts alike."""
    return re.fullmatch(re.escape(slug(of)) + r"-\d{8}-\d{6}-[0-9a-f]+", name) is not None


def slug(text: str) -> str:
    """Keep letters and digits; everything between them becomes one hyphen."""
    return re.sub(r"[^a-zA-Z0-9]+", "-", text).strip("-") or "x"


def job(wanted: str | None, model: str, *, now: datetime, token: str) -> str:
    """Return the name of a new training job: the wanted one under our prefix, or a new one."""
    if wanted is None:
        return unique(f"{PREFIX}{model}", now=now, token=token)
    return checked(wanted if wanted.startswith(PREFIX) else PREFIX + wanted)


def tuning_job(wanted: str | None, *, now: datetime, token: str) -> str:
    """Return the name of a new tuning job, or of a training job that searches by itself."""
    if wanted is None:
        return unique(TUNING, now=now, token=token, longest=TUNING_NAME_CHARS)
    return checked(tuning_name(wanted), longest=TUNING_NAME_CHARS)


def tuning_name(wanted: str) -> str:
    """Return what a tuning job is called whose user has called it *wanted*."""
    return wanted if is_tuning_job(wanted) else f"{TUNING}-{wanted.removeprefix(PREFIX)}"


def is_tuning_job(name: str) -> bool:
    """Say whether ``tuning_job`` made this name, and it is not a trial's."""
    return name.startswith(f"{TUNING}-") and not is_trial(name)


def is_trial(name: str) -> bool:
    """Say whether a tuning job made this training job: it is called ``NAME-001-1a2b3c4d`` then."""
    return re.search(r"-\d{3,}-[0-9a-f]{8}$", name) is not None


def leaves_a_model(name: str) -> bool:
    """Say whether a training job was to leave the model that one would want of it."""
    return not is_trial(name) and not name.startswith(f"{FEATURES}-")


def checked(name: str, *, longest: int = LONGEST) -> str:
    """Return *name* if SageMaker takes it."""
    if len(name) > longest or not PATTERN.fullmatch(name):
        raise SettingsError(
            f"{name!r} is no name for SageMaker",
            expected=f"letters, digits and hyphens between them, {longest} characters at most",
            remedy=slug(name)[:longest].rstrip("-"),
        )
    return name
