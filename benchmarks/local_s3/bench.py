"""
How fast the local S3 is for one boto3 client, and how much memory it takes to hold a data set.

    python benchmarks/local_s3/bench.py [--moto PYTHON] [--out benchmarks/local_s3]

Objects of 130 KB are put and got by one client, one at a time and from eight threads, and listed
ten at a time; then 8,660 objects, 1.1 GB, are put, and the server's memory is read. Server and
client share two cores. With ``--moto PYTHON``, a Python that has ``moto[server]``, moto's server
does the same in the same run, turn by turn. The state is a temporary folder that is removed.
"""

import argparse
import json
import os
import platform
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import boto3
from botocore.config import Config

from kennel.local import daemon

CORES = 2
OBJECT_BYTES = 130_000
ROUND = 300  # requests timed at a time
ROUNDS = 7
THREADS = 8
LISTED = 10
SET_OBJECTS, SET_BYTES = 8_660, 1_100_000_000
BUCKET = "benchmark"
TARGETS = {"puts_per_s": 200, "gets_per_s": 300, "rss_mb": 100}


@dataclass(frozen=True)
class Figures:
    """What was measured of one server; rates are medians of the rounds."""

    puts_per_s: float
    gets_per_s: float
    puts_per_s_threads: float
    gets_per_s_threads: float
    lists_per_s: float
    rss_mb_start: float
    rss_mb: float
    rss_peak_mb: float


@dataclass(frozen=True)
class Peer:
    """A running server."""

    url: str
    pid: int


def main() -> None:
    """Measure, print and write the result."""
    args = parser().parse_args()
    load = round(os.getloadavg()[0], 1)  # of others: what they take is missing in the rates
    cores = sorted(os.sched_getaffinity(0))[:CORES]
    os.sched_setaffinity(0, cores)
    with ExitStack() as running:
        peers = {"kennel": running.enter_context(kennel_server())}
        if args.moto:
            peers["moto"] = running.enter_context(moto_server(args.moto))
        figures = measure({name: (peer, client(peer.url)) for name, peer in peers.items()})
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": cpu_name(),
        "cores": len(cores),
        "load_average_before": load,
        "python": platform.python_version(),
        "object_bytes": OBJECT_BYTES,
        "rounds": ROUNDS,
        "requests_per_round": ROUND,
        "threads": THREADS,
        "set": {"objects": SET_OBJECTS, "bytes": SET_BYTES},
        "targets": TARGETS,
        "servers": {name: asdict(measured) for name, measured in figures.items()},
    }
    text = table(result)
    print(text)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "result.json").write_text(json.dumps(result, indent=2) + "\n")
    (args.out / "result.md").write_text(text)


def parser() -> argparse.ArgumentParser:
    """Describe the options."""
    root = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    root.add_argument("--moto", metavar="PYTHON", help="a Python that has moto[server]")
    root.add_argument(
        "--out", type=Path, default=Path(__file__).parent, help="folder of the result"
    )
    return root


@contextmanager
def kennel_server() -> Iterator[Peer]:
    """Run the local server."""
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        address = daemon.start(state, 0)
        try:
            yield Peer(address.url, daemon.status(state).pid or 0)
        finally:
            daemon.stop(state)


