"""
What a training starts from: the settings, the command line, and what a search has found before.
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field

from kennel.cli import best_values, context, tuned
from kennel.errors import SettingsError
from kennel.jobs.aws import Aws
from kennel.jobs.features import CHANNEL as FEATURES
from kennel.jobs.tuning_reader import Reader
from kennel.settings import Settings
from kennel.tuning.trials import Tuning

WEIGHTS = "weights"  # the channel


@dataclass(frozen=True)
class Start:
    """What the command line and a search say together, the command line above the search."""

    hyperparameters: Mapping[str, str]
    data: str | None
    weights: str | None
    channels: Mapping[str, str] = field(default_factory=dict)  # of the search's own job


def of(args: argparse.Namespace, settings: Settings, given: Mapping[str, str]) -> Start:
    """
    Return what a training starts from.

    Args:
        settings: Of the files and the environment.
        given: Hyperparameters of the command line.

    Raises:
        JobError: ``--from-tuning`` names no tuning job, or one that has found nothing; with
            ``--tuned``, the last search here still runs.
    """
    if args.from_tuning:
        return _of_job(
            best_values.from_job(Aws(settings.aws.region), args.from_tuning), args, given
        )
    if args.tuned:

        def look(job: str) -> Tuning:
            return Reader(Aws(settings.aws.region), job).read()

        asked = tuned.asked(settings, data=args.data, weights=args.weights)
        if record := tuned.from_record(settings, asked, given, look):
            return Start(
                {**record.hyperparameters, **given},
                args.data or record.asked.data,
                args.weights or record.asked.weights,
            )
    return Start(given, args.data, args.weights)


def _of_job(found: best_values.Found, args: argparse.Namespace, given: Mapping[str, str]) -> Start:
    """Take over what the trials have read, as far as the command line gives nothing else."""
    taken = {name: uri for name, uri in found.channels.items() if name != FEATURES}
    weights = {WEIGHTS: taken.pop(WEIGHTS)} if WEIGHTS in taken else {}
    channels = {**({} if args.data else taken), **({} if args.weights else weights)}
    return Start({**found.hyperparameters, **given}, args.data, args.weights, channels)


def settings(args: argparse.Namespace, start: Start) -> Settings:
    """Return the settings with *start* on top."""
    return context.settings(
        args,
        train={
            "instance_type": args.instance_type,
            "spot": args.spot,
            "hyperparameters": start.hyperparameters,
        },
        **watching(args),
    )


def watching(args: argparse.Namespace) -> dict[str, Mapping[str, object]]:
    """Return what ``--profile`` means for the settings, by section."""
    return {"debug": {"enabled": args.profile}, "profile": {"enabled": args.profile}}


def require_one(args: argparse.Namespace) -> None:
    """Raise SettingsError if a training is to start from two things at once."""
    given = {"--resume": args.resume, "--like": args.like, "--from-tuning": args.from_tuning}
    named = [f"{option} {job}" for option, job in given.items() if job]
    if len(named) > 1:
        raise SettingsError(
            f"{' and '.join(named)} exclude each other",
            expected="to go on with a job, to begin one like another, or to begin one with the "
            "best values of a search",
        )
