"""
What can be typed, and the one error boundary.

Describes every command and imports none of their modules, so that ``kennel --help`` is quick: the
function that runs a command is named here and looked up when it is needed. The commands of a search
are described in ``tuning_parser``, those that look at how a training went in ``watching_parser``.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

from kennel.cli import hints, options, tuning_parser, watching_parser
from kennel.cli.options import DEFAULT, Commands, positive
from kennel.cli.usage import Parser
from kennel.contract import INFERENCE_AMI_DRIVERS
from kennel.errors import KennelError

AWAY_S = 2  # without Spot capacity, after an interruption
RUNTIMES = ("auto", "docker", "process")
INTERRUPTED = 130  # 128 + SIGINT, as shells count


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    args = parser().parse_args(argv)
    try:
        return command(args.run)(args)
    except KennelError as error:
        sys.stderr.write(f"error: {hints.typed(str(error))}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted\n")
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def command(name: str) -> Callable[[argparse.Namespace], int]:
    """Return the function of ``module.function`` in this room."""
    module, _, function = name.partition(".")
    found: Callable[[argparse.Namespace], int] = getattr(
        importlib.import_module(f"kennel.cli.{module}"), function
    )
    return found


def parser() -> Parser:
    """Describe every command. Each says what it needs and no more."""
    root = Parser(
        prog="kennel",
        description="Train, deploy and query image classifiers on Amazon SageMaker, or here.",
        epilog="kennel local run -- kennel COMMAND … runs any of them on this machine instead.",
    )
    root.add_argument("--version", action="version", version=metadata.version("kennel"))
    commands = root.add_subparsers(metavar="COMMAND", required=True)
    _data(commands)
    _training(commands)
    watching_parser.add(commands)
    tuning_parser.add(commands)
    _endpoints(commands)
    _images(commands)
    _check(commands)
    _local(commands)
    _demo(commands)
    return root


def _data(commands: Commands) -> None:
    group = commands.add_parser("data", help="make, check and upload datasets")
    data = group.add_subparsers(metavar="COMMAND", required=True)

    digits = data.add_parser("digits", help="write the handwritten digits as folders of pictures")
    digits.add_argument("folder", type=Path, metavar="DIR")
    digits.add_argument("--size", type=positive, default=32, metavar="PX", help=DEFAULT)
    digits.set_defaults(run="data.digits")

    check = data.add_parser("check", help="decode every picture and say what is wrong")
    check.add_argument("folder", type=Path, metavar="DIR")
    options.json(check)
    check.set_defaults(run="data.check")

    stage = data.add_parser("stage", help="upload a dataset; a second run uploads what changed")
    stage.add_argument("folder", type=Path, nargs="?", metavar="DIR", help="default: [data] folder")
    stage.add_argument("--name", help="its name in the bucket; default: the folder's name")
    stage.add_argument(
        "--prune", action="store_true", help="delete from the bucket what the folder does not have"
    )
    options.settings(stage)
    options.dry_run(stage, uploads=True)
    options.json(stage)
    stage.set_defaults(run="data.stage")


def _training(commands: Commands) -> None:
    train = commands.add_parser("train", help="start a training job and follow it")
    train.settable = options.hyperparameters
    options.data(train)
    train.add_argument(
        "--resume",
        metavar="JOB",
        help="go on where JOB has ended, with its own request; --set epochs=N trains for longer",
    )
    train.add_argument(
        "--like",
        metavar="JOB",
        help="a new job with JOB's request: its data, image, machines, hyperparameters; --set "
        "changes some",
    )
    tuned = train.add_mutually_exclusive_group()
    tuned.add_argument("--from-tuning", metavar="JOB", help="with the best values of a tuning job")
    tuned.add_argument(
        "--tuned",
        action="store_true",
        help="with the best values of the last kennel tune here, if it was of such a training",
    )
    options.weights(train)
    options.repeatable(
        train,
        "--set",
        "NAME=VALUE",
        "hyperparameters",
        "a hyperparameter; may be given again (kennel hyperparameters lists them)",
    )
    train.add_argument(
        "--profile",
        action=argparse.BooleanOptionalAction,
        help="measure where its time goes, and judge what it learns: [profile] and [debug]",
    )
    train.add_argument("--name", help="of the job; default: one of its model and the time")
    options.instances(train)
    train.add_argument(
        "--no-wait", action="store_false", dest="wait", help="start it and do not follow it"
    )
    options.settings(train)
    options.dry_run(train, uploads=True)
    options.json(train)
    train.set_defaults(run="training.train")

    table = commands.add_parser("hyperparameters", help="list what --set can set")
    options.json(table)
    table.set_defaults(run="training.list_hyperparameters")

    logs = commands.add_parser("logs", help="print the log of a job or an endpoint")
    logs.add_argument("job", nargs="?", metavar="JOB", help="default: the latest")
    logs.add_argument("--endpoint", metavar="NAME", help="an endpoint's log instead")
    logs.add_argument("--follow", "-f", action="store_true", help="go on while there is more")
    options.settings(logs)
    logs.set_defaults(run="logs.logs")

    jobs = commands.add_parser("jobs", help="list the training jobs, newest first")
    options.most(jobs)
    options.settings(jobs)
    options.json(jobs)
    jobs.set_defaults(run="described.jobs")

    describe = commands.add_parser("describe", help="show a training job or an endpoint")
    describe.add_argument("name", nargs="?", metavar="NAME", help="default: the latest job")
    options.settings(describe)
    options.json(describe)
    describe.set_defaults(run="described.describe")

    results = commands.add_parser("results", help="fetch the pictures and figures of a job")
    results.add_argument("job", nargs="?", metavar="JOB", help="default: the latest that completed")
    results.add_argument("--to", type=Path, metavar="DIR", help="default: .kennel/results/JOB")
    options.settings(results)
    options.json(results)
    results.set_defaults(run="results.results")

    stop = commands.add_parser("stop", help="stop a training job; what it has learnt is kept")
    stop.add_argument("job", nargs="?", metavar="JOB", help="default: the one that runs")
    options.settings(stop)
    options.dry_run(stop)
    stop.set_defaults(run="training.stop")


def _endpoints(commands: Commands) -> None:
    deploy = commands.add_parser("deploy", help="put a trained model behind an endpoint")
    deploy.add_argument(
        "source", nargs="?", metavar="JOB|S3", help="default: the latest job that completed"
    )
    options.endpoint(deploy)
    deploy.add_argument("--instance-type", metavar="TYPE")
    deploy.add_argument("--no-wait", action="store_false", dest="wait")
    options.settings(deploy)
    options.dry_run(deploy)
    options.json(deploy)
    deploy.set_defaults(run="endpoints.deploy")

    predict = commands.add_parser("predict", help="classify pictures with an endpoint")
    predict.add_argument(
        "images", nargs="+", type=Path, metavar="IMAGE", help="pictures, or folders of pictures"
    )
    options.endpoint(predict)
    predict.add_argument("--top", type=positive, default=5, metavar="K", help=DEFAULT)
    options.settings(predict)
    options.json(predict)
    predict.set_defaults(run="endpoints.predict")

    delete = commands.add_parser("delete", help="delete an endpoint, its configs and its models")
    options.endpoint(delete)
    options.settings(delete)
    options.dry_run(delete)
    delete.set_defaults(run="endpoints.delete")


def _images(commands: Commands) -> None:
    group = commands.add_parser("images", help="show which images train and deploy take")
    options.settings(group)
    options.json(group)
    group.set_defaults(run="images.show_images")
    images = group.add_subparsers(metavar="COMMAND")

    prepare = images.add_parser("prepare", help="make the ECR repositories that are missing")
    record = images.add_parser("record", help="let train and deploy take what ECR has under a tag")
    login = images.add_parser("login", help="log Docker in to ECR")
    for one in (prepare, record):
        one.add_argument("repositories", nargs="+", metavar="NAME")
        one.add_argument("--tag", required=True, help="the commit that the images were built from")
    options.dry_run(prepare)
    options.json(record)
    for name, one in {"prepare": prepare, "record": record, "login": login}.items():
        options.settings(one)
        one.set_defaults(run=f"images.{name}")


def _check(commands: Commands) -> None:
    check = commands.add_parser("check", help="run an image as SageMaker would, and judge it")
    check.add_argument("image", metavar="IMAGE", help="one that the Docker engine here has")
    check.add_argument("--train", action="store_true", help="check what it does with train")
    check.add_argument("--serve", action="store_true", help="check what it does with serve")
    check.add_argument(
        "--no-run", action="store_false", dest="run_image", help="look at it, and do not run it"
    )
    check.add_argument(
        "--data", type=Path, metavar="DIR", help="a folder for each channel; default: a few PNGs"
    )
    options.repeatable(
        check,
        "--set",
        "NAME=VALUE",
        "hyperparameters",
        "a hyperparameter of the training; may be given again",
    )
    check.add_argument(
        "--model", type=Path, metavar="model.tar.gz", help="to serve; default: what it has trained"
    )
    check.add_argument("--request", type=Path, metavar="FILE", help="an invocation that it takes")
    check.add_argument("--content-type", default="application/x-image", help=DEFAULT)
    options.repeatable(
        check, "--env", "NAME=VALUE", "environment", "a variable of the server; may be given again"
    )
    check.add_argument("--instance-type", metavar="TYPE", help="whose driver must run its CUDA")
    check.add_argument(
        "--inference-ami-version",
        metavar="NAME",
        choices=sorted(INFERENCE_AMI_DRIVERS),
        help="of the endpoint's variant",
    )
    check.add_argument(
        "--timeout", type=positive, default=1800, metavar="S", help=f"of a training; {DEFAULT}"
    )
    check.add_argument("--strict", action="store_true", help="exit 1 on warnings as well")
    options.json(check)
    check.set_defaults(run="check.image")


def _local(commands: Commands) -> None:
    group = commands.add_parser("local", help="the AWS API on this machine")
    local = group.add_subparsers(metavar="COMMAND", required=True)
    for name, help_ in {
        "start": "start the server, if it does not run",
        "stop": "stop the server; jobs and endpoints go on, objects are kept",
        "status": "say whether it runs, and where",
        "env": 'print what points a shell at it: eval "$(kennel local env)"',
        "logs": "print the server's own log",
    }.items():
        one = local.add_parser(name, help=help_)
        options.settings(one)
        one.set_defaults(run=f"local.{name}")
        if name == "start":
            one.add_argument("--port", type=int, help="default: [local] port; 0: any that is free")
            one.add_argument(
                "--runtime",
                choices=RUNTIMES,
                help="how images run; default: [local] runtime; auto: docker if it has the image",
            )
        if name == "stop":
            one.add_argument("--all", action="store_true", help="stop jobs and endpoints as well")
        if name == "status":
            options.json(one)
    interrupt = local.add_parser(
        "interrupt", help="take back a job's Spot instances, as AWS may at any moment"
    )
    options.settings(interrupt)
    interrupt.add_argument("job", metavar="JOB", help="a training job on Spot that is training")
    interrupt.add_argument(
        "--away",
        type=float,
        default=AWAY_S,
        metavar="SECONDS",
        help=f"how long there is no capacity then; default: {AWAY_S:g}",
    )
    interrupt.set_defaults(run="local.interrupt")
    run = local.add_parser("run", help="run a command against it: kennel local run -- kennel train")
    options.settings(run)
    run.add_argument("argv", nargs="+", metavar="CMD")
    run.set_defaults(run="local.run")


def _demo(commands: Commands) -> None:
    demo = commands.add_parser("demo", help="from pictures to predictions, on this machine alone")
    demo.add_argument("--data", type=Path, metavar="DIR", help="default: the handwritten digits")
    demo.add_argument("--weights", type=Path, metavar="FILE", help="what the model starts from")
    demo.add_argument("--model", metavar="NAME", help="default: as the weights' name begins")
    demo.add_argument(
        "--tune", action="store_true", help="search hyperparameters first, inside one training job"
    )
    demo.add_argument(
        "--runtime",
        choices=RUNTIMES,
        default=RUNTIMES[0],
        help="auto: containers where an engine has both images, else processes",
    )
    demo.add_argument(
        "--folder", type=Path, default=Path(".kennel/demo"), metavar="DIR", help=DEFAULT
    )
    demo.set_defaults(run="demo.demo")
