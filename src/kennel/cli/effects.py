"""
The two ways to carry out what was decided: do it, or show it.

A dry run is another executor and not an ``if`` in the middle, so it shows precisely what is sent.
"""

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
    """Shows it, as JSON lines on standard output; how many there were is said on standard error."""

    def send(self, calls: Sequence[Call]) -> None:
        """Print the calls."""
        self._print(calls)

    def upload(self, bucket: str, uploads: Sequence[Upload]) -> None:
        """Print the calls that would upload the files."""
        calls = [Call("s3", "put_object", upload.request(bucket)) for upload in uploads]
        self._print(calls, f" ({show.size(sum(upload.size for upload in uploads))})")

    def _print(self, calls: Sequence[Call], note: str = "") -> None:
        if calls:
            show.result(plan.show(calls))
        counts = Counter(call.operation for call in calls)
        told = ", ".join(f"{count:,} {operation}" for operation, count in counts.items())
        show.talk(f"not sent: {told}{note}" if told else "nothing to send")


def executor(aws: Aws, *, dry_run: bool) -> Executor:
    """Return the one that the user has asked for."""
    return Printer() if dry_run else Sender(aws)
