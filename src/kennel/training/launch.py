"""
A run in several processes: one on each host, or for each GPU, started by torchrun.

torchrun is started through sagemaker-training, as it starts it for a program of the user's, with
two additions. A stop reaches the processes by a file: torchrun, given a SIGTERM, would allow them
30 s and fail. And hosts whose names are not known yet are waited for aloud. What such a process
does is in rank.py, and what ends it when another one ends is in peers.py.
"""

import importlib
import os
import re
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from kennel.contract import ContainerPaths
from kennel.errors import DataError, HyperparameterError, JobError
from kennel.training import config, failure, script_mode
from kennel.training.log import say
from kennel.training.stopping import Stop

STOP_VARIABLE = "KENNEL_STOP_FILE"
LAUNCHER_VARIABLE = "KENNEL_LAUNCHER"
PORT_VARIABLE = "MASTER_PORT"  # to have another than sagemaker-training's, 7777
PROCESSES = "sagemaker_mpi_num_of_processes_per_host"  # sagemaker-training's hyperparameter
PROCESSES_AT_MOST = 64  # of a host without GPUs
NETWORK_INTERFACES = Path("/sys/class/net")
HOSTS_S = 300.0  # for the names of the hosts to be known, and then for the hosts to meet
LOOK_S = 0.5
RELAY_S = 0.1
SAY_EVERY_S = 20.0
FAILED_RANK = re.compile(
    r"^\s*rank\s+: (\d+) \(local_rank: \d+\)\s+exitcode\s+: (-?\d+)", re.MULTILINE
)


@dataclass(frozen=True)
class Plan:
    """Which processes make up a run."""

    hosts: tuple[str, ...]
    current_host: str
    processes: int  # on each host
    network_interface: str  # empty: whichever is found

    @property
    def size(self) -> int:
        """Processes on all hosts."""
        return len(self.hosts) * self.processes


def plan(environment: Any) -> Plan:  # noqa: ANN401 - sagemaker-training has no types
    """
    Return what the job asks for: a process for each GPU, or one on a host without any.

    Raises:
        HyperparameterError: It asks for a number that is none, or for more than there are GPUs.
    """
    gpus = visible_gpus(environment.num_gpus, os.environ)
    interface = environment.network_interface_name
    return Plan(
        tuple(environment.hosts),
        environment.current_host,
        _processes(environment.additional_framework_parameters.get(PROCESSES), gpus),
        interface if (NETWORK_INTERFACES / interface).exists() else "",
    )


def _processes(asked: object, gpus: int) -> int:
    if asked is None:
        return gpus or 1
    given = str(asked)
    if given.isdecimal() and 1 <= int(given) <= (gpus or PROCESSES_AT_MOST):
        return int(given)
    raise HyperparameterError(
        f"{PROCESSES}={given}",
        expected=f"a whole number from 1 to {gpus or PROCESSES_AT_MOST}"
        + (", the GPUs of a host" if gpus else ""),
        remedy="leave it out: one for each GPU, or one on a host without any",
    )


def visible_gpus(present: int, environment: Mapping[str, str]) -> int:
    """Return how many of the GPUs that are *present* this process may use."""
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return present
    return min(present, len([device for device in visible.split(",") if device.strip()]))


def run(paths: ContainerPaths, plan: Plan, stop: Stop) -> int:
    """
    Train in the processes of *plan* that are this host's.

    Returns:
        0 done or stopped, 1 failed with the reason in the failure file.

    Raises:
        DataError: The hosts are to have different pictures.
        JobError: A host is not to be found.
    """
    require_replicas(config.sharded(paths))
    say(f"{plan.size} processes: {plan.processes} on each of {', '.join(plan.hosts)}")
    if not known(plan.hosts, stop, socket.gethostbyname):
        return 0
    with tempfile.TemporaryDirectory(prefix="kennel-") as folder:
        stop_file = Path(folder, "stop")
        os.environ.update(settings(plan, os.environ, stop_file))
        with Relay(stop_file, stop) as relay, script_mode.standard_error_tail() as tail:
            code = _torchrun(plan)
    if relay.ended_early:
        say("stopped before the training began: there is nothing to save")
        return 0
    if code and not paths.failure.exists():
        failure.fail(paths, cause(list(tail), plan, code))
    return min(code, 1)


def require_replicas(sharded: Sequence[str]) -> None:
    """
    Raises:
        DataError: A channel gives each host another part of the pictures.
    """
    if sharded:
        raise DataError(
            f"the channel {sharded[0]} is ShardedByS3Key: each host would see its own pictures",
            expected="the same pictures on every host, of which each takes its part of a batch",
            remedy="S3DataDistributionType=FullyReplicated",
        )


