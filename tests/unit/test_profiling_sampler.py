"""The sampler: the platform's own files, of the container's own share of the machine."""

import json
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from smdebug.profiler.system_metrics_reader import LocalSystemMetricsReader
from smdebug.profiler.utils import TimeUnits

from kennel.profiling import sampler, system, usage
from kennel.profiling.gpus import Gpus
from kennel.profiling.limits import Limits, cpu_used_s, memory_used
from kennel.profiling.metrics import Machine
from kennel.profiling.sampler import LINES_AT_MOST, Sampler, pause
from kennel.training import script_mode

PATIENCE_S = 30


SAMPLES = """
import sys, time
from pathlib import Path
from kennel.profiling.sampler import Sampler
with Sampler(Path(sys.argv[1]), 100) as running:
    print(running.pid, flush=True)
    time.sleep(60)
"""


def until(is_so):
    """Wait for something that takes as long as it takes."""
    end = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)


BUSY = "print('busy', flush=True)\nwhile True: pass"


@pytest.fixture(scope="module")
def sampled(tmp_path_factory):
    """A second of this machine, of which another process keeps at least one core busy."""
    folder = tmp_path_factory.mktemp("profiler-output")
    busy = subprocess.Popen(  # noqa: S603 - our own code
        [sys.executable, "-c", BUSY], stdout=subprocess.PIPE, text=True
    )
    assert busy.stdout.readline() == "busy\n"
    with Sampler(folder, 100) as running:
        until(lambda: len({t for s in system.read(folder) for t in s.times}) >= 10)
    busy.kill()
    busy.wait()
    busy.stdout.close()
    assert running.problem == ""
    return folder


def test_every_metric_of_the_platform_is_there(sampled):
    """
    By the names, types and dimensions that SageMaker writes, for every core that is ours.
    """
    found = {(s.type, s.name, s.dimension) for s in system.read(sampled)}

    cores = [f"cpu{core}" for core in sorted(os.sched_getaffinity(0))]
    assert {
        *(("cpu", core, "CPUUtilization") for core in cores),
        *(("cpu", core, "I/OWaitPercentage") for core in cores),
        ("memory", "MemoryUsedPercent", ""),
        ("i/o", "IOPS", ""),
        ("i/o", "ReadThroughputInBytesPerSecond", ""),
        ("i/o", "WriteThroughputInBytesPerSecond", ""),
        ("network", "ReceiveBytesPerSecond", "Algorithm"),
        ("network", "TransmitBytesPerSecond", "Algorithm"),
    } <= found


