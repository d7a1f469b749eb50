"""
What outlives a server: the containers of training jobs and endpoints, which are ended here, and
the tuning jobs that the next server goes on with.

For when no server runs: daemon stops it first. One that runs ends single jobs and endpoints itself.
"""

import time
from contextlib import closing
from functools import partial
from pathlib import Path

from kennel.contract import SERVING_STOP_GRACE_S, STOP_GRACE_S
from kennel.local.database import Database
from kennel.local.layout import DATABASE, RUNTIME, usable
from kennel.local.resources import Resources
from kennel.local.runtimes import left
from kennel.local.sagemaker.names import TRAINING_JOB, TUNING_JOB
from kennel.local.sagemaker.platform import now
from kennel.local.sagemaker.training.jobs import stopping
from kennel.local.sagemaker.training.record import has_ended
from kennel.local.sagemaker.tuning import progress

BESIDE_GRACE_S = 10  # of rules and samplers, to write what they have
GRACE_S = {
    "train": STOP_GRACE_S,
    "serve": SERVING_STOP_GRACE_S,
    **dict.fromkeys(("rules", "sampler"), BESIDE_GRACE_S),
}


def stop_launches(state: Path) -> None:
    """
    Stop every training job and tuning job, as AWS's Stop operations do, and end all processes.

    The next server stores what the jobs have saved, and starts the endpoints again.
    """
    if not (state / DATABASE).exists():
        return
    mark_stopping(state)
    runtime = left.runtime(state / RUNTIME)
    launches = left.running(state / RUNTIME)
    for launch_id in launches:
        runtime.terminate(launch_id)
    started = time.monotonic()
    for launch_id, role in launches.items():
        runtime.wait(launch_id, max(0.0, started + GRACE_S[role] - time.monotonic()))
        runtime.kill(launch_id)


def tuning_jobs(state: Path) -> int:
    """
    Return how many tuning jobs the next server goes on with; those that are stopping are not.

    Raises:
        LocalServerError: The state folder cannot be used.
    """
    if not (state / DATABASE).exists():
        return 0
    with usable(state), closing(Database(state / DATABASE)) as database:
        known = Resources(database).all(TUNING_JOB.path)
    return sum(tuning[progress.STATUS] == "InProgress" for tuning in known)


def mark_stopping(state: Path) -> None:
    """Write down of every job that has not ended, tuning jobs too, that it is being stopped."""
    with closing(Database(state / DATABASE)) as database:
        resources = Resources(database)
        for job in resources.all(TRAINING_JOB.path):
            if not has_ended(job):
                resources.change(TRAINING_JOB.path, job["TrainingJobName"], stopping)
        for tuning in resources.all(TUNING_JOB.path):
            if not progress.has_ended(tuning):
                name, stop = tuning[TUNING_JOB.member], partial(progress.stopping, now=now())
                resources.change(TUNING_JOB.path, name, stop)
