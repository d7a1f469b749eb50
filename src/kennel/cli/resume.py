"""
``kennel train --resume`` and ``--like``: a new job with the request of another.

It goes on where the other has ended, or begins anew.
"""

import argparse
from collections.abc import Mapping

from kennel.cli import context
from kennel.cli.effects import Executor
from kennel.cli.tuning_checks import OWN_PROGRAM
from kennel.errors import JobError, SettingsError
from kennel.jobs import lookup, naming, plan, storage
from kennel.jobs.aws import Aws
from kennel.jobs.lookup import Answer
from kennel.jobs.storage import Location
from kennel.training import hyperparameters

TAKEN_OVER = ("data", "weights", "instance_type", "spot")  # options that the other job answers


def require_alone(args: argparse.Namespace) -> None:
    """Raise SettingsError if an option contradicts the job whose request is taken over."""
    asked = f"--resume {args.resume}" if args.resume else f"--like {args.like}"
    for option in TAKEN_OVER:
        if getattr(args, option) is not None:
            raise SettingsError(
                f"{asked} and --{option.replace('_', '-')} exclude each other",
                expected="the new job to have the data, the weights and the machines of the other",
            )


def submit(
    aws: Aws, executor: Executor, resumed: str, *, changed: Mapping[str, str], name: str | None
) -> str:
    """
    Start a job that goes on where the job *resumed* has ended; return its name.

    Raises:
        JobError: There is no such job, it still runs, or it has left no checkpoint.
        SettingsError: *changed* would make the steps that were taken those of another run.
    """
    described = lookup.job(aws.sagemaker, resumed)
    _require_checkpoint(aws, lookup.checkpoints(described), resumed)
    _require_free(described["HyperParameters"], changed)
    job = _named(described, changed, name)
    executor.send(plan.resumption(described, name=job, changed=changed))
    return job


def submit_like(
    aws: Aws, executor: Executor, other: str, *, changed: Mapping[str, str], name: str | None
) -> str:
    """
    Start a job with the request of the job *other*, from the start; return its name.

    Raises:
        JobError: There is no such job.
        HyperparameterError: *changed* is none of kennel's training.
    """
    described = lookup.job(aws.sagemaker, other)
    before = described.get("HyperParameters", {})
    if OWN_PROGRAM not in before:
        hyperparameters.parse({**before, **changed})
    job = _named(described, changed, name)
    executor.send(plan.repetition(described, name=job, changed=changed))
    return job


def _named(described: Answer, changed: Mapping[str, str], name: str | None) -> str:
    values = {**described.get("HyperParameters", {}), **changed}
    model = values.get("model", hyperparameters.Hyperparameters.model)
    return naming.job(name, model, **context.now())


def _require_checkpoint(aws: Aws, uri: str, name: str) -> None:
    if not any(storage.listing(aws.s3, Location.parse(f"{uri.rstrip('/')}/"))):
        raise JobError(
            f"training job {name} has left no checkpoint: there is nothing at {uri}",
            expected="a job that got as far as its first checkpoint",
            remedy="kennel train",
        )


def _require_free(before: Mapping[str, str], changed: Mapping[str, str]) -> None:
    parsed = hyperparameters.parse(before)
    now = hyperparameters.parse({**before, **changed})
    if different := hyperparameters.differences(parsed.to_dict(), now):
        raise SettingsError(
            f"a resumed job cannot have {', '.join(different)}",
            expected=f"other values of {', '.join(hyperparameters.FREE_ON_RESUME)} at most",
            remedy="kennel train, without --resume, for another run",
        )
