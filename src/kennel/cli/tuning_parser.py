"""What can be typed to search hyperparameters; the rest of what can be is in ``parser``."""

import argparse
from pathlib import Path

from kennel.cli import options
from kennel.cli.options import Commands, positive

STRATEGIES = ("Bayesian", "Random", "Grid", "Hyperband")


def add(commands: Commands) -> None:
    """Describe ``kennel tune`` and ``kennel tuning``."""
    _tune(commands)
    _tuning(commands)


def _tune(commands: Commands) -> None:
    tune = commands.add_parser("tune", help="search hyperparameters and follow the search")
    tune.settable = options.hyperparameters
    options.data(tune)
    options.weights(tune)
    options.repeatable(
        tune,
        "--range",
        "NAME=RANGE",
        "ranges",
        "MIN..MAX, MIN..MAX:Logarithmic or A,B,C; added to [tune.ranges]",
    )
    options.repeatable(
        tune,
        "--set",
        "NAME=VALUE",
        "hyperparameters",
        "a hyperparameter of all trials; one that has a range is not searched then",
    )
    tune.add_argument("--strategy", metavar="|".join(STRATEGIES), help="default: [tune] strategy")
    tune.add_argument("--objective", metavar="METRIC", help="default: [tune] objective")
    tune.add_argument("--direction", choices=("Maximize", "Minimize"))
    tune.add_argument("--max-jobs", type=positive, metavar="N", help="trials in all")
    tune.add_argument("--parallel", type=positive, metavar="N", help="trials at a time")
    tune.add_argument(
        "--in-job",
        action=argparse.BooleanOptionalAction,
        help="all trials inside one training job: one start, one download, one instance",
    )
    options.repeatable(
        tune,
        "--from",
        "JOB",
        "parents",
        "begin with what an earlier tuning job has learnt; may be given again",
    )
    tune.add_argument(
        "--name",
        help="of the tuning job, kennel-tune-NAME then; NAME does for the other commands; "
        "default: one of the time",
    )
    options.instances(tune)
    tune.add_argument(
        "--wait",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="follow it; --no-wait: start it and return",
    )
    options.settings(tune)
    options.dry_run(tune, uploads=True)
    options.json(tune)
    tune.set_defaults(run="tuning.tune")


def _tuning(commands: Commands) -> None:
    group = commands.add_parser(
        "tuning", help="look at tuning jobs, stop them, use what they found"
    )
    tuning = group.add_subparsers(metavar="COMMAND", required=True)
    for name, help_ in {
        "show": "show a tuning job and its trials, running or ended",
        "stop": "stop a tuning job and its trials; what they have found is kept",
        "report": "write a report that a browser shows",
        "apply": "write the best values into kennel.toml",
    }.items():
        one = tuning.add_parser(name, help=help_)
        default = "the one that runs" if name == "stop" else "the latest"
        one.add_argument("job", nargs="?", metavar="JOB", help=f"default: {default}")
        options.settings(one)
        one.set_defaults(run=f"tuning_jobs.{name}_" if name == "show" else f"tuning_jobs.{name}")
        if name == "show":
            one.add_argument("--follow", "-f", action="store_true", help="until it has ended")
            options.json(one)
        if name == "report":
            one.add_argument("--output", "-o", type=Path, metavar="FILE", help="default: JOB.html")
            one.add_argument("--open", action="store_true", help="show it in the browser")
        if name == "stop":
            options.dry_run(one)
        if name == "apply":
            one.add_argument(
                "--all", action="store_true", help="those that all trials shared as well"
            )
            one.add_argument(
                "--dry-run", action="store_true", help="show what would be written, write nothing"
            )
    listed = tuning.add_parser("list", help="list the tuning jobs, newest first")
    options.most(listed)
    options.settings(listed)
    options.json(listed)
    listed.set_defaults(run="tuning_jobs.list_")
