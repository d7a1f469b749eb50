"""
``kennel images``: which images train and deploy take, and what scripts/push_ecr.sh asks of ECR.

Docker moves the layers; the script drives it.
"""

import argparse
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime

from kennel.cli import context, effects, outdated, show
from kennel.errors import JobError, MissingToolError, SettingsError
from kennel.jobs import images as pushed_images
from kennel.jobs import registry
from kennel.jobs.aws import Aws
from kennel.jobs.failures import explained
from kennel.jobs.images import Choice, Image
from kennel.settings import Settings

LOGIN_TIMEOUT_S = 60
NOTHING = "-"  # where a line for the script has no value


@explained()
def show_images(args: argparse.Namespace) -> int:
    """Print the images that train and deploy would take, and why."""
    settings = context.settings(args)
    named = settings.images.train and settings.images.serve
    pushed = {} if named else recorded(settings, lambda: context.aws(settings))
    choices = {
        "train": pushed_images.for_training(settings, pushed),
        "deploy": pushed_images.for_serving(settings, pushed),
    }
    if args.json:
        found = {name: {"image": c.uri, "reason": c.reason} for name, c in choices.items()}
        show.result(json.dumps(found, indent=2))
    else:
        rows = [(name, choice.uri or "none", choice.reason) for name, choice in choices.items()]
        show.result(show.columns([("command", "image", "why"), *rows]))
    for choice in choices.values():
        if note := outdated.note(settings, choice.uri):
            show.talk(note)
    return 0


def for_training(settings: Settings, aws: Aws) -> tuple[Settings, str]:
    """Return *settings* with the image that a training job takes, and what to say of it."""
    pushed = {} if settings.images.train else recorded(settings, lambda: aws)
    choice = pushed_images.for_training(settings, pushed)
    said = _said(_checked("train", choice, aws), outdated.note(settings, choice.uri))
    return replace(settings, images=replace(settings.images, train=choice.uri)), said


def for_serving(settings: Settings, aws: Aws) -> tuple[Settings, str]:
    """Return *settings* with the image that an endpoint takes, and what to say of it."""
    pushed = {} if settings.images.serve else recorded(settings, lambda: aws)
    choice = pushed_images.for_serving(settings, pushed)
    said = _said(_checked("serve", choice, aws), outdated.note(settings, choice.uri))
    return replace(settings, images=replace(settings.images, serve=choice.uri)), said


def recorded(settings: Settings, open_aws: Callable[[], Aws]) -> Mapping[str, Image]:
    """Return what was pushed to this account and region; AWS is asked which, if there is any."""
    record = pushed_images.read(settings.images.record)
    if not record:
        return {}
    aws = open_aws()
    return record.get(pushed_images.place(aws.account, aws.region), {})


def _said(*texts: str | None) -> str:
    return "\n".join(filter(None, texts))


def _checked(purpose: str, choice: Choice, aws: Aws) -> str:
    """
    Say which image it is and why.

    Raises:
        SettingsError: It was pushed, and ECR does not have it any more.
    """
    said = f"{purpose} image {choice.uri}\n  {choice.reason}"
    if choice.uri is None or not choice.recorded:
        return said  # where there is none, kennel.jobs.compose says what to do
    there = registry.is_there(aws.ecr, choice.uri)
    if there is None:
        return f"{said}; whether ECR still has it is not known"
    if not there:
        raise SettingsError(
            f"ECR does not have the {purpose} image any more: {choice.uri}",
            expected=f"an image that is there; this one was {choice.reason}",
            remedy=f"make push again, or name another as [images] {purpose}",
        )
    return said


@explained()
def prepare(args: argparse.Namespace) -> int:
    """Make what the repositories lack; print each one's URI, and what it has under the tag."""
    aws = context.aws(context.settings(args))
    executor = effects.executor(aws, dry_run=args.dry_run)
    for name in args.repositories:
        found = registry.find(aws.ecr, name)
        has_policy = found is not None and registry.has_policy(aws.ecr, name)
        calls = registry.preparation(name, exists=found is not None, has_policy=has_policy)
        executor.send(calls)
        if args.dry_run:
            continue
        if found is None:
            show.talk(f"made the repository {name}")
            found = registry.find(aws.ecr, name) or {}
        elif found.get("imageTagMutability") != "IMMUTABLE":
            show.talk(f"note: tags of the repository {name} can be overwritten: it was made so")
        image = registry.pushed(aws.ecr, name, args.tag)
        there = (image.digest, image.config or image.digest) if image else (NOTHING, NOTHING)
        show.result(" ".join((name, found["repositoryUri"], *there)))
    return 0


@explained()
def login(args: argparse.Namespace) -> int:
    """Log Docker in to the registry of the account and region, for twelve hours."""
    found = registry.login(context.aws(context.settings(args)).ecr)
    named = os.environ.get("DOCKER", "docker")
    docker = shutil.which(named)
    if docker is None:
        raise MissingToolError(f"{named} is not installed", remedy="apt-get install -y docker.io")
    command = [docker, "login", "--username", found.user, "--password-stdin", found.registry]
    try:
        done = subprocess.run(  # noqa: S603 - docker, with values of AWS's own
            command,
            input=found.password,
            capture_output=True,
            text=True,
            timeout=LOGIN_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        problem = f"the registry {found.registry} does not answer within {LOGIN_TIMEOUT_S} s"
        raise JobError(problem, remedy="check the network, and try again") from error
    if done.returncode != 0:
        raise JobError(
            f"docker cannot log in to {found.registry}: {done.stderr.strip()}",
            remedy="for a registry of your own: KENNEL_LOCAL_REGISTRY_USER and "
            "KENNEL_LOCAL_REGISTRY_PASSWORD, then kennel local stop, and again",
        )
    show.talk(f"logged in to {found.registry}")
    return 0


@explained()
def record(args: argparse.Namespace) -> int:
    """Note what ECR has under the tag, for train and deploy; print the images."""
    settings = context.settings(args)
    aws = context.aws(settings)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    found = {name: _pushed(aws, name, args.tag, now) for name in args.repositories}
    path = settings.images.record
    pushed_images.write(path, pushed_images.place(aws.account, aws.region), found)
    show.talk(f"recorded in {show.near(path)}: train and deploy take them")
    for setting in pushed_images.named_otherwise(settings):
        show.talk(f"note: {setting} is set, and wins")
    if args.json:
        show.result(json.dumps({name: asdict(image) for name, image in found.items()}, indent=2))
    else:
        show.result("\n".join(image.uri for image in found.values()))
    return 0


def _pushed(aws: Aws, name: str, tag: str, now: str) -> Image:
    repository, image = registry.find(aws.ecr, name), None
    if repository is not None:
        image = registry.pushed(aws.ecr, name, tag)
    if repository is None or image is None:
        raise JobError(f"ECR has no image {name}:{tag}", remedy="make push")
    return Image(f"{repository['repositoryUri']}@{image.digest}", tag, now)
