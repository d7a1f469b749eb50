"""
One training job on its way, from Starting to its end, in a thread of its own.

A job takes one attempt, or several when it is on Spot and is interrupted. Every step is written
down before it is taken and can be taken again, so that the next server goes on where this one was
killed. What the states look like is in status, what a job's hosts do while they live in attempt.
"""

import contextlib
import logging

from kennel.contract import FAILURE_REASON_CHARS
from kennel.errors import KennelError
from kennel.local import disk
from kennel.local.resources import LOCAL
from kennel.local.runtimes.protocol import State
from kennel.local.sagemaker import archive, log_lines
from kennel.local.sagemaker.platform import Platform, now
from kennel.local.sagemaker.record import Closing, settle
from kennel.local.sagemaker.training import limits, spot, status, uploads
from kennel.local.sagemaker.training.attempt import Attempt
from kennel.local.sagemaker.training.outcome import outcome, read_failure, wants_model
from kennel.local.sagemaker.training.record import Record
from kennel.local.sagemaker.training.slots import Slots
from kennel.local.wire.errors import ApiError

LOG = logging.getLogger(__name__)

POLL_S = 0.1  # between two looks at whether a job that waits for capacity is to stop


class Run:
    """The way of one job."""

    def __init__(self, platform: Platform, slots: Slots, name: str) -> None:
        self.platform = platform
        self.slots = slots
        self.record = Record(platform.resources, name)

    def run(self) -> None:
        """Bring the job to its end, whatever happens on the way."""
        settle(self.record, self._settle, self.platform.closing)

    def _settle(self) -> None:
        try:
            self._run()
        except Closing:
            pass
        except (KennelError, ApiError) as error:
            self._fail(f"ClientError: {error}")
        except Exception as error:
            if disk.is_full(error):  # what the job has is worth more than an early answer
                raise
            LOG.exception("training job %s", self.record.name)
            self._fail(f"InternalServerError: {type(error).__name__}: {error}")

    def _run(self) -> None:
        if ending := self.record.read()[LOCAL].get("Ending"):  # a former server came as far as this
            self._conclude(ending["Secondary"], ending["Reason"])
            return
        self._await_capacity()  # where a former server left the job
        while self._attempt():
            self._await_capacity()

    def _attempt(self) -> bool:
        """Bring the job to its end, unless it is interrupted; return whether it was."""
        with self.slots.slot(self._gives_up, lambda: self.record.advance("Pending")) as mine:
            if self.platform.closing.is_set():
                raise Closing
            attempt = Attempt(self.platform, self.record)
            states = attempt.run(may_launch=mine)
            if spot.is_interrupted(self.record.read()):
                self._release(attempt)
                return True
            self._finish(attempt, states)
            return False

    def _await_capacity(self) -> None:
        """Wait as long as a job that was interrupted has no instances to start again on."""
        while (job := self.record.read())["SecondaryStatus"] == "Restarting":
            left_s = spot.capacity_in_s(job, now())
            if limits.must_end(job, now()):
                return
            if left_s == 0:
                self.record.advance("Starting")
            elif self.platform.closing.wait(min(left_s, POLL_S)):
                raise Closing

    def _gives_up(self) -> bool:
        return self.platform.closing.is_set() or limits.must_end(self.record.read(), now())

    def _release(self, attempt: Attempt) -> None:
        """Store the last checkpoints, and lose all that the instances had."""
        attempt.sync(ended=True)
        attempt.beside.pause()
        attempt.remove()
        moment = now()
        self.record.change(lambda job: spot.released(job, moment))

    # The end

    def _finish(self, attempt: Attempt, states: list[State]) -> None:
        """Store what the containers left, and conclude the job as they ended."""
        job = self.record.advance("Uploading")  # from here on a stop comes too late
        decisive = job[LOCAL].get("FailedHost") or 0
        host = attempt.hosts[decisive]
        words = log_lines.last_words(self.platform.runtime.output(host.launch_id))
        failure = read_failure(host.paths.failure)
        where = host.instance.label if len(attempt.hosts) > 1 else ""
        secondary, reason = outcome(job, states[decisive], failure, words, host=where)
        if attempt.folder.exists():
            self._upload(attempt, secondary)
        self._conclude(secondary, reason)

    def _upload(self, attempt: Attempt, secondary: str) -> None:
        """Store what the hosts have left, with the model if it is wanted, and see to the rules."""
        attempt.sync(ended=True)
        job, paths = self.record.read(), [host.paths for host in attempt.hosts]
        is_empty = all(archive.is_empty(each.model) for each in paths)
        with_model = wants_model(secondary, is_empty=is_empty)
        uploads.upload(
            *(self.platform.objects, job, paths), scratch=attempt.folder, with_model=with_model
        )
        if with_model:
            artifacts = {"S3ModelArtifacts": uploads.model_uri(job)}
            self.record.change(lambda job: job | {"ModelArtifacts": artifacts})
        attempt.beside.finish(paths)

    def _fail(self, reason: str) -> None:
        """Conclude a job that the server itself cannot bring further."""
        with contextlib.suppress(Closing):
            self._conclude("Failed", reason[:FAILURE_REASON_CHARS])

    def _conclude(self, secondary: str, reason: str) -> None:
        """Leave nothing of the job on this machine, then show how it ended."""
        moment = now()
        self.record.change_local(Ending={"Secondary": secondary, "Reason": reason})
        attempt = Attempt(self.platform, self.record)
        attempt.remove()
        attempt.beside.remove()
        self.record.change(
            lambda job: status.ended(
                job, secondary, moment, reason, billed_s=spot.billed_s(job, moment)
            )
        )
