"""The training image's entry point, started by hand under a scratch /opt/ml: what these measure."""

import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kennel.contract import ContainerPaths

EPOCH = re.compile(r"^epoch=(\d+)/\d+ .*images_per_s=([0-9.]+) seconds=([0-9.]+)", re.MULTILINE)


@dataclass(frozen=True)
class Run:
    """
    A training that has ended.

    Args:
        wall_s: From the start of the process to its end, as its parent saw it.
        cpu_s: Of the process and the children that it has waited for.
        epochs: (images a second while training, seconds with the validation) of each.
    """

    paths: ContainerPaths
    wall_s: float
    cpu_s: float
    epochs: tuple[tuple[float, float], ...]
    log: str

    @property
    def loop_s(self) -> float:
        """All epochs together: what the loop took."""
        return sum(seconds for _, seconds in self.epochs)


def train(
    root: Path,
    hyperparameters: Mapping[str, str],
    channels: Mapping[str, Path],
    cores: Collection[int] = (),
) -> Run:
    """
    Train once.

    Args:
        root: What stands for /opt/ml; made.
        cores: That it may use, by number; none: those of this process.

    Raises:
        RuntimeError: It failed.
    """
    paths = ContainerPaths(root)
    for folder in (paths.config, paths.data, paths.model, paths.output_data):
        folder.mkdir(parents=True)
    for name, folder in channels.items():
        paths.channel(name).symlink_to(folder.absolute())
    paths.hyperparameters.write_text(json.dumps(dict(hyperparameters)))
    paths.input_data_config.write_text(json.dumps({name: {} for name in channels}))
    hosts = {"current_host": "localhost", "hosts": ["localhost"], "network_interface_name": "lo"}
    paths.resource_config.write_text(json.dumps(hosts))
    started = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603 - ours
        [*pinned(cores), sys.executable, "-m", "kennel.training", "train"],
        env=os.environ
        | {
            "SAGEMAKER_BASE_DIR": str(root),
            "TRAINING_JOB_NAME": "benchmark",
            "AWS_DEFAULT_REGION": "us-east-1",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None  # noqa: S101 - a pipe was asked for
    log = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(log[-4000:])
    epochs = tuple((float(speed), float(s)) for _, speed, s in EPOCH.findall(log))
    return Run(paths, wall_s, used.ru_utime + used.ru_stime, epochs, log)


def pinned(cores: Collection[int]) -> list[str]:
    """Return what to put before a command so that it runs on these cores alone."""
    return ["taskset", "-c", ",".join(map(str, cores))] if cores else []


def machine() -> dict[str, object]:
    """Say where and when."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{processor()}, {len(os.sched_getaffinity(0))} cores",
        "python": platform.python_version(),
    }


def processor() -> str:
    """Return the processor's name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