def test_what_other_processes_use_is_seen(sampled):
    """
    As of those that read pictures: the cores together are at least as busy as the one process.
    """
    busy = [s.values for s in system.read(sampled) if s.dimension == system.UTILIZATION]
    together = [sum(values) for values in zip(*busy, strict=True)]

    assert sorted(together)[len(together) // 2] > 50
    assert all(0 <= value <= 100 for values in busy for value in values)


def test_smdebug_reads_the_same_samples(sampled):
    """
    Its own reader finds every value at its time.
    """
    reader = LocalSystemMetricsReader(str(sampled))
    events = reader.get_events(0, int(time.time()) + 100, unit=TimeUnits.SECONDS)

    theirs = {(e.type, e.name, e.dimension, e.node_id, e.timestamp, e.value) for e in events}
    ours = {
        (s.type, s.name, s.dimension, s.node, at, value)
        for s in system.read(sampled)
        for at, value in zip(s.times, s.values, strict=True)
    }
    assert theirs == ours
    assert len(ours) == len(events) > 50


def test_files_are_of_a_minute_in_folders_of_an_hour(sampled):
    """
    As the platform's: system/incremental/YYYYMMDDHH/MINUTE.algo-1.json.
    """
    for path in sampled.rglob("*.json"):
        minute, node, _ = path.name.split(".")
        stamps = [json.loads(line)["Timestamp"] for line in path.read_text().splitlines()]
        assert (int(minute) % 60, node) == (0, "algo-1")
        assert all(0 <= stamp - int(minute) < 60 for stamp in stamps)
        assert path.parent.name == time.strftime("%Y%m%d%H", time.gmtime(int(minute)))


def test_a_sampler_that_dies_is_told_of(tmp_path):
    """
    Why it has not sampled to the end; what it had is kept.
    """
    with Sampler(tmp_path, 100) as running:
        until(lambda: system.read(tmp_path))
        os.kill(running.pid, signal.SIGKILL)

    assert running.problem == f"exit code -{signal.SIGKILL.value}"
    assert system.read(tmp_path)


def test_a_sampler_that_cannot_write_says_why(tmp_path):
    """
    In the words of the system.
    """
    (tmp_path / "system").write_text("a file where a folder should be")

    with Sampler(tmp_path, 100) as running:
        until(lambda: running.has_ended)

    assert "the samples cannot be written" in running.problem


def test_a_sampler_whose_parent_is_killed_ends(tmp_path):
    """
    Nobody has told it to.
    """
    parent = subprocess.Popen(  # noqa: S603 - our own code
        [sys.executable, "-c", SAMPLES, tmp_path], stdout=subprocess.PIPE, text=True
    )
    pid = int(parent.stdout.readline())
    until(lambda: system.read(tmp_path))
    parent.kill()
    parent.wait()
    parent.stdout.close()

    until(lambda: not is_running(pid))


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123 - gone at any moment
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("interval_ms", ["99", "60001"])
def test_impossible_intervals_are_refused(tmp_path, interval_ms):
    """
    With the allowed ones.
    """
    command = [sys.executable, "-m", "kennel.profiling", "sample", tmp_path]
    done = subprocess.run(  # noqa: S603 - our own code
        [*command, "--interval-ms", interval_ms], capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert "from 100 to 60000" in done.stderr


@pytest.mark.parametrize("interval_s", [0.1, 0.5, 60.0])
@pytest.mark.parametrize("lines", [14, 220])
def test_a_run_of_a_week_stays_within_bounds(interval_s, lines):
    """
    Of a laptop and of a host with 96 cores and 8 GPUs, however often they are looked at.
    """
    elapsed, written = 0.0, 0
    while elapsed < 7 * 86400:
        elapsed += pause(interval_s, elapsed, lines)
        written += lines

    assert written <= LINES_AT_MOST


def test_a_run_of_minutes_is_sampled_as_often_as_is_asked():
    """
    Twenty minutes on a laptop.
    """
    assert pause(0.5, 20 * 60, 14) == 0.5


@pytest.fixture
def cgroups(tmp_path):
    """Return ``cgroups(files)``, which makes what Linux tells of a container."""

    def make(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return make


VERSION_1 = {
    "cpu/cpu.cfs_quota_us": "{quota}",
    "cpu/cpu.cfs_period_us": "100000\n",
    "cpuacct/cpuacct.usage": "3000000000\n",
    "memory/memory.limit_in_bytes": "{memory}",
    "memory/memory.usage_in_bytes": "700000000\n",
    "memory/memory.stat": "cache 1\ntotal_inactive_file 200000000\n",
}
VERSION_2 = {
    "cpu.max": "{quota} 100000\n",
    "cpu.stat": "usage_usec 3000000\nuser_usec 1\n",
    "memory.max": "{memory}",
    "memory.current": "700000000\n",
    "memory.stat": "anon 1\ninactive_file 200000000\n",
}


@pytest.mark.parametrize("version", [VERSION_1, VERSION_2])
def test_a_container_has_its_own_limits(cgroups, version):
    """
    Its time and its memory, by either version of control groups.
    """
    values = {"quota": "50000", "memory": "1000000000"}
    folder = cgroups({name: text.format(**values) for name, text in version.items()})

    limits = Limits.of_this_process(folder)

    assert (limits.quota, limits.worth, limits.memory_bytes) == (0.5, 0.5, 1_000_000_000)
    assert memory_used(folder) == 500_000_000
    assert cpu_used_s(folder) == 3.0


@pytest.mark.parametrize(
    ("version", "values"),
    [
        pytest.param(VERSION_1, {"quota": "-1", "memory": str(2**63 - 4096)}, id="version-1"),
        pytest.param(VERSION_2, {"quota": "max", "memory": "max"}, id="version-2"),
    ],
)
def test_a_container_without_limits_has_the_machine(cgroups, version, values):
    """
    All cores that it may run on, and all memory.
    """
    folder = cgroups({name: text.format(**values) for name, text in version.items()})

    limits = Limits.of_this_process(folder)

    assert (limits.quota, limits.memory_bytes) == (None, None)
    assert limits.worth == len(os.sched_getaffinity(0))


def test_a_quota_is_what_cores_are_measured_by(cgroups):
    """
    Of one and a half cores that are fully used, both are said to be, whichever of many they are.
    """
    folder = cgroups({"cpu.stat": "usage_usec 1000000\n"})
    machine = Machine(Limits(tuple(os.sched_getaffinity(0)), quota=1.5), Gpus(), folder)
    cgroups({"cpu.stat": "usage_usec 901000000\n"})

    seen = {
        name: value for _, name, dimension, value in machine.look() if dimension == "CPUUtilization"
    }

    assert seen == {"cpu0": 100.0, "cpu1": 100.0}


def test_memory_is_that_of_the_container(cgroups):
    """
    What can be dropped at once is not counted.
    """
    folder = cgroups({"memory.current": "700000000", "memory.stat": "inactive_file 200000000\n"})
    machine = Machine(Limits((0,), memory_bytes=1_000_000_000), Gpus(), folder)

    (used,) = [value for _, name, _, value in machine.look() if name == "MemoryUsedPercent"]

    assert used == 50.0


def nvml(*, count=2, broken=()):
    """A driver with GPUs, of which some fail."""

    def utilisation(handle):
        if handle in broken:
            raise RuntimeError("GPU is lost")
        return SimpleNamespace(gpu=40 + handle)

    return SimpleNamespace(
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: count,
        nvmlDeviceGetHandleByIndex=lambda number: number,
        nvmlDeviceGetUUID=lambda handle: f"GPU-{handle}abc",
        nvmlDeviceGetUtilizationRates=utilisation,
        nvmlDeviceGetMemoryInfo=lambda _: SimpleNamespace(used=4, total=16),
        nvmlDeviceGetName=lambda handle: f"Tesla {handle}",
    )


@pytest.mark.parametrize(
    ("visible", "numbers"),
    [(None, [0, 1]), ("1", [1]), ("GPU-0abc", [0]), ("", []), ("GPU-1", [1])],
)
def test_gpus_are_those_that_may_be_used(visible, numbers):
    """
    How busy and how full each is, in percent.
    """
    gpus = Gpus(nvml(), visible)

    assert gpus.look() == {number: (40.0 + number, 25.0) for number in numbers}
    assert gpus.names() == tuple(f"Tesla {number}" for number in numbers)
    assert gpus.memory_bytes() == (16 if numbers else None)


def test_a_gpu_that_fails_is_asked_no_more():
    """
    The others are; a driver that fails altogether is like none.
    """
    gpus = Gpus(nvml(broken=[0]))

    assert gpus.look() == {1: (41.0, 25.0)}
    assert "GPU is lost" in gpus.problem
    assert gpus.look() == {1: (41.0, 25.0)}
    assert Gpus(SimpleNamespace()).look() == Gpus(None).look() == {}


def test_a_machine_without_gpus_is_sampled_all_the_same():
    """
    Whether or not NVML is installed, and a driver beside it.
    """
    machine = Machine(Limits.of_this_process(), Gpus.of_this_process())

    assert {type_ for type_, _, _, _ in machine.look()} >= {"cpu", "memory", "i/o", "network"}


def test_samples_beyond_a_bound_are_left_out_evenly(sampled):
    """
    As of the platform's own files after days of every 100 ms: whole samples, of all metrics alike.
    """
    every = system.read(sampled)
    size = sum(path.stat().st_size for path in sampled.rglob("*.json"))

    some = system.read(sampled, at_most=size // 2)

    assert [s.name for s in some] == [s.name for s in every]
    assert {len(s.times) for s in some} == {-(-len(every[0].times) // 3)}
    assert some[0].times == every[0].times[::3]


def test_lines_that_are_torn_are_passed_over(tmp_path):
    """
    The last of a run that was killed, and whatever else is no sample.
    """
    folder = tmp_path / "system" / "incremental" / "2026112111"
    folder.mkdir(parents=True)
    good = '{"Type":"cpu","Name":"cpu0","Dimension":"CPUUtilization","Value":5,"NodeId":"algo-1",'
    (folder / "1795261620.algo-1.json").write_text(
        f'{good}"Timestamp":2}}\n[]\n{{}}\nnothing\n{good}"Timestamp":1}}\n{good}"Time'
    )

    (series,) = system.read(tmp_path)

    assert series.times == (1.0, 2.0)


WITHOUT_PACKAGES = """
import sys
for name in ("torch", "psutil", "pynvml", "numpy", "smdebug", "PIL", "torchvision"):
    sys.modules[name] = None
from pathlib import Path
from kennel.profiling import judging, operators, rules, run, sampler, system, timeline, window
from kennel.profiling.evidence import Evidence
print(len(rules.judge(Evidence.read(Path(sys.argv[1])))))
"""


def test_reading_and_judging_need_the_standard_library_alone(sampled):
    """
    The client does both.
    """
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", WITHOUT_PACKAGES, sampled],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 5


def test_a_sampler_is_no_program_of_its_parent(tmp_path):
    """
    Who stops a program, or waits for one, leaves it alone.
    """
    with Sampler(tmp_path, 1000) as running:
        assert script_mode.children(os.getpid()).count(running.pid) == 0
        assert sampler.is_one(running.pid)


def test_what_a_run_uses_of_the_cores_is_its_own_and_its_readers():
    """
    Of those that still run too: they are told of before they have ended.
    """
    command = [sys.executable, "-c", "print(sum(range(10**9)))"]
    before = usage.now()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as reader:  # noqa: S603 - ours
        until = time.monotonic() + 10
        while usage.now().used_s - before.used_s < 0.3 and time.monotonic() < until:
            time.sleep(0.05)
        after = usage.now()
        reader.kill()

    assert after.used_s - before.used_s >= 0.3
    assert 0 < usage.cores(before, after) <= 1.5
    assert usage.cores(before, before) is None
