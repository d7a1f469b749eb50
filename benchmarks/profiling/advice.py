"""
The report's own advice, applied once: throughput before and after.

A training on photographs as a newcomer sets it up is profiled; what the verdict says to set is set,
all of it and nothing else; and it is trained again, profiled too. The pairs are repeated, since
machines are noisy. "before" is the training of the projects that kennel comes from: a frozen
backbone that sees every picture in every epoch, no process that loads.

    taskset -c 0,1 python benchmarks/profiling/advice.py --data clothing --weights FILE
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from by_hand import Run, machine, train

from kennel.datasets import folders
from kennel.profiling import judging, verdict
from kennel.profiling.evidence import Evidence

CASES = {
    "frozen backbone, no loading processes": {
        "model": "mobilenet_v2",
        "freeze": "true",
        "feature-views": "0",
        "workers": "0",
        "epochs": "3",
    },
    "all of a small network, no loading processes": {
        "model": "shufflenet_v2_x0_5",
        "weights": "none",
        "image-size": "96",
        "workers": "0",
        "epochs": "3",
    },
}


def main() -> None:
    """Run the benchmark, print and write its result."""
    options = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    options.add_argument("--data", type=Path, required=True)
    options.add_argument("--weights", type=Path, required=True)
    options.add_argument("--pairs", type=int, default=3)
    args = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        weights = Path(name) / "weights"
        weights.mkdir()
        (weights / args.weights.name).symlink_to(args.weights.absolute())
        channels = dict(folders.find_splits(args.data))
        result = machine() | {
            "data": f"{args.data.name}",
            "cases": {
                case: pairs(Path(name), given, channels, weights, args.pairs)
                for case, given in CASES.items()
            },
        }
    text = json.dumps(result, indent=2)
    Path(__file__).with_name("advice.json").write_text(text + "\n")
    print(text)


def pairs(
    scratch: Path, given: dict[str, str], channels: dict[str, Path], weights: Path, count: int
) -> dict[str, Any]:
    """Train, apply the advice, train again; so many times."""
    if given.get("weights") != "none":
        channels = channels | {"weights": weights}
    given = given | {"profile": "true"}
    rows = []
    for number in range(count):
        place = scratch / f"{len(list(scratch.iterdir()))}-{number}"
        before = train(place / "before", given, channels)
        advised, said = advice(before)
        after = train(place / "after", given | advised, channels)
        rows.append(
            {
                "said": said,
                "set": advised,
                "before": measured(before),
                "after": measured(after),
                "still_said": advice(after)[1],
            }
        )
        print(json.dumps(rows[-1], indent=2), flush=True)
    return {"before": given} | ratios(rows) | {"pairs": rows}


def ratios(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """
    Return how many times as fast it was afterwards.

    The whole job counts: pictures times epochs are the same, and what comes before the first step
    (the pass through a frozen backbone, say) is work on them too.
    """
    jobs = [row["before"]["job_s"] / row["after"]["job_s"] for row in rows]
    loops = [row["before"]["loop_s"] / row["after"]["loop_s"] for row in rows]
    return {
        "throughput_of_the_job": {"median": statistics.median(jobs), "all": jobs},
        "throughput_of_the_epochs": {"median": statistics.median(loops), "all": loops},
    }


def advice(run: Run) -> tuple[dict[str, str], list[str]]:
    """Return what the run's own report says to set, and its words."""
    folder = run.paths.output_data / "profiler-output"
    found = verdict.verdict(judging.read(folder), Evidence.read(folder))
    return {name: value for item in found for name, value in item.settings.items()}, [
        str(item) for item in found
    ]


def measured(run: Run) -> dict[str, float]:
    """Return the pictures a second over all epochs, steps alone, and what the job took."""
    speeds = [speed for speed, _ in run.epochs]
    return {
        "images_per_s": round(statistics.harmonic_mean(speeds), 1),
        "loop_s": round(run.loop_s, 2),
        "job_s": round(run.wall_s, 2),
    }


if __name__ == "__main__":
    main()
