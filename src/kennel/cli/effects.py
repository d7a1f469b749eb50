"""
The two ways to carry out what was decided: do it, or show it.

A dry run is another executor and not an ``if`` in the middle, so it shows precisely what is sent.
"""

import sys
from collections.abc import Sequence
from typing import Protocol

from kennel.cli import show
from kennel.datasets import stage
from kennel.datasets.stage import Upload
from kennel.jobs import aws as amazon
from kennel.jobs import plan
from kennel.jobs.aws import Aws
from kennel.jobs.plan import Call


class Executor(Protocol):
    """Carries out calls and uploads."""

    def send(self, calls: Sequence[Call]) -> None:
        """Carry out *calls* in order."""

    def upload(self, bucket: str, uploads: Sequence[Upload]) -> None:
        """Carry out *uploads*."""


class Sender:
    """Does it."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    def send(self, calls: Sequence[Call]) -> None:
        """Make the calls."""
        amazon.send(self._aws, calls)

    def upload(self, bucket: str, uploads: Sequence[Upload]) -> None:
        """Upload the files, with a progress bar where somebody watches."""
        with show.upload_progress(uploads) as done:
            stage.upload(self._aws.s3, bucket, uploads, done=done)


class Printer:
    """Shows it, as JSON lines on standard output."""

    def send(self, calls: Sequence[Call]) -> None:
        """Print the calls."""
        if calls:
            sys.stdout.write(plan.show(calls) + "\n")

    def upload(self, bucket: str, uploads: Sequence[Upload]) -> None:
        """Print the calls that would upload the files."""
        self.send([Call("s3", "put_object", upload.request(bucket)) for upload in uploads])


def executor(aws: Aws, *, dry_run: bool) -> Executor:
    """Return the one that the user has asked for."""
    return Printer() if dry_run else Sender(aws)
