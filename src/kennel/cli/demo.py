"""
``kennel demo``: from pictures to predictions on this machine alone, through SageMaker's requests.

The steps are those of the commands beside this module, against a local server of the demo's own
(``stage_set``). What came of them is rendered in ``outcome``.
"""

import argparse
import json
import os
import shlex
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, count, islice, zip_longest
from pathlib import Path

from kennel.cli import (
    best_values,
    context,
    endpoints,
    hints,
    outdated,
    reported,
    show,
    training,
    tuning,
    tuning_view,
)
from kennel.cli.effects import Sender
from kennel.cli.inputs import Inputs, require_usable
from kennel.cli.local import STAND_INS
from kennel.cli.outcome import Example, Outcome
from kennel.cli.own_server import alone, own_server
from kennel.cli.reported import Report
from kennel.datasets import folders
from kennel.errors import MissingToolError, SettingsError
from kennel.jobs import lookup, naming, plan, predict, watch
from kennel.jobs.aws import Aws
from kennel.jobs.failures import explained
from kennel.jobs.lookup import Answer
from kennel.jobs.tunings import Job
from kennel.local.runtimes import choice
from kennel.settings import Aws as AwsSettings
from kennel.settings import Debug, Deploy, Images, Local, Profile, Range, Settings, Train, Tune
from kennel.training import hyperparameters
from kennel.tuning.trials import Tuning

ENDPOINT = "kennel-demo"
SHOWN = 10  # pictures to classify
# Small grey pictures, learnt from nothing: no step needs the network.
DIGITS = {"weights": "none", "image-size": "32", "augment": "none", "epochs": "4"}
# Photographs, with a trained backbone as it is: each picture goes through it once.
PHOTOGRAPHS = {"freeze": "true", "augment": "none", "epochs": "20"}
# A search before the training: of few short trials where each goes through the whole network.
RANGES = {
    "lr": Range(low="0.001", high="0.1", scaling="Logarithmic"),
    "batch-size": Range(values=("32", "64")),
}
TRIALS, TRIALS_OF_FEATURES = 4, 20
TRIAL_EPOCHS = "2"


@dataclass(frozen=True)
class Wanted:
    """What to train on, and how."""

    data: Path | None  # None: the digits
    weights: Path | None
    hyperparameters: Mapping[str, str]
    tune: bool = False  # search before


def demo(args: argparse.Namespace) -> int:
    """Serve, stage, train, deploy, predict, delete; print what came of it."""
    start = time.monotonic()
    wanted = replace(planned(args.data, args.weights, args.model), tune=args.tune)
    if wanted.data:
        chosen = hyperparameters.parse(wanted.hyperparameters)
        require_usable(wanted.data, max_bad_share=chosen.max_bad_share)
    runtime = runtime_for(args.runtime)
    if runtime == choice.PROCESS:
        require_java()
    folder = args.folder.absolute()
    settings = demo_settings(wanted, folder, runtime)
    os.environ[hints.VARIABLE] = server_again(settings.local.state)
    with alone(folder), explained(), own_server(settings) as aws:
        outcome = run(Inputs(settings, aws, Sender(aws)), wanted, folder)
    summary = outcome.summary(settings.local.runtime, seconds=time.monotonic() - start)
    path = folder / "summary.json"
    path.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    show.result(f"{outcome}\n\n{show.duration(summary['seconds'])} in all; {show.near(path)}")
    return 0


def server_again(state: Path) -> str:
    """Return what starts the demo's server again, to ask it about what is left, such as logs."""
    place = shlex.quote(str(show.near(state)))
    return f"KENNEL_LOCAL_STATE={place} KENNEL_LOCAL_PORT=0 {hints.local_run([])}"


def planned(data: Path | None, weights: Path | None, model: str | None) -> Wanted:
    """
    Choose the hyperparameters.

    Args:
        data: Folder of pictures; None: the digits.
        weights: Weights file, whose name starts with its model's, as torchvision names them.
        model: The model, where the name of the weights does not say it.

    Raises:
        SettingsError: There is no such folder or file, or the model cannot be told.
        HyperparameterError: There is no such model.
    """
    if data is not None and not data.is_dir():
        raise SettingsError(f"--data {data}: there is no such folder", expected=folders.LAYOUT)
    chosen = dict(DIGITS if data is None and weights is None else PHOTOGRAPHS)
    if weights is not None:
        training.weights_file(str(weights))
        chosen |= {"model": model or training.model_of(weights), "weights": weights.name}
    elif model:
        chosen["model"] = model
    hyperparameters.parse(chosen)
    return Wanted(data, weights, chosen)


def runtime_for(wanted: str) -> str:
    """Return what runs both the job and the endpoint, and say so."""
    images = (STAND_INS["KENNEL_IMAGES_TRAIN"], STAND_INS["KENNEL_IMAGES_SERVE"])
    missing = [name for name in images if outdated.labels_of(name) is None]
    runtime = (choice.PROCESS if missing else choice.DOCKER) if wanted == choice.AUTO else wanted
    if runtime == choice.DOCKER:
        show.talk(f"in containers of {' and '.join(images)}")
    elif missing:
        show.talk(f"in processes: no Docker engine has {' and '.join(missing)} (make build)")
    else:
        show.talk("in processes")
    return runtime


def require_java() -> None:
    """Say that serving lacks Java before the training has taken its time."""
    if shutil.which("java") is None:
        raise MissingToolError(
            "java is not installed: the endpoint's server, multi-model-server, runs on it",
            expected="Java 17 or newer",
            remedy="apt-get install -y openjdk-17-jre-headless",
        )


