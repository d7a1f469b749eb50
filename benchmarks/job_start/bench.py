"""
From CreateTrainingJob to the script's first line, against the same entry point started by hand.

Both are started by turns, so that both see the same machine, for channels of 10 to 100,000 objects
of 1 KB: "toolkit" is kennel's own entry point with a script of one line (sagemaker_program), "bare"
is that script alone. By hand the folders lie ready; the job gets its own laid out, its channel
linked or mounted and its states written down. With ``--runtime docker`` both are containers of the
training image, by hand through ``docker run``.

    taskset -c 0,1 python benchmarks/job_start/bench.py
    taskset -c 0,1 python benchmarks/job_start/bench.py --runtime docker
"""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3

from kennel.local import daemon, environment, layout
from kennel.local.database import Database
from kennel.local.s3.objects import Objects
from kennel.local.sagemaker.training.layout import documents, write

CHANNEL_SIZES = (10, 1_000, 8_660, 100_000)
OBJECT_BYTES = 1024
BUCKET = "benchmark"
SCRIPT = "import time; print('first line at', time.time(), flush=True)"
FIRST_LINE = re.compile(r"first line at (\d+\.\d+)")
BARE = ("-I", "-S", "-c", SCRIPT)  # what follows Python
IN_CONTAINER = Path("/opt/ml")
IMAGE = "kennel-train"
LIMITS_S = {"process": 1.0, "docker": 2.0}  # what the job may take more
WRITERS = 4
POLL_S = 0.05
ENDED = ("Completed", "Failed", "Stopped")


def main() -> int:
    """Run the benchmark, print and write its result; 1 when the limit is not kept."""
    args = parser().parse_args()
    with tempfile.TemporaryDirectory() as name, local_server(Path(name), args.runtime) as clients:
        hand = Docker(Path(name)) if args.runtime == "docker" else Process(Path(name))
        rows = [
            measure(clients, hand, size, args.pairs, bare=bare)
            for bare in (True, False)
            for size in CHANNEL_SIZES
        ]
    limit_s = LIMITS_S[args.runtime]
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{processor()}, {len(os.sched_getaffinity(0))} cores",
        "python": platform.python_version(),
        "runtime": args.runtime,
        "pairs": args.pairs,
        "limit_s": limit_s,
        "channels": rows,
    }
    path = args.result or Path(__file__).with_name(f"result-{args.runtime}.json")
    path.write_text(json.dumps(result, indent=2) + "\n")
    return int(any(row["more_s_median"] > limit_s for row in rows))


def parser() -> argparse.ArgumentParser:
    """Describe the options."""
    options = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    options.add_argument("--runtime", choices=LIMITS_S, default="process")
    options.add_argument("--pairs", type=int, default=5, help="default: %(default)s")
    options.add_argument("--result", type=Path, help="default: result-RUNTIME.json beside this")
    return options


@dataclass(frozen=True)
class Clients:
    """What asks the server."""

    sagemaker: Any
    logs: Any


@contextmanager
def local_server(folder: Path, runtime: str) -> Iterator[Clients]:
    """Fill the store with every channel, start a server over it, yield its clients."""
    state = folder / "state"
    fill(state)
    address = daemon.start(state, 0, runtime=runtime)
    # What the clients read must not come from this machine's own AWS settings.
    os.environ.update(environment.variables(address.url, {}))
    try:
        yield Clients(boto3.client("sagemaker"), boto3.client("logs"))
    finally:
        daemon.stop(state)


def fill(state: Path) -> None:
    """Store the objects of every channel, without HTTP."""
    database = Database(state / layout.DATABASE)
    objects = Objects(state / layout.OBJECTS, database)
    objects.create_bucket(BUCKET)
    content = b"x" * OBJECT_BYTES
    objects.put_bytes(BUCKET, "code/first.py", SCRIPT.encode())
    keys = [f"{prefix(size)}/class-{n % 10}/{n}.jpg" for size in CHANNEL_SIZES for n in range(size)]
    with ThreadPoolExecutor(WRITERS) as pool:
        for _ in pool.map(lambda key: objects.put_bytes(BUCKET, key, content), keys):
            pass
    database.close()


def prefix(size: int) -> str:
    """Return a channel's prefix; "10" alone would be one of "1000" too."""
    return f"{size}-objects"


@dataclass(frozen=True)
class Process:
    """Started by hand as a process: the same entry point, in the same environment."""

    folder: Path
    python = sys.executable

    def submit_directory(self, root: Path) -> Path:
        """Return where the toolkit finds the script: a job's own channel has no path yet."""
        return root.parent / "state" / layout.OBJECTS / BUCKET / "code"

    def base_dir(self, root: Path) -> Path:
        """Return the path by which the program knows *root*."""
        return root

    def command(self, root: Path, channels: dict[str, Path], *, bare: bool) -> list[str]:
        """Return what a shell would be told; the channels become links in *root*."""
        for name, source in channels.items():
            link = root / "input/data" / name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(source)
        program = BARE if bare else ("-m", "kennel.training", "train")
        return ["env", f"SAGEMAKER_BASE_DIR={root}", self.python, *program]


