"""
One attempt at a training job: its hosts from their launch to their end.

Every step is written down before it is taken and can be taken again, so that an attempt goes on
from wherever the server was killed: the containers themselves run on meanwhile. What comes before
and after it, and whether another follows, is in run.
"""

import shutil
import time
from functools import cached_property
from operator import itemgetter

from kennel.errors import LocalServerError
from kennel.local.resources import LOCAL, Document
from kennel.local.runtimes.protocol import Launch, State
from kennel.local.sagemaker.debugger.beside import Beside
from kennel.local.sagemaker.platform import Platform, now
from kennel.local.sagemaker.record import Closing
from kennel.local.sagemaker.training import hosts as members
from kennel.local.sagemaker.training import inputs, layout, limits, outcome, remains, spot, status
from kennel.local.sagemaker.training.checkpoints import Checkpoints
from kennel.local.sagemaker.training.hosts import Group, Host
from kennel.local.sagemaker.training.output import Output
from kennel.local.sagemaker.training.record import Record, seconds_since

POLL_S = 0.1  # between two looks at the output; the end itself is noticed at once
SYNC_INTERVAL_S = 1.0  # at least, between two looks at what is to be stored
SYNC_SHARE = 0.1  # at most, of the time: there may be many files
BEFORE_LAUNCH = ("Starting", "Pending", "Downloading")


