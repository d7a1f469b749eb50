"""
Everything that multi-model-server is told, decided from the environment; nothing is started here.

- Workers and threads are set together: each worker computes with its own OpenMP threads, and more
  threads than CPUs once made answers 100 times slower. Two workers, since a second one answers
  while the first decodes or a request is long; the weights are shared, but activations are not. The
  CPUs are divided among them.
- Timeouts are given in seconds: multi-model-server reads ``default_response_timeout`` as minutes.
- The management API, which shares the port by default, moves to a Unix socket in the scratch
  folder.
- The JVM would see one CPU in some containers (-UseContainerSupport), take a quarter of the memory
  (-Xmx) and write to /tmp (-UsePerfData).
"""

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import mms
from sagemaker_inference.environment import Environment

from kennel import contract
from kennel.errors import SettingsError
from kennel.serving import backends

HANDLER: Final = "kennel.serving.handler"
MAX_WORKERS: Final = 2
HEAP_MB: Final = 512
EVERY_INTERFACE: Final = "0.0.0.0"  # noqa: S104 - what a container publishes is the engine's choice
LAST_PORT: Final = 32_766  # multi-model-server keeps ports in signed 16 bits
JVM_FLAGS: Final = (f"-Xmx{HEAP_MB}m", "-XX:-UsePerfData")
# Bodies up to this many times the limit reach our code, which refuses them with a reason.
REFUSED_WITH_REASON: Final = 2

