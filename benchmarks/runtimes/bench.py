"""
What a container costs over a process: the same requests to two local servers, by turns.

One server runs jobs as containers of the images, the other as processes of this environment. Each
round trains the same digits, deploys the model and asks it about one picture many times. By hand,
the serving image is started with ``docker run`` on the same model, until it answers a ping.

    taskset -c 0,1 python benchmarks/runtimes/bench.py
"""

import argparse
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3

from kennel.datasets import digits
from kennel.local import daemon, environment

BUCKET = "benchmark"
ROLE = "arn:aws:iam::000000000000:role/benchmark"
HYPERPARAMETERS = {"weights": "none", "image-size": "32", "augment": "none", "epochs": "4"}
TRAIN_IMAGE, SERVE_IMAGE = "kennel-train", "kennel-serve"
ENDED = ("Completed", "Failed", "Stopped")
POLL_S = 0.05
START_WAIT_S = 120
INVOCATIONS = 300


def main() -> int:
    """Run the benchmark, print and write its result."""
    args = parser().parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        digits.write(folder / "digits")
        servers = {
            name: stack.enter_context(local_server(folder, name)) for name in ("process", "docker")
        }
        rounds: list[dict[str, dict[str, float]]] = []
        for turn in range(args.rounds):
            order = list(servers) if turn % 2 else list(reversed(servers))
            rounds.append({name: one_round(servers[name], f"round-{turn}") for name in order})
            print(rounds[-1], flush=True)
        by_hand = [
            seconds_to_ping(servers["docker"], f"round-{turn}", folder)
            for turn in range(args.rounds)
        ]
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{processor()}, {len(os.sched_getaffinity(0))} cores",
        "python": platform.python_version(),
        "rounds": args.rounds,
        "median": {name: medians([each[name] for each in rounds]) for name in servers},
        "docker_over_process": medians([ratios(each) for each in rounds]),
        "docker_run_to_ping_s": round(statistics.median(by_hand), 3),
    }
    print(json.dumps(result, indent=2))
    args.result.write_text(json.dumps(result, indent=2) + "\n")
    return 0


def parser() -> argparse.ArgumentParser:
    """Describe the options."""
    options = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    options.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    options.add_argument("--result", type=Path, default=Path(__file__).with_name("result.json"))
    return options


@dataclass(frozen=True)
class Clients:
    """What asks one server."""

    s3: Any
    sagemaker: Any
    runtime: Any
    picture: bytes


@contextmanager
def local_server(folder: Path, runtime: str) -> Iterator[Clients]:
    """Start a server of one runtime that holds the digits."""
    state = folder / runtime
    address = daemon.start(state, 0, runtime=runtime)
    os.environ.update(environment.variables(address.url, {}))
    try:
        clients = Clients(
            s3=boto3.client("s3"),
            sagemaker=boto3.client("sagemaker"),
            runtime=boto3.client("sagemaker-runtime"),
            picture=next((folder / "digits/test").rglob("*.png")).read_bytes(),
        )
        clients.s3.create_bucket(Bucket=BUCKET)
        for path in (folder / "digits").rglob("*.png"):
            key = str(path.relative_to(folder))
            clients.s3.put_object(Bucket=BUCKET, Key=key, Body=path.read_bytes())
        yield clients
    finally:
        daemon.stop(state)


def one_round(clients: Clients, name: str) -> dict[str, float]:
    """Train, deploy, ask and delete, and say how long each took."""
    trained_s = seconds(lambda: train(clients.sagemaker, name))
    deployed_s = seconds(lambda: deploy(clients.sagemaker, name))
    try:
        latencies = [seconds(lambda: invoke(clients, name)) for _ in range(INVOCATIONS)]
    finally:
        clients.sagemaker.delete_endpoint(EndpointName=name)
        clients.sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=name)
    return {
        "training_job_s": trained_s,
        "endpoint_in_service_s": deployed_s,
        "invocation_p50_ms": 1000 * statistics.median(latencies),
        "invocation_p99_ms": 1000 * statistics.quantiles(latencies, n=100)[-1],
    }


