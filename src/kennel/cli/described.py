"""``kennel jobs`` and ``describe``: which training jobs there are, and what is known of one."""

import argparse
import json
from datetime import UTC, datetime

from kennel.cli import context, job_view, reported, show
from kennel.errors import JobError
from kennel.jobs import lookup
from kennel.jobs.failures import explained
from kennel.jobs.lookup import Answer


@explained()
def jobs(args: argparse.Namespace) -> int:
    """List kennel's training jobs."""
    aws = context.aws(context.settings(args))
    found = lookup.jobs(aws.sagemaker, most=args.most)
    if args.json:
        show.result(json.dumps(found, default=_text, indent=2))
        return 0
    if not found:
        show.talk("no training jobs yet: kennel train")
        return 0
    rows = [(j["TrainingJobName"], j["TrainingJobStatus"], _created(j), _took(j)) for j in found]
    show.result(show.columns([("job", "status", "created", "took"), *rows]))
    return 0


def _created(job: Answer) -> str:
    return f"{job['CreationTime'].astimezone():%Y-%m-%d %H:%M:%S}"


def _took(job: Answer) -> str:
    end = job.get("TrainingEndTime") or datetime.now(UTC)
    return show.duration((end - job["CreationTime"]).total_seconds())


@explained()
def describe(args: argparse.Namespace) -> int:
    """Show a training job, or else the endpoint of that name."""
    aws = context.aws(context.settings(args))
    name = args.name or lookup.latest(aws.sagemaker)
    endpoint = None
    try:
        described = lookup.job(aws.sagemaker, name)
    except JobError:
        endpoint = lookup.endpoint(aws.sagemaker, name)
        if endpoint is None:
            raise
        described = endpoint
    if args.json:
        described.pop("ResponseMetadata", None)
        show.result(json.dumps(described, default=_text, indent=2))
    elif endpoint:
        show.result(job_view.endpoint(endpoint))
    else:
        stopped_by = reported.stopped_by(reported.FOLDER / name)
        show.result(job_view.text(described, stopped_by=stopped_by))
    return 0


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
