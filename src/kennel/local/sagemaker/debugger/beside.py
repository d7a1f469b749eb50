"""What SageMaker does beside a training job for Debugger and Profiler, as the job's thread asks."""

import contextlib
import logging
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from kennel.contract import TENSORS_END, ContainerPaths
from kennel.local.sagemaker import s3_uri
from kennel.local.sagemaker.debugger import places, statuses
from kennel.local.sagemaker.debugger.evaluation import Evaluation
from kennel.local.sagemaker.debugger.profiling import Profiling
from kennel.local.sagemaker.debugger.statuses import DEBUG_RULES, PROFILER_RULES
from kennel.local.sagemaker.platform import Platform, now
from kennel.local.sagemaker.training.checkpoints import Checkpoints
from kennel.local.sagemaker.training.hosts import Host
from kennel.local.sagemaker.training.record import Record
from kennel.local.wire.errors import ApiError

LOG = logging.getLogger(__name__)

ENDING = ".beside"  # of the folder's name: no job's has a dot


class Beside:
    """
    The debugger and the profiler of one job.

    It works in a folder of its own, which outlives the attempts at a job on Spot.
    """

    def __init__(self, platform: Platform, record: Record) -> None:
        self.platform = platform
        self.record = record
        self.folder = platform.folder / f"{record.name}{ENDING}"
        self.evaluation = Evaluation(platform, record, self.folder / "rules")
        self.profiling = Profiling(platform, record, self.folder / "profile")

    def places(self, hosts: Sequence[Host]) -> list[Checkpoints]:
        """Return what stores the hosts' tensors and profiles, each in a place for all hosts."""
        return [
            Checkpoints(
                self.platform.objects,
                host.paths.root,
                host.paths.root / place.folder,
                place.uri,
                host.folder / f"copies-{place.name}",
            )
            for host in hosts
            for place in places.of_job(self.record.read())
        ]

    def lay_out(self, root: Path) -> None:
        """Make the folders of a container's /opt/ml that hold what is stored."""
        for place in places.of_job(self.record.read()):
            (root / place.folder.parts[0]).mkdir(parents=True, exist_ok=True)

    def start(self) -> None:
        """Begin with the job: tensors of an earlier one of its name have not ended this one's."""
        job = self.record.read()
        if places.HOOK in job:
            bucket, prefix = s3_uri.split(places.uri_of(job, places.HOOK))
            self.platform.objects.delete(bucket, [f"{prefix}/{TENSORS_END}"])
        self.advance()

    def advance(self) -> None:
        """Go on while the job runs."""
        with self._harmless(PROFILER_RULES):
            self.profiling.advance()
        with self._harmless(DEBUG_RULES):
            self.evaluation.advance()

    def pause(self) -> None:
        """Let go of the machine while the job has no instances."""
        self.profiling.pause()

    def finish(self, hosts: Sequence[ContainerPaths]) -> None:
        """
        Evaluate what the containers have left, and store what has been found.

        Raises:
            Closing: The server is going away.
        """
        with self._harmless(PROFILER_RULES):
            self.profiling.finish(hosts)
        with self._harmless(DEBUG_RULES):
            self.evaluation.finish()

    @contextlib.contextmanager
    def _harmless(self, rules: str) -> Iterator[None]:
        """Let what cannot be stored, as its bucket has gone, cost these rules and not the job."""
        try:
            yield
        except ApiError as error:
            LOG.warning("%s of %s: %s", rules, self.record.name, error)
            reason, moment = f"ClientError: {error}", now()
            self.record.change(lambda job: statuses.failed(job, rules, reason, moment))

    def remove(self) -> None:
        """Leave nothing on this machine, and no rule in progress."""
        self.evaluation.remove()
        self.profiling.remove()
        shutil.rmtree(self.folder, ignore_errors=True)
        moment = now()
        self.record.change(lambda job: statuses.closed(job, moment))