def demo_settings(wanted: Wanted, folder: Path, runtime: str) -> Settings:
    """Return settings of the demo's own: kennel.toml speaks of AWS, and is left out."""
    return Settings(
        aws=AwsSettings(role=STAND_INS["KENNEL_AWS_ROLE"], bucket="kennel-demo"),
        images=Images(STAND_INS["KENNEL_IMAGES_TRAIN"], STAND_INS["KENNEL_IMAGES_SERVE"]),
        train=Train(
            instance_type="ml.m5.large",
            max_runtime_s=3600,
            hyperparameters=wanted.hyperparameters,
        ),
        tune=Tune(
            max_jobs=TRIALS_OF_FEATURES if "freeze" in wanted.hyperparameters else TRIALS,
            parallel=1,
            in_job=True,
            seed=0,
            ranges=RANGES,
        ),
        debug=Debug(enabled=True),
        profile=Profile(enabled=True),
        deploy=Deploy(endpoint=ENDPOINT),
        local=Local(port=0, state=folder / "server", runtime=runtime),
    )


def run(inputs: Inputs, wanted: Wanted, folder: Path) -> Outcome:
    """Go through the steps; the endpoint is deleted at the end by whoever gave the server."""
    for image in (inputs.settings.images.train, inputs.settings.images.serve):
        if note := outdated.note(inputs.settings, image):
            show.talk(note)
    data = wanted.data or digits(folder / "data")
    steps = count(1)
    show.talk(f"\n{next(steps)}. stage {show.near(data)}")
    location, staged = inputs.stage(data, None if wanted.data else "digits")
    inputs.executor.send(plan.pruning(location.bucket, staged.stale))  # of another demo's data
    show.talk(f"{location}: {len(staged.uploads)} files uploaded, {staged.unchanged} unchanged")

    found = None
    if wanted.tune:
        show.talk(f"\n{next(steps)}. tune")
        found = searched(inputs, str(location), wanted.weights)
        settings = best_values.with_values(
            inputs.settings, best_values.require_best(found[0]).values
        )
        inputs = replace(inputs, settings=settings)

    job = training.submit(inputs, str(location), weights=wanted.weights)
    show.talk(f"\n{next(steps)}. train: {job}")
    described = training.follow(inputs.aws, job)

    show.talk(f"\n{next(steps)}. deploy: {ENDPOINT}")
    version = endpoints.start(
        inputs.settings, inputs.aws, inputs.executor, artifact=lookup.artifact(described)
    )
    endpoints.ready(inputs.aws, inputs.executor, ENDPOINT, version)

    show.talk(f"\n{next(steps)}. predict")
    examples = list(classified(inputs.aws, data))
    report = fetched(inputs.aws, described, folder)
    return Outcome(ENDPOINT, accuracy(described), examples, report, found)


def searched(inputs: Inputs, data: str, weights: Path | None) -> tuple[Tuning, Job]:
    """Search inside one training job, and return what it came to."""
    given = inputs.settings.train
    if "freeze" not in given.hyperparameters:
        short = {**given.hyperparameters, "epochs": TRIAL_EPOCHS}
        train = replace(given, hyperparameters=short)
        inputs = replace(inputs, settings=replace(inputs.settings, train=train))
    name = naming.tuning_job(None, **context.now())
    channels = training.sources(inputs, data, weights, {})
    tuning.submit(inputs, tuning.Wanted(tuning.judged(inputs.settings), channels), name=name)
    show.talk(f"training job {name}, and every trial inside it")
    found, job = tuning.follow(inputs.aws, name)
    tuning.require_found(found)
    show.talk(tuning_view.outcome(found, job))
    return found, job


def digits(folder: Path) -> Path:
    """Write the embedded set, unless it is there, and return its folder."""
    from kennel.datasets.digits import write  # noqa: PLC0415 - imports NumPy

    if not folder.is_dir():
        draft = folder.with_name(f"{folder.name}.new")  # half a set would be taken for a whole one
        shutil.rmtree(draft, ignore_errors=True)
        write(draft)
        draft.rename(folder)
    return folder


def accuracy(described: Answer) -> float | None:
    """Return the accuracy on the test split; None where the data has none."""
    return watch.final_metrics(described).get("test_accuracy")


def classified(aws: Aws, data: Path) -> Iterator[Example]:
    """Ask the endpoint about some pictures whose class is known."""
    known = dict(islice(spread(data), SHOWN))
    for prediction in predict.predict_all(aws.runtime, ENDPOINT, known, top=1):
        yield Example(prediction, known[prediction.path])


def spread(data: Path) -> Iterator[tuple[Path, str]]:
    """Yield pictures (test ones, if any) with their class, one of each class and then the next."""
    splits = folders.find_splits(data)
    scan = folders.scan(splits.get("test") or splits.get("valid") or splits.get("train") or data)
    by_class = (
        [(path, name) for path, label in scan.samples if scan.class_names[label] == name]
        for name in scan.class_names
    )
    rounds = zip_longest(*by_class)
    return (example for example in chain.from_iterable(rounds) if example)


def fetched(aws: Aws, described: Answer, folder: Path) -> Report:
    """Fetch what the training has left: the pictures that it drew of itself, and its report."""
    target = folder / "output"
    shutil.rmtree(target, ignore_errors=True)
    return reported.made(aws, described, target)