@contextmanager
def moto_server(python: str) -> Iterator[Peer]:
    """Run moto's server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [python, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(  # noqa: S603 - the Python that the caller named
        command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    try:
        wait_for(port)
        yield Peer(f"http://127.0.0.1:{port}", process.pid)
    finally:
        process.terminate()
        process.wait()


def wait_for(port: int) -> None:
    """Sleep until somebody listens."""
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    message = f"nobody listens on port {port}"
    raise TimeoutError(message)


def client(url: str) -> Any:  # noqa: ANN401 - boto3 ships no types
    """Return the one client that does everything."""
    session = boto3.Session("key", "key", region_name="us-east-1")
    return session.client("s3", endpoint_url=url, config=Config(max_pool_connections=THREADS))


def measure(servers: dict[str, tuple[Peer, Any]]) -> dict[str, Figures]:
    """Measure every server, in turns, so that what else the machine does meets all alike."""
    body = os.urandom(OBJECT_BYTES)
    rates: dict[str, dict[str, list[float]]] = {name: {} for name in servers}
    at_start = {name: memory_mb(peer.pid, "VmRSS") for name, (peer, _) in servers.items()}
    for _, s3 in servers.values():
        s3.create_bucket(Bucket=BUCKET)
        one_round(s3, body)  # warm up
    for _ in range(ROUNDS):
        for name, (_, s3) in servers.items():
            for figure, rate in one_round(s3, body).items():
                rates[name].setdefault(figure, []).append(rate)
    for _, s3 in servers.values():
        fill(s3)
    return {
        name: Figures(
            **{figure: round(median(values)) for figure, values in rates[name].items()},
            rss_mb_start=at_start[name],
            rss_mb=memory_mb(peer.pid, "VmRSS"),
            rss_peak_mb=memory_mb(peer.pid, "VmHWM"),
        )
        for name, (peer, _) in servers.items()
    }


def one_round(s3: Any, body: bytes) -> dict[str, float]:  # noqa: ANN401
    """Return requests a second of each kind."""

    def put(number: int) -> None:
        s3.put_object(Bucket=BUCKET, Key=f"round/{number}.jpg", Body=body)

    def get(number: int) -> None:
        content = s3.get_object(Bucket=BUCKET, Key=f"round/{number}.jpg")["Body"].read()
        assert len(content) == OBJECT_BYTES  # noqa: S101 - a benchmark of wrong answers is none

    def list_some(_: int) -> None:
        s3.list_objects_v2(Bucket=BUCKET, Prefix="round/", MaxKeys=LISTED)

    return {
        "puts_per_s": rate(put),
        "gets_per_s": rate(get),
        "puts_per_s_threads": rate_in_threads(put),
        "gets_per_s_threads": rate_in_threads(get),
        "lists_per_s": rate(list_some),
    }


def rate(send: Callable[[int], None]) -> float:
    """Return requests a second, one at a time."""
    started = time.perf_counter()
    for number in range(ROUND):
        send(number)
    return ROUND / (time.perf_counter() - started)


def rate_in_threads(send: Callable[[int], None]) -> float:
    """Return requests a second from several threads of the one client."""
    with ThreadPoolExecutor(THREADS) as threads:
        started = time.perf_counter()
        list(threads.map(send, range(ROUND)))
        return ROUND / (time.perf_counter() - started)


def fill(s3: Any) -> None:  # noqa: ANN401
    """Put the data set: objects of one size, each with bytes of its own."""
    size = SET_BYTES // SET_OBJECTS
    with ThreadPoolExecutor(THREADS) as threads:
        puts = threads.map(
            lambda n: s3.put_object(Bucket=BUCKET, Key=f"set/{n:05d}.jpg", Body=os.urandom(size)),
            range(SET_OBJECTS),
        )
        for _ in puts:
            pass


def memory_mb(pid: int, name: str) -> float:
    """Return a figure of a process's memory in MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith(f"{name}:")]
    return round(int(line.split()[1]) * 1024 / 1e6, 1)


def cpu_name() -> str:
    """Return what the processor is called."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


ROWS = {
    "puts_per_s": "puts a second, one at a time",
    "gets_per_s": "gets a second, one at a time",
    "puts_per_s_threads": "puts a second, 8 threads",
    "gets_per_s_threads": "gets a second, 8 threads",
    "lists_per_s": "lists of ten objects a second, one at a time",
    "rss_mb_start": "server memory at the start, MB",
    "rss_mb": "server memory after 1.1 GB in 8,660 objects, MB",
    "rss_peak_mb": "its peak, MB",
}


def table(result: dict[str, Any]) -> str:
    """Return the result as Markdown."""
    servers = result["servers"]
    how = (
        f"One boto3 client, objects of 130 KB; medians of {ROUNDS} rounds of {ROUND} requests."
        f" Server and client on {result['cores']} cores of {result['cpu']},"
        f" Python {result['python']}; load average before: {result['load_average_before']}."
        " Written by bench.py."
    )
    lines = [
        f"# Local S3, {result['date']}",
        "",
        how,
        "",
        f"| | target | {' | '.join(servers)} |",
        f"|---|---|{'---|' * len(servers)}",
    ]
    for figure, words in ROWS.items():
        bound = "≤" if figure.startswith("rss") else "≥"
        target = f"{bound} {TARGETS[figure]}" if figure in TARGETS else ""
        values = " | ".join(f"{servers[name][figure]:,.0f}" for name in servers)
        lines.append(f"| {words} | {target} | {values} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
