"""
The program of a job that searches: from its files to the artifact of the best trial.

What a single training is, is kennel.training.main's; the search itself is run.py's.
"""

import hashlib
import json
import os

from kennel.contract import SEARCH_RESULT, ContainerPaths
from kennel.errors import TuningError
from kennel.training import channels, config, sampling
from kennel.training.log import say
from kennel.training.main import Trained, leave
from kennel.training.search import workers
from kennel.training.search.answers import Job, answers, trial_name
from kennel.training.search.bench import Bench
from kennel.training.search.journal import Journal, Progress
from kennel.training.search.request import Wanted
from kennel.training.search.run import Searching
from kennel.training.stopping import Stop, Stopped
from kennel.tuning import completion
from kennel.tuning.trials import listed

NAME_VARIABLE, ARN_VARIABLE = "TRAINING_JOB_NAME", "TRAINING_JOB_ARN"


def main(paths: ContainerPaths, wanted: Wanted, processes: int, stop: Stop) -> None:
    """
    Search, and leave the best trial's model, its figures and tuning.json behind.

    Args:
        paths: Of the container.
        wanted: What is searched.
        processes: Trials at a time, if MaxParallelTrainingJobs allows as many.
        stop: When it is requested, the artifact is that of the best trial so far, and a new start
            goes on with the trial that was cut off.

    Raises:
        KennelError: The data or the weights are not usable, or no trial succeeded.
    """
    lanes = min(processes, wanted.configuration.limits.parallel)
    say(f"search: {wanted.configuration.strategy}, {lanes} trials at a time, by {wanted.metric}")
    say(f"hyperparameters of all trials, unless they are searched: {wanted.chosen({})}")
    if sampling.plan(paths, wanted.chosen({})).on:
        say("profile: the trials of a search are not timed one by one; the machine is sampled")
    if wanted.chosen({}).debug:
        say("debug=true: trials of a search in one job are not debugged; train with what it finds")
    journal = Journal(config.checkpoint_folder(paths), wanted, _pictures(paths))
    progress = journal.restore(os.environ.get(NAME_VARIABLE) or "search")
    bench = Bench(paths, wanted)
    try:
        with workers.runners(bench, lanes) as runners:
            reason = Searching(wanted, journal, progress, stop).run(runners)
        ended = "finished"
    except Stopped:
        ended, reason = "stopped", "a stop was asked for"
    say(f"the search has {ended} after {len(progress.results)} trials: {reason}")
    _leave_answers(paths, wanted, progress, ended)
    if progress.weights is None:
        _nothing(wanted, progress, ended)
        return
    try:
        best = _best(bench, progress, ended, stop)
    except Stopped:
        say("stopped before the best trial's model could be built: the checkpoint has its weights")
        return
    leave(paths, best, stop)


def _pictures(paths: ContainerPaths) -> str:
    """Return what the pictures of a search are known by: their names."""
    digest = hashlib.sha256()
    for split, scan in sorted(channels.find(paths).items()):
        for path, label in scan.samples:
            place = f"{split} {label} {path.relative_to(scan.folder)}\n"
            digest.update(place.encode(errors="surrogateescape"))
    return digest.hexdigest()


def _leave_answers(paths: ContainerPaths, wanted: Wanted, progress: Progress, ended: str) -> None:
    job = Job(progress.name, os.environ.get(ARN_VARIABLE, ""))
    status = "Stopped" if ended == "stopped" else "Completed" if progress.weights else "Failed"
    reason = _in_vain(wanted, progress) if status == "Failed" else ""
    document = answers(wanted, progress, job, status=status, reason=reason)
    paths.output_data.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, indent=2, allow_nan=False)
    (paths.output_data / SEARCH_RESULT).write_text(text + "\n")


def _in_vain(wanted: Wanted, progress: Progress) -> str:
    return completion.in_vain(
        result.trial(trial_name(progress.name, number), wanted.metric)
        for number, result in sorted(progress.results.items())
    )


def _nothing(wanted: Wanted, progress: Progress, ended: str) -> None:
    """
    Say that there is no model.

    Raises:
        TuningError: All trials failed.
    """
    if ended == "stopped":
        say("stopped before a trial had ended: there is no model")
        return
    raise TuningError(
        _in_vain(wanted, progress),
        expected="at least one trial with a finite objective",
    )


def _best(bench: Bench, progress: Progress, ended: str, stop: Stop) -> Trained:
    """Return the best trial as the run of this job: its epoch's figures are the log's last."""
    best, weights = progress.results[progress.best], dict(progress.weights or {})
    ready = bench.ready(best.values, stop)
    ready.state.history, ready.state.best = list(best.history), weights
    say(f"best trial={best.number} {listed(best.values)}")
    return Trained(ready.job, ready.state, ended)
