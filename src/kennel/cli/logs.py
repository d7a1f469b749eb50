"""``kennel logs``: what a job or an endpoint has printed, and goes on to print."""

import argparse
import sys
import time
from itertools import count

from kennel.cli import context, show
from kennel.jobs import lookup, watch
from kennel.jobs.aws import Aws
from kennel.jobs.failures import explained
from kennel.jobs.watch import LogReader


@explained()
def logs(args: argparse.Namespace) -> int:
    """Print a log; with --follow, until the job has ended."""
    aws = context.aws(context.settings(args))
    if args.endpoint:
        return _endpoint(aws, args.endpoint, follow=args.follow)
    name = args.job or lookup.latest(aws.sagemaker)
    if not args.job:
        show.talk(f"the latest training job: {name}")
    lookup.job(aws.sagemaker, name)  # a wrong name is an error, not an empty log
    reader = watch.training_log(aws.logs, name)
    if not args.follow:
        _print(reader)
        return 0
    events = watch.training(aws.sagemaker, reader, name)
    watch.completed(show.follow(events, lines=sys.stdout))
    return 0


def _endpoint(aws: Aws, name: str, *, follow: bool) -> int:
    """Print an endpoint's log, which outlives it. To stop following is the user's to do."""
    reader = watch.endpoint_log(aws.logs, name)
    if not _print(reader) and lookup.endpoint(aws.sagemaker, name) is None:
        raise lookup.no_endpoint(aws.sagemaker, name)
    for looks in count() if follow else ():
        start = time.monotonic()
        _print(reader)
        time.sleep(watch.pause_s(time.monotonic() - start, looks))
    return 0


def _print(reader: LogReader) -> int:
    """Print the lines that are new; return how many they are."""
    lines = list(reader.new_lines())
    for line in lines:
        show.result(line.labelled)
    return len(lines)
