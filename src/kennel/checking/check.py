"""
All checks of an image, in order: what it is, what it trains, what it serves.

The command is kennel.cli.check. Each kind of check is in a module of its own.
"""

import json
import tarfile
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar, cast

from kennel.checking import (
    configuration,
    credentials,
    cuda,
    hosting,
    layers,
    samples,
    training,
)
from kennel.checking.catalogue import HOSTING, IMAGE, TRAINING
from kennel.checking.configuration import HYPERPARAMETERS_LABEL, Image
from kennel.checking.cuda import Host
from kennel.checking.findings import Finding, Report, skipped
from kennel.checking.hosting import Payload
from kennel.checking.layers import Contents
from kennel.checking.limits import Limits
from kennel.checking.samples import Archive
from kennel.checking.sandbox import Sandbox
from kennel.checking.servers import PATHS, Model, Servers
from kennel.checking.training_runs import Run, Trainings
from kennel.engine import Engine
from kennel.errors import DataError, EngineError

PICTURE_TYPE: Final = "application/x-image"
EVERY: Final = "checked, as of every image"
NOT_RUN: Final = dict.fromkeys((TRAINING, HOSTING), "not checked: the image was not to be run")
NOT_CHECKED: Final = {
    TRAINING: "not checked: neither asked for nor what the image looks like; --train checks it",
    HOSTING: "not checked: neither asked for nor what the image looks like; --serve checks it",
}


@dataclass(frozen=True)
class Options:
    """What the user has asked for."""

    train: bool = False  # neither of the two: what the image looks like
    serve: bool = False
    run: bool = True  # False: judge what can be judged without
    data: Path | None = None
    hyperparameters: Mapping[str, str] = field(default_factory=dict)
    model: Path | None = None  # a model.tar.gz
    request: Path | None = None  # the body of an invocation
    content_type: str = PICTURE_TYPE
    environment: Mapping[str, str] = field(default_factory=dict)  # of the server
    host: Host | None = None


@dataclass(frozen=True)
class Told:
    """Whom to tell what is going on and what was found, while it goes on."""

    say: Callable[[str], object]
    found: Callable[[Finding], object]


def check(
    engine: Engine, name: str, options: Options, told: Told, limits: Limits | None = None
) -> Report:
    """
    Check an image.

    Args:
        name: Of an image that the engine has.
        limits: Default: SageMaker's.

    Raises:
        EngineError: There is no such image; the engine fails in the middle.
        DataError: The data, model or request cannot be read.
    """
    limits = limits or Limits()
    image = described(engine, name)
    given = _given(options)
    findings: list[Finding] = []

    def take(finding: Finding) -> None:
        findings.append(finding)
        told.found(finding)

    told.say("reading all layers")
    blocks = engine.saved(image.id, timeout_s=limits.layers)
    contents = layers.read(blocks, limit_s=limits.layers)
    _drained(_of_image(image, contents, options.host), take)
    if not options.run:
        return Report(name, image.id, findings, {IMAGE: EVERY, **NOT_RUN})
    parts = chosen(image, contents, train=options.train, serve=options.serve)
    with Sandbox(engine, image.id) as sandbox:
        model = Model(sandbox.kept(options.model.open("rb"))) if options.model else None
        if TRAINING in parts:
            values = options.hyperparameters or labelled(image)
            is_given = bool(options.data or values)
            trainings = Trainings(sandbox, given.content, values, limits, is_given)
            run = _drained(training.check(trainings, told.say), take)
            model = model or _trained(run)
        if HOSTING in parts:
            servers = Servers(sandbox, model, limits, options.environment)
            _drained(hosting.check(servers, image, given.payload, told.say), take)
    return Report(name, image.id, findings, {IMAGE: EVERY, **NOT_CHECKED, **parts})


T = TypeVar("T")


def _drained(steps: Generator[Finding, None, T], take: Callable[[Finding], object]) -> T:
    """Take all that *steps* yields, and return what it returns."""
    while True:
        try:
            take(next(steps))
        except StopIteration as end:
            return cast("T", end.value)


def described(engine: Engine, name: str) -> Image:
    """
    Ask the engine for an image.

    Raises:
        EngineError: It has none of this name.
    """
    found = engine.image(name) if name.strip() else None
    if found is None:
        raise EngineError(
            f"there is no image {name or repr(name)}",
            remedy=f"docker pull {name}, or docker images",
        )
    return Image.described(name, found.raw, engine.history(found.id))


def _of_image(
    image: Image, contents: Contents, host: Host | None
) -> Generator[Finding, None, None]:
    yield from configuration.judge(image, host.instance_type if host else None)
    leaks = [
        *credentials.in_environment(image.environment),
        *credentials.in_history(image.history),
        *contents.leaks,
    ]
    yield credentials.judge(leaks, contents.read_files, contents.unread)
    sign = cuda.in_environment(image.environment)
    signs = [*contents.signs, *([sign] if sign else [])]
    if contents.unread and not signs:
        yield skipped("cuda", contents.unread)
    else:
        yield cuda.judge(signs, host, has_compat=contents.has_compat)


def chosen(image: Image, contents: Contents, *, train: bool, serve: bool) -> dict[str, str]:
    """
    Return the parts to check, training and hosting, and why.

    Args:
        train, serve: What was asked for; if neither, the image itself is.
    """
    if train or serve:
        asked = {TRAINING: train, HOSTING: serve}
        return {part: "checked, as it was asked for" for part, wanted in asked.items() if wanted}
    guessed = configuration.purpose(image, sorted(contents.programs))
    return guessed or dict.fromkeys(
        (TRAINING, HOSTING), "checked: nothing tells what the image is for"
    )


def labelled(image: Image) -> dict[str, str]:
    """
    Return the hyperparameters of a short run that the image itself names.

    Raises:
        DataError: The label is not a JSON object.
    """
    text = image.labels.get(HYPERPARAMETERS_LABEL, "{}")
    try:
        return {name: str(value) for name, value in json.loads(text).items()}
    except (ValueError, AttributeError) as error:
        raise DataError(
            f"label {HYPERPARAMETERS_LABEL} of {image.name} is {text[:80]!r}",
            expected='a JSON object, such as {"epochs": "1"}',
            remedy="--set NAME=VALUE instead",
        ) from error


@dataclass(frozen=True)
class _Given:
    content: Archive
    payload: Payload


def _given(options: Options) -> _Given:
    if options.model:
        _require_archive(options.model)
    return _Given(samples.data(options.data), _payload(options))


def _payload(options: Options) -> Payload:
    if options.request is None:
        body = samples.picture(0, bright=True)
        return Payload(body, options.content_type, "a PNG", is_given=False)
    try:
        body = options.request.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {options.request}: {error.strerror}") from error
    return Payload(body, options.content_type, options.request.name, is_given=True)


def _require_archive(path: Path) -> None:
    try:
        with tarfile.open(path) as archive:
            archive.next()
    except (OSError, tarfile.TarError) as error:
        why = str(error).partition(":\n")[0]  # tarfile goes on with what each of its readers says
        raise DataError(
            f"cannot read {path}: {why}", expected="a model.tar.gz, as a training leaves it"
        ) from error


def _trained(run: Run | None) -> Model | None:
    """Return what a training has left; its paths begin with model/."""
    if run is None or run.model is None or not run.model_files:
        return None
    return Model(run.model, below=str(PATHS.root))