class Attempt:
    """The hosts of one job, as long as they live."""

    def __init__(self, platform: Platform, record: Record) -> None:
        self.platform = platform
        self.runtime = platform.runtime
        self.record = record
        self.folder = platform.folder / record.name
        self.hosts = members.of_job(record.read(), self.folder)
        self.group = Group(self.runtime, self.hosts)
        self.beside = Beside(platform, record)
        self.is_terminated = False  # by this server, as far as it could
        self.is_failing = False

    def run(self, *, may_launch: bool) -> list[State]:
        """Launch the hosts unless that has been done, and return how each of them ended."""
        job, states = self.record.read(), self.group.poll()
        if limits.must_end(job, now()) and not members.have_ended(states):
            self._end()
        elif (
            may_launch and job["SecondaryStatus"] in BEFORE_LAUNCH and not members.are_there(states)
        ):
            self._launch()
            return self._follow()
        return self._follow() if members.are_known(states) else states

    # Launch

    def _launch(self) -> None:
        """Lay everything out and start the containers."""
        moment = now()
        job = self.record.change(
            lambda job: spot.started(status.advance(job, "Downloading", moment), moment)
        )
        self.remove()
        image = job["AlgorithmSpecification"]["TrainingImage"]
        self._require_hosts(image)
        names = self.runtime.hosts(image, len(self.hosts))
        launches = [self._laid_out(job, host, names) for host in self.hosts]
        for checkpoints in self.checkpoints:
            checkpoints.restore()
        self.beside.start()
        for launch in launches:
            self.runtime.start(launch)

    def _require_hosts(self, image: str) -> None:
        """Raise LocalServerError if the image, which decides the runtime, has gone meanwhile."""
        if len(self.hosts) > self.runtime.max_instances(image):
            raise LocalServerError(
                f"the image {image} is not there any more, and only a container of it can be one"
                f" of {len(self.hosts)} hosts",
                remedy="make build, or pull it, and start the job again",
            )

    def _laid_out(self, job: Document, host: Host, names: list[str]) -> Launch:
        """Make a host's folder, and return its container."""
        image = job["AlgorithmSpecification"]["TrainingImage"]
        root, index = host.paths.root, host.instance.index
        base_dir = self.runtime.base_dir(image, root)
        layout.write(root, layout.documents(job, names, base_dir, index))
        self.beside.lay_out(root)
        entrypoint, arguments = layout.command(job)
        url = self.runtime.server_url(image, self.platform.endpoint_url)
        return Launch(
            id=host.launch_id,
            image=image,
            role="train",
            root=root,
            arguments=arguments,
            entrypoint=entrypoint,
            mounts=tuple(inputs.provide(self.platform.objects, job, root, index=index)),
            environment={
                **layout.elsewhere(base_dir),
                **layout.environment(job, region=job[LOCAL]["Region"], endpoint_url=url),
            },
            hostname=names[index],
            network=self.hosts[0].launch_id,
            instance_type=host.instance.type,
            read_only=(layout.LINKED,),
        )

    @cached_property
    def checkpoints(self) -> list[Checkpoints]:
        """Each host's checkpoints, if there are to be any; values which know what S3 has."""
        job = self.record.read()
        if "CheckpointConfig" not in job:
            return []
        return [
            Checkpoints(
                self.platform.objects,
                host.paths.root,
                layout.checkpoint_folder(job, host.paths.root),
                job["CheckpointConfig"]["S3Uri"],
                host.folder / "copies",
            )
            for host in self.hosts
        ]

    @cached_property
    def stored(self) -> list[Checkpoints]:
        """All that is stored while the hosts run."""
        return [*self.checkpoints, *self.beside.places(self.hosts)]

    # While they run

    def _follow(self) -> list[State]:
        """Watch over the containers until all have ended, and return how."""
        self.record.advance("Training")
        outputs = [
            Output(self.platform.logs, self.record, host.instance.index, path)
            for host, path in zip(self.hosts, map(self.runtime.output, self.group.ids), strict=True)
        ]
        due = time.monotonic() + SYNC_INTERVAL_S
        while members.are_running(states := self.group.wait(POLL_S)):
            for output in outputs:
                output.store(ended=False)
            if self.platform.closing.is_set():
                raise Closing
            self._note_failure(states)
            self._enforce_limits()
            if time.monotonic() >= due:
                due = self._sync_and_watch()
        self._note_failure(states)
        for output in outputs:
            output.store(ended=True)
        self._open_up()
        return states

    def _sync_and_watch(self) -> float:
        """Store what there is, and see to the rules; return when to do so again."""
        started = time.monotonic()
        self.sync(ended=False)
        self.beside.advance()
        ended = time.monotonic()
        return ended + max(SYNC_INTERVAL_S, (ended - started) / SYNC_SHARE)

    def _open_up(self) -> None:
        """Make what the containers left readable here; a process has no /opt/ml of its own."""
        image = self.record.read()["AlgorithmSpecification"]["TrainingImage"]
        for root in (host.paths.root for host in self.hosts):
            remains.unlock(root)
            if self.runtime.base_dir(image, root) != root:
                remains.settle_links(root)

    def _note_failure(self, states: list[State]) -> None:
        """Write down which host was the first to fail: the others' ends follow from that."""
        if self.is_failing:
            return
        pairs = zip(self.hosts, states, strict=True)
        failed = [
            (outcome.failed_at(state, host.paths.failure), host)
            for host, state in pairs
            if members.has_failed(state)
        ]
        if failed:
            _, first = min(failed, key=itemgetter(0))
            self.record.change(lambda job: outcome.failing(job, first.instance.index))
            self.is_failing = True

    def _enforce_limits(self) -> None:
        """Send SIGTERM when the job is to stop or has run too long, SIGKILL if that is ignored."""
        job = self.record.read()
        if not limits.must_end(job, now()):
            return
        if not self.is_terminated:
            self._end()
        elif seconds_since(job[LOCAL], "TerminatedAt") >= limits.grace_s(job):
            self.group.kill()

    def _end(self) -> None:
        """Write down that, when and why the job is being ended, then send SIGTERM."""
        moment = now()
        self.record.change(lambda job: limits.ending(job, moment))
        self.is_terminated = self.group.terminate()

    # The end

    def sync(self, *, ended: bool) -> None:
        """Store what is new; of files with the same name the first host's comes last."""
        for stored in reversed(self.stored):
            stored.sync(ended=ended)

    def remove(self) -> None:
        """Leave nothing of the hosts on this machine."""
        self.group.remove()
        remains.unlock(self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)
