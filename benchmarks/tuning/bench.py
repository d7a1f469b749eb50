"""
A search of ten trials over lr, batch size and momentum with a frozen MobileNetV2: the published
projects' way against kennel's, as a job per trial and in one job; and fifty trials in one job.

Of theirs (originals.py) one epoch is timed and multiplied by 3 epochs and 10 trials; what starting
their jobs costs is left out. Of ours everything is timed that a user waits for: ``kennel tune``
from its start to its end, on a server that has the pictures but no features of them, so that it
starts the jobs, computes the features, trains, evaluates on the test split and exports. Staging,
which theirs would need as well, is timed by itself. What theirs ends with is in originals.json,
from a run of all thirty epochs.

    taskset -c 0,1 python benchmarks/tuning/bench.py DATA WEIGHTS
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kennel.local import daemon, environment

HERE = Path(__file__).parent
NAME = "kennel-tune-benchmark"
KENNEL = Path(sys.executable).with_name("kennel")
EPOCHS, TRIALS = 3, 10


@dataclass(frozen=True)
class Recipe:
    """What is searched (kennel.toml) and what all trials share."""

    settings: str
    static: tuple[str, ...]


FROZEN = ("model=mobilenet_v2", "freeze=true")
LR_AND_BATCH_SIZE = """
[tune.ranges]
lr = { min = 0.001, max = 0.1, scaling = "Logarithmic" }
batch-size = [32, 64, 128, 256, 512]
"""
FEW = Recipe(
    f"{LR_AND_BATCH_SIZE}momentum = {{ min = 0.5, max = 0.9 }}\n",
    (*FROZEN, f"epochs={EPOCHS}", "augment=none"),
)
# Chosen among three by the best validation losses of two or three searches each.
MANY = Recipe(
    f"""[tune]
