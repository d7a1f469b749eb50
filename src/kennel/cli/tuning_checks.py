"""
What can be judged of a search and of metrics before anything is sent, and so before it costs.

Metrics are tried on the lines that the training prints, ranges on the hyperparameters that it has.
Of a program of the user's own (``sagemaker_program``) neither is known. The search itself is made
in kennel.jobs.tuning.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from kennel import contract
from kennel.errors import HyperparameterError, SettingsError, TuningError
from kennel.jobs import tuning, watch
from kennel.jobs.tuning import EPOCHS, HYPERBAND, Search
from kennel.settings import Settings, Tune
from kennel.training import hyperparameters, lines
from kennel.training.search import request
from kennel.tuning import ranges
from kennel.tuning.ranges import Categorical, Range, text
from kennel.tuning.trials import Tuning

OWN_PROGRAM = "sagemaker_program"
BATCH_SIZE = "batch-size"


def kinds() -> dict[str, str]:
    """Return hyperparameter → flag, integer, number or text."""
    return {row.name: row.type for row in hyperparameters.describe()}


def runs_own_program(settings: Settings) -> bool:
    """Say whether the job runs a program that is not kennel's."""
    return OWN_PROGRAM in settings.train.hyperparameters


def require_metrics(settings: Settings) -> None:
    """
    Try the metrics of the settings on what the training prints.

    Raises:
        SettingsError: One is no expression, has not one group, or reads nothing; or there are more
            than SageMaker takes.
    """
    more = settings.train.metrics
    count = len({*contract.METRIC_DEFINITIONS, *more})
    if count > contract.MAX_METRICS:
        raise SettingsError(
            f"there are {count} metrics", expected=f"at most {contract.MAX_METRICS} with our own"
        )
    printed = [*lines.epoch_samples(), *lines.test_samples()]
    for name, regex in more.items():
        _require_expression(name, regex)
        if not runs_own_program(settings) and not _read(regex, printed):
            raise SettingsError(
                f"metric {name!r}: {regex!r} reads no number in any line that the training prints",
                expected="an expression whose one group is a number in one of\n    "
                + "\n    ".join((printed[0], *printed[-2:])),
                remedy=r"for instance valid_loss=([0-9.]+)",
            )


def _require_expression(name: str, regex: str) -> None:
    at_most = contract.METRIC_REGEX_CHARS
    try:
        groups = re.compile(regex).groups
    except re.error as error:
        raise SettingsError(
            f"metric {name!r}: {regex!r} is no regular expression: {error}",
            remedy="single quotes around it in kennel.toml: 'loss=([0-9.]+)'",
        ) from error
    if groups != 1 or len(regex) > at_most:
        raise SettingsError(
            f"metric {name!r}: {regex!r} has {groups} groups and {len(regex)} characters",
            expected=f"one group, which is the number, in {at_most} characters at most",
        )


def _read(regex: str, printed: Iterable[str]) -> list[float]:
    """Return the numbers that SageMaker would read in those lines."""
    return [number for line in printed if (number := watch.metric_in(line, regex)) is not None]


def require_objective(settings: Settings) -> None:
    """
    Raise SettingsError if the objective is no metric of the job, or one of the test split.

    What is chosen by the test split is not measured by it any more.
    """
    name = settings.tune.objective
    regexes = {**contract.METRIC_DEFINITIONS, **settings.train.metrics}
    every_epoch = [
        n for n, regex in regexes.items() if n != "lr" and _read(regex, lines.epoch_samples())
    ]
    if name not in regexes:
        near = difflib.get_close_matches(name.lower().replace("-", "_"), every_epoch, n=1)
        raise SettingsError(
            f"the objective is {name!r}, and the training has no such metric",
            expected=f"one of {', '.join(every_epoch)}, or another of [train.metrics]",
            remedy=f"--objective {near[0]}" if near else "",
        )
    if runs_own_program(settings) and name in settings.train.metrics:
        return
    if name not in every_epoch and _read(regexes[name], lines.test_samples()):
        raise SettingsError(
            f"the objective is {name!r}, which is measured on the test split: the best of many "
            "trials would be the luckiest there, and its test accuracy no estimate of anything",
            expected="a metric of the validation split; the test split is measured once, at the "
            "end",
            remedy="--objective valid_accuracy",
        )


def require_hyperparameters(settings: Settings, search: Search) -> None:
    """
    Raise HyperparameterError if the training would refuse what a range may come to.

    Each end and each value is tried beside the hyperparameters that all trials share.
    """
    if runs_own_program(settings):
        return
    hyperparameters.parse(search.static)
    for each in search.ranges:
        for value in ends(each):
            try:
                hyperparameters.parse({**search.static, each.name: value})
            except HyperparameterError as error:
                raise TuningError(
                    f"range {each.name}: {error.problem}",
                    expected=error.expected,
                    remedy=error.remedy,
                ) from error


