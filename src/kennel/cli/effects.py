"""
The two ways to carry out what was decided: do it, or show it.

A dry run is another executor and not an ``if`` in the middle, so it shows precisely what is sent.
"""

import sys
from collections import Counter
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
    """
    Shows it, as JSON lines on standard output; how many there were is said on standard error.

    Args:
        whole: Each upload too; there may be thousands, which are counted otherwise.
        indent: Of requests that people read, over many lines.
    """

    def __init__(self, *, whole: bool = False, indent: int | None = None) -> None:
        self._whole = whole
        self._indent = indent

    def send(self, calls: Sequence[Call]) -> None:
        """Print the calls."""
        if calls:
            show.result(plan.show(calls, indent=self._indent))
        self._count(calls, "nothing to send")

    def upload(self, bucket: str, uploads: Sequence[Upload]) -> None:
        """Count the calls that would upload the files, or print them."""
        calls = [Call("s3", "put_object", upload.request(bucket)) for upload in uploads]
        if calls and self._whole:
            show.result(plan.show(calls))
        size = show.size(sum(upload.size for upload in uploads))
        self._count(calls, "nothing to upload", f" ({size})")

    @staticmethod
    def _count(calls: Sequence[Call], nothing: str, note: str = "") -> None:
        counts = Counter(call.operation for call in calls)
        told = ", ".join(f"{count:,} {operation}" for operation, count in counts.items())
        show.talk(f"not sent: {told}{note}" if told else nothing)


def executor(aws: Aws, *, dry_run: bool, as_json: bool = False) -> Executor:
    """
    Return the one that the user has asked for.

    Args:
        as_json: All that would be sent, a line each; else uploads are counted, and on a terminal
            requests are indented.
    """
    if not dry_run:
        return Sender(aws)
    return Printer(whole=as_json, indent=2 if sys.stdout.isatty() and not as_json else None)
