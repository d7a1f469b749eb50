"""``kennel train`` and ``stop``: training jobs. Looking at them is ``described``'s."""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from kennel import contract
from kennel.cli import (
    context,
    effects,
    features,
    images,
    job_view,
    report_view,
    reported,
    resume,
    show,
    start,
    tuning_checks,
    watching,
)
from kennel.cli.inputs import Inputs
from kennel.cli.parser import INTERRUPTED
from kennel.errors import SettingsError
from kennel.jobs import compose, lookup, naming, plan, watch
from kennel.jobs.aws import Aws
from kennel.jobs.debugging_request import Place
from kennel.jobs.failures import explained
from kennel.jobs.lookup import Answer
from kennel.rules import doubts
from kennel.settings import Settings
from kennel.training import hyperparameters

NAMED_WEIGHTS = ("imagenet", "none", "auto")


@explained()
def train(args: argparse.Namespace) -> int:
    """Start a training job; follow it unless told not to."""
    start.require_one(args)
    if args.resume or args.like:
        resume.require_alone(args)
        settings = context.settings(args, **start.watching(args))
        aws = context.aws(settings)
        executor = effects.executor(aws, dry_run=args.dry_run, as_json=args.json)
        changed = chosen(args.hyperparameters, None)
        if args.profile is not None:
            changed = {**watching.in_training(settings), **changed}
        again = resume.submit if args.resume else resume.submit_like
        other = args.resume or args.like
        name = again(aws, executor, other, changed=changed, name=args.name)
        return _started(args, aws, name)
    begun = start.of(args, context.settings(args), chosen(args.hyperparameters, args.weights))
    settings = start.settings(args, begun)
    tuning_checks.require_metrics(settings)
    weights = weights_file(begun.weights)
    settings = with_model(settings, weights)
    for doubt in doubts.of(settings.train.hyperparameters):
        show.talk(f"warning: {doubt}")
    if start.WEIGHTS not in begun.channels:
        require_weights(hyperparameters.parse(settings.train.hyperparameters).weights, weights)
    aws = context.aws(settings)
    settings, told = images.for_training(settings, aws)
    inputs = Inputs(settings, aws, effects.executor(aws, dry_run=args.dry_run, as_json=args.json))
    name = submit(inputs, begun.data, weights=weights, name=args.name, channels=begun.channels)
    show.talk(told)
    return _started(args, aws, name)


def _started(args: argparse.Namespace, aws: Aws, name: str) -> int:
    if args.dry_run:
        return 0
    if args.wait:
        return _follow(aws, name, as_json=args.json)
    show.talk(_ways_back(name))
    show.result(json.dumps({"job": name}) if args.json else name)
    return 0


def list_hyperparameters(args: argparse.Namespace) -> int:
    """Print the table of hyperparameters."""
    table = hyperparameters.describe()
    if args.json:
        show.result(json.dumps([vars(row) for row in table], indent=2))
    else:
        rows = [(row.name, row.default, row.allowed, row.help) for row in table]
        show.result(show.columns([("name", "default", "allowed", "what it does"), *rows]))
    return 0


