"""
The two backends of serving on a CPU, torch and OpenVINO, with the same artifact by turns.

Speed is the backend's alone, on random pictures of 224 px, as many threads as there are cores.
Start and memory are the whole server's: until its first true ping, and after some answers.

    taskset -c 0,1 python benchmarks/serving_backends/bench.py
"""

import argparse
import io
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kennel.contract import SERVING_BACKEND_VARIABLE
from kennel.serving import backends
from kennel.vision import artifact, models, trained
from kennel.vision.artifact import Artifact
from kennel.vision.preprocessing import Preprocessing

ARCHITECTURES = ("resnet18", "mobilenet_v2")
BACKENDS = (backends.TORCH, backends.OPENVINO)
BATCHES = (1, 16)
SIZE_PX = 224
CLASSES = 10
ROUND_S = 2.0
PORT = 18_431
READY_WITHIN_S = 120
ANSWERS = 8
WORKERS = 2
WAITING = {"OMP_WAIT_POLICY": "PASSIVE"}


def main() -> None:
    """Run the benchmark, print and write its result."""
    args = parser().parse_args()
    before = os.getloadavg()[0]
    if os.environ.get("OMP_WAIT_POLICY") != "PASSIVE":  # as the server sets it, before torch loads
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | WAITING)  # noqa: S606
    result: dict[str, Any] = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{processor()}, {len(os.sched_getaffinity(0))} cores",
        "load_before": round(before, 1),
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in BACKENDS},
        "rounds": args.rounds,
        "architectures": {name: measure(name, args.rounds) for name in ARCHITECTURES},
    }
    args.result.write_text(json.dumps(result, indent=2) + "\n")


def parser() -> argparse.ArgumentParser:
    """Describe the options."""
    options = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    options.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    options.add_argument("--result", type=Path, default=Path(__file__).with_name("result.json"))
    return options


def measure(architecture: str, rounds: int) -> dict[str, Any]:
    """Measure one architecture with both backends."""
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        export(base / "model", architecture)
        rows = {f"images_per_s_batch_{n}": speeds(base / "model", n, rounds) for n in BATCHES}
        rows |= servers(base, rounds)
    for name, row in rows.items():
        row["openvino_over_torch"] = round(row[backends.OPENVINO] / row[backends.TORCH], 2)
        print(architecture, name, row, flush=True)
    return rows


def export(folder: Path, architecture: str) -> None:
    """Make the artifact that both serve."""
    torch.manual_seed(0)
    names = tuple(f"class-{n}" for n in range(CLASSES))
    described = Artifact(architecture, names, Preprocessing.for_size(SIZE_PX))
    trained.save(folder, models.build(architecture, CLASSES), described)
    trained.convert(folder)


def speeds(folder: Path, batch: int, rounds: int) -> dict[str, float]:
    """Return the median of each backend's pictures a second, measured by turns."""
    threads = len(os.sched_getaffinity(0))
    described = artifact.describe(folder)
    started = {
        name: backends.prepare(folder, described, name)[1].start(threads) for name in BACKENDS
    }
    shape = (batch, 3, SIZE_PX, SIZE_PX)
    images = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    measured: dict[str, list[float]] = {name: [] for name in BACKENDS}
    for _ in range(rounds + 1):
        for name, logits in started.items():
            measured[name].append(per_second(lambda run=logits: run(images)) * batch)
    return {name: round(statistics.median(values[1:]), 1) for name, values in measured.items()}


def per_second(run: Any) -> float:  # noqa: ANN401 - any call
    """Return how often *run* can be called."""
    count, begin = 0, time.perf_counter()
    while (passed := time.perf_counter() - begin) < ROUND_S:
        run()
        count += 1
    return count / passed


def servers(base: Path, rounds: int) -> dict[str, dict[str, float]]:
    """Return start and memory of the whole server with each backend, measured by turns."""
    measured: dict[str, list[dict[str, float]]] = {name: [] for name in BACKENDS}
    for _ in range(rounds):
        for name in BACKENDS:
            measured[name].append(server(base, name))
    return {
        what: {
            name: round(statistics.median(one[what] for one in measured[name]), 2)
            for name in BACKENDS
        }
        for what in ("ready_s", "worker_mb", "all_python_mb")
    }


def server(base: Path, backend: str) -> dict[str, float]:
    """Start a server, ask it some times, and stop it."""
    begin = time.perf_counter()
    with running(base, backend):
        wait_until_ready()
        ready_s = time.perf_counter() - begin
        for _ in range(ANSWERS):
            ask()
        parent, *workers = [(pid, pss_mb(pid)) for pid in pythons()]
    return {
        "ready_s": ready_s,
        "worker_mb": statistics.mean(memory for _, memory in workers),
        "all_python_mb": parent[1] + sum(memory for _, memory in workers),
    }


@contextmanager
def running(base: Path, backend: str) -> Iterator[None]:
    """Run a server with two workers, quietly."""
    variables = {
        "SAGEMAKER_BASE_DIR": str(base),
        "SAGEMAKER_BIND_TO_PORT": str(PORT),
        "SAGEMAKER_MODEL_SERVER_WORKERS": str(WORKERS),
        SERVING_BACKEND_VARIABLE: backend,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "kennel.serving", "serve"],
        env=os.environ | variables,
        stdout=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def wait_until_ready() -> None:
    """Return at the first true ping."""
    deadline = time.monotonic() + READY_WITHIN_S
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/ping", timeout=2):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def ask() -> None:
    """Classify one picture."""
    file = io.BytesIO()
    np.save(file, np.zeros((SIZE_PX, SIZE_PX, 3), np.uint8))
    headers = {"Content-Type": "application/x-npy"}
    url = f"http://127.0.0.1:{PORT}/invocations"
    request = urllib.request.Request(url, file.getvalue(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - ours
        answer.read()


def pythons() -> list[int]:
    """Return the process that holds the model, then its forks."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            ours = f"SAGEMAKER_BIND_TO_PORT={PORT}".encode() in (folder / "environ").read_bytes()
            if ours and b"model_service_worker.py" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue  # ended meanwhile, or somebody else's
    forks = [pid for pid in found if parent_of(pid) in found]
    (holder,) = set(found) - set(forks)
    return [holder, *forks]


def parent_of(pid: int) -> int:
    """Return the parent of a process."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def pss_mb(pid: int) -> float:
    """Return the memory of a process in MB, of what it shares with others its part."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("Pss:")]
    return int(line.split()[1]) / 1000


def processor() -> str:
    """Return the processor's name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((n.partition(": ")[2] for n in lines if n.startswith("model name")), "unknown")


if __name__ == "__main__":
    main()
