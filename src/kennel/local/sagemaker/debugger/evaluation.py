"""
The debugger's rules of a job, evaluated over the tensors that it has in S3 while it runs.

As SageMaker does, in containers of their own: one for each image, which judges all rules of that
image. AWS's images are closed; where one is named, the job's own image evaluates kennel's rule of
the same name. What a container reads is the folder of the bucket itself, so that the tensors of all
hosts, and of all attempts on Spot, are there, and the end is told by the marker that AWS writes.
"""

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from kennel.contract import RULES_LOG_GROUP, TENSORS_END
from kennel.errors import KennelError
from kennel.local.resources import LOCAL, Document
from kennel.local.runtimes.protocol import Launch, Mount, State, Status
from kennel.local.s3 import mounts
from kennel.local.sagemaker import log_lines, s3_uri
from kennel.local.sagemaker.debugger import places, statuses
from kennel.local.sagemaker.debugger.statuses import DEBUG_RULES
from kennel.local.sagemaker.platform import Platform, now
from kennel.local.sagemaker.record import Closing
from kennel.local.sagemaker.training import layout
from kennel.local.sagemaker.training.record import Record
from kennel.local.wire.errors import ApiError
from kennel.rules import configuration, keeping
from kennel.rules.configuration import SOURCE
from kennel.rules.outcome import Outcome

COMMAND = ("python", "-m", "kennel.debugging", "evaluate")
AWS_IMAGES = "sagemaker-debugger-rule"  # …s and …-evaluator, in an account of AWS's in each region
# Below the folder that stands for the evaluator's /opt/ml, as in SageMaker's processing jobs
TENSORS, RULES = "processing/input/tensors", "processing/input/rules.json"
SOURCES, OUTPUT = "processing/input/rules", "processing/output/rule"
LONGEST_S = 120  # that the rules may take after the training has ended
POLL_S = 0.1
MAX_STARTS = 3  # of an evaluator that is killed from outside
KILLED = 128  # an exit code above it is that of a signal
NO_TENSORS = (
    "ClientError: No debugging data was saved by the training job: nothing is under {uri}. Has the"
    " program a hook, and does it save to DebugHookConfig's LocalPath?"
)
NO_HOOK = (
    "ClientError: No debugging data was saved by the training job: it has no DebugHookConfig,"
    " which says where tensors are saved"
)


