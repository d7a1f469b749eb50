"""
From CreateTrainingJob to the script's first line, against the same entry point started by hand.

Both are started by turns, so that both see the same machine, for channels of 10 to 100,000 objects
of 1 KB: "toolkit" is ``python -m kennel.training train`` with a script of one line
(sagemaker_program), "bare" is that script alone. By hand the folders lie ready; the job gets its
own laid out, its channel linked or mounted and its states written down.

    taskset -c 0,1 python benchmarks/job_start/bench.py
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
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
SCRIPT = "import os, time; open(os.environ['FIRST_LINE'], 'w').write(str(time.time()))\n"
BARE = [sys.executable, "-I", "-S"]  # followed by the script
TOOLKIT = [sys.executable, "-m", "kennel.training", "train"]
LIMIT_S = 1.0  # what the job may take more
WRITERS = 4
POLL_S = 0.05
ENDED = ("Completed", "Failed", "Stopped")


def main() -> int:
    """Run the benchmark, print and write its result; 1 when the limit is not kept."""
    args = parser().parse_args()
    with tempfile.TemporaryDirectory() as folder, local_server(Path(folder)) as client:
        rows = [
            measure(client, Path(folder), size, args.pairs, bare=bare)
            for bare in (True, False)
            for size in CHANNEL_SIZES
        ]
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{processor()}, {len(os.sched_getaffinity(0))} cores",
        "python": platform.python_version(),
        "pairs": args.pairs,
        "limit_s": LIMIT_S,
        "channels": rows,
    }
    args.result.write_text(json.dumps(result, indent=2) + "\n")
    return int(any(row["more_s_median"] > LIMIT_S for row in rows))


def parser() -> argparse.ArgumentParser:
    """Describe the options."""
    options = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    options.add_argument("--pairs", type=int, default=5, help="default: %(default)s")
    options.add_argument("--result", type=Path, default=Path(__file__).with_name("result.json"))
    return options


@contextmanager
def local_server(folder: Path) -> Iterator[Any]:
    """Fill the store with every channel, start a server over it, yield a SageMaker client."""
    state = folder / "state"
    fill(state)
    address = daemon.start(state, 0)
    # What the clients read must not come from this machine's own AWS settings.
    os.environ.update(environment.variables(address.url, {}))
    try:
        yield boto3.client("sagemaker")
    finally:
        daemon.stop(state)


def fill(state: Path) -> None:
    """Store the objects of every channel, without HTTP."""
    database = Database(state / layout.DATABASE)
    objects = Objects(state / layout.OBJECTS, database)
    objects.create_bucket(BUCKET)
    content = b"x" * OBJECT_BYTES
    keys = [f"{prefix(size)}/class-{n % 10}/{n}.jpg" for size in CHANNEL_SIZES for n in range(size)]
    with ThreadPoolExecutor(WRITERS) as pool:
        for _ in pool.map(lambda key: objects.put_bytes(BUCKET, key, content), keys):
            pass
    database.close()


def prefix(size: int) -> str:
    """Return a channel's prefix; "10" alone would be one of "1000" too."""
    return f"{size}-objects"


def measure(
    client: Any,  # noqa: ANN401 - boto3 has no types
    folder: Path,
    size: int,
    pairs: int,
    *,
    bare: bool,
) -> dict[str, Any]:
    """Measure *pairs* pairs for a channel of *size* objects."""
    first_line = folder / "first-line"
    code = folder / "code"
    code.mkdir(exist_ok=True)
    (code / "first.py").write_text(SCRIPT)
    request = job_request(size, first_line, code)
    command = [*BARE, str(code / "first.py")] if bare else TOOLKIT
    if bare:
        request["AlgorithmSpecification"]["ContainerEntrypoint"] = command
    root = hand_made(folder / f"by-hand-{size}-{bare}", request, folder / "state" / layout.OBJECTS)
    by_hand: list[float] = []
    as_job: list[float] = []
    for pair in range(pairs + 1):
        ways = [
            (by_hand, lambda: run_by_hand(command, root, first_line)),
            (as_job, lambda: run_as_job(client, request)),
        ]
        for seconds, run in ways if pair % 2 else reversed(ways):
            seconds.append(seconds_to(first_line, run))
    del by_hand[0], as_job[0]  # the first pair fills the caches
    more = [job - hand for job, hand in zip(as_job, by_hand, strict=True)]
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


def seconds_to(first_line: Path, run: Callable[[], None]) -> float:
    """Return how long after the call of *run* the script wrote its first line."""
    first_line.unlink(missing_ok=True)
    started = time.time()
    run()
    return float(first_line.read_text()) - started


def job_request(size: int, first_line: Path, code: Path) -> dict[str, Any]:
    """Return a CreateTrainingJob request but for its name."""
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{prefix(size)}"}
    return {
        "RoleArn": "arn:aws:iam::000000000000:role/benchmark",
        "AlgorithmSpecification": {"TrainingImage": "kennel", "TrainingInputMode": "File"},
        "HyperParameters": {
            "sagemaker_program": "first.py",
            "sagemaker_submit_directory": str(code),
        },
        "InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/output"},
        "ResourceConfig": {
            "InstanceType": "ml.m5.large",
            "InstanceCount": 1,
            "VolumeSizeInGB": 10,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        "Environment": {"FIRST_LINE": str(first_line)},
    }


def hand_made(root: Path, request: dict[str, Any], objects: Path) -> Path:
    """Lay out by hand what the job would find."""
    channel = request["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"]
    paths = write(root, documents(request, ["localhost"], root))
    paths.channel("train").symlink_to(objects / channel.removeprefix("s3://"))
    return root


def run_by_hand(command: list[str], root: Path, first_line: Path) -> None:
    """Start the entry point as a shell would, with Python's own settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    variables = {**kept, "SAGEMAKER_BASE_DIR": str(root), "FIRST_LINE": str(first_line)}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(command, env=variables, cwd=root, check=True, **quiet)  # noqa: S603 - our own


def run_as_job(client: Any, request: dict[str, Any]) -> None:  # noqa: ANN401
    """Create a training job and wait for its end."""
    name = f"benchmark-{time.time_ns()}"
    client.create_training_job(TrainingJobName=name, **request)
    while True:
        job = client.describe_training_job(TrainingJobName=name)
        if job["TrainingJobStatus"] in ENDED:
            break
        time.sleep(POLL_S)
    if job["TrainingJobStatus"] != "Completed":
        raise SystemExit(f"{name}: {job['FailureReason']}")


def processor() -> str:
    """Return the processor's name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((n.partition(": ")[2] for n in lines if n.startswith("model name")), "unknown")


if __name__ == "__main__":
    sys.exit(main())