def known(
    hosts: Sequence[str],
    stop: Stop,
    look_up: Callable[[str], object],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> bool:
    """
    Wait until every host's name is known; return False where a stop came before.

    Args:
        hosts: Names.
        stop: Looked at twice a second.
        look_up: Raises OSError for a name that is not known.
        clock: In seconds.
        sleep: For as many seconds.

    Raises:
        JobError: One was not known in time.
    """
    started = said = clock()
    while unknown := [host for host in hosts if not _is_known(host, look_up)]:
        now = clock()
        if stop.requested:
            return False
        if now - started > HOSTS_S:
            raise JobError(
                f"the name of {', '.join(unknown)} is not known after {HOSTS_S:.0f} s",
                expected="the hosts of resourceconfig.json, which reach one another by name",
                remedy="the log of that host: it may have ended, or never started",
            )
        if now - said > SAY_EVERY_S:
            said = now
            say(f"waiting for {', '.join(unknown)}: {now - started:.0f} s of {HOSTS_S:.0f} s")
        sleep(LOOK_S)
    return not stop.requested


def _is_known(host: str, look_up: Callable[[str], object]) -> bool:
    try:
        look_up(host)
    except OSError:
        return False
    return True


def settings(plan: Plan, environment: Mapping[str, str], stop_file: Path) -> dict[str, str]:
    """Return what torchrun and the processes are to find in their environment."""
    changes = {
        STOP_VARIABLE: str(stop_file),
        LAUNCHER_VARIABLE: str(os.getpid()),
        # torchrun stands beside the interpreter, and that folder need not be on the path
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', os.defpath)}",
        # or the modules beside rank.py would hide others' of the same names
        "PYTHONSAFEPATH": "1",
        "PET_RDZV_CONF": f"timeout={HOSTS_S:.0f}",
    }
    if plan.network_interface:
        changes["GLOO_SOCKET_IFNAME"] = plan.network_interface
    if len(plan.hosts) == 1:
        changes["PET_MASTER_PORT"] = environment.get(PORT_VARIABLE) or str(_free_port())
    if plan.processes > 1 and "OMP_NUM_THREADS" not in environment:
        threads = max(1, len(os.sched_getaffinity(0)) // plan.processes)
        changes["OMP_NUM_THREADS"] = str(threads)
    return changes


def cause(tail: Sequence[str], plan: Plan, code: int) -> str:
    """Return why torchrun failed where no process has said why, from the end of its errors."""
    said = "\n".join(tail)
    if found := FAILED_RANK.search(said):
        rank, code = int(found[1]), int(found[2])
        host = plan.hosts[rank // plan.processes]
        return f"rank {rank} of {plan.size}, on {host}, ended: {script_mode.last_words([], code)}"
    return f"torchrun failed: {script_mode.last_words(tail, code)}"


class Relay:
    """Passes a stop on to the processes by a file, from a thread, for as long as it is entered."""

    def __init__(self, file: Path, stop: Stop) -> None:
        self._file, self._stop = file, stop
        self.ended_early = False  # torchrun was, before it had started a process
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="relay", daemon=True)

    def __enter__(self) -> Self:
        """Begin to look."""
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        """Look no more."""
        self._left.set()
        self._thread.join()

    def _watch(self) -> None:
        """Leave the word; end a torchrun that still waits for other hosts, at whatever moment."""
        begun = False
        while not self._left.wait(RELAY_S):
            torchruns = script_mode.children(os.getpid())
            begun = begun or any(map(script_mode.children, torchruns))
            if not self._stop.requested:
                continue
            self._file.touch()
            for torchrun in [] if begun else torchruns:
                self.ended_early = True
                with suppress(ProcessLookupError):
                    os.kill(torchrun, signal.SIGKILL)


def _torchrun(plan: Plan) -> int:
    """Start this host's processes as sagemaker-training does, and return torchrun's exit code."""
    toolkit: Any = importlib.import_module("sagemaker_training.torch_distributed")
    errors = importlib.import_module("sagemaker_training.errors")
    toolkit.MASTER_PORT = os.environ.get(PORT_VARIABLE, toolkit.MASTER_PORT)
    runner = toolkit.TorchDistributedRunner(
        user_entry_point=str(Path(__file__).with_name("rank.py")),
        args=[],
        env_vars={},
        processes_per_host=plan.processes,
        master_hostname=plan.hosts[0],
        hosts=list(plan.hosts),
        current_host=plan.current_host,
        network_interface_name=plan.network_interface,
    )
    try:
        runner.run(wait=True, capture_error=False)
    except errors.ExecuteUserScriptError as error:
        return int(error.return_code)
    return 0


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
