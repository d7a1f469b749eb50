"""``kennel results``: the pictures and figures that a training has left beside its model."""

import argparse
import json
from pathlib import Path

from kennel.cli import context, show
from kennel.jobs import lookup, storage
from kennel.jobs.failures import explained

FOLDER = Path(".kennel/results")


@explained()
def results(args: argparse.Namespace) -> int:
    """Fetch and unpack a job's output.tar.gz; print its files."""
    aws = context.aws(context.settings(args))
    name = args.job or lookup.latest(aws.sagemaker, status="Completed")
    archive = storage.outputs(lookup.job(aws.sagemaker, name))
    show.talk(f"{archive}")
    files = sorted(storage.unpack(aws.s3, archive, args.to or FOLDER / name))
    if args.json:
        show.result(json.dumps({"job": name, "files": [str(path) for path in files]}))
    else:
        show.result("\n".join(str(path) for path in files))
    return 0
