"""``kennel tune``: search hyperparameters, by a tuning job or inside one training job."""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from kennel import contract
from kennel.cli import (
    best_values,
    context,
    effects,
    features,
    images,
    show,
    training,
    tuned,
    tuning_checks,
    tuning_view,
    watching,
)
from kennel.cli.inputs import Inputs
from kennel.cli.parser import INTERRUPTED
from kennel.datasets import folders
from kennel.errors import JobError, SettingsError
from kennel.jobs import compose, naming, plan, storage, tunings, watch
from kennel.jobs import tuning as searches
from kennel.jobs.aws import Aws
from kennel.jobs.failures import explained
from kennel.jobs.features import CHANNEL as FEATURES
from kennel.jobs.storage import Location
from kennel.jobs.tuning import Search
from kennel.jobs.tuning_reader import Reader
from kennel.jobs.tunings import Job
from kennel.settings import Settings
from kennel.tuning.trials import Tuning


@dataclass(frozen=True)
class Wanted:
    """A search, and what its trials read."""

    search: Search
    channels: Mapping[str, str]
    parents: Sequence[str] = ()


@explained()
def tune(args: argparse.Namespace) -> int:
    """Start a tuning job; follow it unless told not to."""
    given = training.chosen(args.hyperparameters, args.weights)
    settings = without_fixed(_settings(args, given), given)
    weights = training.weights_file(args.weights)
    settings = training.with_model(settings, weights)
    search = judged(settings, args.parents)
    training.require_weights(search.static.get("weights", "auto"), weights)
    aws = context.aws(settings)
    parents = _ended(aws, args.parents)
    learnt = [Reader(aws, name).read_briefly() for name in parents]
    told_of_parents = tuning_checks.require_something_learnt(search, learnt)
    settings, told = images.for_training(settings, aws)
    inputs = Inputs(settings, aws, effects.executor(aws, dry_run=args.dry_run, as_json=args.json))
    compose.check_training(settings)
    watching.say_for_search(settings)
    name = naming.tuning_job(args.name, **context.now())
    channels = training.sources(inputs, args.data, weights, {})
    warnings = tuning_checks.warnings(settings, search, counted(inputs, args.data, channels))
    for text in (*told_of_parents, *warnings):
        show.talk(f"warning: {text}")
    submit(inputs, Wanted(search, channels, parents), name=name, wait=not args.dry_run)
    show.talk(told)
    if args.dry_run:
        return 0
    asked = tuned.asked(context.settings(args), data=args.data, weights=args.weights)
    record = tuned.Record(name, settings.tune.objective, search.static, asked)
    record = record.after(tuned.read(settings.tune.record))
    tuned.write(settings.tune.record, record)
    if not args.wait:
        show.talk(ways_back(name))
        show.result(json.dumps({"tuning_job": name}) if args.json else name)
        return 0
    return _follow(settings, aws, record, as_json=args.json)


def _settings(args: argparse.Namespace, given: Mapping[str, str]) -> Settings:
    ranges = [text.partition("=") for text in args.ranges]
    if wrong := [f"{name}{equals}{text}" for name, equals, text in ranges if not name or not text]:
        raise SettingsError(f"--range {wrong[0]!r}", expected="NAME=RANGE, e.g. lr=0.001..0.1")
    return context.settings(
        args,
        train={
            "instance_type": args.instance_type,
            "spot": args.spot,
            "hyperparameters": given,
        },
        tune={
            "strategy": args.strategy,
            "objective": args.objective,
            "direction": args.direction,
            "max_jobs": args.max_jobs,
            "parallel": args.parallel,
            "in_job": args.in_job,
            "ranges": {name: text for name, _, text in ranges},
        },
    )


def without_fixed(settings: Settings, given: Mapping[str, str]) -> Settings:
    """Return *settings* without the ranges of what the command line fixes; say which."""
    names = {name.replace("_", "-") for name in given}
    fixed = [name for name in settings.tune.ranges if name in names]
    if not fixed:
        return settings
    show.talk(f"not searched, for it is given: {', '.join(fixed)}")
    left = {name: each for name, each in settings.tune.ranges.items() if name not in fixed}
    return replace(settings, tune=replace(settings.tune, ranges=left))


def judged(settings: Settings, parents: Sequence[str] = ()) -> Search:
    """
    Return the search that the settings describe, if the training can run it.

    Raises:
        KennelError: It cannot.
    """
    tuning_checks.require_metrics(settings)
    tuning_checks.require_objective(settings)
    search = searches.search(settings, tuning_checks.kinds())
    tuning_checks.require_hyperparameters(settings, search)
    if settings.tune.in_job:
        tuning_checks.require_search_in_job(settings, search, parents)
    return search


