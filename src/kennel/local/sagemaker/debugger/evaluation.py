"""
The debugger's rules of a job, evaluated over the tensors that it has in S3 while it runs.

What the evaluators read is the folder of the bucket itself, so that the tensors of all hosts, and
of all attempts on Spot, are there, and the end is told by the marker that AWS writes. Which
containers they are is in evaluators.
"""

import json
import time
from datetime import datetime
from functools import cached_property
from pathlib import Path

from kennel.contract import RULES_LOG_GROUP, TENSORS_END
from kennel.errors import KennelError
from kennel.local.resources import LOCAL, Document
from kennel.local.runtimes.protocol import Status
from kennel.local.s3 import mounts
from kennel.local.sagemaker import log_lines, s3_uri
from kennel.local.sagemaker.debugger import evaluators, places, statuses
from kennel.local.sagemaker.debugger.evaluators import Evaluator
from kennel.local.sagemaker.debugger.statuses import DEBUG_RULES
from kennel.local.sagemaker.platform import Platform, now
from kennel.local.sagemaker.record import Closing
from kennel.local.sagemaker.training.record import Record
from kennel.local.wire.errors import ApiError
from kennel.rules import configuration, keeping
from kennel.rules.configuration import Configuration
from kennel.rules.outcome import Outcome
from kennel.rules.parameters import TRUE

LEAST_S, MOST_S = 120, 600  # that the rules may take after the training has ended
POLL_S = 0.1
MAX_STARTS = 3  # of an evaluator that is killed from outside
STOP_ON_FIRE = "stop_training_on_fire"  # of StalledTrainingRule
TOO_LONG = (
    "InternalServerError: the rules were not judged to the end {seconds} s after the training: save"
    " less often, or ask for fewer of them. kennel rules judges what was saved, too"
)
NO_TENSORS = (
    "ClientError: No debugging data was saved by the training job: nothing is under {uri}. Has the"
    " program a hook, and does it save to DebugHookConfig's LocalPath?"
)
NO_HOOK = (
    "ClientError: No debugging data was saved by the training job: it has no DebugHookConfig,"
    " which says where tensors are saved"
)


