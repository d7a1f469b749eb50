"""
The hyperparameters of a training job: one table with names, types, ranges and help.

The standard library is all it needs, so that the command line can check a request without torch.
What the values mean is in the modules that use them; a value that depends on the data (a batch
larger than the split, a weights file that is not there) is judged there too.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from kennel.contract import (
    PROFILING_MAX_MS,
    PROFILING_MIN_MS,
    RESERVED_HYPERPARAMETER_PREFIXES,
    SEARCH_HYPERPARAMETER,
)
from kennel.debugging import collections, hook_config
from kennel.errors import HyperparameterError, RuleError
from kennel.profiling.window import Window
from kennel.rules import debugger
from kennel.training.values import AUTO, Row, Value, allowed, article, kind, name, read, shown
from kennel.vision import classifiers

MODELS = classifiers.CLASSIFIERS
OPTIMIZERS = ("sgd", "adamw")
SCHEDULERS = ("none", "cosine", "step", "onecycle")
AUGMENTATIONS = ("none", "flip", "crop", "color", "trivial")  # kennel.vision.augmentation's
EXACT_VIEWS = {"none": 1, "flip": 2}  # augmentations with so many outcomes and no others
DRAWN_VIEWS = 4  # of the others, unless the job says how many
CLASS_WEIGHTS = ("none", "balanced")
PRECISIONS = ("auto", "off", "bf16", "fp16")

# What a resumed run may change: none of these alters the steps that were already taken.
FREE_ON_RESUME = (
    "epochs",
    "early-stopping-patience",
    "workers",
    "max-bad-share",
    "features-only",
    "debug",
    "debug-save-interval",
    "debug-collections",
    "debug-include",
    "debug-rules",
    "debug-stop",
    "profile",
    "profile-interval-ms",
    "profile-trace",
    "profile-rules",
)


def _text(default: str, help_: str, choices: tuple[str, ...] = ()) -> str:
    return field(default=default, metadata={"help": help_, "choices": choices})


def _flag(help_: str, *, default: bool) -> bool:
    return field(default=default, metadata={"help": help_})


def _integer(default: int, help_: str, low: int, high: int) -> int:
    return field(default=default, metadata={"help": help_, "low": low, "high": high})


def _integer_or_auto(help_: str, low: int, high: int) -> int | None:
    metadata = {"help": help_, "low": low, "high": high, "auto": True}
    return field(default=None, metadata=metadata)


def _number(default: float, help_: str, low: float, high: float, *, above: bool = False) -> float:
    metadata = {"help": help_, "low": low, "high": high, "above": above}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Hyperparameters:
    """Everything that a request can set, with its default."""

    model: str = _text("resnet18", "any classifier of torchvision, by name")
    weights: str = _text(
        AUTO,
        "imagenet (torchvision's), none, or the name of a file in the channel weights; "
        "auto: the one file of that channel, and imagenet without the channel",
    )
    freeze: bool = _flag(
        "train the new head only and keep the backbone as it is: the hidden layers of alexnet's "
        "and vgg's classifiers too, and dropout before the head stays off",
        default=False,
    )
    optimizer: str = _text("sgd", "what takes the steps", OPTIMIZERS)
    lr: float = _number(0.01, "learning rate at its highest", 0, 100, above=True)
    momentum: float = _number(0.9, "of sgd", 0, 0.9999)
    weight_decay: float = _number(1e-4, "pull of the weights towards zero", 0, 10)
    scheduler: str = _text("cosine", "how the learning rate changes, step by step", SCHEDULERS)
    batch_size: int = _integer(32, "images in a step, of all hosts and GPUs together", 1, 65_536)
    epochs: int = _integer(10, "passes over the training split", 1, 100_000)
    image_size: int = _integer(224, "side of the square that the model sees, in pixels", 8, 4096)
    augment: str = _text("crop", "random changes to training images", AUGMENTATIONS)
    label_smoothing: float = _number(0.0, "share spread over the other classes", 0, 0.999)
    class_weights: str = _text("none", "balanced: a rare class weighs more", CLASS_WEIGHTS)
    early_stopping_patience: int = _integer(
        0, "epochs without a better validation before the run ends; 0: never", 0, 100_000
    )
    workers: int | None = _integer_or_auto("processes that read images", 0, 512)
    seed: int = _integer(0, "of every random draw", 0, 2**31 - 1)
    amp: str = _text(
        AUTO,
        "mixed precision of training steps; auto: on a GPU, and where a CPU has bfloat16 for the "
        "training pictures' pass through a frozen backbone",
        PRECISIONS,
    )
    max_bad_share: float = _number(0.05, "share of unreadable files to put up with", 0, 1)
    valid_share: float = _number(
        0.1, "held out where no validation split is given", 0.0, 0.9, above=True
    )
    test_share: float = _number(0.1, "held out where one channel holds everything", 0.0, 0.9)
    feature_views: int | None = _integer_or_auto(
        "with freeze: augmented views of each training picture that the backbone sees, once each; "
        "epoch e is trained on view e mod their number; 0: it sees every picture in every epoch; "
        "auto: 1 with augment=none, 2 with flip, 4 with the others",
        0,
        1000,
    )
    features_only: bool = _flag(
        "with freeze: compute the features of the pictures for later jobs, and train nothing",
        default=False,
    )
    debug: bool = _flag(
        "save tensors of the training, and judge it by rules while it runs", default=False
    )
    debug_save_interval: int | None = _integer_or_auto(
        "training steps between two of which all of debug-collections is saved; losses more often; "
        "auto: by the run's length, 500 at most",
        1,
        1_000_000,
    )
    debug_collections: str = _text(
        ",".join(collections.DEFAULT),
        f"what is saved, with commas: of {', '.join(collections.COLLECTIONS)}; none",
    )
    debug_include: str = _text(
        "none", "regular expressions, with commas: tensors with such names are saved whole; none"
    )
    debug_rules: str = _text(
        "all", "the debugger's rules: all, none, names, or the JSON of DebugRuleConfigurations"
    )
    debug_stop: bool = _flag("a rule that finds something stops the training", default=False)
    profile: bool = _flag(
        "measure where the time goes and what the machine does, and write a report of it",
        default=False,
    )
    profile_interval_ms: int = _integer(
        500, "between two samples of the machine, in ms", PROFILING_MIN_MS, PROFILING_MAX_MS
    )
    profile_trace: str = _text(
        AUTO,
        "steps that torch.profiler looks into, START:COUNT; none; auto: a few where that is cheap",
    )
    profile_rules: str = _text(
        "all", "the profiler's rules: all, none, names, or the JSON of ProfilerRuleConfigurations"
    )

    @property
    def views(self) -> int:
        """Views of each training picture that a frozen backbone sees once; 0: there are none."""
        exact = EXACT_VIEWS.get(self.augment)
        views = (exact or DRAWN_VIEWS) if self.feature_views is None else self.feature_views
        return min(views, exact or views) if self.freeze else 0

    def to_dict(self) -> dict[str, Value]:
        """Return name → value, the names as a request spells them."""
        return {name(spec): getattr(self, spec.name) for spec in fields(self)}

    def texts(self) -> dict[str, str]:
        """Return name → text, as a request has them."""
        return {key: shown(value) for key, value in self.to_dict().items()}

    def __str__(self) -> str:
        """Say them all on one line, e.g. ``model=resnet18 weights=auto …``."""
        return " ".join(f"{key}={text}" for key, text in self.texts().items())


@dataclass(frozen=True)
class Description:
    """A row of the table, for help texts and for checks without a run."""

    name: str
    type: str
    default: str
    allowed: str
    help: str


def describe() -> tuple[Description, ...]:
    """Return the table: name, type, default, what is allowed, and what it does."""
    return tuple(
        Description(
            name(spec),
            kind(spec),
            shown(spec.default),
            allowed(spec),
            str(spec.metadata["help"]),
        )
        for spec in fields(Hyperparameters)
    )


def parse(raw: Mapping[str, object]) -> Hyperparameters:
    """
    Read the hyperparameters of a request.

    Args:
        raw: Name → text, as in hyperparameters.json; kebab-case, underscores accepted. A value may
            be JSON in itself (the SageMaker SDK sends ``"resnet18"`` with the quotes). Names that
            are sagemaker-training's own are passed over, and so is a search (search/request.py).

    Raises:
        HyperparameterError: A name is unknown or given twice, or a value is malformed or out of
            range. All of them are named at once.
    """
    table = {name(spec): spec for spec in fields(Hyperparameters)}
    values: dict[str, Value] = {}
    problems: list[HyperparameterError] = []
    for given, text in raw.items():
        if given.startswith((*RESERVED_HYPERPARAMETER_PREFIXES, SEARCH_HYPERPARAMETER)):
            continue
        try:
            _add(values, table, given, text)
        except HyperparameterError as error:
            problems.append(error)
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise HyperparameterError("\n".join(str(problem) for problem in problems))
    chosen = Hyperparameters(**{table[key].name: value for key, value in values.items()})  # type: ignore[arg-type] # each was parsed by its own row of the table
    _check_together(chosen)
    return chosen


def differences(before: Mapping[str, Value], now: Hyperparameters) -> list[str]:
    """Return what a resumed run may not change and yet did, e.g. ``lr=0.1 (was 0.01)``."""
    return [
        f"{key}={shown(value)} (was {shown(before[key])})"
        for key, value in now.to_dict().items()
        if key not in FREE_ON_RESUME and key in before and before[key] != value
    ]


def _add(values: dict[str, Value], table: Mapping[str, Row], given: str, text: object) -> None:
    known = given.replace("_", "-")
    if known not in table:
        raise _unknown(given, table)
    if known in values:
        raise HyperparameterError(
            f"hyperparameter {known} is given twice, with dashes and with underscores",
            remedy=f"keep {known} alone",
        )
    value = values[known] = read(table[known], text)
    if known == "model" and value not in MODELS:
        raise classifiers.unknown(str(value))


def _unknown(given: str, table: Mapping[str, Row]) -> HyperparameterError:
    """Name the nearest known one, or list them all."""
    near = _nearest(given.replace("_", "-").lower(), list(table))
    problem = f"unknown hyperparameter {given!r}"
    if near is None:
        return HyperparameterError(problem, expected=f"one of {', '.join(table)}")
    spec = table[near]
    return HyperparameterError(
        problem,
        expected=f"one of {', '.join(table)}",
        remedy=f"{near}, {article(kind(spec))}: {allowed(spec)}",
    )


def _nearest(wanted: str, known: list[str]) -> str | None:
    """Return the name that was meant: by initials (wd, learning-rate), by spelling, or a part."""
    same = [name for name in known if name == _initials(wanted) or wanted == _initials(name)]
    close = difflib.get_close_matches(wanted, known, n=1, cutoff=0.5)
    part = [name for name in known if wanted and (name in wanted or wanted in name)]
    return next(iter([*same, *close, *part]), None)


def _initials(words: str) -> str:
    return "".join(word[:1] for word in words.split("-"))


def _check_together(chosen: Hyperparameters) -> None:
    """Judge what no row can judge alone."""
    held_out = chosen.valid_share + chosen.test_share
    if held_out >= 1:
        raise HyperparameterError(
            f"valid-share={chosen.valid_share} and test-share={chosen.test_share} "
            "leave nothing to train on",
            expected="a sum below 1",
        )
    if chosen.features_only and not chosen.views:
        raise HyperparameterError(
            "features-only=true, and there are no features to compute",
            expected="freeze=true, and feature-views other than 0",
            remedy="freeze=true",
        )
    try:
        Window.read(chosen.profile_trace)
        hook_config.require(chosen.debug_collections, chosen.debug_include)
        debugger.asked(chosen.debug_rules)
    except RuleError as error:
        raise HyperparameterError(
            error.problem, expected=error.expected, remedy=error.remedy
        ) from error
