"""
The rules over 1,000 saved steps of ResNet-18, and both pages about such a run.

The tensors are saved by tensors.py, in full at every step. All rules judge them in a process of
their own, as the local server has them judged: its start and imports count. Beside it, in the same
run, smdebug's own trial reads the numbers of some of those steps, one after another as a rule of
AWS's library would; what all steps would take is that times their number.

The pages are made of what the rules found and of a profile as long as is wanted: an hour of
samples every 500 ms of a machine with four cores and a GPU, written as the platform writes them,
and a step every 0.1 s.

    taskset -c 0,1 python benchmarks/profiling/rules.py
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from by_hand import machine

from kennel.profiling import judging, phases, rules, system, timeline
from kennel.profiling.timeline_files import TimelineFiles
from kennel.reports import writing
from kennel.rules import debugger
from kennel.rules.configuration import Configuration

HERE = Path(__file__).parent
STEPS, LIMIT_S = 1000, 30
REPORT_S, REPORT_BYTES = 5, 3_000_000
READ_BY_SMDEBUG = 10  # steps
INTERVAL_S, STEP_S = 0.5, 0.1
SMDEBUG = """
import sys, time
from smdebug.trials import create_trial
began = time.perf_counter()
trial = create_trial(sys.argv[1])
steps = trial.steps()
opened = time.perf_counter() - began
numbers, began = 0, time.perf_counter()
for step in steps[-int(sys.argv[2]) :]:
    for name in trial.tensor_names(step=step):
        tensor = trial.tensor(name)
        reductions = tensor.reduction_values(step)
        if not reductions:
            tensor.value(step)
        numbers += len(reductions) or 1