@dataclass(frozen=True)
class Evaluator:
    """
    One container that evaluates rules of a job.

    Args:
        root: The folder that stands for its /opt/ml.
        rules: Members of DebugRuleConfigurations.
    """

    launch_id: str
    image: str
    root: Path
    rules: tuple[Document, ...]


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
        job = self.record.read()
        by_image: dict[str, list[Document]] = {}
        for rule in job.get(DEBUG_RULES, []):
            by_image.setdefault(image_of(job, rule), []).append(rule)
        return [
            Evaluator(
                f"rules-{self.record.name}.{number}", image, self.folder / str(number), tuple(rules)
            )
            for number, (image, rules) in enumerate(by_image.items(), start=1)
        ]

    # While the job runs

    def advance(self) -> None:
        """Start what is to be evaluated, once there are tensors, and tell what has been found."""
        if not self._is_wanted():
            return
        tensors = self._tensors()
        for evaluator in self.evaluators:
            if tensors is not None and self._must_start(self.runtime.poll(evaluator.launch_id)):
                self._start(evaluator, tensors)
        self._tell()

    def _is_wanted(self) -> bool:
        return bool(statuses.pending(self.record.read(), DEBUG_RULES))

    def _tensors(self) -> Path | None:
        """Return the folder of the job's tensors, if some have been stored."""
        job = self.record.read()
        if places.HOOK not in job:
            return None
        bucket, prefix = s3_uri.split(places.uri_of(job, places.HOOK) + "/")
        return mounts.source(self.platform.objects, bucket, prefix)

    def _must_start(self, state: State) -> bool:
        """Return whether an evaluator has yet to start, or was killed and may be started again."""
        if state.status is Status.ABSENT:
            return True
        was_killed = state.status is Status.LOST or (state.exit_code or 0) > KILLED
        return was_killed and self.record.read()[LOCAL].get("RuleStarts", 0) < MAX_STARTS

    def _start(self, evaluator: Evaluator, tensors: Path) -> None:
        """Lay out an evaluator's folder and start it."""
        starts = self.record.read()[LOCAL].get("RuleStarts", 0) + 1
        self.record.change_local(RuleStarts=starts)
        try:
            self._write(evaluator)
            self.runtime.start(self._launch(evaluator, tensors))
        except (KennelError, ApiError) as error:  # it must not cost the training
            self._fail(evaluator, f"ClientError: {error}")

    def _write(self, evaluator: Evaluator) -> None:
        """Write down the rules, with their owners' programs beside them."""
        shutil.rmtree(evaluator.root, ignore_errors=True)
        (evaluator.root / OUTPUT).mkdir(parents=True)
        base = self.runtime.base_dir(evaluator.image, evaluator.root)
        rules = [
            self._with_source(evaluator.root, base, number, rule)
            for number, rule in enumerate(evaluator.rules)
        ]
        path = evaluator.root / RULES
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(rules))

    def _with_source(self, root: Path, base: Path, number: int, rule: Document) -> Document:
        """Return a rule with its program, if it has one, where the evaluator sees it."""
        uri = rule.get("RuleParameters", {}).get(SOURCE)
        if not uri:
            return rule
        bucket, key = s3_uri.split(uri)
        place = f"{SOURCES}/{number}/{Path(key).name}"
        (root / place).parent.mkdir(parents=True)
        shutil.copyfile(self.platform.objects.path(bucket, key), root / place)
        return rule | {"RuleParameters": rule["RuleParameters"] | {SOURCE: str(base / place)}}

    def _launch(self, evaluator: Evaluator, tensors: Path) -> Launch:
        job = self.record.read()
        base = self.runtime.base_dir(evaluator.image, evaluator.root)
        url = self.runtime.server_url(evaluator.image, self.platform.endpoint_url)
        return Launch(
            id=evaluator.launch_id,
            image=evaluator.image,
            role="rules",
            root=evaluator.root,
            entrypoint=COMMAND,
            arguments=(
                *(str(base / TENSORS), "--follow"),
                *("--configurations", str(base / RULES), "--output", str(base / OUTPUT)),
            ),
            mounts=(Mount(tensors, TENSORS),),
            environment={
                "OMP_NUM_THREADS": "1",  # the training needs the cores
                **layout.local_aws(job[LOCAL]["Region"], url),
            },
        )

    def _tell(self) -> None:
        """Write down what has been found, and stop the job where a rule is to."""
        found, moment = list(self._outcomes()), now()
        wanting = {one.name for one in configuration.read(self._rules()) if one.stops}
        stopper = next((one for one in found if one.is_violated and one.name in wanting), None)
        job = self.record.read()
        told = statuses.updated(job, DEBUG_RULES, found, moment)
        if told is job and stopper is None:
            return
        self.record.change(lambda job: statuses.updated(job, DEBUG_RULES, found, moment))
        if stopper is not None:
            self.record.change(lambda job: statuses.stopped_by(job, stopper.name, moment))

    def _rules(self) -> list[Document]:
        return [rule for evaluator in self.evaluators for rule in evaluator.rules]

    def _outcomes(self) -> Iterator[Outcome]:
        """Yield what the evaluators have found so far."""
        for evaluator in self.evaluators:
            yield from keeping.read(evaluator.root / OUTPUT / "rules")

    # The end

    def finish(self) -> None:
        """
        Say that nothing more comes, wait for the rules, and store what they have found.

        Raises:
            Closing: The server is going away.
        """
        job = self.record.read()
        if self._tensors() is not None:
            bucket, prefix = s3_uri.split(places.uri_of(job, places.HOOK))
            self.platform.objects.put_bytes(bucket, f"{prefix}/{TENSORS_END}", b"")
        if DEBUG_RULES not in job:
            return
        self._await()
        for evaluator in self.evaluators:
            self._conclude(evaluator)
        self._store()

    def _await(self) -> None:
        """Wait until every evaluator has ended, and end those that take too long."""
        deadline = time.monotonic() + LONGEST_S
        self.advance()
        while running := [one for one in self.evaluators if self._is_running(one)]:
            if time.monotonic() > deadline:
                for evaluator in running:
                    self.runtime.kill(evaluator.launch_id)
                    self._fail(evaluator, f"It took longer than {LONGEST_S} s after the training.")
            elif self.platform.closing.wait(POLL_S):
                raise Closing
            self.advance()

    def _is_running(self, evaluator: Evaluator) -> bool:
        return self.runtime.poll(evaluator.launch_id).status is Status.RUNNING

    def _conclude(self, evaluator: Evaluator) -> None:
        """Let no rule of an evaluator that has ended stay in progress."""
        state = self.runtime.poll(evaluator.launch_id)
        job = self.record.read()
        if state.status is not Status.ABSENT:
            words = log_lines.last_words(self.runtime.output(evaluator.launch_id))
            self._fail(evaluator, f"InternalServerError: the evaluator {state.ending}: {words}")
        elif places.HOOK in job:
            self._fail(evaluator, NO_TENSORS.format(uri=places.uri_of(job, places.HOOK)))
        else:
            self._fail(evaluator, NO_HOOK)

    def _fail(self, evaluator: Evaluator, reason: str) -> None:
        """Write down that those rules of an evaluator cannot be judged which have not been."""
        names = {rule["RuleConfigurationName"] for rule in evaluator.rules}
        moment = now()
        self.record.change(
            lambda job: statuses.failed(job, DEBUG_RULES, reason, moment, among=names)
        )

    def _store(self) -> None:
        """Store each rule's outcome, and what its evaluator has said, where AWS has them."""
        job, found = self.record.read(), {one.name: one for one in self._outcomes()}
        for evaluator in self.evaluators:
            said = all_lines(self.runtime.output(evaluator.launch_id))
            for rule in evaluator.rules:
                name = rule["RuleConfigurationName"]
                stream = f"{statuses.processing_job(self.record.name, name)}/algo-1"
                self.platform.logs.append(RULES_LOG_GROUP, stream, log_lines.events(said))
                if name in found:
                    bucket, prefix = s3_uri.split(places.rule_uri(job, rule))
                    document = json.dumps(found[name].document(), indent=1).encode()
                    key = f"{prefix}/{keeping.file_name(name)}"
                    self.platform.objects.put_bytes(bucket, key, document)

    def remove(self) -> None:
        """Leave nothing of the evaluators on this machine."""
        for evaluator in self.evaluators:
            self.runtime.remove(evaluator.launch_id)


def image_of(job: Document, rule: Document) -> str:
    """Return the image that a rule is evaluated in."""
    image = str(rule.get("RuleEvaluatorImage", ""))
    is_closed = image.rpartition("/")[2].startswith(AWS_IMAGES)
    return image if image and not is_closed else job["AlgorithmSpecification"]["TrainingImage"]


def all_lines(path: Path) -> list[str]:
    """Return the lines of an output file."""
    lines, offset, before = [], 0, -1
    while offset != before:
        before = offset
        some, offset = log_lines.read_lines(path, offset, ended=True)
        lines += some
    return lines
