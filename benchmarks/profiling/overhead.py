"""
What the profiler, and the debugger's hook beside it, cost the demo's training loop.

Pairs of trainings with the demo's own hyperparameters and digits: one as it is, one with the
profiler, or with the profiler and the hook at their default intervals. Both of a pair run at the
same time, each on a core of its own, and the next pair has the cores exchanged: a machine that
others slow down slows both. The figure is the median of the pairs' ratios. A core alone is the
hardest case: the sampler's process has no idle core to go to.

"loop" is the sum of the epochs' seconds, validation included; "cpu" is all that the process and
its children used; "job" is the process from its start to its end, with the judging and the
reports.

The watched runs also say which share of their time has a name: the phases that the profiler has
written, against the time that the process's parent has measured.

    taskset -c 0,1 python benchmarks/profiling/overhead.py
"""

import argparse
import json
import os
import statistics
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from by_hand import Run, machine, train

from kennel.cli.demo import DIGITS
from kennel.datasets.digits import write
from kennel.profiling import timeline

PLAIN = {"profile": "false", "debug": "false"}
WATCHED = {
    "profiler": {"profile": "true", "debug": "false"},
    "profiler and hook": {"profile": "true", "debug": "true"},
}
LIMITS = {"profiler": 0.02, "profiler and hook": 0.10}
LEAST_NAMED = 0.97
Pair = dict[str, dict[str, float]]


def main() -> int:
    """Run the benchmark, print and write its result; 1 when a limit is not kept."""
    options = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    options.add_argument("--pairs", type=int, default=12)
    options.add_argument("--epochs", default=DIGITS["epochs"])
    args = options.parse_args()
    given = DIGITS | {"epochs": args.epochs}
    pairs: dict[str, list[Pair]] = {variant: [] for variant in WATCHED}
    cores = sorted(os.sched_getaffinity(0))[:2]
    with tempfile.TemporaryDirectory() as name:
        data = Path(name) / "digits"
        write(data)
        for number in range(args.pairs):
            cores.reverse()
            for variant, more in WATCHED.items():
                place = Path(name) / f"{number}-{variant}".replace(" ", "-")
                pairs[variant].append(pair(place, given, given | more, data, cores))
                print(variant, json.dumps(pairs[variant][-1]), flush=True)
    result = machine() | summary(pairs) | {"pairs": pairs}
    text = json.dumps(result, indent=2)
    Path(__file__).with_name("overhead.json").write_text(text + "\n")
    print(json.dumps({key: result[key] for key in result if key != "pairs"}, indent=2))
    return 0 if result["passed"] else 1


def pair(
    place: Path, plain: dict[str, str], watched: dict[str, str], data: Path, cores: list[int]
) -> Pair:
    """Train twice at the same time, each on a core of its own."""
    with ThreadPoolExecutor() as both:
        runs = [
            both.submit(train, place / which, chosen, {"train": data}, [core])
            for which, chosen, core in zip(
                ("plain", "watched"), (plain | PLAIN, watched), cores, strict=True
            )
        ]
    first, second = (run.result() for run in runs)
    return {
        "plain": measured(first),
        "watched": measured(second) | {"named": round(named_share(second), 4)},
    }


def measured(run: Run) -> dict[str, float]:
    """Return what one run took, in seconds."""
    found = {"loop": run.loop_s, "cpu": run.cpu_s, "job": run.wall_s}
    return {key: round(value, 3) for key, value in found.items()}


def named_share(run: Run) -> float:
    """Return the share of the wall time, as the parent saw it, that the phases account for."""
    written = timeline.read(run.paths.output_data / "profiler-output")
    if written is None:
        raise RuntimeError("the run left no phases")
    totals = written.totals()
    return (sum(totals.values()) - totals.get("other", 0.0)) / run.wall_s


def summary(pairs: dict[str, list[Pair]]) -> dict[str, Any]:
    """Return the medians of the pairs' ratios, and whether they are kept."""
    overhead = {
        variant: {
            what: spread([row["watched"][what] / row["plain"][what] - 1 for row in rows])
            for what in ("loop", "cpu", "job")
        }
        for variant, rows in pairs.items()
    }
    named = [row["watched"]["named"] for rows in pairs.values() for row in rows]
    kept = all(overhead[variant]["loop"]["median"] <= LIMITS[variant] for variant in LIMITS)
    return {
        "overhead": overhead,
        "limits_of_the_loop": LIMITS,
        "named_share": spread(named),
        "least_named_share": LEAST_NAMED,
        "passed": kept and min(named) >= LEAST_NAMED,
    }


def spread(values: list[float]) -> dict[str, Any]:
    """Return median, quartiles and ends."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {
        "median": round(middle, 4),
        "quartiles": [round(low, 4), round(high, 4)],
        "ends": [round(min(values), 4), round(max(values), 4)],
    }


if __name__ == "__main__":
    raise SystemExit(main())