def train(sagemaker: Any, name: str) -> None:  # noqa: ANN401 - boto3 has no types
    """Train on the digits, from CreateTrainingJob to Completed."""
    sagemaker.create_training_job(
        TrainingJobName=name,
        RoleArn=ROLE,
        AlgorithmSpecification={"TrainingImage": TRAIN_IMAGE, "TrainingInputMode": "File"},
        HyperParameters=HYPERPARAMETERS,
        InputDataConfig=[channel(split) for split in ("train", "valid", "test")],
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/output"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )
    reach(lambda: sagemaker.describe_training_job(TrainingJobName=name), "TrainingJobStatus", ENDED)


def channel(split: str) -> dict[str, Any]:
    """Return the channel of one split."""
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/digits/{split}"}
    return {"ChannelName": split, "DataSource": {"S3DataSource": source}}


def deploy(sagemaker: Any, name: str) -> None:  # noqa: ANN401
    """Put the model behind an endpoint, from CreateEndpoint to InService."""
    container = {
        "Image": SERVE_IMAGE,
        "ModelDataUrl": f"s3://{BUCKET}/output/{name}/output/model.tar.gz",
    }
    sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
    variant = {
        "VariantName": "all",
        "ModelName": name,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    ended = ("InService", "Failed")
    reach(lambda: sagemaker.describe_endpoint(EndpointName=name), "EndpointStatus", ended)


def reach(describe: Callable[[], dict[str, Any]], status: str, ended: tuple[str, ...]) -> None:
    """Wait until a resource has ended, and ask that it ended well: the first of *ended*."""
    while (described := describe())[status] not in ended:
        time.sleep(POLL_S)
    if described[status] != ended[0]:
        raise SystemExit(f"{described[status]}: {described['FailureReason']}")


def invoke(clients: Clients, name: str) -> None:
    """Classify one picture."""
    answer = clients.runtime.invoke_endpoint(
        EndpointName=name, ContentType="image/png", Body=clients.picture
    )
    answer["Body"].read()


def seconds_to_ping(clients: Clients, name: str, folder: Path) -> float:
    """Start the serving image by hand on a round's model; return when it answers a ping."""
    model = folder / f"model-{name}"
    key = f"output/{name}/output/model.tar.gz"
    packed = clients.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    model.mkdir()
    subprocess.run(["/bin/tar", "-xz"], input=packed, cwd=model, check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["docker", "run", "--detach", "--rm", "--publish", f"127.0.0.1:{port}:8080"]
    command += ["--volume", f"{model}:/opt/ml/model:ro", SERVE_IMAGE, "serve"]
    started = time.monotonic()
    container = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603 - our own
    try:
        while not answers(f"http://127.0.0.1:{port}/ping"):
            if time.monotonic() - started > START_WAIT_S:
                raise SystemExit("the serving image does not answer")
            time.sleep(POLL_S)
        return time.monotonic() - started
    finally:
        subprocess.run(["docker", "kill", container], check=True, capture_output=True)  # noqa: S603, S607


def answers(url: str) -> bool:
    """Return whether *url* answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - localhost
            return bool(answer.status == 200)  # noqa: PLR2004 - OK
    except (urllib.error.URLError, OSError):
        return False


def seconds(action: Callable[[], object]) -> float:
    """Return how long *action* takes."""
    started = time.monotonic()
    action()
    return time.monotonic() - started


def ratios(one: dict[str, dict[str, float]]) -> dict[str, float]:
    """Return one round's figures under Docker over those as processes."""
    return {name: value / one["process"][name] for name, value in one["docker"].items()}


def medians(rows: list[dict[str, float]]) -> dict[str, float]:
    """Return the median of each figure."""
    return {name: round(statistics.median(row[name] for row in rows), 3) for name in rows[0]}


def processor() -> str:
    """Return the processor's name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((n.partition(": ")[2] for n in lines if n.startswith("model name")), "unknown")


if __name__ == "__main__":
    sys.exit(main())