objective = "valid_loss"
{LR_AND_BATCH_SIZE}weight-decay = {{ min = 0.00003, max = 0.03, scaling = "Logarithmic" }}
""",
    (*FROZEN, "epochs=16", "augment=crop"),
)
MANY_TRIALS = 50
SEEDS = (1, 2, 3)  # of the searches of fifty trials
TIMES_FASTER = {"jobs": 40, "in_job": 100}  # at least
POINTS_BELOW = 0.005  # of validation accuracy, at most
MANY_S, MANY_TEST_ACCURACY = 120, 0.88


def main() -> int:
    """Run the benchmark, print and write its result; 1 when a figure is missed."""
    args = parser().parse_args()
    theirs = originals(args.data, args.weights)
    print("originals", theirs, flush=True)
    ways = {
        "jobs": ("--parallel", str(args.parallel)),
        "in_job": ("--in-job",),
    }
    ours = {}
    for way, options in ways.items():
        ours[way] = search(args, FEW, TRIALS, options)
        print(way, ours[way], flush=True)
    many = []
    for seed in SEEDS:
        many.append(search(args, MANY, MANY_TRIALS, ("--in-job",), seed))
        print(MANY_TRIALS, many[-1], flush=True)
    for way in TIMES_FASTER:
        ours[way]["times_faster"] = round(theirs["search_s"] / ours[way]["seconds"], 1)
    missed = list(misses(theirs, ours, many))
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{processor()}, {len(os.sched_getaffinity(0))} cores",
        "python": platform.python_version(),
        "originals": theirs,
        "kennel": ours,
        "kennel_50_in_job": many,
        "missed": missed,
    }
    args.result.write_text(json.dumps(result, indent=2) + "\n")
    print(*missed or ["every figure is kept"], sep="\n")
    return int(bool(missed))


def parser() -> argparse.ArgumentParser:
    """Describe the options."""
    options = argparse.ArgumentParser(description="A search the originals' way, and ours.")
    options.add_argument("data", type=Path, help="with train, validation and test folders")
    options.add_argument("weights", type=Path, help="of torchvision's mobilenet_v2")
    options.add_argument("--parallel", type=int, default=2, help="jobs at a time; default: 2")
    options.add_argument("--result", type=Path, default=HERE / "result.json")
    return options


def originals(data: Path, weights: Path) -> dict[str, Any]:
    """Time one epoch of theirs; return what a search of theirs takes and ends with."""
    lines = ran(sys.executable, HERE / "originals.py", data, weights, "--epochs", "1")
    seconds = json.loads(lines)["seconds"]
    known = json.loads((HERE / "originals.json").read_text())
    return {
        "epoch_s": round(seconds, 1),
        "search_s": round(seconds * EPOCHS * TRIALS),
        "validation_accuracy": round(known["best_validation_accuracy"], 4),
    }


def search(
    args: argparse.Namespace, recipe: Recipe, trials: int, options: tuple[str, ...], seed: int = 1
) -> dict[str, Any]:
    """Run ``kennel tune`` against a new server, as a process; return its time and its best."""
    data, weights = args.data.absolute(), args.weights.absolute()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "kennel.toml").write_text(recipe.settings)
        given = [word for one in recipe.static for word in ("--set", one)]
        with local_server(folder / "state") as variables:
            variables["KENNEL_TUNE_SEED"] = str(seed)

            def kennel(*words: object) -> tuple[str, float]:
                started = time.perf_counter()
                said = ran(KENNEL, *words, cwd=folder, env=variables)
                return said, round(time.perf_counter() - started, 1)

            _, staging_s = kennel("data", "stage", data)
            begin = ("tune", "--name", NAME, "--data", data.name, "--weights", weights)
            _, seconds = kennel(*begin, *given, "--max-jobs", trials, *options)
            shown, _ = kennel("tuning", "show", NAME, "--json")
    found = json.loads(shown)
    return {
        "seconds": seconds,
        "staging_s": staging_s,
        "values": found["best"]["values"],
        "validation_accuracy": round(found["best"]["metrics"]["valid_accuracy"], 4),
        "test_accuracy": round(found["test_accuracy"], 4),
    }


@contextmanager
def local_server(state: Path) -> Iterator[dict[str, str]]:
    """Start a server over *state*; yield the variables of a client of it."""
    address = daemon.start(state, 0, runtime="process")
    own = {key: value for key, value in os.environ.items() if not key.startswith("KENNEL_")}
    try:
        yield {
            **own,
            **environment.variables(address.url, {}),
            "KENNEL_AWS_ROLE": "arn:aws:iam::000000000000:role/benchmark",
            "KENNEL_IMAGES_TRAIN": "kennel-train",
        }
    finally:
        daemon.stop(state)


def misses(
    theirs: dict[str, Any], ours: dict[str, Any], many: list[dict[str, Any]]
) -> Iterator[str]:
    """Yield what falls short of the figures asked for."""
    for way, times in TIMES_FASTER.items():
        if ours[way]["times_faster"] < times:
            yield f"{way}: {ours[way]['times_faster']} times faster, not {times}"
        if ours[way]["validation_accuracy"] < theirs["validation_accuracy"] - POINTS_BELOW:
            yield f"{way}: validation accuracy {ours[way]['validation_accuracy']}"
    for seed, one in zip(SEEDS, many, strict=True):
        if one["seconds"] > MANY_S:
            yield f"{MANY_TRIALS} trials, seed {seed}: {one['seconds']} s, not {MANY_S}"
        if one["test_accuracy"] < MANY_TEST_ACCURACY:
            yield (
                f"{MANY_TRIALS} trials, seed {seed}: test accuracy {one['test_accuracy']}, "
                f"not {MANY_TEST_ACCURACY}"
            )


def ran(*command: object, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Run a command and return what it says; end here, with its complaint, when it fails."""
    ended = subprocess.run(  # noqa: S603 - our own
        [str(word) for word in command],
        check=False,
        capture_output=True,
        text=True,
        cwd=cwd,
        env=env,
    )
    if ended.returncode:
        raise SystemExit(f"{command[:2]}: {ended.stdout[-3000:]}{ended.stderr[-3000:]}")
    return ended.stdout


def processor() -> str:
    """Return the processor's name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((n.partition(": ")[2] for n in lines if n.startswith("model name")), "unknown")


if __name__ == "__main__":
    sys.exit(main())
