"""
What the profiler, and the debugger's hook beside it, cost the demo's training loop.

Rounds of three trainings with the demo's own hyperparameters and digits, in another order each time
so that none always has the machine warm: as it is, with the profiler, with the profiler and the
hook at their default intervals. Ratios are taken within a round, so that a machine that slows down
slows all of them; the figure is their median. "loop" is the sum of the epochs' seconds, validation
included; "cpu" is all that the process and its children used; "job" is the process from its start
to its end, the reports and what they judge included.

The same runs say which share of their time has a name: the phases that the profiler has written,
against the time that the process's parent has measured.

    taskset -c 0,1 python benchmarks/profiling/overhead.py
"""

import argparse
import itertools
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from by_hand import Run, machine, train

from kennel.cli.demo import DIGITS
from kennel.datasets.digits import write
from kennel.profiling import timeline

VARIANTS = {
    "plain": {"profile": "false", "debug": "false"},
    "profiler": {"profile": "true", "debug": "false"},
    "profiler and hook": {"profile": "true", "debug": "true"},
}
LIMITS = {"profiler": 0.02, "profiler and hook": 0.10}
LEAST_NAMED = 0.97


def main() -> int:
    """Run the benchmark, print and write its result; 1 when a limit is not kept."""
    options = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    options.add_argument("--rounds", type=int, default=12)
    options.add_argument("--epochs", default=DIGITS["epochs"])
    args = options.parse_args()
    rounds = []
    with tempfile.TemporaryDirectory() as name:
        data = Path(name) / "digits"
        write(data)
        orders = itertools.cycle(itertools.permutations(VARIANTS))
        for number, order in zip(range(args.rounds), orders, strict=False):
            rounds.append(
                {
                    variant: measured(
                        train(
                            Path(name) / f"{number}-{variant}".replace(" ", "-"),
                            DIGITS | {"epochs": args.epochs} | VARIANTS[variant],
                            {"train": data},
                        ),
                        with_phases=variant != "plain",
                    )
                    for variant in order
                }
            )
            print(json.dumps(rounds[-1]), flush=True)
    result = machine() | summary(rounds) | {"rounds": rounds}
    text = json.dumps(result, indent=2)
    Path(__file__).with_name("overhead.json").write_text(text + "\n")
    print(json.dumps({key: result[key] for key in result if key != "rounds"}, indent=2))
    return 0 if result["passed"] else 1


def measured(run: Run, *, with_phases: bool) -> dict[str, float]:
    """Return what one run took, in seconds, and the share of it that has a name."""
    found = {"loop": run.loop_s, "cpu": run.cpu_s, "job": run.wall_s}
    if with_phases:
        found["named"] = named_share(run)
    return {key: round(value, 4) for key, value in found.items()}


def named_share(run: Run) -> float:
    """Return the share of the wall time, as the parent saw it, that the phases account for."""
    written = timeline.read(run.paths.output_data / "profiler-output")
    if written is None:
        raise RuntimeError("the run left no phases")
    totals = written.totals()
    return (sum(totals.values()) - totals.get("other", 0.0)) / run.wall_s


def summary(rounds: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    """Return the medians of the ratios within the rounds, and whether they are kept."""
    more = {
        variant: {
            what: [row[variant][what] / row["plain"][what] - 1 for row in rounds]
            for what in ("loop", "cpu", "job")
        }
        for variant in LIMITS
    }
    overhead = {
        variant: {what: spread(values) for what, values in by.items()}
        for variant, by in more.items()
    }
    named = [row[variant]["named"] for row in rounds for variant in LIMITS]
    kept = all(overhead[variant]["loop"]["median"] <= LIMITS[variant] for variant in LIMITS)
    return {
        "overhead": overhead,
        "limits_of_the_loop": LIMITS,
        "named_share": spread(named),
        "least_named_share": LEAST_NAMED,
        "passed": kept and min(named) >= LEAST_NAMED,
    }


def spread(values: list[float]) -> dict[str, Any]:
    """Return median and quartiles."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {
        "median": round(middle, 4),
        "quartiles": [round(low, 4), round(high, 4)],
        "least": round(min(values), 4),
        "most": round(max(values), 4),
    }


if __name__ == "__main__":
    raise SystemExit(main())
