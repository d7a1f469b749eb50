"""``kennel data``: make, check and upload datasets."""

import argparse
import json
import time
from collections.abc import Sequence

from kennel.cli import context, effects, show
from kennel.cli.inputs import Inputs
from kennel.datasets.stage import Staging
from kennel.jobs import plan
from kennel.jobs.failures import explained
from kennel.jobs.storage import Location


def digits(args: argparse.Namespace) -> int:
    """Write the embedded demonstration set."""
    from kennel.datasets.digits import write  # noqa: PLC0415 - imports NumPy

    write(args.folder, args.size)
    show.result(str(args.folder))
    return 0


def check(args: argparse.Namespace) -> int:
    """Judge a dataset; exit code 1 where a training could not use it."""
    from kennel.datasets.check import check as judged  # noqa: PLC0415 - imports Pillow

    report = judged(args.folder)
    show.result(json.dumps(report.to_dict(), indent=2) if args.json else str(report))
    return 0 if report.ok else 1


@explained()
def stage(args: argparse.Namespace) -> int:
    """Upload what has changed of a dataset."""
    start = time.monotonic()
    settings = context.settings(args, data={"name": args.name})
    aws = context.aws(settings)
    executor = effects.executor(aws, dry_run=args.dry_run, as_json=args.json)
    inputs = Inputs(settings, aws, executor)
    # The name in kennel.toml is that of the folder there, not of any other.
    name = args.name if args.folder else settings.data.name
    location, found = inputs.stage(args.folder or settings.data.folder, name)
    if args.prune:
        executor.send(plan.pruning(location.bucket, found.stale))
    elif found.stale:
        show.talk(_stale(found, location))
    if not args.dry_run:
        seconds = time.monotonic() - start
        deleted = found.stale if args.prune else ()
        show.result(report(found, location, deleted, seconds, as_json=args.json))
    return 0


def _stale(found: Staging, location: Location) -> str:
    return (
        f"{len(found.stale)} objects at {location} are not in the folder, e.g. {found.stale[0]}: "
        "jobs will see them; --prune deletes them"
    )


def report(
    found: Staging, location: Location, deleted: Sequence[str], seconds: float, *, as_json: bool
) -> str:
    """Say what staging has done, for people or for scripts."""
    if as_json:
        report = {
            "dataset": str(location),
            "splits": list(found.splits),
            "uploaded": len(found.uploads),
            "unchanged": found.unchanged,
            "deleted": list(deleted),
            "skipped": [str(path) for path in found.skipped],
            "bytes": found.size,
            "seconds": round(seconds, 3),
        }
        return json.dumps(report)
    gone = f", {len(deleted)} deleted (e.g. {deleted[0]})" if deleted else ""
    return (
        f"{location}: {len(found.uploads)} files uploaded ({show.size(found.size)}), "
        f"{found.unchanged} unchanged{gone}, in {seconds:.1f} s"
    )