def require_search_in_job(settings: Settings, search: Search, parents: Sequence[str]) -> None:
    """Raise KennelError if a training job would refuse to run this search by itself."""
    if parents or runs_own_program(settings):
        what = f"--from {parents[0]}" if parents else "a program of your own"
        raise SettingsError(
            f"{what} and --in-job exclude each other",
            expected="a tuning job for that, each of whose trials is a job",
            remedy="--no-in-job",
        )
    request.read(tuning.in_job(search))


def require_something_learnt(search: Search, parents: Sequence[Tuning]) -> list[str]:
    """
    Return which of the tuning jobs to start from say little of these ranges.

    Raises:
        SettingsError: None of them says anything.
    """
    told = [(parent.name, len(parent.trials), _usable(search, parent)) for parent in parents]
    if told and not any(usable for *_, usable in told):
        raise SettingsError(
            f"--from {', '.join(parent.name for parent in parents)}: no trial there has an "
            "objective and values in all of the ranges, so nothing is learnt from it",
            expected="a search that shares ranges with this one: "
            + ", ".join(each.name for each in search.ranges),
            remedy=f"kennel tuning show {parents[0].name} shows its values; or without --from",
        )
    return [
        f"--from {name}: {usable} of its {count} trials have an objective and values in "
        "all of the ranges; nothing is learnt from the others"
        for name, count, usable in told
        if usable < count
    ]


def _usable(search: Search, parent: Tuning) -> int:
    """Count the trials that say something; what was static there is a value of all of them."""
    values = [{**parent.static, **trial.values} for trial in parent.trials if trial.succeeded]
    return sum(
        all(ranges.value(each, given.get(each.name, "")) is not None for each in search.ranges)
        for given in values
    )


def ends(each: Range) -> tuple[str, ...]:
    """Return the values that a range may come to at its extremes; of a list, all."""
    if isinstance(each, Categorical):
        return each.values
    return text(each.low), text(each.high)


def warnings(settings: Settings, search: Search, train_pictures: int | None) -> Iterator[str]:
    """
    Yield what is likely a mistake.

    Args:
        train_pictures: In the training split; None where it is not known.
    """
    if runs_own_program(settings):
        yield (
            f"{settings.train.hyperparameters[OWN_PROGRAM]} is a program of your own: neither its "
            "hyperparameters nor the lines that it prints can be checked here"
        )
        return
    found = {each.name: each for each in search.ranges}
    if EPOCHS in found and settings.tune.strategy != HYPERBAND:
        yield (
            "epochs are searched: each trial is as long as its draw, and the longer ones look "
            "better; fix them (--set epochs=N), or strategy Hyperband shares them out"
        )
    if train_pictures is not None:
        yield from _large_batches(found.get(BATCH_SIZE), search.static, train_pictures)
    if settings.tune.in_job and settings.tune.parallel > Tune.parallel:  # so it was asked for
        machine = settings.train.instance_type
        has_gpu = machine.split(".")[1] in contract.GPU_FAMILIES
        yield (
            f"{settings.tune.parallel} trials at a time are asked for: in one job there are at "
            "most as many as its host has GPUs, and without one 1 at a time"
            + ("" if has_gpu else f", as on {machine}")
        )
    if settings.tune.objective.startswith("train_"):
        yield (
            f"the objective is {settings.tune.objective}: it is best where the training pictures "
            "are learnt by heart; valid_accuracy says what holds for others"
        )
    optimizer = search.static.get("optimizer", hyperparameters.Hyperparameters.optimizer)
    if "momentum" in found and "optimizer" not in found and optimizer != "sgd":
        yield f"momentum is searched, and {optimizer} has none: it changes nothing"


def _large_batches(
    searched: Range | None, static: Mapping[str, str], train_pictures: int
) -> Iterator[str]:
    sizes = ends(searched) if searched else (static.get(BATCH_SIZE, "1"),)
    larger = [size for size in sizes if float(size) > train_pictures]
    if larger:
        yield (
            f"batch-size {', '.join(larger)}: the training split has {train_pictures} pictures, "
            "and every larger batch is all of them"
        )


def train_pictures(counts: Mapping[str, int], settings: Settings) -> int:
    """Return how many pictures are left to train on, given those of each split that there is."""
    chosen = hyperparameters.parse(
        {
            name: value
            for name, value in settings.train.hyperparameters.items()
            if name in ("valid-share", "test-share")
        }
    )
    held_out = 0.0 if "valid" in counts else chosen.valid_share
    if set(counts) == {"train"}:
        held_out += chosen.test_share
    return round(counts["train"] * (1 - held_out))
