"""
What the machine does while a job runs, sampled beside it, and the profiler's rules at its end.

The sampler (kennel.profiling) is a process of this machine whatever the runtime is, since it is the
machine that it samples: on SageMaker that is the platform's part. The rules, which judge a whole
run, are kennel.profiling's too; they need what kennel's own training leaves of its phases as well.
"""

import logging
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from kennel.contract import PROFILER_PREFIX, ContainerPaths
from kennel.errors import KennelError
from kennel.local.resources import LOCAL, Document
from kennel.local.runtimes.protocol import Launch, Status
from kennel.local.sagemaker import log_lines, s3_uri
from kennel.local.sagemaker.debugger import places, statuses
from kennel.local.sagemaker.debugger.statuses import PROFILER_RULES
from kennel.local.sagemaker.platform import Platform, now
from kennel.local.sagemaker.training.checkpoints import Checkpoints
from kennel.local.sagemaker.training.record import Record
from kennel.profiling import judging, rules
from kennel.reports import writing
from kennel.rules import configuration, keeping
from kennel.rules.outcome import Outcome

LOG = logging.getLogger(__name__)

COMMAND = (sys.executable, "-m", "kennel.profiling", "sample")
# Of a profile that a training has left: what is made here, of more than it had
MADE_HERE = ("system", judging.FOLDER, writing.PROFILER_PAGE)
REPORT_RULE = "ProfilerReport"  # which means all of them
END_S = 10  # for the sampler to write what it has


class Profiling:
    """
    The profile of one job.

    Args:
        folder: Of this server's own; the profile is in it.
    """

    def __init__(self, platform: Platform, record: Record, folder: Path) -> None:
        self.platform = platform
        self.runtime = platform.runtime
        self.record = record
        self.folder = folder
        self.profile = folder / PROFILER_PREFIX
        self.launch_id = f"sampler-{record.name}"
        self._stores: dict[str, Checkpoints] = {}

    # While the job runs

    def advance(self) -> None:
        """Sample as the job says now, and store what there is."""
        job = self.record.read()
        wanted = places.interval_ms(job) if places.is_profiled(job) else None
        if wanted != job[LOCAL].get("Sampling"):
            self.pause()
            self.record.change_local(Sampling=wanted)
        if wanted is not None:
            state = self.runtime.poll(self.launch_id)
            if state.status is Status.ABSENT or state.was_killed:
                self._start(wanted)
            self._copies(job).sync()

    def _start(self, interval_ms: int) -> None:
        """Start the sampler; that it cannot be started must not cost the training."""
        self.profile.mkdir(parents=True, exist_ok=True)
        launch = Launch(
            id=self.launch_id,
            image=sys.executable,
            role="sampler",
            root=self.folder,
            entrypoint=COMMAND,
            arguments=(str(self.profile), "--interval-ms", str(interval_ms)),
        )
        try:
            self.runtime.start(launch)
        except (KennelError, OSError) as error:
            LOG.warning("the machine is not sampled for %s: %s", self.record.name, error)

    def pause(self) -> None:
        """End the sampler, which writes what it has."""
        self.runtime.terminate(self.launch_id)
        state = self.runtime.wait(self.launch_id, END_S)
        if state.exit_code and not state.was_killed:
            words = log_lines.last_words(self.runtime.output(self.launch_id))
            LOG.warning("the sampler of %s %s: %s", self.record.name, state.ending, words)
        self.runtime.remove(self.launch_id)

    def _copies(self, job: Document) -> Checkpoints:
        """Return what stores the profile; the same one, which knows what it has seen."""
        uri = places.profiler_uri(job)
        if uri not in self._stores:
            scratch = self.folder / "copies" / str(len(self._stores))
            self._stores[uri] = Checkpoints(
                self.platform.objects, self.folder, self.profile, uri, scratch
            )
        return self._stores[uri]

    # The end

    def finish(self, hosts: Sequence[ContainerPaths]) -> None:
        """
        Store the profile, judge it, and store what has been found.

        Args:
            hosts: What the containers have left in their /opt/ml.
        """
        job = self.record.read()
        if not self.profile.exists():
            return
        self.pause()
        for paths in hosts:
            take(paths.output_data / PROFILER_PREFIX, self.profile)
        self._copies(job).sync(ended=True)
        if PROFILER_RULES in job:
            self._judge(job)

    def _judge(self, job: Document) -> None:
        """Judge the rules, and store what they have found with the page that shows it."""
        moment = now()
        try:
            outcomes = rules.judge(self.profile, configuration.read(job[PROFILER_RULES]))
        except Exception as error:  # it must not cost the training
            LOG.exception("the profiler's rules of %s", self.record.name)
            reason = f"InternalServerError: {type(error).__name__}: {error}"
            self.record.change(lambda job: statuses.failed(job, PROFILER_RULES, reason, moment))
            return
        judging.write(self.profile, outcomes)
        pages = self._pages()
        for rule in job[PROFILER_RULES]:
            self._store(job, rule, outcomes, pages)
        self.record.change(lambda job: statuses.updated(job, PROFILER_RULES, outcomes, moment))

    def _pages(self) -> list[Path]:
        """Write the page; that it cannot be written must cost neither the training nor the rest."""
        try:
            return writing.write(self.folder, self.record.name)
        except Exception:
            LOG.exception("the profiler's report of %s", self.record.name)
            return []

    def _store(
        self, job: Document, rule: Document, outcomes: Sequence[Outcome], pages: Sequence[Path]
    ) -> None:
        """Store the page and, for each rule that a configuration means, its document."""
        bucket, prefix = s3_uri.split(places.rule_uri(job, rule))
        for page in pages:
            key = f"{prefix}/{PROFILER_PREFIX}/{page.name}"
            self.platform.objects.put_file(bucket, key, page, content_type="text/html")
        for outcome in outcomes_of(rule, outcomes):
            name = keeping.file_name(outcome.name)
            key = f"{prefix}/{PROFILER_PREFIX}/{judging.FOLDER}/{name}"
            path = self.profile / judging.FOLDER / name
            self.platform.objects.put_file(bucket, key, path, content_type="application/json")

    def remove(self) -> None:
        """Leave nothing of the sampler on this machine."""
        self.runtime.remove(self.launch_id)


def outcomes_of(rule: Document, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return what a configuration means of the outcomes of a job's configurations."""
    asked = configuration.Configuration.of(rule)
    return [one for one in outcomes if asked.rule == REPORT_RULE or one.name == asked.name]


def take(source: Path, profile: Path) -> None:
    """Copy what a training has measured of itself into the profile; links are not followed."""
    for path in sorted(source.rglob("*")):
        place = path.relative_to(source)
        target = profile / place
        if path.is_symlink() or not path.is_file() or place.parts[0] in MADE_HERE:
            continue
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