print(opened, (time.perf_counter() - began) / int(sys.argv[2]), numbers, len(steps))
"""


PEAK = """
import resource, sys
from kennel.debugging.__main__ import main
code = main(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
sys.exit(code)
"""


def main() -> int:
    """Run the benchmark, print and write its result; 1 when a limit is not kept."""
    options = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    options.add_argument("--steps", type=int, default=STEPS)
    args = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        tensors, output = Path(name) / "tensors", Path(name) / "data"
        said = printed([HERE / "tensors.py", tensors, "--steps", args.steps])
        judged = judge(tensors, output / "debug-output", Path(name) / "rules.json")
        pages = [report(output, Path(name) / str(hours), hours) for hours in (0.1, 1, 24)]
        result = machine() | {
            "steps": args.steps,
            "saved": said.strip(),
            "rules": judged,
            "limit_s": LIMIT_S,
            "smdebug": by_smdebug(tensors),
            "pages": pages,
            "pages_limit": {"seconds": REPORT_S, "bytes": REPORT_BYTES},
        }
    kept = [page["seconds"] <= REPORT_S and page["largest"] <= REPORT_BYTES for page in pages]
    result["passed"] = judged["seconds"] <= LIMIT_S and all(kept[:2])
    text = json.dumps(result, indent=2)
    (HERE / "rules.json").write_text(text + "\n")
    print(text)
    return 0 if result["passed"] else 1


def judge(tensors: Path, output: Path, request: Path) -> dict[str, Any]:
    """Let every rule judge the tensors, each with its own parameters."""
    wanted = [Configuration(rule, rule).document() for rule in debugger.TABLES]
    request.write_text(json.dumps(wanted))
    began = time.perf_counter()
    options = ["--configurations", request, "--output", output]
    said = printed(["-c", PEAK, "evaluate", tensors, *options])
    seconds = time.perf_counter() - began
    kept = [json.loads(path.read_text()) for path in sorted((output / "rules").iterdir())]
    return {
        "seconds": round(seconds, 2),
        "memory_mb": int(said.split()[-1]) // 1024,
        "rules": len(kept),
        "datapoints": sum(outcome["Datapoints"] for outcome in kept),
        "said": said.splitlines()[-len(kept) - 1 : -1],
    }


def by_smdebug(tensors: Path) -> dict[str, Any]:
    """Let smdebug read the numbers of some steps."""
    said = printed(["-c", SMDEBUG, tensors, READ_BY_SMDEBUG]).split()
    opened, each, numbers, steps = (float(word) for word in said[-4:])
    return {
        "opened_s": round(opened, 2),
        "a_step_s": round(each, 4),
        "numbers_a_step": numbers / READ_BY_SMDEBUG,
        "all_steps_s": round(opened + each * steps, 1),
    }


def report(judged: Path, folder: Path, hours: float) -> dict[str, Any]:
    """Write both pages of a run of so many hours."""
    folder.mkdir()
    (folder / "debug-output").symlink_to(judged / "debug-output")
    profile(folder / "profiler-output", hours)
    began = time.perf_counter()
    pages = writing.write(folder, "benchmark")
    seconds = time.perf_counter() - began
    return {
        "hours": hours,
        "seconds": round(seconds, 2),
        "pages": {page.name: page.stat().st_size for page in pages},
        "largest": max(page.stat().st_size for page in pages),
    }


def profile(folder: Path, hours: float) -> None:
    """Write what so many hours would have left: samples, a minute a file, and steps."""
    draw = random.Random(0)  # noqa: S311 - no secret
    began, seconds = 1_800_000_000, round(hours * 3600)
    for minute in range(began, began + seconds, 60):
        hour = time.strftime("%Y%m%d%H", time.gmtime(minute))
        path = folder / system.FOLDER / hour / f"{minute}.algo-1.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        times = (minute + number * INTERVAL_S for number in range(round(60 / INTERVAL_S)))
        path.write_text("".join(sample(at, draw) for at in times))
    clock = Clock()
    files = TimelineFiles(folder, began, clock)
    recorder = phases.Recorder(files, clock=clock)
    for number in range(round(seconds / STEP_S)):
        with recorder.phase(timeline.DATA):
            clock.at += draw.uniform(0.0, 0.4) * STEP_S
        with recorder.step(number // 1000, number):
            for phase in (timeline.FORWARD, timeline.BACKWARD, timeline.OPTIMIZER):
                with recorder.phase(phase):
                    clock.at += draw.uniform(0.2, 0.32) * STEP_S
    recorder.settle(wait=True)
    files.flush()
    judging.write(folder, rules.judge(folder))


def sample(at: float, draw: random.Random) -> str:
    """Return what one look at a machine with four cores and a GPU comes to, a line a metric."""
    metrics = [
        *((system.CPU, f"cpu{n}", system.UTILIZATION, draw.uniform(0, 100)) for n in range(4)),
        *((system.CPU, f"cpu{n}", system.IO_WAIT, draw.uniform(0, 9)) for n in range(4)),
        (system.MEMORY, system.MEMORY_USED, "", draw.uniform(20, 60)),
        (system.IO, system.IOPS, "", draw.uniform(0, 900)),
        (system.IO, system.READ, "", draw.uniform(0, 9e7)),
        (system.IO, system.WRITE, "", draw.uniform(0, 9e6)),
        (system.NETWORK, system.RECEIVE, system.ALGORITHM, draw.uniform(0, 1e6)),
        (system.NETWORK, system.TRANSMIT, system.ALGORITHM, draw.uniform(0, 1e6)),
        (system.GPU, "gpu0", system.GPU_UTILIZATION, draw.uniform(0, 100)),
        (system.GPU, "gpu0", system.GPU_MEMORY, draw.uniform(20, 80)),
    ]
    keys = ("Type", "Name", "Dimension", "Value", "NodeId", "Timestamp")
    return "".join(
        json.dumps(dict(zip(keys, (*metric, "algo-1", at), strict=True))) + "\n"
        for metric in metrics
    )


@dataclass
class Clock:
    """A clock that is set by hand."""

    at: float = 0.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.at


def printed(arguments: list[object]) -> str:
    """Return what a Python of ours prints."""
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    return done.stdout


if __name__ == "__main__":
    raise SystemExit(main())
