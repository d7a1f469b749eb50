"""``kennel deploy``, ``predict`` and ``delete``: endpoints."""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from kennel.cli import context, effects, images, show
from kennel.cli.effects import Executor
from kennel.cli.parser import INTERRUPTED
from kennel.datasets import folders
from kennel.errors import DataError
from kennel.jobs import compose, lookup, naming, plan, watch
from kennel.jobs import predict as asking
from kennel.jobs.aws import Aws
from kennel.jobs.failures import explained
from kennel.jobs.lookup import Answer, Deployed
from kennel.jobs.plan import Call
from kennel.settings import Settings


@explained()
def deploy(args: argparse.Namespace) -> int:
    """Put a trained model behind an endpoint, and wait until it answers."""
    settings = context.settings(
        args, deploy={"endpoint": args.endpoint, "instance_type": args.instance_type}
    )
    aws = context.aws(settings)
    name = settings.deploy.endpoint
    settings, told = images.for_serving(settings, aws)
    executor = effects.executor(aws, dry_run=args.dry_run, as_json=args.json)
    artifact, job = chosen(aws, args.source)
    version = start(settings, aws, executor, artifact=artifact)
    show.talk(told)
    if args.dry_run:
        return 0
    if not args.wait:
        show.talk(f"endpoint {name} goes on: kennel describe {name}")
    else:
        show.talk(f"endpoint {name}")
        try:
            ready(aws, executor, name, version)
        except KeyboardInterrupt:
            show.talk(
                f"\nendpoint {name} goes on\n  look at it: kennel describe {name}\n"
                f"  delete it:  kennel delete --endpoint {name}"
            )
            return INTERRUPTED
    about = {"endpoint": name, "config": version, "job": job, "artifact": artifact}
    show.result(json.dumps(about) if args.json else name)
    return 0


def start(settings: Settings, aws: Aws, executor: Executor, *, artifact: str) -> str:
    """Start a deployment of *artifact*, an S3 URI; return the version's name."""
    compose.check_deployment(settings)
    name = settings.deploy.endpoint
    version = naming.unique(name, **context.now())
    wanted = compose.deployment(settings, version=version, artifact=artifact)
    existing = lookup.endpoint(aws.sagemaker, name)
    status = existing["EndpointStatus"] if existing else None
    executor.send(plan.deployment(wanted, existing=status))
    return version


def chosen(aws: Aws, source: str | None) -> tuple[str, str | None]:
    """Return the artifact to deploy and the job that left it, and say which they are."""
    if source and source.startswith("s3://"):
        show.talk(f"model {source}")
        return source, None
    name = source or lookup.latest(aws.sagemaker, status="Completed")
    described = lookup.job(aws.sagemaker, name)
    artifact = lookup.artifact(described)
    show.talk(model_line(described))
    newer = None if source else lookup.newer(aws.sagemaker, name)
    if newer:
        show.talk(
            f"note: a newer job, {newer['TrainingJobName']}, is {newer['TrainingJobStatus']}: "
            "this is the latest that completed"
        )
    return artifact, name


def model_line(described: Answer) -> str:
    """Say whose model it is, and how good."""
    accuracy = watch.final_metrics(described).get("test_accuracy")
    known = "unknown" if accuracy is None else f"{accuracy:.4f}"
    return f"model of training job {described['TrainingJobName']}, test accuracy {known}"


def ready(aws: Aws, executor: Executor, name: str, version: str) -> None:
    """
    Wait until the endpoint serves *version*, then remove the versions before it.

    Raises:
        JobError: It failed, or went back to the version before; then the new one is removed.
    """
    settled = show.follow(watch.endpoint(aws.sagemaker, name))
    if settled["EndpointStatus"] == "InService":
        executor.send(_clearance(lookup.deployed(aws.sagemaker, name), name, settled))
    watch.in_service(settled, config=version)


def _clearance(found: Deployed, name: str, settled: Answer) -> list[Call]:
    """Plan the removal of the versions that the endpoint does not serve."""
    serving = settled["EndpointConfigName"]
    configs, models = (
        [one for one in kind if one != serving and naming.is_version(one, of=name)]
        for kind in (found.configs, found.models)
    )
    return plan.deletion(endpoint=None, configs=configs, models=models)


@explained()
def predict(args: argparse.Namespace) -> int:
    """Classify pictures; exit code 1 where one of them could not be."""
    settings = context.settings(args, deploy={"endpoint": args.endpoint})
    aws = context.aws(settings)
    paths = list(pictures(args.images))
    answers = asking.predict_all(aws.runtime, settings.deploy.endpoint, paths, top=args.top)
    with lookup.requiring_endpoint(aws.sagemaker, settings.deploy.endpoint):
        found = list(answers)
    if args.json:
        show.result(json.dumps([prediction.to_dict() for prediction in found], indent=2))
    else:
        show.result(show.predictions(found, width=show.width()))
    return 1 if any(prediction.error for prediction in found) else 0


def pictures(given: Sequence[Path]) -> Iterator[Path]:
    """Yield every file that is named or lies in a folder that is, hidden ones left out."""
    for path in given:
        if path.is_dir():
            inside = list(folders.files(path))
            if not inside:
                raise DataError(f"{path} holds no files", expected="pictures")
            yield from inside
        elif path.exists():
            yield path
        else:
            raise DataError(f"there is no picture {path}", expected="files, or folders of files")


@explained()
def delete(args: argparse.Namespace) -> int:
    """Delete an endpoint and all that was made for it; what is gone already is no error."""
    settings = context.settings(args, deploy={"endpoint": args.endpoint})
    aws = context.aws(settings)
    executor = effects.executor(aws, dry_run=args.dry_run)
    calls = removal(aws, settings.deploy.endpoint)
    executor.send(calls)
    if args.dry_run:
        return 0
    if any(call.operation == "delete_endpoint" for call in calls):
        show.follow(watch.endpoint(aws.sagemaker, settings.deploy.endpoint))
    for call in calls:
        show.talk(
            f"deleted {call.operation.removeprefix('delete_').replace('_', ' ')} {_name(call)}"
        )
    if not calls:
        show.talk(f"endpoint {settings.deploy.endpoint}: there is nothing to delete")
    return 0


def removal(aws: Aws, name: str) -> list[Call]:
    """Plan the removal of the endpoint *name*, its configs and models: what exists of them."""
    found = lookup.deployed(aws.sagemaker, name)
    endpoint = name if found.status not in {None, "Deleting"} else None
    return plan.deletion(endpoint=endpoint, configs=found.configs, models=found.models)


def _name(call: Call) -> str:
    (name,) = call.request.values()
    return str(name)
