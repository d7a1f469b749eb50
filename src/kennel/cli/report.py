"""``kennel report``: what a job was like, and two jobs side by side."""

import argparse
import json
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from kennel import contract
from kennel.cli import context, report_view, reported, show
from kennel.cli.reported import Report
from kennel.errors import SettingsError
from kennel.jobs import lookup
from kennel.jobs.aws import Aws
from kennel.jobs.failures import explained
from kennel.reports import comparison, sides
from kennel.reports.sides import Side

TWO = 2


@explained()
def report(args: argparse.Namespace) -> int:
    """Make the report of a job, or the comparison of two."""
    _require_one_or_two(args.jobs)
    aws = context.aws(context.settings(args))
    names = args.jobs or [lookup.latest(aws.sagemaker)]
    if len(names) == TWO:
        return _compare(aws, names, args)
    made = fetched(aws, names[0], args.to or reported.FOLDER / names[0])
    whole = report_view.document(made)
    show.result(json.dumps(whole, indent=2) if args.json else report_view.text(made))
    if args.open:
        opened(made.pages)
    return 0


def _require_one_or_two(jobs: Sequence[str]) -> None:
    if len(jobs) > TWO or (len(jobs) == TWO and jobs[0] == jobs[1]):
        raise SettingsError(
            f"kennel report {' '.join(jobs)}",
            expected="one job, or two to be compared",
            remedy="kennel jobs, which lists them",
        )


def fetched(aws: Aws, name: str, folder: Path) -> Report:
    """Make the report of the job *name* in *folder*, and say if the job still runs."""
    described = lookup.job(aws.sagemaker, name)
    made = reported.made(aws, described, folder)
    if made.status not in contract.TRAINING_ENDED:
        show.talk(f"training job {name} still runs: this is what there is of it so far")
    return made


def _compare(aws: Aws, names: Sequence[str], args: argparse.Namespace) -> int:
    below = args.to or reported.FOLDER
    made = [fetched(aws, name, below / name) for name in names]
    page = below / f"{names[0]}-{names[1]}.html"
    page.write_text(comparison.html([(one.job, one.folder) for one in made]), encoding="utf-8")
    a, b = (Side.read(letter, one.job, one.folder) for letter, one in zip("AB", made, strict=True))
    said = list(sides.verdict(a, b))
    if args.json:
        both = [report_view.document(one) for one in made]
        whole = {"page": str(page), "verdict": said, "jobs": both}
        show.result(json.dumps(whole, indent=2))
    else:
        show.result(report_view.compared(made, said))
        show.result(f"report: {show.near(page.absolute())}")
    if args.open:
        opened([page])
    return 0


def opened(pages: Sequence[Path]) -> None:
    """Show *pages* in the browser; where none can be opened, say so."""
    shown = [webbrowser.open(page.absolute().as_uri()) for page in pages]
    if not all(shown):
        show.talk("no browser could be opened: open the files yourself")
