"""
What a tuning job has found, for a training of kennel's: the best values, and whether it takes them.

Any client may make tuning jobs, of any program. The record that the last search leaves here is
``tuned``'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from kennel.cli import show
from kennel.errors import HyperparameterError, JobError
from kennel.jobs import watch
from kennel.jobs.aws import Aws
from kennel.jobs.tuning_reader import Reader
from kennel.settings import Settings
from kennel.training import hyperparameters
from kennel.tuning.trials import Trial, Tuning, listed


@dataclass(frozen=True)
class Found:
    """The best of a tuning job."""

    hyperparameters: Mapping[str, str]
    channels: Mapping[str, str]  # that its trials read: channel → S3 prefix


def from_job(aws: Aws, name: str) -> Found:
    """
    Return the best that the tuning job *name* has found so far, and say which it is.

    Raises:
        JobError: There is no such tuning job, it has found nothing, or it searched for a program
            that is not kennel's.
    """
    reader = Reader(aws, name)
    tuning = reader.read()
    best = require_ours(tuning)
    running = "" if tuning.ended else " so far"
    show.talk(
        f"the best of {tuning.name}{running} ({tuning.metric} {best.objective:.6g}): "
        f"{listed(best.values)}"
    )
    return Found({**shared(tuning), **best.values}, reader.job.channels)


def require_best(tuning: Tuning) -> Trial:
    """Return the best trial; JobError where no trial has come to an objective."""
    if tuning.best is None:
        first = next((trial.reason for trial in tuning.trials if trial.reason), tuning.reason)
        raise JobError(
            f"tuning job {tuning.name} is {tuning.status} and no trial of it has come to a "
            f"{tuning.metric}{': ' + watch.cause(first) if first else ''}",
            remedy=f"kennel tuning show {tuning.name}",
        )
    return tuning.best


def require_ours(tuning: Tuning) -> Trial:
    """Return the best trial; JobError where there is none or a training would refuse its values."""
    best = require_best(tuning)
    if refusal := refused(tuning):
        raise JobError(
            f"{tuning.name} has found nothing for a training of kennel's: {refusal}",
            expected="hyperparameters that kennel hyperparameters lists",
            remedy=f"kennel tuning report {tuning.name}, to look at what it has found",
        )
    return best


def refused(tuning: Tuning) -> str:
    """Say why a training of kennel's would refuse what was found; nothing if it takes it."""
    found = tuning.best.values if tuning.best else {}
    try:
        hyperparameters.parse({**shared(tuning), **found})
    except HyperparameterError as error:
        return error.problem.splitlines()[0]
    return ""


def shared(tuning: Tuning) -> dict[str, str]:
    """Return the hyperparameters that all trials shared, but those that SageMaker has added."""
    return {k: v for k, v in tuning.static.items() if not k.startswith("_tuning")}


def missing(tuning: Tuning, settings: Settings) -> dict[str, str]:
    """
    Return what all trials shared and *settings* do not say, hyperparameter → text.

    Raises:
        HyperparameterError: The settings and the best values together are no training.
    """
    best = require_best(tuning)
    given = {**settings.train.hyperparameters, **best.values}
    now = hyperparameters.parse(given).to_dict()
    then = hyperparameters.parse(shared(tuning)).to_dict()
    return {
        name: text
        for name, text in shared(tuning).items()
        if (known := name.replace("_", "-")) in now and now[known] != then[known]
    }


def with_values(settings: Settings, values: Mapping[str, str]) -> Settings:
    """Return *settings* with these hyperparameters on top."""
    merged = {**settings.train.hyperparameters, **values}
    return replace(settings, train=replace(settings.train, hyperparameters=merged))
