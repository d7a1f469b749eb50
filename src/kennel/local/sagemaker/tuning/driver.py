"""Run tuning jobs: a thread for each that has not ended; what the thread does is in run."""

import threading
import time

from kennel.local.sagemaker.names import TUNING_JOB
from kennel.local.sagemaker.platform import Platform
from kennel.local.sagemaker.tags import Tags
from kennel.local.sagemaker.training.jobs import TrainingJobs
from kennel.local.sagemaker.tuning.progress import has_ended
from kennel.local.sagemaker.tuning.run import Run

CLOSE_WAIT_S = 5


class Driver:
    """The threads of all tuning jobs that have not ended."""

    def __init__(self, platform: Platform, jobs: TrainingJobs, tags: Tags) -> None:
        self.platform = platform
        self.jobs = jobs
        self.tags = tags
        self._running: list[threading.Thread] = []

    def start(self, name: str) -> None:
        """Run the tuning job called *name* from where it stands."""
        run = Run(self.platform, self.jobs, self.tags, name)
        thread = threading.Thread(target=run.run, daemon=True)
        self._running = [*filter(threading.Thread.is_alive, self._running), thread]
        thread.start()

    def resume(self) -> None:
        """Go on with every tuning job that a former server left."""
        for tuning in self.platform.resources.all(TUNING_JOB.path):
            if not has_ended(tuning):
                self.start(tuning["HyperParameterTuningJobName"])

    def close(self) -> None:
        """Wait until every thread has let go of its tuning job."""
        deadline = time.monotonic() + CLOSE_WAIT_S
        for thread in self._running:
            thread.join(max(0.0, deadline - time.monotonic()))
