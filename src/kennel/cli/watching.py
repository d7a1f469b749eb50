"""
How a training is watched: what the settings ask of it beside its training.

Pure but for what is said. What that means for the request is kennel.jobs.debugging's.
"""

from dataclasses import replace

from kennel.cli import show
from kennel.cli.tuning_checks import runs_own_program
from kennel.jobs import debugging, reports
from kennel.jobs.debugging import Rules, Watched
from kennel.jobs.debugging_request import Place
from kennel.jobs.requests import TrainingJob
from kennel.profiling import rules as profiler
from kennel.settings import Settings
from kennel.training import hyperparameters

PROFILER = Rules(profiler.asked, profiler.check)


def of(settings: Settings, place: Place) -> Watched:
    """
    Return what the settings ask of the training job at *place* beside its training.

    Raises:
        KennelError: They ask for rules that there are not, or for AWS's Debugger where it is not.
    """
    own_program = runs_own_program(settings)
    watched = debugging.watched(settings, PROFILER, place, own_program=own_program)
    if not own_program:
        hyperparameters.parse({**watched.hyperparameters, **settings.train.hyperparameters})
    return watched


def in_training(settings: Settings) -> dict[str, str]:
    """
    Return the hyperparameters of a job that goes on, and is to be watched by itself, or not.

    AWS's own Debugger it has if the other had it.
    """
    if not settings.profile.enabled:
        return dict.fromkeys(reports.FLAGS, "false")
    by_itself = replace(settings, debug=replace(settings.debug, evaluator="kennel"))
    by_itself = replace(by_itself, profile=replace(settings.profile, platform=False))
    place = Place("", "", "")  # of AWS's Debugger's alone
    watched = debugging.watched(by_itself, PROFILER, place, own_program=False)
    return dict(watched.hyperparameters)


def added(job: TrainingJob, watched: Watched) -> TrainingJob:
    """Return *job* with what watches it; hyperparameters of its own are above."""
    values = {**watched.hyperparameters, **job.hyperparameters}
    return replace(job, hyperparameters=values, watching=watched.request)


def say(settings: Settings) -> None:
    """Say what will not be as the settings ask for it, and what has to be allowed for them."""
    debug = settings.debug
    if not debug.enabled:
        return
    by_aws = debug.evaluator == debugging.SAGEMAKER
    if runs_own_program(settings) and not by_aws:
        show.talk(
            "the program is your own: kennel saves no tensors of it, and judges those that it "
            "saves by itself: kennel rules"
        )
    if by_aws and debug.stop:
        show.talk("a broken rule stops the job if its role is allowed sagemaker:StopTrainingJob")


def say_for_search(settings: Settings) -> None:
    """Say that the trials of a search are not watched, where the settings ask for it."""
    asked = {"[debug]": settings.debug.enabled, "[profile]": settings.profile.enabled}
    if names := [name for name, enabled in asked.items() if enabled]:
        show.talk(f"the trials do without {' and '.join(names)}: kennel train has them")
