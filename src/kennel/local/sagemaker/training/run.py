"""
One training job on its way, from Starting to its end, in a thread of its own.

Every step is written down before it is taken and can be taken again, so that a job goes on from
wherever the server was killed: the container itself runs on meanwhile. What the states look like
is in status, what goes into the container in layout, what comes out of it in output and uploads.
"""

import contextlib
import logging
import shutil
import threading
import time
from functools import cached_property

from kennel.contract import FAILURE_REASON_CHARS, STOP_GRACE_S, ContainerPaths
from kennel.errors import KennelError
from kennel.local.resources import LOCAL, Document
from kennel.local.runtimes.protocol import Launch, Mount, State, Status
from kennel.local.sagemaker import archive, log_lines
from kennel.local.sagemaker.platform import Platform, now
from kennel.local.sagemaker.training import inputs, layout, status, uploads
from kennel.local.sagemaker.training.checkpoints import Checkpoints
from kennel.local.sagemaker.training.outcome import outcome, read_failure, wants_model
from kennel.local.sagemaker.training.output import Output
from kennel.local.sagemaker.training.record import Closing, Record, seconds_since
from kennel.local.sagemaker.training.slots import Slots
from kennel.local.wire.errors import ApiError

LOG = logging.getLogger(__name__)

POLL_S = 0.1  # between two looks at the output; the end itself is noticed at once
CHECKPOINT_INTERVAL_S = 1.0
DEFAULT_MAX_RUNTIME_S = 86400  # SageMaker's own, for a request without one
BEFORE_LAUNCH = ("Starting", "Pending", "Downloading")