class Evaluation:
    """
    The rules of one job.

    Args:
        folder: Of the evaluators' own.
    """

    def __init__(self, platform: Platform, record: Record, folder: Path) -> None:
        self.platform = platform
        self.runtime = platform.runtime
        self.record = record
        self.folder = folder

    @cached_property
    def evaluators(self) -> list[Evaluator]:
        """Those that the job needs, whether or not they have been started."""
        return evaluators.of_job(self.record.read(), self.folder)

    # While the job runs

    def advance(self) -> None:
        """Start what is to be evaluated, once there are tensors, and tell what has been found."""
        job = self.record.read()
        pending = set(statuses.pending(job, DEBUG_RULES))
        if not pending:
            return
        tensors = self._tensors(job)
        for evaluator in self.evaluators:
            is_needed = pending.intersection(evaluator.names)
            if tensors is not None and is_needed and self._must_start(evaluator):
                self._start(evaluator, tensors)
        self._tell()

    def _tensors(self, job: Document) -> Path | None:
        """Return the folder of the job's tensors, if some have been stored."""
        if places.HOOK not in job:
            return None
        bucket, prefix = s3_uri.split(places.uri_of(job, places.HOOK) + "/")
        return mounts.source(self.platform.objects, bucket, prefix)

    def _must_start(self, evaluator: Evaluator) -> bool:
        """Return whether an evaluator has yet to start, or was killed and may be started again."""
        state = self.runtime.poll(evaluator.launch_id)
        starts = self.record.read()[LOCAL].get("RuleStarts", {}).get(evaluator.launch_id, 0)
        return state.status is Status.ABSENT or (state.was_killed and starts < MAX_STARTS)

    def _start(self, evaluator: Evaluator, tensors: Path) -> None:
        """Write down that an evaluator is started, and start it."""
        job = self.record.change(lambda job: started(job, evaluator))
        try:
            evaluators.start(self.platform, job, evaluator, tensors)
        except (KennelError, ApiError) as error:  # it must not cost the training
            self._fail(evaluator, f"ClientError: {error}")

    def _tell(self) -> None:
        """Write down what has been found, and stop the job where a rule is to."""
        found, moment, job = self._outcomes(), now(), self.record.read()
        if statuses.updated(job, DEBUG_RULES, found, moment) != job:
            self.record.change(lambda job: statuses.updated(job, DEBUG_RULES, found, moment))
        stoppers = {one.name for one in configuration.read(self._rules()) if stops(one)}
        violated = [one.name for one in found if one.is_violated and one.name in stoppers]
        if violated:
            self.record.change(lambda job: statuses.stopped_by(job, violated[0], moment))

    def _rules(self) -> list[Document]:
        return [rule for evaluator in self.evaluators for rule in evaluator.rules]

    def _outcomes(self) -> list[Outcome]:
        """Return what the evaluators have found so far."""
        return [one for each in self.evaluators for one in keeping.read(each.outcomes)]

    # The end

    def finish(self) -> None:
        """
        Say that nothing more comes, wait for the rules, and store what they have found.

        Raises:
            Closing: The server is going away.
        """
        job = self.record.read()
        if self._tensors(job) is not None:
            bucket, prefix = s3_uri.split(places.uri_of(job, places.HOOK))
            self.platform.objects.put_bytes(bucket, f"{prefix}/{TENSORS_END}", b"")
        if DEBUG_RULES not in job:
            return
        self._await()
        for evaluator in self.evaluators:
            self._conclude(evaluator)
            self._store(self.record.read(), evaluator)

    def _await(self) -> None:
        """Wait until every evaluator has ended, and end those that take too long."""
        longest_s = patience_s(self.record.read(), now())
        deadline = time.monotonic() + longest_s
        self.advance()
        while running := [one for one in self.evaluators if self._is_running(one)]:
            if time.monotonic() > deadline:
                for evaluator in running:
                    self._fail(evaluator, TOO_LONG.format(seconds=longest_s))
                    self.runtime.kill(evaluator.launch_id)
            elif self.platform.closing.wait(POLL_S):
                raise Closing
            self.advance()
        self._tell()  # what came of those that ended since

    def _is_running(self, evaluator: Evaluator) -> bool:
        return self.runtime.poll(evaluator.launch_id).status is Status.RUNNING

    def _conclude(self, evaluator: Evaluator) -> None:
        """Let no rule of an evaluator that has ended stay in progress."""
        state, job = self.runtime.poll(evaluator.launch_id), self.record.read()
        if state.status is not Status.ABSENT:
            words = log_lines.last_words(self.runtime.output(evaluator.launch_id))
            self._fail(evaluator, f"InternalServerError: the evaluator {state.ending}: {words}")
        elif places.HOOK in job:
            self._fail(evaluator, NO_TENSORS.format(uri=places.uri_of(job, places.HOOK)))
        else:
            self._fail(evaluator, NO_HOOK)

    def _fail(self, evaluator: Evaluator, reason: str) -> None:
        """Write down that those rules of an evaluator cannot be judged which have not been."""
        moment, names = now(), evaluator.names
        self.record.change(
            lambda job: statuses.failed(job, DEBUG_RULES, reason, moment, among=names)
        )

    def _store(self, job: Document, evaluator: Evaluator) -> None:
        """Store each rule's outcome, and what its evaluator has said, where AWS has them."""
        found = {one.name: one for one in keeping.read(evaluator.outcomes)}
        for rule in evaluator.rules:
            name = rule["RuleConfigurationName"]
            while self._store_lines(evaluator, name):
                pass
            if name in found:
                outcome = statuses.concluded(job, DEBUG_RULES, found[name])
                bucket, prefix = s3_uri.split(places.rule_uri(job, rule))
                document = json.dumps(outcome.document(), indent=1).encode()
                key = f"{prefix}/{keeping.file_name(name)}"
                self.platform.objects.put_bytes(bucket, key, document)

    def _store_lines(self, evaluator: Evaluator, rule: str) -> bool:
        """Store some of what an evaluator has said in a rule's log, and how much that was."""
        before = self.record.read()[LOCAL].get("RuleOffsets", {}).get(rule, 0)
        output = self.runtime.output(evaluator.launch_id)
        lines, offset = log_lines.read_lines(output, before, ended=True)
        if offset == before:
            return False
        stream = f"{statuses.processing_job(self.record.name, rule)}/algo-1"
        with self.record.resources.database.transaction():
            self.platform.logs.append(RULES_LOG_GROUP, stream, log_lines.events(lines))
            self.record.change(lambda job: said(job, rule, offset))
        return True

    def remove(self) -> None:
        """Leave nothing of the evaluators on this machine."""
        for evaluator in self.evaluators:
            self.runtime.remove(evaluator.launch_id)


def stops(rule: Configuration) -> bool:
    """Return whether a rule that finds something stops the job: by its action, or a parameter."""
    return rule.stops or rule.parameters.get(STOP_ON_FIRE, "").lower() in TRUE


def started(job: Document, evaluator: Evaluator) -> Document:
    """Return *job* with one start more of an evaluator."""
    starts = dict(job[LOCAL].get("RuleStarts", {}))
    starts[evaluator.launch_id] = starts.get(evaluator.launch_id, 0) + 1
    return job | {LOCAL: job[LOCAL] | {"RuleStarts": starts}}


def said(job: Document, rule: str, offset: int) -> Document:
    """Return *job* with how far what an evaluator has said is in the log of one of its rules."""
    offsets = job[LOCAL].get("RuleOffsets", {}) | {rule: offset}
    return job | {LOCAL: job[LOCAL] | {"RuleOffsets": offsets}}


def patience_s(job: Document, moment: datetime) -> int:
    """Return how long the rules may take after a training that ends: as long as it, in bounds."""
    begun: datetime = job.get("TrainingStartTime") or job["CreationTime"]
    return max(LEAST_S, min(MOST_S, round((moment - begun).total_seconds())))
