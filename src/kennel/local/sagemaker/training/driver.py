"""Run training jobs: a thread for each that has not ended; what the thread does is in run."""

import threading
import time

from kennel.local.resources import Document
from kennel.local.runtimes.protocol import Status
from kennel.local.sagemaker.names import TRAINING_JOB
from kennel.local.sagemaker.platform import Platform
from kennel.local.sagemaker.training import hosts
from kennel.local.sagemaker.training.record import has_ended
from kennel.local.sagemaker.training.run import Run
from kennel.local.sagemaker.training.slots import Slots

CLOSE_WAIT_S = 5


class Driver:
    """The threads of all jobs that have not ended."""

    def __init__(self, platform: Platform, slots: Slots | None = None) -> None:
        self.platform = platform
        self.slots = slots or Slots()
        self._running: dict[str, tuple[Run, threading.Thread]] = {}

    def start(self, name: str) -> None:
        """Run the job called *name* from where it stands."""
        run = Run(self.platform, self.slots, name)
        thread = threading.Thread(target=self._to_its_end, args=(name, run), daemon=True)
        self._running[name] = run, thread
        thread.start()

    def _to_its_end(self, name: str, run: Run) -> None:
        run.run()
        if self._running[name][0] is run:  # else it was deleted and created again
            del self._running[name]

    def stop(self, name: str) -> None:
        """Let a job that is Stopping know it."""
        if name in self._running:
            self.slots.wake()

    def resume(self) -> None:
        """Go on with every job that a former server left, those first whose containers run."""
        jobs = self.platform.resources.all(TRAINING_JOB.path)
        for job in sorted((job for job in jobs if not has_ended(job)), key=self._order):
            self.start(job["TrainingJobName"])

    def _order(self, job: Document) -> tuple[bool, float]:
        first, *_ = hosts.of_job(job, self.platform.folder)
        state = self.platform.runtime.poll(first.launch_id)
        return state.status is not Status.RUNNING, job["CreationTime"].timestamp()

    def close(self) -> None:
        """Wait until every thread has let go of its job."""
        self.slots.wake()
        deadline = time.monotonic() + CLOSE_WAIT_S
        for _, thread in list(self._running.values()):
            thread.join(max(0.0, deadline - time.monotonic()))
