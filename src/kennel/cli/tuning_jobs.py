"""``kennel tuning``: look at tuning jobs, stop them, report them, keep what they have found."""

import argparse
import json
import shutil
import webbrowser
from collections.abc import Mapping
from pathlib import Path

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Table

from kennel import contract
from kennel import settings as sources
from kennel.cli import best_values, context, effects, show, training, tuning, tuning_view
from kennel.cli.parser import INTERRUPTED
from kennel.errors import SettingsError, TuningError
from kennel.jobs import plan, tunings
from kennel.jobs.aws import Aws
from kennel.jobs.failures import explained
from kennel.jobs.lookup import Answer
from kennel.jobs.tuning_reader import Reader
from kennel.jobs.tunings import Job
from kennel.tuning.trials import Tuning, listed

HYPERPARAMETERS = ("train", "hyperparameters")


@explained()
def show_(args: argparse.Namespace) -> int:
    """Show a tuning job; with --follow, until it has ended."""
    aws, name = _named(args)
    try:
        found, job = tuning.follow(aws, name) if args.follow else _read(aws, name)
    except KeyboardInterrupt:
        show.talk(f"\n{tuning.ways_back(name)}")
        return INTERRUPTED
    if args.json:
        show.result(json.dumps(tuning_view.document(found, job), indent=2))
        return 0
    show.result(tuning_view.outcome(found, job))
    if found.best and found.status in contract.TUNING_ENDED:
        show.talk(tuning.what_next(found, in_job=job.in_job))
    return 0


def _read(aws: Aws, name: str) -> tuple[Tuning, Job]:
    reader = Reader(aws, name)
    return reader.read(), reader.job


def _named(args: argparse.Namespace) -> tuple[Aws, str]:
    """Return AWS and the name that was given, or else that of the latest."""
    aws = context.aws(context.settings(args))
    if args.job:
        return aws, args.job
    name = tunings.latest(aws.sagemaker)
    show.talk(f"the latest tuning job: {name}")
    return aws, name


@explained()
def list_(args: argparse.Namespace) -> int:
    """List kennel's tuning jobs of both kinds."""
    aws = context.aws(context.settings(args))
    found = tunings.newest(aws.sagemaker, most=args.most)
    if args.json:
        show.result(json.dumps(found, default=str, indent=2))
        return 0
    if not found:
        show.talk("no tuning jobs yet: kennel tune")
        return 0
    jobs = [tunings.find(aws.sagemaker, tunings.name_of(one)) for one in found]
    head = ("tuning job", "status", "created", "strategy", "trials", "best")
    show.result(show.columns([head, *map(_row, jobs)]))
    return 0


def _row(job: Job) -> tuple[str, ...]:
    described, config = job.described, job.config
    created = f"{described['CreationTime'].astimezone():%Y-%m-%d %H:%M:%S}"
    best = "{} {:.6g}".format(*job.best) if job.best else ""
    strategy = config["Strategy"] + (", in one job" if job.in_job else "")
    return job.name, tunings.status_of(described), created, strategy, _trials(job, config), best


def _trials(job: Job, config: Answer) -> str:
    """Say how many have ended, of how many; how many one job has run stands in its output alone."""
    most = config["ResourceLimits"].get("MaxNumberOfTrainingJobs")
    if job.in_job:
        return f"up to {most}" if most else ""
    counts = job.described["TrainingJobStatusCounters"]
    ended = sum(counts.get(status, 0) for status in ("Completed", "Stopped", "NonRetryableError"))
    return f"{ended} of {most}" if most else str(ended)


@explained()
def stop(args: argparse.Namespace) -> int:
    """Stop a tuning job, and the trials that run."""
    aws = context.aws(context.settings(args))
    found = tunings.find(aws.sagemaker, args.job or tunings.running(aws.sagemaker))
    name = found.name
    status = tunings.status_of(found.described)
    if status in contract.TUNING_ENDED:
        show.talk(f"tuning job {name} has ended already: {status}")
        return 0
    calls = plan.stop(name) if found.in_job else plan.stop_tuning(name)
    effects.executor(aws, dry_run=args.dry_run).send(calls)
    if not args.dry_run:
        show.talk(f"stopping; what it has found is kept: kennel tuning show {name}")
        show.result(name)
    return 0