def _ended(aws: Aws, parents: Sequence[str]) -> list[str]:
    """
    Return the whole names of the tuning jobs to start from.

    Raises:
        KennelError: One is none or still runs; or there are too many.
    """
    if len(set(parents)) < len(parents) or len(parents) > contract.MAX_PARENTS:
        raise SettingsError(
            f"--from {' '.join(parents)}",
            expected=f"at most {contract.MAX_PARENTS} tuning jobs, each once",
        )
    jobs = [tunings.find(aws.sagemaker, name) for name in parents]
    for found in jobs:
        name = found.name
        if found.in_job:
            raise JobError(
                f"{name} was a search inside one training job: SageMaker cannot start from it",
                expected="a tuning job, each of whose trials was a job",
                remedy=f"without --from, and ranges around what kennel tuning show {name} shows",
            )
        if tunings.status_of(found.described) not in contract.TUNING_ENDED:
            raise JobError(
                f"tuning job {name} still runs",
                expected="one that has ended",
                remedy=f"kennel tuning show {name} --follow, or kennel tuning stop {name}",
            )
    return [found.name for found in jobs]


def counted(inputs: Inputs, data: str | None, channels: Mapping[str, str]) -> int | None:
    """Return how many pictures the training split has; None where that cannot be told."""
    folder = training.folder_of(inputs.settings, data)
    if folder:
        splits = folders.find_splits(folder) or {"train": folder}
        counts = {name: len(folders.scan(path).samples) for name, path in splits.items()}
    else:
        found = {
            split: [key for key, *_ in storage.listing(inputs.aws.s3, Location.parse(uri))]
            for name, uri in channels.items()
            if (split := folders.split_of(name))
        }
        counts = {name: len(keys) for name, keys in found.items()}
    return tuning_checks.train_pictures(counts, inputs.settings) if counts.get("train") else None


def submit(inputs: Inputs, wanted: Wanted, *, name: str, wait: bool = True) -> None:
    """
    Start a search, after a job that computes what all its trials need, if there is such a thing.

    Args:
        wait: For that job to end; without, nothing is sent and there is nothing to wait for.
    """
    settings, search = inputs.settings, wanted.search
    inputs.require_bucket()  # of the output, wherever the data is
    searched = [each.name for each in search.ranges]
    found = features.find(inputs, wanted.channels, searched=searched)
    reads = {**wanted.channels, **(found.channel if found else {})}
    if settings.tune.in_job:
        static = searches.in_job(search)
    else:
        static = dict(search.static)
        if found and not found.uri:
            uri = features.computed(inputs, found, static, wanted.channels, wait=wait)
            reads |= {FEATURES: uri}
    fixed = replace(settings, train=replace(settings.train, hyperparameters=static))
    job = compose.training_job(fixed, name=name, bucket=inputs.bucket, channels=reads)
    if settings.tune.in_job:
        inputs.executor.send(plan.training(job, name=name))
        features.note(inputs, found, name)
        return
    inputs.executor.send(
        plan.tuning(
            job,
            name=name,
            config=search.config,
            parents=wanted.parents,
            warm_start=settings.tune.warm_start,
        )
    )


def follow(aws: Aws, name: str) -> tuple[Tuning, Job]:
    """Show a search as it goes on; return what it came to."""
    reader = Reader(aws, name)
    found = tuning_view.follow(
        watch.polled(
            lambda: [reader.read()],
            sleep=time.sleep,
            is_last=lambda tuning: tuning.status in contract.TUNING_ENDED,
        )
    )
    return found, reader.job


def _follow(settings: Settings, aws: Aws, record: tuned.Record, *, as_json: bool) -> int:
    name = record.job
    show.talk(f"tuning job {name}")
    try:
        found, job = follow(aws, name)
    except KeyboardInterrupt:
        show.talk(f"\n{ways_back(name)}")
        return INTERRUPTED
    told = tuning_view.document(found, job) if as_json else None
    followed_by_error = found.status == "Failed" or found.best is None  # which has the reason
    text = tuning_view.outcome(found, job, reason=not followed_by_error)
    show.result(json.dumps(told) if told else text)
    require_found(found)
    tuned.write(settings.tune.record, record.ended(found))
    show.talk(what_next(found, in_job=job.in_job))
    return 0


def require_found(tuning: Tuning) -> None:
    """Raise JobError if a search has failed, or has ended and found nothing."""
    if tuning.status == "Failed":
        raise JobError(
            f"tuning job {tuning.name} failed: "
            f"{watch.cause(tuning.reason or 'SageMaker gave no reason')}",
            remedy=f"kennel tuning show {tuning.name}",
        )
    best_values.require_best(tuning)


def ways_back(name: str) -> str:
    """Say how to come back to a search that goes on; what is done with it is said at its end."""
    return (
        f"tuning job {name} goes on\n"
        f"  come back to it: kennel tuning show {name} --follow\n"
        f"  stop it:         kennel tuning stop {name}"
    )


def what_next(tuning: Tuning, *, in_job: bool) -> str:
    """Say what can be done with what a search has found."""
    if refusal := best_values.refused(tuning):
        return (
            f"a search for another program than kennel's: {refusal}\n"
            f"look at all of them:         kennel tuning report {tuning.name}"
        )
    model = tuning.name if in_job else best_values.require_best(tuning).name
    return (
        f"train with the best values:  kennel train --from-tuning {tuning.name}\n"
        f"deploy the best trial:       kennel deploy {model}\n"
        f"look at all of them:         kennel tuning report {tuning.name}\n"
        f"keep the values in settings: kennel tuning apply {tuning.name}"
    )
