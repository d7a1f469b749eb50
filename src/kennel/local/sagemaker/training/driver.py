"""
Run training jobs: a thread for each, from Starting to its end.

Every step is written down before it is taken and can be taken again, so that a job goes on from
wherever the server was killed: the container itself runs on meanwhile. What the states look like
is in status, what goes into the container in layout, what comes out of it in uploads.
"""

import contextlib
import logging
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

from kennel.contract import FAILURE_REASON_CHARS, STOP_GRACE_S, TRAINING_LOG_GROUP, ContainerPaths
from kennel.errors import KennelError
from kennel.local.resources import LOCAL, Document
from kennel.local.runtimes.protocol import Launch, State, Status
from kennel.local.sagemaker import archive, log_lines
from kennel.local.sagemaker.names import TRAINING_JOB
from kennel.local.sagemaker.platform import Platform, now
from kennel.local.sagemaker.training import inputs, layout, metrics, status, uploads
from kennel.local.sagemaker.training.checkpoints import Checkpoints
from kennel.local.sagemaker.training.slots import Slots
from kennel.local.wire.errors import ApiError

LOG = logging.getLogger(__name__)

POLL_S = 0.1  # between two looks at the output; the end itself is noticed at once
CHECKPOINT_INTERVAL_S = 1.0
CLOSE_WAIT_S = 5
BEFORE_LAUNCH = ("Starting", "Pending", "Downloading")
VANISHED = (
    "InternalServerError: the container is gone, and nobody saw how it ended: the machine was"
    " restarted, or it or its supervisor was killed. Start the job again; a checkpoint in S3 is"
    " where it goes on"
)


class Closing(Exception):  # noqa: N818 - not an error: the server is going away
    """Leave the job to the next server."""


class Driver:
    """The threads of all jobs that have not ended."""

    def __init__(self, platform: Platform, slots: Slots | None = None) -> None:
        self.platform = platform
        self.slots = slots or Slots()
        self._runs: dict[str, Run] = {}

    def start(self, name: str) -> None:
        """Run the job called *name* from where it stands."""
        run = Run(self.platform, self.slots, name)
        self._runs[name] = run
        run.thread.start()

    def stop(self, name: str) -> None:
        """Let a job that is Stopping know it."""
        run = self._runs.get(name)
        if run is not None:
            run.stopping.set()
            self.slots.wake()

    def resume(self) -> None:
        """Go on with every job that a former server left, those first whose containers run."""
        jobs = self.platform.resources.all(TRAINING_JOB.path)
        for job in jobs:
            if job["TrainingJobStatus"] not in ("InProgress", "Stopping"):
                Run(self.platform, self.slots, job["TrainingJobName"]).clean_up()
        for job in sorted((j for j in jobs if not has_ended(j)), key=self._order):
            self.start(job["TrainingJobName"])

    def _order(self, job: Document) -> tuple[bool, float]:
        is_absent = self.platform.runtime.poll(launch_id(job["TrainingJobName"])) == State(
            Status.ABSENT
        )
        return is_absent, job["CreationTime"].timestamp()

    def close(self) -> None:
        """Wait until every thread has let go of its job."""
        self.slots.wake()
        deadline = time.monotonic() + CLOSE_WAIT_S
        for run in list(self._runs.values()):
            run.thread.join(max(0.0, deadline - time.monotonic()))


