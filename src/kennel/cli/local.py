"""
``kennel local``: the AWS API on this machine, and any command run against it.

What makes a command local is its environment and nothing else: ``commands_environment`` says which.
"""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Collection, Mapping
from dataclasses import asdict

from kennel import contract
from kennel import settings as sources
from kennel.cli import hints, show
from kennel.errors import MissingToolError
from kennel.jobs import images
from kennel.local import daemon, disk, rehearsal
from kennel.local import environment as clients
from kennel.local.daemon import Address, Status
from kennel.local.ecr.registry import Registry
from kennel.local.wire.context import ACCOUNT_ID, DEFAULT_REGION
from kennel.settings import Settings

# What AWS would have to be told and this machine only notes. Set where the settings leave it open.
STAND_INS = {
    "KENNEL_AWS_ROLE": "arn:aws:iam::000000000000:role/kennel-local",
    "KENNEL_IMAGES_TRAIN": "kennel-train",
    "KENNEL_IMAGES_SERVE": "kennel-serve",
}

RECORD = "images.json"  # in the state folder: of the images that were pushed to its registry


def start(args: argparse.Namespace) -> int:
    """Start the server, if it does not run, and print its address."""
    settings = _settings(args)
    address = started(settings, port=args.port, runtime=args.runtime)
    show.talk("started" if address.started else "it runs already")
    show.talk('point a shell at it: eval "$(kennel local env)"')
    show.result(address.url)
    return 0


def stop(args: argparse.Namespace) -> int:
    """Stop the server; stopping one that does not run is no error."""
    state = _settings(args).local.state.absolute()
    stopped = daemon.stop(state, everything=args.all)
    show.talk("stopped" if stopped else "no local server runs")
    found = daemon.status(state)
    if left := going_on(found):
        show.talk(f"{left} going on; kennel local stop --all ends that, too")
    if waiting := to_go_on(found):
        show.talk(f"{waiting} when a server starts again; kennel local stop --all stops that, too")
    return 0


def status(args: argparse.Namespace) -> int:
    """Say whether the server runs, where, and how much it keeps; exit code 1 where it does not."""
    found = daemon.status(_settings(args).local.state)
    about = asdict(found) | {"url": found.address.url if found.address else None}
    del about["address"]
    size = disk.occupied(found.state)
    if args.json:
        show.result(json.dumps(about | {"bytes": size}, default=str))
    else:
        about["size"] = kept(size)
        rows = [(key.replace("_", " "), str(v)) for key, v in about.items() if v is not None]
        show.result(show.columns(rows))
    return 0 if found.running else 1


def kept(size: int) -> str:
    """Say how many bytes the state folder takes, and how to have some of them back."""
    if not size:
        return show.size(size)
    command = "kennel local run -- aws s3 rm --recursive s3://BUCKET/PREFIX"
    return f"{show.size(size)}, kept until you delete it: {hints.typed(command)}"


def env(args: argparse.Namespace) -> int:
    """Print what points a shell at the server."""
    settings = _settings(args)
    added = daemon.environment(settings.local.state.absolute()) | own_variables(settings)
    show.result(exports(added, clients.unset(os.environ)))
    return 0


def run(args: argparse.Namespace) -> int:
    """Become the command, pointed at the server, which is started if need be."""
    settings = _settings(args)
    environment = commands_environment(settings, started(settings), os.environ)
    options = ["--settings", str(args.settings)] if args.settings else []
    environment[hints.VARIABLE] = hints.local_run(options)
    sys.stdout.flush()
    try:
        os.execvpe(args.argv[0], args.argv, environment)  # noqa: S606 - the user's own command
    except OSError as error:
        raise MissingToolError(f"cannot run {args.argv[0]}: {error.strerror}") from error


def interrupt(args: argparse.Namespace) -> int:
    """Do to a training job what a Spot interruption does."""
    rehearsal.interrupt(_settings(args).local.state, args.job, args.away)
    show.talk(
        f"{args.job} is interrupted: it has {contract.STOP_GRACE_S} s to save what it has, and"
        f" starts again {args.away:g} s after that\nwatch it: kennel logs {args.job} --follow"
    )
    return 0


def logs(args: argparse.Namespace) -> int:
    """Print the server's own log."""
    path = daemon.status(_settings(args).local.state).log
    if path.exists():
        sys.stdout.writelines(path.open(encoding="utf-8", errors="replace"))
    else:
        show.talk(f"there is no {path} yet")
    return 0


def started(settings: Settings, *, port: int | None = None, runtime: str | None = None) -> Address:
    """Start the server unless it runs; one that runs need only be as the arguments ask."""
    local = settings.local
    is_running = daemon.is_running(local.state)
    if port is None:
        port = 0 if is_running else local.port
    if runtime is None:
        runtime = (is_running and daemon.status(local.state).runtime) or local.runtime
    registry = Registry(local.registry, local.registry_user, local.registry_password)
    return daemon.start(local.state, port, runtime, registry)


def going_on(status: Status) -> str:
    """Say what runs on without a server; nothing where nothing does."""
    counts = {
        ("training job", "training jobs"): status.training_jobs,
        ("endpoint process", "endpoint processes"): status.endpoints,
    }
    return " and ".join(
        f"{count} {one if count == 1 else several}"
        for (one, several), count in counts.items()
        if count
    )


def to_go_on(status: Status) -> str:
    """Say what only the next server goes on with; nothing where there is nothing."""
    count = status.tuning_jobs
    one_or_several = "tuning job goes" if count == 1 else "tuning jobs go"
    return f"{count} {one_or_several} on" if count else ""


def commands_environment(
    settings: Settings, address: Address, environment: Mapping[str, str]
) -> dict[str, str]:
    """Return *environment* as a command needs it that shall talk to the local server."""
    return clients.applied(address.url, environment) | own_variables(settings)


def own_variables(settings: Settings) -> dict[str, str]:
    """Return where the record of images is that were pushed here, and stand-ins."""
    record = settings.local.state.absolute() / RECORD
    region = settings.aws.region or DEFAULT_REGION
    pushed = images.read(record).get(images.place(ACCOUNT_ID, region), {})
    return {"KENNEL_IMAGES_RECORD": str(record), **stand_ins(settings, pushed)}


def stand_ins(settings: Settings, pushed: Collection[str] = ()) -> dict[str, str]:
    """
    Return stand-ins for what is left open: the role and the images.

    Args:
        pushed: The repositories whose images were pushed here, and need no stand-in.
    """
    train = settings.images.train or images.TRAIN in pushed
    serve = settings.images.serve or images.SERVE in pushed
    named = zip(STAND_INS.items(), (settings.aws.role, train, serve), strict=True)
    return {name: stand_in for (name, stand_in), value in named if not value}


def exports(added: Mapping[str, str], removed: list[str]) -> str:
    """Write the lines that a shell evaluates."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in added.items()]
    return "\n".join([*(f"unset {name}" for name in removed), *lines])


def _settings(args: argparse.Namespace) -> Settings:
    return sources.load(file=args.settings)
