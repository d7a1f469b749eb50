"""
What a tuning job is asked to do: AWS's HyperParameterTuningJobConfig, judged and read.

The service model's own rules (enumerations, lengths) are judged where requests arrive; here is what
it leaves open and a search cannot do without. Needs the standard library alone, so that a request
can be judged before it is sent.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from kennel.contract import EPOCH_HYPERPARAMETERS, HYPERBAND_MAX_RESOURCE
from kennel.errors import TuningError
from kennel.tuning import parameter_ranges
from kennel.tuning import ranges as ranges_
from kennel.tuning.limits import Limits
from kennel.tuning.ranges import Categorical, Range

BAYESIAN, RANDOM, GRID, HYPERBAND = STRATEGIES = ("Bayesian", "Random", "Grid", "Hyperband")


@dataclass(frozen=True)
class Halving:
    """
    What Hyperband works within.

    Args:
        low: Epochs before which no trial is stopped.
        high: Epochs at which every trial ends.
    """

    low: int
    high: int


@dataclass(frozen=True)
class Configuration:
    """
    A tuning job's search, as it was asked for.

    Args:
        metric: Name of the objective metric.
        early_stopping: Whether TrainingJobEarlyStoppingType is Auto.
        halving: Hyperband's, else None.
        seed: RandomSeed; None where there is none.
    """

    strategy: str
    metric: str
    maximize: bool
    ranges: tuple[Range, ...]
    limits: Limits
    early_stopping: bool
    halving: Halving | None
    seed: int | None


def read(
    config: Mapping[str, Any],
    static: Mapping[str, str],
    epoch_metrics: Collection[str] | None = None,
) -> Configuration:
    """
    Judge and read a HyperParameterTuningJobConfig.

    Args:
        static: Hyperparameter → text, of those that all trials share.
        epoch_metrics: Metrics that are printed after every epoch; None where that is not known.

    Raises:
        TuningError: The strategy, a range or a limit asks for something impossible.
    """
    strategy = _one_of("Strategy", config.get("Strategy"), STRATEGIES)
    objective = config.get("HyperParameterTuningJobObjective", {})
    direction = _one_of("the objective's Type", objective.get("Type"), ("Maximize", "Minimize"))
    early = _one_of(
        "TrainingJobEarlyStoppingType",
        config.get("TrainingJobEarlyStoppingType", "Off"),
        ("Off", "Auto"),
    )
    ranges = parameter_ranges.from_request(config.get("ParameterRanges") or {})
    configuration = Configuration(
        strategy=strategy,
        metric=str(objective.get("MetricName", "")),
        maximize=direction == "Maximize",
        ranges=ranges,
        limits=Limits.from_request(config),
        early_stopping=early == "Auto",
        halving=_halving(config, static) if strategy == HYPERBAND else None,
        seed=config.get("RandomSeed"),
    )
    _check_static(ranges, static)
    _check_strategy(configuration, config)
    _check_curves(configuration, epoch_metrics)
    return configuration


def _one_of(what: str, given: object, allowed: tuple[str, ...]) -> str:
    if given not in allowed:
        raise TuningError(f"{what} is {given!r}", expected=f"one of {', '.join(allowed)}")
    return str(given)


def _check_static(ranges: tuple[Range, ...], static: Mapping[str, str]) -> None:
    if both := [each.name for each in ranges if each.name in static]:
        raise TuningError(
            f"{', '.join(both)}: both searched and fixed",
            expected="a range or a static hyperparameter",
            remedy="take it out of one of them",
        )


def _check_strategy(chosen: Configuration, config: Mapping[str, Any]) -> None:
    if chosen.strategy == GRID:
        _check_grid(chosen)
    elif chosen.limits.jobs is None and chosen.limits.runtime_s is None:
        raise TuningError(
            "the tuning job has no end: neither a number of training jobs nor a time",
            expected="MaxNumberOfTrainingJobs or MaxRuntimeInSeconds in ResourceLimits",
        )
    if chosen.strategy != HYPERBAND and config.get("StrategyConfig"):
        raise TuningError(
            f"StrategyConfig with the strategy {chosen.strategy}",
            expected=f"it with {HYPERBAND} alone",
            remedy=f"leave it out, or choose {HYPERBAND}",
        )
    if chosen.strategy == HYPERBAND and chosen.early_stopping:
        raise TuningError(
            f"TrainingJobEarlyStoppingType Auto with {HYPERBAND}, which stops trials itself",
            expected="Off",
        )


def _check_grid(chosen: Configuration) -> None:
    """Refuse what AWS's guide ("How Hyperparameter Tuning Works", Grid search) does not allow."""
    if numbers := [each.name for each in chosen.ranges if not isinstance(each, Categorical)]:
        raise TuningError(
            f"{GRID} with a range of numbers: {', '.join(numbers)}",
            expected="categorical ranges alone",
            remedy="list the values to try, or choose Random or Bayesian",
        )
    combinations = ranges_.size(chosen.ranges)
    if chosen.limits.jobs not in (None, combinations):
        raise TuningError(
            f"{GRID} with MaxNumberOfTrainingJobs {chosen.limits.jobs}",
            expected=f"{combinations}, the number of combinations, or none",
            remedy="leave it out, or choose Random",
        )


def halving(config: Mapping[str, Any], static: Mapping[str, str]) -> Halving | None:
    """Return what Hyperband works within; None for other strategies, or where nothing says it."""
    given = config.get("StrategyConfig", {}).get("HyperbandStrategyConfig", {})
    low, high = given.get("MinResource", 1), given.get("MaxResource", epochs_of(static))
    return Halving(low, high) if config.get("Strategy") == HYPERBAND and high is not None else None


def _halving(config: Mapping[str, Any], static: Mapping[str, str]) -> Halving:
    found = halving(config, static)
    if found is None:
        raise TuningError(
            f"{HYPERBAND} without MaxResource",
            expected=f"it, or one of {', '.join(EPOCH_HYPERPARAMETERS)} as a static hyperparameter",
        )
    if not 1 <= found.low <= found.high <= HYPERBAND_MAX_RESOURCE:
        raise TuningError(
            f"{HYPERBAND} from MinResource {found.low} to MaxResource {found.high}",
            expected=f"1 <= MinResource <= MaxResource <= {HYPERBAND_MAX_RESOURCE} epochs",
        )
    return found


def epochs_of(hyperparameters: Mapping[str, str]) -> int | None:
    """Return how many epochs a training job was given, by AWS's names for that; None: unknown."""
    for name in EPOCH_HYPERPARAMETERS:
        text = hyperparameters.get(name, "").strip('"')
        if text.isdecimal():
            return int(text)
    return None


def _check_curves(chosen: Configuration, epoch_metrics: Collection[str] | None) -> None:
    by_curve = chosen.early_stopping or chosen.strategy == HYPERBAND
    if by_curve and epoch_metrics is not None and chosen.metric not in epoch_metrics:
        raise TuningError(
            f"trials cannot be stopped by {chosen.metric}, which is not printed every epoch",
            expected=f"one of {', '.join(sorted(epoch_metrics))}",
            remedy="another objective, or neither Hyperband nor early stopping",
        )