class Run:
    """One job on its way."""

    def __init__(self, platform: Platform, slots: Slots, name: str) -> None:
        self.platform = platform
        self.slots = slots
        self.name = name
        self.id = launch_id(name)
        self.folder = platform.folder / name
        self.root = self.folder / "ml"
        self.stopping = threading.Event()
        self.terminated = False  # by this server
        self.thread = threading.Thread(target=self.run, name=self.id, daemon=True)

    # The way through

    def run(self) -> None:
        """Bring the job to its end, whatever happens on the way."""
        try:
            self._run()
        except Closing:
            pass
        except (KennelError, ApiError) as error:
            self._fail(f"ClientError: {error}")
        except Exception as error:
            LOG.exception("training job %s", self.name)
            self._fail(f"InternalServerError: {type(error).__name__}: {error}")

    def _run(self) -> None:
        job = self._job()
        if ending := job[LOCAL].get("Ending"):  # a former server came as far as this
            self._conclude(ending["Secondary"], ending["Reason"])
            return
        if job["TrainingJobStatus"] == "Stopping":
            self.stopping.set()
        with self.slots.slot(self._gives_up, lambda: self._advance("Pending")) as mine:
            if self.platform.closing.is_set():
                raise Closing
            job = self._job()
            state = self.platform.runtime.poll(self.id)
            if state.status is Status.ABSENT and not self.stopping.is_set() and mine:
                if job["SecondaryStatus"] in BEFORE_LAUNCH:
                    self._launch()
                    state = self._follow()
            elif state.status is not Status.ABSENT:
                state = self._follow()
            self._finish(state)

    def _gives_up(self) -> bool:
        return self.stopping.is_set() or self.platform.closing.is_set()

    def _launch(self) -> None:
        """Lay everything out and start the container."""
        started = now()
        job = self._change(
            lambda job: (
                status.advance(job, "Downloading", started)
                | {"TrainingStartTime": job.get("TrainingStartTime", started)}
            )
        )
        shutil.rmtree(self.folder, ignore_errors=True)
        hosts = self.platform.runtime.hosts(1)
        base_dir = self.platform.runtime.base_dir(self.root)
        layout.write(self.root, layout.documents(job, hosts, base_dir))
        mounts = inputs.provide(self.platform.objects, job, self.root, hosts=len(hosts))
        if checkpoints := self._checkpoints(job):
            checkpoints.restore()
        entrypoint, arguments = layout.command(job)
        self.platform.runtime.start(
            Launch(
                id=self.id,
                image=job["AlgorithmSpecification"]["TrainingImage"],
                role="train",
                root=self.root,
                arguments=arguments,
                entrypoint=entrypoint,
                mounts=tuple(mounts),
                environment=layout.environment(
                    job, region=job[LOCAL]["Region"], endpoint_url=self.platform.endpoint_url
                ),
                hostname=hosts[0],
            )
        )

    def _follow(self) -> State:
        """Watch over the container until it has ended, and return how."""
        self._advance("Training")
        job = self._job()
        self.platform.logs.append(TRAINING_LOG_GROUP, job[LOCAL]["LogStream"], [])
        checkpoints = self._checkpoints(job)
        synced = time.monotonic()
        while True:
            state = self.platform.runtime.wait(self.id, POLL_S)
            ended = state.status is not Status.RUNNING
            self._read_output(ended=ended)
            if ended:
                return state
            if self.platform.closing.is_set():
                raise Closing
            self._enforce_limits(job)
            if checkpoints and time.monotonic() - synced >= CHECKPOINT_INTERVAL_S:
                checkpoints.sync()
                synced = time.monotonic()

    def _finish(self, state: State) -> None:
        """Store what the container left, write down how it ended, and leave nothing else."""
        job = self._job()
        failure = read_failure(ContainerPaths(self.root).failure)
        words = log_lines.last_words(self.platform.runtime.output(self.id))
        secondary, reason = outcome(job, state, failure, words)
        self._advance("Uploading")
        if self.root.exists():
            if checkpoints := self._checkpoints(job):
                checkpoints.sync(ended=True)
            model = ContainerPaths(self.root).model
            stored = uploads.upload(
                self.platform.objects,
                job,
                self.root,
                with_model=wants_model(secondary, is_empty=archive.is_empty(model)),
            )
            if stored:
                artifacts = {"S3ModelArtifacts": uploads.model_uri(job)}
                self._change(lambda job: job | {"ModelArtifacts": artifacts})
        self._conclude(secondary, reason)

    def _conclude(self, secondary: str, reason: str) -> None:
        """Leave nothing of the job behind, then show how it ended."""
        moment = now()
        ending = {"Secondary": secondary, "Reason": reason}
        self._change(lambda job: job | {LOCAL: job[LOCAL] | {"Ending": ending}})
        self.clean_up()
        self._change(lambda job: status.ended(job, secondary, moment, reason))

    def _fail(self, reason: str) -> None:
        """End a job that the server itself cannot bring further."""
        with contextlib.suppress(KennelError):
            self.platform.runtime.kill(self.id)
        self._conclude("Failed", reason[:FAILURE_REASON_CHARS])

    def clean_up(self) -> None:
        """Leave nothing of the job on this machine but its record, its logs and its objects."""
        self.platform.runtime.remove(self.id)
        shutil.rmtree(self.folder, ignore_errors=True)

    # Parts of it

    def _job(self) -> Document:
        job = self.platform.resources.find(TRAINING_JOB.path, self.name)
        if job is None:
            raise Closing  # somebody has deleted the state under the server
        return job

    def _change(self, change: Callable[[Document], Document]) -> Document:
        job = self.platform.resources.change(TRAINING_JOB.path, self.name, change)
        if job is None:
            raise Closing
        return job

    def _advance(self, secondary: str) -> None:
        """Write down the next secondary status, unless the job is in it already."""
        moment = now()
        self._change(
            lambda job: (
                job
                if job["SecondaryStatus"] == secondary
                else status.advance(job, secondary, moment)
            )
        )

    def _checkpoints(self, job: Document) -> Checkpoints | None:
        if "CheckpointConfig" not in job:
            return None
        return Checkpoints(
            self.platform.objects,
            layout.checkpoint_folder(job, self.root),
            job["CheckpointConfig"]["S3Uri"],
            self.folder / "copies",
        )

    def _read_output(self, *, ended: bool) -> None:
        """Store the lines written since the last time, and the metrics in them."""
        path = self.platform.runtime.output(self.id)
        while self._read_some(path, ended=ended):
            pass

    def _read_some(self, path: Path, *, ended: bool) -> bool:
        """Store some lines, and with them, in one transaction, how far the file was read."""
        job = self._job()
        lines, offset = log_lines.read_lines(path, job[LOCAL]["LogOffset"], ended=ended)
        if offset == job[LOCAL]["LogOffset"]:
            return False
        definitions = job["AlgorithmSpecification"].get("MetricDefinitions", [])
        regexes = metrics.compiled(definitions)
        with self.platform.resources.database.transaction():
            stream = job[LOCAL]["LogStream"]
            self.platform.logs.append(TRAINING_LOG_GROUP, stream, log_lines.events(lines))
            self._change(
                lambda job: (
                    job
                    | {
                        LOCAL: job[LOCAL] | {"LogOffset": offset},
                        "FinalMetricDataList": metrics.latest(
                            job.get("FinalMetricDataList", []), regexes, lines, now()
                        ),
                    }
                )
            )
        return True

    def _enforce_limits(self, job: Document) -> None:
        """Send SIGTERM when the job is to stop or has run too long, SIGKILL if that is ignored."""
        longest_s = job["StoppingCondition"].get("MaxRuntimeInSeconds")
        is_late = longest_s is not None and seconds_since(job, "TrainingStartTime") >= longest_s
        if not (self.stopping.is_set() or is_late):
            return
        if not self.terminated:
            self._terminate(is_late=is_late and not self.stopping.is_set())
        elif seconds_since(self._job()[LOCAL], "TerminatedAt") >= STOP_GRACE_S:
            self.platform.runtime.kill(self.id)

    def _terminate(self, *, is_late: bool) -> None:
        """Write down that, when and why the job is being stopped, then send SIGTERM."""
        moment = now()

        def stopped(job: Document) -> Document:
            local = {"TerminatedAt": moment, "IsLate": is_late} | job[LOCAL]
            stopping = job["TrainingJobStatus"] == "Stopping"
            return (job if stopping else status.advance(job, "Stopping", moment)) | {LOCAL: local}

        self._change(stopped)
        self.terminated = True
        self.platform.runtime.terminate(self.id)


