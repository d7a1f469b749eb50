"""
The rules about GPUs, on metrics in the platform's form; no GPU is needed to make them.

Each recording models the fault: what a sampler beside such a run would write, in the platform's
files, with the platform's jitter between its metrics.
"""

import json
import random

import numpy as np
import pytest

from kennel.profiling import rules
from kennel.profiling.evidence import Evidence
from kennel.profiling.run import Run
from kennel.profiling.timeline import Step, Timeline
from kennel.rules.configuration import Configuration

START = 1_790_000_000.0


@pytest.fixture
def record(tmp_path):
    """
    Return ``record(seconds, core=…, gpu0=…)``, which samples functions of time to files.

    A function is given the seconds since the start. Of *core* there are four cores, unless core2
    is given, and *io* is their waiting for a disk; gpu1 and memory1 belong together.
    """
    draws = random.Random(5)  # noqa: S311 - figures

    def metrics(**made):
        for core in range(4):
            busy = made.get(f"core{core}", made.get("core", lambda _: 30))
            yield "cpu", f"cpu{core}", "CPUUtilization", busy
            yield "cpu", f"cpu{core}", "I/OWaitPercentage", made.get("io", lambda _: 1)
        for gpu in range(8):
            if f"gpu{gpu}" in made:
                yield "gpu", f"gpu{gpu}", "GPUUtilization", made[f"gpu{gpu}"]
                memory = made.get(f"memory{gpu}", lambda _: 75)
                yield "gpu", f"gpu{gpu}", "GPUMemoryUtilization", memory

    def make(seconds, *, interval_s=0.5, node="algo-1", **made):
        folder = tmp_path / "profiler-output"
        incremental = folder / "system" / "incremental" / "2026092111"
        incremental.mkdir(parents=True, exist_ok=True)
        for minute in range(int(seconds // 60) + 1):
            lines = []
            for number in range(int(60 / interval_s)):
                at = minute * 60 + number * interval_s
                if at >= seconds:
                    break
                for type_, name, dimension, value in metrics(**made):
                    sample = {
                        "Type": type_,
                        "Name": name,
                        "Dimension": dimension,
                        "Value": value(at),
                        "NodeId": node,
                        "Timestamp": START + at + draws.uniform(0, 0.02),
                    }
                    lines.append(json.dumps(sample))
            path = incremental / f"{int(START) + 60 * minute}.{node}.json"
            path.write_text("\n".join(lines) + "\n")
        return Evidence.read(folder)

    return make


@pytest.fixture
def outcome():
    """Return ``outcome(rule, evidence, **given)``."""

    def judge(rule, evidence, **given):
        (found,) = rules.judge(evidence, [Configuration(rule, rule, given)])
        return found

    return judge


def noise(low, high, seed=1):
    """Return a function of time that gives values between two bounds, by chance."""
    draws = random.Random(seed)  # noqa: S311 - figures
    return lambda _: draws.uniform(low, high)


def trained(evidence, epochs=2, start_s=20.0, step_s=0.25, seconds=100.0, **phases):
    """Return *evidence* of a training whose first step came after *start_s*."""
    count = int((seconds - start_s) / step_s)
    shares = phases or {"forward": 0.4, "backward": 0.5, "data": 0.02}
    steps = tuple(
        Step(
            number,
            number * epochs // count,
            start_s + number * step_s,
            start_s + (number + 1) * step_s,
            {name: share * step_s for name, share in shares.items()},
        )
        for number in range(count)
    )
    timeline = Timeline(START, seconds, (), steps, steps_taken=count)
    return Evidence(timeline, evidence.system, evidence.run, evidence.operators)


def test_a_busy_gpu_breaks_no_rule(record):
    """
    Well used, evenly, with cores to spare and steady memory: none of the rules has anything to say.
    """
    healthy = trained(record(100, gpu0=noise(80, 99), gpu1=noise(80, 99, 2), core=noise(20, 60)))

    assert [found.name for found in rules.judge(healthy) if found.violations] == []
    assert all(not found.reason for found in rules.judge(healthy) if "GPU" in found.name)


def test_a_gpu_that_is_never_busy_is_found(record, outcome):
    """
    By the 95th percentile, numpy's; the seconds that it idled are what it cost.
    """
    evidence = record(100, gpu0=noise(5, 40))

    found = outcome("LowGPUUtilization", evidence)

    (gpu,) = [series for series in evidence.system if series.dimension == "GPUUtilization"]
    (finding,) = found.findings
    assert finding.value == pytest.approx(np.quantile(gpu.values, 0.95))
    assert found.details["algo-1"]["gpu0"]["p50"] == pytest.approx(np.median(gpu.values))
    assert finding.cost_s == pytest.approx((1 - np.mean(gpu.values) / 100) * 99.5, rel=0.01)
    assert finding.problem.startswith("gpu0 of algo-1 is never busier than 3")


def test_a_gpu_that_swings_is_found(record, outcome):
    """
    Busy at its best, and idle every other second: the 5th percentile says so.
    """
    evidence = record(100, gpu0=lambda at: 95 if int(at) % 2 else 3)

    found = outcome("LowGPUUtilization", evidence)

    assert (found.violations, found.findings[0].value) == (1, pytest.approx(3))
    assert "swings between 3 % and 95 %" in found.findings[0].problem


def test_only_the_training_is_judged(record, outcome):
    """
    The GPU idles while the program starts and while it writes its artifact; that is no fault.
    """
    evidence = record(160, gpu0=lambda at: 97 if 60 < at < 100 else 0)

    assert outcome("LowGPUUtilization", evidence).violations
    assert not outcome("LowGPUUtilization", trained(evidence, start_s=61, seconds=99)).violations


def test_a_run_is_judged_window_by_window(record, outcome):
    """
    Idle for a while in the middle: one window of several is low.
    """
    evidence = record(100, gpu0=lambda at: 5 if 50 <= at < 75 else 95)

    found = outcome("LowGPUUtilization", evidence, window="50")

    assert (found.violations, found.datapoints) == (1, 200)
    assert "in 1 of 4 windows" in found.findings[0].problem


def test_few_samples_are_not_judged(record, outcome):
    """
    Not even if they are bad; it is said how to have more. The request's own patience holds.
    """
    evidence = record(9, gpu0=noise(0, 5))

    assert "18 samples" in outcome("LowGPUUtilization", evidence).reason
    assert outcome("LowGPUUtilization", evidence, patience="10").violations == 1


def test_a_gpu_that_waits_for_data_is_told_of_the_readers(record, outcome):
    """
    With the share that is waited, and a number of workers: what the loop's own time says.
    """
    waiting = trained(record(100, gpu0=noise(5, 40)), data=0.55, forward=0.25, backward=0.2)
    known = Evidence(waiting.timeline, waiting.system, Run(workers=1, cores=4.0, batch_size=32))

    (finding,) = outcome("LowGPUUtilization", known).findings

    assert "waits 55% of its time for data: set workers to 3" in finding.advice
    assert finding.settings == {"workers": "3"}


def test_cores_that_hold_up_a_gpu_are_found(record, outcome):
    """
    More than half of the time the GPU is idle while a core is at its limit.
    """
    evidence = record(
        100,
        core=lambda at: 97 if at % 10 < 7 else 40,
        gpu0=lambda at: 4 if at % 10 < 7 else 90,
    )

    found = outcome("CPUBottleneck", evidence)

    assert found.findings[0].value == pytest.approx(70, abs=2)
    assert found.findings[0].cost_s == pytest.approx(70, abs=2)
    assert not outcome("CPUBottleneck", evidence, threshold="75").violations
    assert not outcome("IOBottleneck", evidence).violations


def test_busy_cores_beside_a_busy_gpu_hold_up_nothing(record, outcome):
    """
    It is the two at the same moment that count.
    """
    evidence = record(
        100,
        core=lambda at: 97 if at % 10 < 5 else 40,
        gpu0=lambda at: 90 if at % 10 < 5 else 4,
    )

    assert outcome("CPUBottleneck", evidence).violations == 0
    assert outcome("CPUBottleneck", evidence).details["low_gpu_utilization"] == 100


def test_a_disk_that_holds_up_a_gpu_is_found(record, outcome):
    """
    A core waits for it, and the GPU idles.
    """
    evidence = record(
        100,
        io=lambda at: 80 if at % 10 < 6 else 1,
        gpu0=lambda at: 4 if at % 10 < 6 else 90,
    )

    assert outcome("IOBottleneck", evidence).findings[0].value == pytest.approx(60, abs=2)
    assert outcome("CPUBottleneck", evidence).violations == 0


def test_without_a_gpu_it_is_the_cores_that_a_disk_holds_up(record, outcome):
    """
    One of them waits for the disk, and all of them are little used; busy cores are held up by none.
    """
    waiting = record(100, io=noise(60, 90), core=noise(5, 20))
    busy = record(100, io=noise(60, 90), core=noise(60, 90))

    assert outcome("IOBottleneck", waiting).findings[0].value == 100
    assert outcome("IOBottleneck", busy).violations == 0


def test_a_small_batch_is_found_and_a_larger_one_named(record, outcome):
    """
    Its size doubles as long as the memory has room, and is no larger than the split.
    """
    evidence = trained(record(100, gpu0=noise(10, 50), memory0=lambda _: 18.0, core=noise(5, 20)))
    run = Run(batch_size=32, gpu_memory_bytes=16_000_000_000, train=3000)
    small = Run(batch_size=32, gpu_memory_bytes=16_000_000_000, train=80)

    found = outcome("BatchSize", Evidence(evidence.timeline, evidence.system, run))
    limited = outcome("BatchSize", Evidence(evidence.timeline, evidence.system, small))

    assert found.findings[0].settings == {"batch-size": "128"}
    assert "a batch of 32 uses 2.9 of 16 GB" in found.findings[0].problem
    assert limited.findings[0].settings == {"batch-size": "64"}


@pytest.mark.parametrize(
    "made",
    [
        pytest.param({"core": noise(80, 95)}, id="busy-cores"),
        pytest.param({"gpu0": noise(80, 95)}, id="busy-gpu"),
        pytest.param({"memory0": lambda _: 85.0}, id="full-memory"),
    ],
)
def test_a_batch_is_small_only_where_all_three_have_room(record, outcome, made):
    """
    A larger one would have no place, or nothing to compute it on.
    """
    idle = {"core": noise(5, 20), "gpu0": noise(10, 50), "memory0": lambda _: 18.0}

    assert outcome("BatchSize", record(60, **idle)).violations == 1
    assert outcome("BatchSize", record(60, **{**idle, **made})).violations == 0


def test_memory_that_leaps_is_found(record, outcome):
    """
    By as many points as it leaps, at the second at which it does.
    """
    evidence = trained(
        record(200, gpu0=noise(80, 99), memory0=lambda at: 30 if at < 150 else 52), seconds=200
    )

    found = outcome("GPUMemoryIncrease", evidence)

    assert found.violations == 1
    assert found.findings[0].value == pytest.approx(22, abs=0.1)
    assert found.findings[0].at_s == pytest.approx(150, abs=6)


def test_memory_that_goes_on_growing_is_found(record, outcome):
    """
    Too slowly for any two neighbouring averages to differ by much; when it is full is foretold.
    """
    evidence = trained(
        record(400, gpu0=noise(80, 99), memory0=lambda at: 20 + at / 10), seconds=400
    )

    found = outcome("GPUMemoryIncrease", evidence)

    assert found.violations >= 3
    assert "it is full after 0.1 more hours" in found.findings[0].problem


def test_memory_that_is_first_filled_is_no_leak(record, outcome):
    """
    Buffers grow with the first steps and the first validation, and stay.
    """
    evidence = trained(
        record(
            200, gpu0=noise(80, 99), memory0=lambda at: 2 if at < 21 else 30 if at < 110 else 41
        ),
        seconds=200,
    )

    assert outcome("GPUMemoryIncrease", evidence).violations == 0
    assert outcome("GPUMemoryIncrease", evidence, patience="20").violations == 1


def test_gpus_with_unequal_work_are_found(record, outcome):
    """
    Each pair that is too far apart; the histogram distance of like ones is small.
    """
    evidence = record(100, gpu0=noise(85, 99), gpu1=noise(85, 99, 2), gpu2=noise(20, 40, 3))

    found = outcome("LoadBalancing", evidence)

    assert {finding.subject for finding in found.findings} == {
        "gpu0 of algo-1 and gpu2 of algo-1",
        "gpu1 of algo-1 and gpu2 of algo-1",
    }
    assert found.findings[0].value == pytest.approx(np.sqrt(np.log(2)), abs=0.01)
    assert found.details["algo-1"]["distances"]["gpu0 of algo-1 and gpu1 of algo-1"] < 0.3


def test_hosts_are_compared_where_there_are_no_gpus(record, outcome):
    """
    By the average of their cores.
    """
    record(60, core=noise(85, 99))

    found = outcome("LoadBalancing", record(60, node="algo-2", core=noise(10, 30)))

    assert [finding.subject for finding in found.findings] == ["algo-1 and algo-2"]


def test_a_machine_without_gpus_is_told_what_does_not_apply(record, outcome):
    """
    Rather than that its GPU idles.
    """
    evidence = record(60)

    for rule in ("LowGPUUtilization", "BatchSize", "CPUBottleneck", "GPUMemoryIncrease"):
        found = outcome(rule, evidence)
        assert (found.status, found.datapoints) == ("NoIssuesFound", 0)
        assert "no GPU was sampled" in found.reason


def test_the_summary_has_quantiles_of_every_metric(record, outcome):
    """
    Of each node, over all its cores or GPUs, numpy's; it never triggers.
    """
    evidence = record(100, gpu0=noise(10, 90), core=noise(5, 20), io=noise(0, 3))

    found = outcome("OverallSystemUsage", evidence)

    (gpu,) = [series for series in evidence.system if series.dimension == "GPUUtilization"]
    assert set(found.details) == {"CPU", "I/O", "GPU", "GPU memory"}
    assert found.details["GPU"]["algo-1"]["p95"] == pytest.approx(np.quantile(gpu.values, 0.95))
    assert found.details["GPU memory"]["algo-1"]["max"] == 75
    assert found.violations == 0


def test_one_core_at_its_limit_holds_up_one_gpu(record, outcome):
    """
    The others may have all to do, or nothing; when it began is told.
    """
    evidence = trained(
        record(
            100,
            core2=lambda at: 97 if at > 40 else 30,
            gpu0=lambda at: 3 if at > 40 else 95,
            gpu1=lambda _: 95,
        )
    )

    found = outcome("CPUBottleneck", evidence)

    assert found.findings[0].value == pytest.approx(75, abs=2)
    assert found.findings[0].at_s == pytest.approx(40, abs=1)


def test_the_worst_window_says_how_a_gpu_swings(record, outcome):
    """
    And the fullest one whether a batch is small.
    """
    evidence = record(
        200,
        gpu0=lambda at: (95 if int(at) % 2 else 8) if at < 100 else (90 if int(at) % 2 else 2),
        memory0=lambda at: 20 if at < 100 else 90,
        core=noise(5, 20),
    )

    found = outcome("LowGPUUtilization", evidence, window="200")

    assert (found.violations, found.findings[0].value) == (2, pytest.approx(2))
    idle = record(
        200,
        gpu0=noise(5, 30),
        memory0=lambda at: 20 if at < 100 else 90,
        core=noise(5, 20),
    )
    assert outcome("BatchSize", idle, window="200").violations == 0


def test_a_leap_and_a_rise_of_steps_are_told_apart(record, outcome):
    """
    The worst of several rises is the finding, and where it was.
    """
    evidence = record(
        300, gpu0=noise(80, 99), memory0=lambda at: 20 + 6 * (at > 100) + 21 * (at > 200)
    )

    found = outcome("GPUMemoryIncrease", evidence)

    assert found.violations == 2
    assert found.findings[0].value == pytest.approx(21, abs=2)
    assert found.findings[0].at_s == pytest.approx(200, abs=6)
    assert "grows 2 times, by up to" in found.findings[0].problem
    assert "to 47 %" in found.findings[0].problem
    assert found.details["algo-1"]["gpu0"]["gpu_max"] == 47


def test_of_a_single_epoch_the_first_tenth_is_passed_over(record, outcome):
    """
    There is no second one to go by.
    """
    early = record(220, gpu0=noise(80, 99), memory0=lambda at: 20 if at < 35 else 60)

    assert outcome("GPUMemoryIncrease", trained(early, epochs=1, seconds=220)).violations == 0
    late = record(220, gpu0=noise(80, 99), memory0=lambda at: 20 if at < 60 else 60)
    assert outcome("GPUMemoryIncrease", trained(late, epochs=1, seconds=220)).violations == 1


def test_the_summary_of_a_network_is_what_the_program_used(record, outcome, tmp_path):
    """
    Not what the platform itself sends; and disks are told of as well.
    """
    record(10)
    folder = tmp_path / "profiler-output" / "system" / "incremental" / "2026092111"
    lines = [
        {"Type": type_, "Name": name, "Dimension": dimension, "Value": value}
        for type_, name, dimension, value in [
            ("network", "ReceiveBytesPerSecond", "Algorithm", 4000),
            ("network", "ReceiveBytesPerSecond", "Platform", 9000),
            ("memory", "MemoryUsedPercent", "", 31),
            ("i/o", "IOPS", "", 12),
        ]
    ]
    (folder / "1790000999.algo-1.json").write_text(
        "\n".join(json.dumps({**line, "NodeId": "algo-1", "Timestamp": START}) for line in lines)
    )

    details = outcome("OverallSystemUsage", Evidence.read(tmp_path / "profiler-output")).details

    assert details["Network"]["algo-1"]["max"] == 4000
    assert details["CPU memory"]["algo-1"]["p50"] == 31
    assert details["Disk operations"]["algo-1"]["p50"] == 12


def test_what_an_idle_gpu_beside_a_busy_one_costs_is_the_difference(record, outcome):
    """
    In seconds of the time that both were sampled.
    """
    evidence = record(100, gpu0=lambda _: 90, gpu1=lambda _: 40)

    (finding,) = outcome("LoadBalancing", evidence).findings

    assert finding.cost_s == pytest.approx(0.5 * 99.5, rel=0.01)
    assert finding.problem.startswith("gpu0 of algo-1 is 90 % busy and gpu1 of algo-1 40 %")
