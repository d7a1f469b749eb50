"""Options that several commands have, and how their values are read."""

import argparse
from pathlib import Path
from typing import TypeAlias

from kennel.cli.usage import Parser

Commands: TypeAlias = "argparse._SubParsersAction[Parser]"  # noqa: SLF001 - it has no public name

DEFAULT = "default: %(default)s"


def positive(text: str) -> int:
    """Read a whole number above 0, for argparse."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def hyperparameters() -> list[str]:
    """Return the names that --set takes."""
    from kennel.training import hyperparameters  # noqa: PLC0415 - needed after a mistake alone

    return [row.name for row in hyperparameters.describe()]


def settings(sub: argparse.ArgumentParser) -> None:
    """Add --settings, of what goes by kennel.toml."""
    sub.add_argument(
        "--settings",
        type=Path,
        metavar="FILE",
        help="default: kennel.toml here or in a folder above",
    )


def endpoint(sub: argparse.ArgumentParser) -> None:
    """Add --endpoint, of what has to do with one."""
    sub.add_argument("--endpoint", metavar="NAME", help="default: [deploy] endpoint")


def dry_run(sub: argparse.ArgumentParser, *, uploads: bool = False) -> None:
    """Add --dry-run, of what changes something in AWS; *uploads*: of what may send files too."""
    counted = (
        "; uploads are counted, with --json printed too. What AWS has already is looked up, so it "
        "takes credentials (or kennel local run --)"
        if uploads
        else ""
    )
    sub.add_argument(
        "--dry-run", action="store_true", help=f"print the requests, send none{counted}"
    )


def json(sub: argparse.ArgumentParser) -> None:
    """Add --json, of what prints a table or a result."""
    sub.add_argument("--json", action="store_true", help="print JSON")


def most(sub: argparse.ArgumentParser) -> None:
    """Add --most, of a list."""
    sub.add_argument("--most", type=positive, default=20, metavar="N", help=DEFAULT)


def data(sub: argparse.ArgumentParser) -> None:
    """Add --data, of a training."""
    sub.add_argument("--data", metavar="NAME|DIR|S3", help="a staged dataset, a folder, or s3://…")


def weights(sub: argparse.ArgumentParser) -> None:
    """Add --weights, of a training."""
    sub.add_argument("--weights", metavar="FILE|imagenet|none", help="what the model starts from")


def instances(sub: argparse.ArgumentParser) -> None:
    """Add --instance-type and --spot, of a training."""
    sub.add_argument("--instance-type", metavar="TYPE")
    sub.add_argument("--spot", action=argparse.BooleanOptionalAction, help="spare capacity")


def repeatable(
    sub: argparse.ArgumentParser, flag: str, metavar: str, dest: str, help_: str
) -> None:
    """Add an option that may be given again; its values are a list, empty by default."""
    sub.add_argument(flag, action="append", default=[], metavar=metavar, dest=dest, help=help_)
