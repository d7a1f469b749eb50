"""
What the settings mean for a tuning job: its search, as AWS's documents say it.

Pure. The request around it is made in ``requests``; whether the ranges and the objective fit the
training program is judged in kennel.cli.tuning_checks, which knows that program's hyperparameters.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from kennel import contract
from kennel import settings as wanted
from kennel.errors import SettingsError, TuningError
from kennel.jobs.requests import Request
from kennel.settings import Settings, Tune
from kennel.tuning import configuration, parameter_ranges, ranges
from kennel.tuning.ranges import Categorical, Continuous, Integer, Range

HYPERBAND, GRID = "Hyperband", "Grid"
EPOCHS = "epochs"  # the resource that Hyperband gives a trial more or less of
DIRECTIONS = {"accuracy": "Maximize", "loss": "Minimize", "error": "Minimize"}
NUMBERS = ("integer", "number")


@dataclass(frozen=True)
class Search:
    """What is searched, and how."""

    config: Request  # AWS's HyperParameterTuningJobConfig
    ranges: tuple[Range, ...]
    static: Mapping[str, str]  # hyperparameters that all trials share


def search(settings: Settings, kinds: Mapping[str, str]) -> Search:
    """
    Return the search that the settings describe.

    Args:
        kinds: Hyperparameter → flag, integer, number or text; a range of any other is categorical
            or a number's, as it is written.

    Raises:
        SettingsError: A setting asks for what the strategy cannot do.
        TuningError: A range is impossible.
    """
    tune = settings.tune
    found = {name: range_(name, given, kinds.get(name)) for name, given in tune.ranges.items()}
    given = settings.train.hyperparameters
    static = {name: value for name, value in given.items() if name not in found}
    strategy: Request = {"Strategy": tune.strategy}
    if tune.strategy == HYPERBAND:
        least, most = _resources(found.pop(EPOCHS, None), static)
        static[EPOCHS] = str(most)
        resources = {"MinResource": least, "MaxResource": most}
        strategy["StrategyConfig"] = {"HyperbandStrategyConfig": resources}
    searched = tuple(found.values())
    config = strategy | _config(tune, searched)
    configuration.read(config, static)  # refuses what cannot be searched
    return Search(config, searched, static)


def range_(name: str, given: wanted.Range, kind: str | None) -> Range:
    """Return the range of the hyperparameter *name*, a number of the *kind* that it is."""
    if len(set(given.values)) == 1:
        raise TuningError(
            f"range {name}: one value, {given.values[0]}, is no range",
            expected="two values at least, or MIN..MAX",
            remedy=f"--set {name}={given.values[0]}, and no range of it",
        )
    if given.values:
        return Categorical(name, given.values)
    if kind not in (*NUMBERS, None):
        raise TuningError(
            f"range {name} goes from {given.low} to {given.high}, and {name} is no number",
            expected="a list of values",
            remedy=f'{name} = ["…", "…"] in [tune.ranges]',
        )
    low, high = given.low or "", given.high or ""
    whole = kind == "integer" or (kind is None and (low + high).replace("-", "").isdigit())
    try:
        if whole:
            return Integer(name, int(low), int(high), given.scaling)
        return Continuous(name, float(low), float(high), given.scaling)
    except ValueError:
        raise TuningError(
            f"range {name} goes from {low!r} to {high!r}",
            expected="two whole numbers" if whole else "two numbers",
        ) from None


def _resources(epochs: Range | None, static: Mapping[str, str]) -> tuple[int, int]:
    """Return how many epochs Hyperband trains at least and at most."""
    if isinstance(epochs, Integer):
        return epochs.low, epochs.high
    if epochs is None and static.get(EPOCHS, "").isdigit() and int(static[EPOCHS]) > 1:
        return 1, int(static[EPOCHS])
    raise SettingsError(
        f"Hyperband shares out epochs, and {EPOCHS} is {epochs or static.get(EPOCHS, 'not set')}",
        expected="how many epochs a trial is trained at least and at most",
        remedy="epochs = { min = 1, max = 10 } in [tune.ranges], or --range epochs=1..10",
    )


def _config(tune: Tune, searched: tuple[Range, ...]) -> Request:
    return {
        "HyperParameterTuningJobObjective": {
            "Type": direction(tune),
            "MetricName": tune.objective,
        },
        "ResourceLimits": _limits(tune, searched),
        "ParameterRanges": parameter_ranges.to_request(searched),
        "TrainingJobEarlyStoppingType": "Auto" if tune.early_stopping else "Off",
        **_criteria(tune),
        **({} if tune.seed is None else {"RandomSeed": tune.seed}),
    }


def direction(tune: Tune) -> str:
    """Return Maximize or Minimize: what is set, else what the metric's name says."""
    told = [way for word, way in DIRECTIONS.items() if word in tune.objective.lower()]
    if found := tune.direction or (told[0] if len(told) == 1 else None):
        return found
    raise SettingsError(
        f"is more or less of {tune.objective} better? Its name does not say it",
        expected=f"[tune] direction, or a name with one of {', '.join(DIRECTIONS)} in it",
        remedy="--direction Maximize or --direction Minimize",
    )


def _limits(tune: Tune, searched: tuple[Range, ...]) -> Request:
    jobs = tune.max_jobs
    if tune.strategy == GRID:
        jobs = _grid_size(searched)
    runtime = {"MaxRuntimeInSeconds": tune.max_runtime_s} if tune.max_runtime_s else {}
    return {
        "MaxNumberOfTrainingJobs": jobs,
        "MaxParallelTrainingJobs": min(tune.parallel, jobs),
        **runtime,
    }


def _grid_size(searched: tuple[Range, ...]) -> int:
    """Return the number of trials of a grid, which is what AWS asks to be told."""
    size = ranges.size(searched) or 1  # of numbers there is none: configuration says so
    if size > contract.MAX_TRIALS:
        raise SettingsError(
            f"the grid has {size} combinations",
            expected=f"at most {contract.MAX_TRIALS}",
            remedy="fewer values, or strategy Bayesian",
        )
    return size


def _criteria(tune: Tune) -> Request:
    criteria: Request = {}
    if tune.target is not None:
        criteria["TargetObjectiveMetricValue"] = tune.target
    if tune.patience is not None:
        stale = {"MaxNumberOfTrainingJobsNotImproving": tune.patience}
        criteria["BestObjectiveNotImproving"] = stale
    if tune.convergence:
        criteria["ConvergenceDetected"] = {"CompleteOnConvergence": "Enabled"}
    return {"TuningJobCompletionCriteria": criteria} if criteria else {}


def in_job(found: Search) -> dict[str, str]:
    """
    Return the hyperparameters of a training job that runs the whole search by itself.

    Raises:
        TuningError: The search is too long for a hyperparameter.
    """
    text = json.dumps(found.config, separators=(",", ":"))
    if len(text) > contract.HYPERPARAMETER_VALUE_CHARS:
        raise TuningError(
            f"the search takes {len(text)} characters to describe",
            expected=f"at most {contract.HYPERPARAMETER_VALUE_CHARS}, in one training job",
            remedy="fewer ranges or values, or without --in-job",
        )
    return {**found.static, contract.SEARCH_HYPERPARAMETER: text}