@explained()
def report(args: argparse.Namespace) -> int:
    """Write a tuning job's report, and print where it is."""
    from kennel.tuning import report as pages  # noqa: PLC0415 - for this command alone

    aws, name = _named(args)
    reader = Reader(aws, name)
    found = reader.with_curves()
    billable_s = reader.job.billable_s if reader.job.in_job else None
    path: Path = args.output or Path(f"{name}.html")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        text = pages.html(
            found,
            _importances(found),
            billable_s=billable_s,
            trainable=not best_values.refused(found),
        )
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SettingsError(
            f"the report cannot be written to {path}: {error.strerror}",
            remedy=f"kennel tuning report {name} --output FILE",
        ) from error
    show.result(str(path))
    if args.open and not webbrowser.open(path.absolute().as_uri()):
        show.talk("no browser could be opened: open the file yourself")
    return 0


def _importances(found: Tuning) -> Mapping[str, float] | None:
    """Return what matters most, None where too little is known or nothing here computes it."""
    try:
        from kennel.tuning.importances import importances  # noqa: PLC0415 - imports Optuna
    except ImportError:
        show.talk("importances are left out: they need Optuna, pip install 'kennel[tune]'")
        return None
    try:
        return importances(found)
    except TuningError as error:
        show.talk(f"importances are left out: {error}")
        return None


@explained()
def apply(args: argparse.Namespace) -> int:
    """Write the best values into the settings file; all else in it stays as it is."""
    aws, name = _named(args)
    found = Reader(aws, name).read()
    best = best_values.require_ours(found)
    shared = best_values.missing(found, context.settings(args))
    file = {name: text for name, text in shared.items() if name == "weights" and is_file(text)}
    wanted = {k: v for k, v in shared.items() if args.all and k not in file} | {**best.values}
    left = {key: text for key, text in shared.items() if key not in wanted}
    path = args.settings or sources.find(Path.cwd()) or Path(sources.FILE_NAME)
    before = read(path)
    after = applied(before, wanted, path)
    show.talk(f"of {best.name}, {found.metric} {best.objective:.6g}:")
    show.talk(show.columns([(key, value) for key, value in wanted.items()]))
    if left:
        show.talk(_left_out(left, file))
    if after == before:
        show.talk(f"nothing to change: {show.near(path)} says so already")
    elif args.dry_run:
        show.talk(f"not written: {show.near(path)}")
    else:
        replace(path, after)
        show.result(str(show.near(path)))
    return 0


def is_file(weights: str) -> bool:
    """Say whether the hyperparameter weights names a file."""
    return weights.strip('"') not in training.NAMED_WEIGHTS


def _left_out(left: Mapping[str, str], file: Mapping[str, str]) -> str:
    """Say what the trials shared that is not written, and what may be done about it."""
    ways = [] if left == file else ["--all writes these too"]
    ways += ["the weights are a file: kennel train --weights FILE"] if file else []
    return f"found with {listed(left)}, which the settings do not have; {'; '.join(ways)}"


def read(path: Path) -> str:
    """Return the settings file with the line ends that it has; nothing where there is none."""
    return path.read_bytes().decode() if path.exists() else ""


def replace(path: Path, text: str) -> None:
    """Write the settings file, whole or not at all, its mode and a link to it as they are."""
    target = path.resolve()
    draft = target.with_name(f".{target.name}.new")
    try:
        draft.write_text(text, encoding="utf-8", newline="")
        if target.exists():
            shutil.copymode(target, draft)
        draft.replace(target)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise SettingsError(
            f"{show.near(path)} cannot be written: {error.strerror}",
            remedy="--settings FILE, or the values above by hand",
        ) from error


def applied(text: str, values: Mapping[str, str], path: Path) -> str:
    """
    Return the settings file *text* with these hyperparameters, its comments and order kept.

    Args:
        path: Named in the error.
    Raises:
        SettingsError: It is not TOML.
    """
    try:
        document = tomlkit.parse(text)
    except TOMLKitError as error:
        raise SettingsError(f"{path} is not TOML: {error}") from error
    table: Table | tomlkit.TOMLDocument = document
    for name in HYPERPARAMETERS:
        if name not in table:
            table[name] = tomlkit.table(is_super_table=name == HYPERPARAMETERS[0])
        table = table[name]
    for name, value in values.items():
        known = next((k for k in table if k.replace("_", "-") == name), name)
        if table.get(known) != number(value):
            table[known] = number(value)
    return tomlkit.dumps(document)


def number(text: str) -> int | float | str:
    """Return a value as TOML writes it best; without the quotes of SageMaker's SDK."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
