"""What can be typed to look at how a training went; the rest of what can be is in ``parser``."""

from pathlib import Path

from kennel.cli import options
from kennel.cli.options import Commands


def add(commands: Commands) -> None:
    """Describe ``kennel report`` and ``kennel rules``."""
    _report(commands)
    _rules(commands)


def _report(commands: Commands) -> None:
    report = commands.add_parser(
        "report", help="say where a job's time went and what its rules found; compare two jobs"
    )
    report.add_argument(
        "jobs", nargs="*", metavar="JOB", help="one, or two to be compared; default: the latest"
    )
    report.add_argument("--open", action="store_true", help="show the pages in the browser")
    report.add_argument("--to", type=Path, metavar="DIR", help="default: .kennel/reports/JOB")
    options.settings(report)
    options.json(report)
    report.set_defaults(run="report.report")


def _rules(commands: Commands) -> None:
    rules = commands.add_parser(
        "rules", help="judge the tensors that a training has saved, whoever saved them"
    )
    rules.add_argument(
        "source",
        nargs="?",
        metavar="DIR|JOB|S3",
        help="a folder of smdebug's, a job, or s3://…; default: the latest job",
    )
    rules.add_argument(
        "--list", action="store_true", help="list the rules with their parameters and defaults"
    )
    options.repeatable(
        rules, "--rule", "NAME", "rules", "judge by this one; may be given again; default: all"
    )
    options.repeatable(
        rules,
        "--own",
        "FILE.py:CLASS",
        "own",
        "judge by a rule of your own, a subclass of smdebug.rules.Rule; may be given again",
    )
    options.repeatable(
        rules,
        "--set",
        "NAME=VALUE",
        "parameters",
        "a parameter of the one rule that is named, else RULE.NAME=VALUE; may be given again",
    )
    rules.add_argument(
        "--to",
        type=Path,
        metavar="DIR",
        help="where to put what is fetched; default: .kennel/tensors/JOB",
    )
    options.settings(rules)
    options.json(rules)
    rules.set_defaults(run="rules.rules")
