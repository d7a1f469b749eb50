"""
What every command starts from: the settings that hold, and the AWS that they name.

The names of the bucket and of its folders are decided in kennel.jobs.compose.
"""

import argparse
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from kennel import settings as sources
from kennel.errors import RegionError
from kennel.jobs import compose
from kennel.jobs.aws import Aws
from kennel.settings import Settings


def settings(args: argparse.Namespace, **options: Mapping[str, object]) -> Settings:
    """Load the settings, with a command's *options* by section on top."""
    return sources.load(file=args.settings, options=options)


def aws(settings: Settings) -> Aws:
    """
    Open AWS in the region that the settings name.

    Raises:
        SettingsError: There is none; that the local server of this folder may be meant is said.
    """
    try:
        return Aws(settings.aws.region)
    except RegionError as error:
        from kennel.local import daemon  # noqa: PLC0415 - a server's worth of imports

        if not daemon.is_running(settings.local.state):
            raise
        raise RegionError(
            f"{error.problem}; the local server of this folder runs, and is not asked unless told",
            expected="a region of AWS, or the local server",
            remedy="kennel local run -- kennel …, which asks the local server",
        ) from error


def bucket(settings: Settings, aws: Aws) -> str:
    """Return the bucket's name; the account is the role's, else asked for."""
    account = settings.aws.role.split(":")[4] if settings.aws.role else None
    if settings.aws.bucket is None and account is None:
        account = aws.account
    return compose.bucket_name(settings, region=aws.region, account=account or "")


def now() -> dict[str, Any]:
    """Return what makes a name unique: the time, and a little chance."""
    return {"now": datetime.now(UTC), "token": secrets.token_hex(2)}
