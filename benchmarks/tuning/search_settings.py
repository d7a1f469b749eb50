"""
Samplers that Bayesian search could use, on functions that are not the benchmark's table.

What kennel's search uses was chosen here: the median of the best after 10 and after 20 trials. The
functions are two of the literature (Branin, Hartmann 3, negated) and three that are like accuracies
of a trained head: flat around a learning rate that depends on batch size and momentum, with noise.

    OMP_NUM_THREADS=1 python benchmarks/tuning/search_settings.py
"""

import json
import math
import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.samplers import BaseSampler, GPSampler, TPESampler

from kennel.tuning import parameter_ranges
from kennel.tuning.ranges import Categorical, Continuous, Range
from kennel.tuning.search import Search
from kennel.tuning.search_space import Space, study
from kennel.tuning.trials import Trial

TRIALS, LOOK_AFTER = 20, (10, 20)
SEEDS = range(30)
SIZES = ("32", "64", "128", "256", "512")
HEADS = (
    Continuous("lr", 0.001, 0.1),
    Continuous("momentum", 0.5, 0.9),
    Categorical("batch-size", SIZES),
)
HARTMANN = (
    (1.0, (3, 10, 30), (0.3689, 0.1170, 0.2673)),
    (1.2, (0.1, 10, 35), (0.4699, 0.4387, 0.7470)),
    (3.0, (3, 10, 30), (0.1091, 0.8732, 0.5547)),
    (3.2, (0.1, 10, 35), (0.0381, 0.5743, 0.8828)),
)
Objective = Callable[[Mapping[str, str]], float]


def main() -> None:
    """Compare the samplers, print and write the result."""
    result: dict[str, Any] = {"seeds": len(SEEDS), "median_best_after_10_and_20": {}}
    for name, run in SAMPLERS.items():
        began = time.monotonic()
        row = {
            function.name: medians([run(function, seed) for seed in SEEDS])
            for function in FUNCTIONS
        }
        ms = 1000 * (time.monotonic() - began) / (len(SEEDS) * len(FUNCTIONS) * TRIALS)
        result["median_best_after_10_and_20"][name] = row | {"ms_a_trial": round(ms, 1)}
        print(name, json.dumps(result["median_best_after_10_and_20"][name]), flush=True)
    Path(__file__).with_suffix(".json").write_text(json.dumps(result, indent=2) + "\n")


def medians(runs: list[list[float]]) -> list[float]:
    """Return the median over runs of the best after some numbers of trials."""
    return [round(statistics.median(max(run[:count]) for run in runs), 4) for count in LOOK_AFTER]


@dataclass(frozen=True)
class Function:
    """What is maximised, and over what."""

    name: str
    ranges: tuple[Range, ...]
    objective: Objective


def head(best: float, width: float, power: float) -> Objective:
    """Return accuracies that are best at 10 ** *best*, the rate by size ** *power* and momentum."""

    def objective(values: Mapping[str, str]) -> float:
        size, momentum = int(values["batch-size"]) / 64, float(values["momentum"])
        rate = math.log10(float(values["lr"]) / (1 - momentum) / size**power)
        away = ((rate - best) / width) ** 2
        steep = 1.0 if rate < best else 2.5
        noise = random.Random(repr(sorted(values.items()))).gauss(0, 0.004)  # noqa: S311
        fall = 0.05 * away * steep / (1 + 0.3 * away)
        return 0.87 - fall - 0.01 * abs(math.log2(size)) + noise

    return objective


def branin(values: Mapping[str, str]) -> float:
    """Return Branin's function, negated; its best is -0.398."""
    x, y = float(values["x"]), float(values["y"])
    bowl = (y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6) ** 2
    return -(bowl + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10)


def hartmann(values: Mapping[str, str]) -> float:
    """Return Hartmann's function of three variables, negated; its best is 3.863."""
    point = [float(values[name]) for name in "xyz"]
    return sum(
        weight * math.exp(-sum(a * (x - p) ** 2 for a, x, p in zip(scale, point, at, strict=True)))
        for weight, scale, at in HARTMANN
    )


FUNCTIONS = (
    Function("head 1", HEADS, head(-1.2, 0.5, 1.0)),
    Function("head 2", HEADS, head(-0.5, 0.4, 0.5)),
    Function("head 3", HEADS, head(-2.0, 0.7, 1.0)),
    Function("branin", (Continuous("x", -5.0, 10.0), Continuous("y", 0.0, 15.0)), branin),
    Function("hartmann", tuple(Continuous(name, 0.0, 1.0) for name in "xyz"), hartmann),
)


def kennel(strategy: str) -> Callable[[Function, int], list[float]]:
    """Return a run of kennel's own search."""

    def run(function: Function, seed: int) -> list[float]:
        config = {
            "Strategy": strategy,
            "RandomSeed": seed,
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "objective"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": TRIALS},
            "ParameterRanges": parameter_ranges.to_request(function.ranges),
        }
        search, trials = Search(config, static={}), list[Trial]()
        for number in range(TRIALS):
            [values] = search.suggest(trials, 1)
            objective = function.objective(values)
            trials.append(Trial(f"trial-{number:03}", values, "Completed", objective))
        return [trial.objective or 0.0 for trial in trials]

    return run


def plain(sampler: Callable[[int], BaseSampler]) -> Callable[[Function, int], list[float]]:
    """Return a run of one of Optuna's samplers as it comes."""

    def run(function: Function, seed: int) -> list[float]:
        space, known = Space(function.ranges), study(sampler(seed))
        objectives = []
        for _ in range(TRIALS):
            trial = known.ask(space.distributions())
            objectives.append(function.objective(space.texts(trial.params)))
            known.tell(trial, objectives[-1])
        return objectives

    return run


SAMPLERS = {
    "Random": kennel("Random"),
    "Bayesian, as it is here": kennel("Bayesian"),
    "TPE, Optuna's defaults": plain(lambda seed: TPESampler(seed=seed)),
    "TPE, 5 random trials first": plain(lambda seed: TPESampler(seed=seed, n_startup_trials=5)),
    "GP, Optuna's defaults": plain(lambda seed: GPSampler(seed=seed)),
    "GP, 5 random trials first": plain(lambda seed: GPSampler(seed=seed, n_startup_trials=5)),
}


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    main()