@dataclass(frozen=True)
class Docker:
    """Started by hand with ``docker run``."""

    folder: Path
    python = "python3"

    def submit_directory(self, _root: Path) -> Path:
        """Return where the toolkit finds the script."""
        return IN_CONTAINER / "input/data/code"

    def base_dir(self, _root: Path) -> Path:
        """Return the path by which the program knows its folder."""
        return IN_CONTAINER

    def command(self, root: Path, channels: dict[str, Path], *, bare: bool) -> list[str]:
        """Return what a shell would be told."""
        run = ["docker", "run", "--rm", "--volume", f"{root}:{IN_CONTAINER}"]
        for name, source in channels.items():
            run += ["--volume", f"{source}:{IN_CONTAINER / 'input/data' / name}:ro"]
        if bare:
            return [*run, "--entrypoint", self.python, IMAGE, *BARE]
        return [*run, IMAGE, "train"]


def measure(
    clients: Clients, hand: Process | Docker, size: int, pairs: int, *, bare: bool
) -> dict[str, Any]:
    """Measure *pairs* pairs for a channel of *size* objects."""
    root = hand.folder / f"by-hand-{size}-{bare}"
    request = job_request(size, hand.submit_directory(root))
    if bare:
        request["AlgorithmSpecification"]["ContainerEntrypoint"] = [hand.python, *BARE]
    write(root, documents(request, ["localhost"], hand.base_dir(root)))
    objects = hand.folder / "state" / layout.OBJECTS / BUCKET
    channels = {"train": objects / prefix(size), "code": objects / "code"}
    command = hand.command(root, channels, bare=bare)
    by_hand: list[float] = []
    as_job: list[float] = []
    for pair in range(pairs + 1):
        ways = [
            (by_hand, lambda: run_by_hand(command, root)),
            (as_job, lambda: run_as_job(clients, request)),
        ]
        for seconds, run in ways if pair % 2 else reversed(ways):
            seconds.append(seconds_to_first_line(run))
    del by_hand[0], as_job[0]  # the first pair fills the caches
    more = [job - hand_s for job, hand_s in zip(as_job, by_hand, strict=True)]
    row = {
        "entry_point": "bare" if bare else "toolkit",
        "objects": size,
        "by_hand_s_median": round(statistics.median(by_hand), 3),
        "job_s_median": round(statistics.median(as_job), 3),
        "more_s_median": round(statistics.median(more), 3),
        "more_s_worst": round(max(more), 3),
    }
    print(row, flush=True)
    return row


def seconds_to_first_line(run: Callable[[], str]) -> float:
    """Return how long after the call of *run* the script wrote its first line into the log."""
    started = time.time()
    found = FIRST_LINE.search(run())
    if found is None:
        raise SystemExit("the script's line is not in the log")
    return float(found[1]) - started


def job_request(size: int, submit_directory: Path) -> dict[str, Any]:
    """Return a CreateTrainingJob request but for its name."""
    return {
        "RoleArn": "arn:aws:iam::000000000000:role/benchmark",
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "HyperParameters": {
            "sagemaker_program": "first.py",
            "sagemaker_submit_directory": str(submit_directory),
        },
        "InputDataConfig": [channel("train", prefix(size)), channel("code", "code")],
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/output"},
        "ResourceConfig": {
            "InstanceType": "ml.m5.large",
            "InstanceCount": 1,
            "VolumeSizeInGB": 10,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }


def channel(name: str, key_prefix: str) -> dict[str, Any]:
    """Return a channel of the objects under *key_prefix*."""
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{key_prefix}"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


def run_by_hand(command: list[str], root: Path) -> str:
    """Start the entry point as a shell would, with Python's own settings; return what it says."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    ended = subprocess.run(  # noqa: S603 - our own
        command, env=kept, cwd=root, check=True, capture_output=True, text=True
    )
    return ended.stdout


def run_as_job(clients: Clients, request: dict[str, Any]) -> str:
    """Create a training job, wait for its end and return its log."""
    name = f"benchmark-{time.time_ns()}"
    clients.sagemaker.create_training_job(TrainingJobName=name, **request)
    while True:
        job = clients.sagemaker.describe_training_job(TrainingJobName=name)
        if job["TrainingJobStatus"] in ENDED:
            break
        time.sleep(POLL_S)
    if job["TrainingJobStatus"] != "Completed":
        raise SystemExit(f"{name}: {job['FailureReason']}")
    events = clients.logs.filter_log_events(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{name}/"
    )["events"]
    return "\n".join(event["message"] for event in events)


def processor() -> str:
    """Return the processor's name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((n.partition(": ")[2] for n in lines if n.startswith("model name")), "unknown")


if __name__ == "__main__":
    sys.exit(main())