_CGROUP: Final = Path("/sys/fs/cgroup")
# Quota and period in microseconds. No limit is "max" in version 2, and -1 in version 1.
_QUOTA_FILES: Final = (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"))

_LOG: Final = """<?xml version="1.0" encoding="UTF-8"?>
<Configuration>
  <Appenders>
    <Console name="STDOUT" target="SYSTEM_OUT">
      <PatternLayout pattern="%d{ISO8601} %-5p %m%n"/>
      <RegexFilter regex=".*(GET /ping |attachIOStreams|worker pid is not available).*"
                   onMatch="DENY" onMismatch="NEUTRAL"/>
    </Console>
  </Appenders>
  <Loggers>
    <Logger name="ACCESS_LOG" level="info"/>
    <Logger name="MODEL_LOG" level="info"/>
    <Logger name="com.amazonaws.ml.mms.wlm.WorkerLifeCycle" level="info"/>
    <Logger name="MMS_METRICS" level="off"/>
    <Logger name="MODEL_METRICS" level="off"/>
    <Root level="warn"><AppenderRef ref="STDOUT"/></Root>
  </Loggers>
</Configuration>
"""
_WORKER: Final = "from kennel.serving.worker import main\n\nmain()\n"


@dataclass(frozen=True)
class Settings:
    """How to serve."""

    address: str  # of the network interface
    port: int
    workers: int
    threads: int  # of each worker
    timeout_s: int  # of one request; its worker is replaced after that
    max_bytes: int  # of one body
    jvm_flags: tuple[str, ...]
    backend: str  # one of backends.CHOICES

    @classmethod
    def from_environment(cls, *, cpus: int) -> "Settings":
        """
        Return the settings, from the variables that sagemaker-inference reads.

        Args:
            cpus: CPUs that this container may use.

        Raises:
            SettingsError: A variable that should be a number is none, or is out of range.
        """
        try:
            given = Environment()
            workers = int(given.model_server_workers or min(MAX_WORKERS, cpus))
            settings = cls(
                address=os.environ.get(contract.BIND_ADDRESS_VARIABLE, EVERY_INTERFACE),
                port=int(given.inference_http_port),
                workers=workers,
                threads=max(1, cpus // max(1, workers)),
                timeout_s=given.model_server_timeout_seconds or contract.INVOCATION_TIMEOUT_S,
                max_bytes=given.max_request_size or contract.INVOCATION_BODY_BYTES,
                jvm_flags=(*JVM_FLAGS, *shlex.split(given.vmargs)),
                backend=os.environ.get(contract.SERVING_BACKEND_VARIABLE, backends.AUTO).lower(),
            )
        except ValueError as error:
            raise SettingsError(
                f"a SAGEMAKER_ variable is malformed: {error}", expected="whole numbers"
            ) from error
        return settings._checked()

    def _checked(self) -> "Settings":
        numbers = (self.port, self.workers, self.timeout_s, self.max_bytes)
        if min(numbers) < 1 or self.port > LAST_PORT:
            raise SettingsError(
                f"cannot serve on port {self.port} with {self.workers} workers, {self.timeout_s} s "
                f"and {self.max_bytes} bytes for a request",
                expected=f"numbers above 0, and a port up to {LAST_PORT}",
            )
        if self.backend not in backends.CHOICES:
            raise SettingsError(
                f"{contract.SERVING_BACKEND_VARIABLE} is {self.backend!r}",
                expected=f"one of {', '.join(backends.CHOICES)}",
            )
        return self


def properties(settings: Settings, folder: Path) -> str:
    """Return multi-model-server's config.properties."""
    limit = settings.max_bytes * REFUSED_WITH_REASON
    values: Mapping[str, object] = {
        "inference_address": f"http://{settings.address}:{settings.port}",
        "management_address": f"unix:{folder}/m.sock",
        "default_service_handler": HANDLER,
        "default_workers_per_model": settings.workers,
        "default_response_timeout_seconds": settings.timeout_s,
        "max_request_size": limit,
        "max_response_size": limit,
        "preload_model": "true",  # one process holds the model, and forks
        "decode_input_request": "false",
        "enable_envvars_config": "false",  # what is decided here holds
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())


def write(settings: Settings, folder: Path, *, seen_as: Path) -> None:
    """
    Lay out the scratch folder.

    ``mms/`` is in the place where multi-model-server looks for its own Python: its worker is ours,
    and its collector of system metrics, a process every minute, is empty.

    Args:
        settings: How to serve.
        folder: The scratch folder.
        seen_as: Another, shorter name of it.
    """
    (folder / "mms" / "metrics").mkdir(parents=True)
    (folder / "model").mkdir()  # the artifact stays ours: multi-model-server sees an empty folder
    (folder / "mms" / "model_service_worker.py").write_text(_WORKER)
    (folder / "mms" / "metrics" / "metric_collector.py").write_text("")
    (folder / "log4j2.xml").write_text(_LOG)
    (folder / "config.properties").write_text(properties(settings, seen_as))


def command(settings: Settings, folder: Path, *, java: str, python: str) -> list[str]:
    """Return the command line of multi-model-server, as its own starter would make it."""
    frontend = Path(mms.__file__).with_name("frontend")
    return [
        java,
        *settings.jvm_flags,
        f"-Djava.io.tmpdir={folder}",
        f"-Dmodel_server_home={folder}",
        f"-Dlog4j.configurationFile=file://{folder}/log4j2.xml",
        "-cp",
        f"{frontend}/*",
        "com.amazonaws.ml.mms.ModelServer",
        *("--python", python),
        *("-f", f"{folder}/config.properties"),
        *("-s", f"{folder}"),
        *("-m", "model=model"),  # relative to the store
    ]


def cpus() -> int:
    """Return the CPUs that this container may use: its affinity, and its cgroup's quota."""
    allowed = len(os.sched_getaffinity(0))
    return min(allowed, quota(_CGROUP) or allowed)


def quota(cgroup: Path) -> int | None:
    """Return the CPUs that a cgroup of version 2 or 1 allows, at least 1; None if any number."""
    for names in _QUOTA_FILES:
        try:
            quota, period = " ".join((cgroup / name).read_text() for name in names).split()
            return max(1, round(int(quota) / int(period))) if int(quota) > 0 else None
        except (OSError, ValueError):  # of the other version, or "max"
            continue
    return None