class Run:
    """The way of one job."""

    def __init__(self, platform: Platform, slots: Slots, name: str) -> None:
        self.platform = platform
        self.slots = slots
        self.runtime = platform.runtime
        self.record = Record(platform.resources, name)
        self.id = launch_id(name)
        self.folder = platform.folder / name
        self.paths = ContainerPaths(self.folder / "ml")
        self.stopping = threading.Event()
        self.is_terminated = False  # by this server

    def run(self) -> None:
        """Bring the job to its end, whatever happens on the way."""
        try:
            self._run()
        except Closing:
            pass
        except (KennelError, ApiError) as error:
            self._fail(f"ClientError: {error}")
        except Exception as error:
            LOG.exception("training job %s", self.record.name)
            self._fail(f"InternalServerError: {type(error).__name__}: {error}")

    def _run(self) -> None:
        job = self.record.read()
        if ending := job[LOCAL].get("Ending"):  # a former server came as far as this
            self._conclude(ending["Secondary"], ending["Reason"])
            return
        if job["TrainingJobStatus"] == "Stopping":
            self.stopping.set()
        with self.slots.slot(self._gives_up, lambda: self.record.advance("Pending")) as mine:
            if self.platform.closing.is_set():
                raise Closing
            self._finish(self._execute(may_launch=mine))

    def _gives_up(self) -> bool:
        return self.stopping.is_set() or self.platform.closing.is_set()

    def _execute(self, *, may_launch: bool) -> State:
        """Launch the container unless that has been done, and return how it ended."""
        state = self.runtime.poll(self.id)
        if state.status is Status.ABSENT:
            is_new = self.record.read()["SecondaryStatus"] in BEFORE_LAUNCH
            if not (is_new and may_launch and not self.stopping.is_set()):
                return state
            self._launch()
        return self._follow()

    # Launch

    def _launch(self) -> None:
        """Lay everything out and start the container."""
        moment = now()
        job = self.record.change(
            lambda job: (
                status.advance(job, "Downloading", moment)
                | {"TrainingStartTime": job.get("TrainingStartTime", moment)}
            )
        )
        shutil.rmtree(self.folder, ignore_errors=True)
        image = job["AlgorithmSpecification"]["TrainingImage"]
        hosts = self.runtime.hosts(image, 1)
        base_dir = self.runtime.base_dir(image, self.paths.root)
        layout.write(self.paths.root, layout.documents(job, hosts, base_dir))
        mounts = inputs.provide(self.platform.objects, job, self.paths.root, hosts=len(hosts))
        if self.checkpoints:
            self.checkpoints.restore()
        self.runtime.start(self._container(job, mounts, hosts[0]))

    def _container(self, job: Document, mounts: list[Mount], hostname: str) -> Launch:
        """Return the job's container."""
        entrypoint, arguments = layout.command(job)
        image = job["AlgorithmSpecification"]["TrainingImage"]
        url = self.runtime.server_url(image, self.platform.endpoint_url)
        return Launch(
            id=self.id,
            image=image,
            role="train",
            root=self.paths.root,
            arguments=arguments,
            entrypoint=entrypoint,
            mounts=tuple(mounts),
            environment=layout.environment(job, region=job[LOCAL]["Region"], endpoint_url=url),
            hostname=hostname,
            instance_type=layout.instance_type(job["ResourceConfig"]),
            read_only=(layout.LINKED,),
        )

    @cached_property
    def checkpoints(self) -> Checkpoints | None:
        """The job's checkpoints, if it is to have any; one value, which knows what S3 has."""
        job = self.record.read()
        if "CheckpointConfig" not in job:
            return None
        return Checkpoints(
            self.platform.objects,
            layout.checkpoint_folder(job, self.paths.root),
            job["CheckpointConfig"]["S3Uri"],
            self.folder / "copies",
        )

    # While it runs

    def _follow(self) -> State:
        """Watch over the container until it has ended, and return how."""
        job = self.record.advance("Training")
        output = Output(self.platform.logs, self.record, self.runtime.output(self.id))
        synced = time.monotonic()
        while (state := self.runtime.wait(self.id, POLL_S)).status is Status.RUNNING:
            output.store(ended=False)
            if self.platform.closing.is_set():
                raise Closing
            self._enforce_limits(job)
            if self.checkpoints and time.monotonic() - synced >= CHECKPOINT_INTERVAL_S:
                self.checkpoints.sync()
                synced = time.monotonic()
        output.store(ended=True)
        return state

    def _enforce_limits(self, job: Document) -> None:
        """Send SIGTERM when the job is to stop or has run too long, SIGKILL if that is ignored."""
        longest_s = job["StoppingCondition"].get("MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME_S)
        is_late = seconds_since(job, "TrainingStartTime") >= longest_s
        if not (self.stopping.is_set() or is_late):
            return
        if not self.is_terminated:
            self._terminate(is_late=is_late and not self.stopping.is_set())
        elif seconds_since(self.record.read()[LOCAL], "TerminatedAt") >= STOP_GRACE_S:
            self.runtime.kill(self.id)

    def _terminate(self, *, is_late: bool) -> None:
        """Write down that, when and why the job is being stopped, then send SIGTERM."""
        moment = now()

        def stopping(job: Document) -> Document:
            local = {"TerminatedAt": moment, "IsLate": is_late} | job[LOCAL]
            is_stopping = job["TrainingJobStatus"] == "Stopping"
            return (job if is_stopping else status.advance(job, "Stopping", moment)) | {
                LOCAL: local
            }

        self.record.change(stopping)
        self.is_terminated = True
        self.runtime.terminate(self.id)

    # The end

    def _finish(self, state: State) -> None:
        """Store what the container left, and conclude the job as its exit code says."""
        job = self.record.advance("Uploading")  # from here on a stop comes too late
        words = log_lines.last_words(self.runtime.output(self.id))
        secondary, reason = outcome(job, state, read_failure(self.paths.failure), words)
        if self.paths.root.exists():
            self._upload(job, secondary)
        self._conclude(secondary, reason)

    def _upload(self, job: Document, secondary: str) -> None:
        """Store the last checkpoints, the output data, and the model if it is wanted."""
        if self.checkpoints:
            self.checkpoints.sync(ended=True)
        with_model = wants_model(secondary, is_empty=archive.is_empty(self.paths.model))
        uploads.upload(self.platform.objects, job, self.paths.root, with_model=with_model)
        if with_model:
            artifacts = {"S3ModelArtifacts": uploads.model_uri(job)}
            self.record.change(lambda job: job | {"ModelArtifacts": artifacts})

    def _fail(self, reason: str) -> None:
        """Conclude a job that the server itself cannot bring further."""
        with contextlib.suppress(Closing):
            self._conclude("Failed", reason[:FAILURE_REASON_CHARS])

    def _conclude(self, secondary: str, reason: str) -> None:
        """Leave nothing of the job on this machine, then show how it ended."""
        moment = now()
        self.record.change_local(Ending={"Secondary": secondary, "Reason": reason})
        self.runtime.remove(self.id)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.record.change(lambda job: status.ended(job, secondary, moment, reason))


def launch_id(name: str) -> str:
    """Return the runtime's id of a job."""
    return f"train-{name}"