def chosen(assignments: Sequence[str], weights: str | None) -> dict[str, str]:
    """Read ``--set NAME=VALUE`` and ``--weights`` as hyperparameters."""
    values = {"weights": Path(weights).name} if weights else {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not name or not equals:
            raise SettingsError(f"--set {assignment!r}", expected="NAME=VALUE, e.g. --set lr=0.01")
        values[name] = value
    return values


def weights_file(weights: str | None) -> Path | None:
    """Return the file that ``--weights`` names, if it names one."""
    if weights is None or weights in NAMED_WEIGHTS:
        return None
    if not Path(weights).is_file():
        raise SettingsError(
            f"--weights {weights}: there is no such file",
            expected=f"a file, or one of {', '.join(NAMED_WEIGHTS)}",
        )
    return Path(weights)


def with_model(settings: Settings, weights: Path | None) -> Settings:
    """Return *settings* with the model that the name of the *weights* says, unless one is set."""
    given = settings.train.hyperparameters
    if weights is None or "model" in given:
        return settings
    named = {**given, "model": model_of(weights)}
    return replace(settings, train=replace(settings.train, hyperparameters=named))


def model_of(weights: Path) -> str:
    """
    Return the model that a weights file is for: its name begins so, as torchvision names them.

    Raises:
        SettingsError: The name begins with no model.
    """
    model = weights.stem.partition("-")[0]
    if model in hyperparameters.MODELS:
        return model
    raise SettingsError(
        f"which model are the weights {weights} for? Their name does not say it",
        expected="a name such as resnet18-mine.pth, or the model beside it",
        remedy="kennel train --weights FILE --set model=NAME (kennel demo: --model NAME)",
    )


def require_weights(named: str, file: Path | None) -> None:
    """Raise SettingsError if the hyperparameter names a file that the job will not have."""
    if named in NAMED_WEIGHTS or (file is not None and named == file.name):
        return
    given = f"the file that --weights gives is {file.name}" if file else "no file is given"
    raise SettingsError(
        f"hyperparameter weights is {named!r}, and {given}",
        expected=f"one of {', '.join(NAMED_WEIGHTS)}, or the file itself",
        remedy=f"--weights {named}, with the path of that file",
    )


def submit(
    inputs: Inputs,
    data: str | None,
    *,
    weights: Path | None = None,
    name: str | None = None,
    channels: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """
    Start a training job, its data and weights uploaded first; return its name.

    What can be judged here is judged before anything is uploaded or paid for.

    Args:
        channels: Channel → S3 prefix, of those that are known; the others are made.
    """
    settings = inputs.settings
    compose.check_training(settings)
    job = naming.job(name, compose.model_name(settings), **context.now())
    output = compose.outputs(settings, inputs.bucket)
    watched = watching.of(settings, Place(job, inputs.aws.region, output))
    watching.say(settings)
    reads = sources(inputs, data, weights, channels)
    found = features.find(inputs, reads)
    inputs.require_bucket()  # of the job's output, wherever its data is
    reads |= found.channel if found else {}
    wanted = compose.training_job(settings, name=job, bucket=inputs.bucket, channels=reads)
    inputs.executor.send(plan.training(watching.added(wanted, watched), name=job))
    features.note(inputs, found, job)
    return job


def sources(
    inputs: Inputs, data: str | None, weights: Path | None, known: Mapping[str, str]
) -> dict[str, str]:
    """Return the channels of a job, channel → S3 prefix; what is not *known* is uploaded."""
    pictures = {} if "train" in known else inputs.channels(data)
    return {
        **pictures,
        **known,
        **({start.WEIGHTS: inputs.weights(weights)} if weights else {}),
    }


def folder_of(settings: Settings, data: str | None) -> Path | None:
    """Return the folder here that a job trains on; None where its data is in S3 alone."""
    folder = Path(data) if data else settings.data.folder
    return folder if folder.is_dir() else None


def follow(aws: Aws, name: str) -> Answer:
    """Show a job's status and log lines as they come; return its description at the end."""
    return watch.completed(_followed(aws, name))


def _followed(aws: Aws, name: str) -> Answer:
    events = watch.training(aws.sagemaker, watch.training_log(aws.logs, name), name)
    return show.follow(events)


def _follow(aws: Aws, name: str, *, as_json: bool) -> int:
    show.talk(f"training job {name}")
    try:
        ended = _followed(aws, name)
    except KeyboardInterrupt:
        show.talk(f"\n{_ways_back(name)}")
        return INTERRUPTED
    report = reported.at_end(aws, ended)
    if report and ended["TrainingJobStatus"] != "Completed":
        show.talk(report_view.text(report))
    described = watch.completed(ended)
    if as_json:
        show.result(json.dumps(job_view.document(described, report)))
    else:
        show.result(job_view.text(described, report))
    return 0


def _ways_back(name: str) -> str:
    return (
        f"training job {name} goes on\n"
        f"  come back to it: kennel logs {name} --follow\n"
        f"  stop it:         kennel stop {name}"
    )


@explained()
def stop(args: argparse.Namespace) -> int:
    """Stop a training job; SageMaker gives it two minutes to write what it has learnt."""
    aws = context.aws(context.settings(args))
    name = args.job or lookup.running(aws.sagemaker)
    described = lookup.job(aws.sagemaker, name)
    status = described["TrainingJobStatus"]
    if status in contract.TRAINING_ENDED:
        show.talk(f"training job {name} has ended already: {status}")
        return 0
    effects.executor(aws, dry_run=args.dry_run).send(plan.stop(name))
    if not args.dry_run:
        show.talk(f"stopping; it may take {contract.STOP_GRACE_S} s to save what it has learnt")
        if "CheckpointConfig" in described:
            show.talk(f"go on with it later: kennel train --resume {name}")
        show.result(name)
    return 0
