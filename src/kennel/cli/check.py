"""
``kennel check``: does an image keep SageMaker's contract?

Exit code 0: nothing failed; 1: something did; 2: nothing could be checked.
"""

import argparse
import json
import re
import signal
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from kennel.checking.check import Options, Told, check
from kennel.checking.cuda import Host
from kennel.checking.findings import Finding, Report, Status
from kennel.checking.limits import Limits
from kennel.cli import hints, show
from kennel.engine import connect
from kennel.errors import KennelError, SettingsError

if TYPE_CHECKING:
    from rich.console import Console

CANNOT = 2
_INSTANCE_TYPE = re.compile(r"ml\.[a-z0-9-]+\.[a-z0-9-]+")
COLOURS = {Status.PASS: "green", Status.FAIL: "bold red", Status.WARN: "yellow", Status.SKIP: "dim"}


def image(args: argparse.Namespace) -> int:
    """Check an image and print the report."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # removes the containers, as Ctrl-C
    try:
        report = _checked(args)
    except KennelError as error:
        show.talk(f"error: {error}")
        return CANNOT
    if args.json:
        show.result(json.dumps(report.to_dict(), indent=2))
    else:
        _print(report)
    bad = report.of(Status.FAIL) + (report.of(Status.WARN) if args.strict else [])
    return 1 if bad else 0


def _checked(args: argparse.Namespace) -> Report:
    options = _options(args)
    engine = connect()
    try:
        with show.status_line() as line:
            told = Told(say=lambda text: line(f"{args.image}: {text}"), found=lambda _: None)
            return check(engine, args.image, options, told, Limits(run=args.timeout))
    finally:
        engine.close()


def _options(args: argparse.Namespace) -> Options:
    if args.inference_ami_version and not args.instance_type:
        raise SettingsError(
            "--inference-ami-version alone does not say where the image runs",
            remedy="--instance-type ml.g5.xlarge",
        )
    if args.instance_type and not _INSTANCE_TYPE.fullmatch(args.instance_type):
        raise SettingsError(
            f"--instance-type {args.instance_type!r}", expected="one such as ml.g5.xlarge"
        )
    return Options(
        train=args.train,
        serve=args.serve,
        run=args.run_image,
        data=args.data,
        hyperparameters=_pairs("--set", args.hyperparameters),
        model=args.model,
        request=args.request,
        content_type=args.content_type,
        environment=_pairs("--env", args.environment),
        host=Host(args.instance_type, args.inference_ami_version) if args.instance_type else None,
    )


def _pairs(option: str, texts: Iterable[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise SettingsError(f"{option} {text!r}", expected="NAME=VALUE")
        pairs[name] = value
    return pairs


def _print(report: Report) -> None:
    """Print a table of all checks, then what to do about those that failed or warn."""
    from rich.console import Console  # noqa: PLC0415 - slow to import

    console = Console(width=show.width(), highlight=False, soft_wrap=False)
    console.print(f"{report.image}  {report.image_id[:19]}", markup=False)
    for part, why in report.parts.items():
        found = [finding for finding in report.findings if finding.check.part == part]
        console.print(f"\n[bold]{part}[/]: {why}")
        if found:
            console.print(_table(found))
    _advise(console, report.of(Status.FAIL) + report.of(Status.WARN))
    counts = ", ".join(f"{count} {status}" for status, count in report.counts().items())
    console.print(f"\n{counts}", markup=False)


def _table(findings: Sequence[Finding]) -> object:
    from rich.markup import escape  # noqa: PLC0415 - slow to import
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for status, evidence, ids in _rows(findings):
        more = f" and {len(ids) - 1} more" if len(ids) > 1 else ""
        table.add_row(f"[{COLOURS[status]}]{status}[/]", f"{ids[0]}{more}", escape(evidence))
    return table


def _rows(findings: Sequence[Finding]) -> list[tuple[Status, str, list[str]]]:
    """Return a row a finding; those that were skipped for one reason share one."""
    rows: list[tuple[Status, str, list[str]]] = []
    for finding in findings:
        row = (finding.status, finding.evidence, [finding.check.id])
        if rows and finding.status is Status.SKIP and rows[-1][:2] == row[:2]:
            rows[-1][2].append(finding.check.id)
        else:
            rows.append(row)
    return rows


def _advise(console: "Console", findings: Sequence[Finding]) -> None:
    from rich.padding import Padding  # noqa: PLC0415 - slow to import
    from rich.text import Text  # noqa: PLC0415

    if findings:
        console.print("\n[bold]what to do[/]")
    for finding in findings:
        console.print(f"{finding.check.id}", style=COLOURS[finding.status], markup=False)
        console.print(Padding(Text(finding.check.contract), (0, 0, 0, 2)))
        console.print(Padding(Text(f"try: {hints.typed(finding.remedy)}"), (0, 0, 0, 2)))
