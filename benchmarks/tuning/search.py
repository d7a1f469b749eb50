"""
Bayesian search against random search, over a table of heads that were trained before.

Both get 20 trials, one after another, and the same ranges: lr from 0.001 to 0.1, momentum from 0.5
to 0.9, and the batch sizes. Between the table's points its accuracies are interpolated. Five seeds
are the figure; a hundred more say how much of it is chance. The table is search_table.py's.

    python benchmarks/tuning/search.py
"""

import json
import math
import statistics
from bisect import bisect_right
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from kennel.tuning.search import Search
from kennel.tuning.trials import Trial

HERE = Path(__file__).parent
TRIALS, LOOK_AFTER = 20, (5, 10, 20)
SEEDS = range(5)
MORE_SEEDS = range(1000, 1100)
STRATEGIES = ("Random", "Bayesian")
Objective = Callable[[dict[str, str]], float]


def main() -> None:
    """Run the benchmark, print and write its result."""
    table = json.loads((HERE / "search_table.json").read_text())
    objective = interpolated(table)
    result: dict[str, Any] = {
        "table": table["of"],
        "best_in_table": max(table["valid_accuracy"]),
        "optuna": metadata.version("optuna"),
        "median_best_after": {
            f"{len(seeds)} seeds": {
                strategy: medians([best_so_far(strategy, seed, table, objective) for seed in seeds])
                for strategy in STRATEGIES
            }
            for seeds in (SEEDS, MORE_SEEDS)
        },
        "best_after_10_by_seed": {
            strategy: [round(best_so_far(strategy, seed, table, objective)[9], 4) for seed in SEEDS]
            for strategy in STRATEGIES
        },
    }
    five = result["median_best_after"]["5 seeds"]
    result["passed"] = five["Bayesian"]["10"] >= five["Random"]["10"]
    text = json.dumps(result, indent=2)
    (HERE / "search.json").write_text(text + "\n")
    print(text)


def medians(runs: Sequence[Sequence[float]]) -> dict[str, float]:
    """Return the median over runs of the best objective after some numbers of trials."""
    return {
        str(count): round(statistics.median(run[count - 1] for run in runs), 4)
        for count in LOOK_AFTER
    }


def best_so_far(
    strategy: str, seed: int, table: dict[str, Any], objective: Objective
) -> list[float]:
    """Return the best objective after each trial of a search."""
    search = Search(config(strategy, seed, table), static={})
    trials: list[Trial] = []
    for number in range(TRIALS):
        [values] = search.suggest(trials, 1)
        trials.append(Trial(f"trial-{number:03}", values, "Completed", objective(values)))
    objectives = [trial.objective or 0.0 for trial in trials]
    return [max(objectives[: count + 1]) for count in range(TRIALS)]


def config(strategy: str, seed: int, table: dict[str, Any]) -> dict[str, Any]:
    """Return a search over the table, as a request says it."""
    return {
        "Strategy": strategy,
        "RandomSeed": seed,
        "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "valid_accuracy"},
        "ResourceLimits": {"MaxNumberOfTrainingJobs": TRIALS, "MaxParallelTrainingJobs": 1},
        "ParameterRanges": {
            "ContinuousParameterRanges": [
                {"Name": name, "MinValue": str(table[name][0]), "MaxValue": str(table[name][-1])}
                for name in ("lr", "momentum")
            ],
            "CategoricalParameterRanges": [
                {"Name": "batch-size", "Values": [str(size) for size in table["batch-size"]]}
            ],
        },
    }


def interpolated(table: dict[str, Any]) -> Objective:
    """Return the accuracy anywhere between the points of the table: linear in log lr, momentum."""
    lrs = [math.log(lr) for lr in table["lr"]]
    sizes, momenta = table["batch-size"], table["momentum"]
    accuracies = table["valid_accuracy"]

    def at(lr: int, size: int, momentum: int) -> float:
        return float(accuracies[(lr * len(sizes) + size) * len(momenta) + momentum])

    def objective(values: dict[str, str]) -> float:
        size = sizes.index(int(values["batch-size"]))
        lr, up = between(lrs, math.log(float(values["lr"])))
        momentum, right = between(momenta, float(values["momentum"]))
        corners = (
            (at(lr, size, momentum), (1 - up) * (1 - right)),
            (at(lr, size, momentum + 1), (1 - up) * right),
            (at(lr + 1, size, momentum), up * (1 - right)),
            (at(lr + 1, size, momentum + 1), up * right),
        )
        return sum(accuracy * weight for accuracy, weight in corners)

    return objective


def between(points: Sequence[float], value: float) -> tuple[int, float]:
    """Return the index of the point below *value*, and how far it is to the next, 0 to 1."""
    below = min(max(bisect_right(points, value) - 1, 0), len(points) - 2)
    return below, min(max((value - points[below]) / (points[below + 1] - points[below]), 0.0), 1.0)


if __name__ == "__main__":
    main()