def launch_id(name: str) -> str:
    """Return the runtime's id of a job."""
    return f"train-{name}"


def has_ended(job: Document) -> bool:
    """Return whether there is nothing more to do for a job."""
    return job["TrainingJobStatus"] not in ("InProgress", "Stopping")


def seconds_since(document: Document, member: str) -> float:
    """Return how long ago the time in *member* was."""
    return float((now() - document[member]).total_seconds())


def wants_model(secondary: str, *, is_empty: bool) -> bool:
    """Return whether a job that ended so has its model stored; a stopped one if there is any."""
    return secondary == "Completed" or (secondary != "Failed" and not is_empty)


def outcome(job: Document, state: State, failure: str, last_words: str) -> tuple[str, str]:
    """Return the last secondary status of a job, and the reason if it failed."""
    if job["TrainingJobStatus"] == "Stopping":
        return ("MaxRuntimeExceeded" if job[LOCAL].get("IsLate") else "Stopped"), ""
    if state.exit_code is None:
        return "Failed", VANISHED
    if state.exit_code == 0:
        return "Completed", ""
    return "Failed", status.algorithm_error(failure, state.exit_code, last_words)


def read_failure(path: Path) -> str:
    """Return as much of the failure file as a reason can hold; empty when there is none."""
    try:
        with path.open(errors="replace") as file:
            return file.read(FAILURE_REASON_CHARS)
    except OSError:
        return ""
