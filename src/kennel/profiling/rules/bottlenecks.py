"""CPUBottleneck and IOBottleneck: a GPU that idles while cores, or disks, cannot keep up."""

from collections.abc import Callable, Sequence

from kennel.profiling.evidence import Evidence
from kennel.profiling.rules import advice, samples
from kennel.profiling.rules.rule import PATIENCE, SCAN, Judgement, Rule, Values, percent
from kennel.profiling.rules.samples import NO_GPU, too_short
from kennel.profiling.system import Series
from kennel.rules.outcome import Finding

IDLE_CORES = 50  # per cent; without a GPU, below it the cores count as idle

Rows = Sequence[Sequence[float]]  # a row for each instant


def cpu(evidence: Evidence, values: Values) -> Judgement:
    """Judge CPUBottleneck: a GPU idle while a core is at its limit."""
    if not samples.has_gpu(evidence):
        return Judgement(reason=NO_GPU)
    return _judge(evidence, values, samples.CPU, _cpu_words, values["cpu_threshold"])


def io(evidence: Evidence, values: Values) -> Judgement:
    """Judge IOBottleneck: a GPU (without one: the cores) idle while one waits for a disk."""
    return _judge(evidence, values, samples.IO_WAIT, _io_words, values["io_threshold"])


def _judge(
    evidence: Evidence,
    values: Values,
    dimension: str,
    words: Callable[[float, float, float], str],
    limit: float,
) -> Judgement:
    """Count the instants at which the workers idle and a core is above *limit*."""
    within = samples.training(evidence)
    found = samples.of(evidence, dimension, within)
    gpus = samples.of(evidence, samples.GPU, within)
    nodes = samples.by_node(found)
    idlers = samples.by_node(gpus or samples.of(evidence, samples.CPU, within))
    if not found or not idlers:
        return Judgement(reason=f"no {dimension} of the training was sampled")
    broken, idle, seen, cost_s = [], 0, 0, 0.0
    for node in nodes.keys() & idlers.keys():
        times = samples.instants(idlers[node][0])
        if len(times) <= values["patience"]:
            continue
        is_idle = (
            _any_below(idlers[node], times, values["gpu_threshold"])
            if gpus
            else _all_below(idlers[node], times)
        )
        highest = _highest(nodes[node], times)
        both = [
            time
            for time, idles, high in zip(times, is_idle, highest, strict=True)
            if idles and high > limit
        ]
        broken += both
        idle += sum(is_idle)
        seen += len(times)
        cost_s = max(cost_s, len(both) / len(times) * (times[-1] - times[0]))
    if not seen:
        return Judgement(
            reason=too_short([s for node in idlers.values() for s in node], values["patience"])
        )
    share = 100 * len(broken) / seen
    details = {
        "bottlenecks": len(broken),
        "low_gpu_utilization": idle,
        "share": round(share, 3),
    }
    if share <= values["threshold"]:
        return Judgement(datapoints=seen, details=details)
    text, settings = advice.for_an_idle_gpu(evidence)
    start = evidence.timeline.started if evidence.timeline else min(broken)
    finding = Finding(
        dimension,
        words(share, values["gpu_threshold"] if gpus else IDLE_CORES, limit),
        text,
        share,
        values["threshold"],
        at_s=min(broken) - start,
        cost_s=cost_s,
        settings=settings,
    )
    return Judgement(seen, len(broken), (finding,), details)


def _any_below(workers: Sequence[Series], times: Sequence[float], limit: float) -> list[bool]:
    columns = [samples.at(worker, times) for worker in workers]
    return [min(row) < limit for row in zip(*columns, strict=True)]


def _all_below(cores: Sequence[Series], times: Sequence[float]) -> list[bool]:
    return [value < IDLE_CORES for value in samples.at(samples.average(cores), times)]


def _highest(found: Sequence[Series], times: Sequence[float]) -> list[float]:
    columns = [samples.at(series, times) for series in found]
    return [max(row) for row in zip(*columns, strict=True)]


def _cpu_words(share: float, idle: float, limit: float) -> str:
    return (
        f"a GPU is below {idle:.0f} % while a core is above {limit:.0f} %, "
        f"in {share:.0f} % of the training"
    )


def _io_words(share: float, idle: float, limit: float) -> str:
    return (
        f"the machine idles (below {idle:.0f} %) while a core waits for a disk or the network for "
        f"more than {limit:.0f} % of its time, in {share:.0f} % of the training"
    )


RULES = (
    Rule(
        "CPUBottleneck",
        "a GPU idles while a core is at its limit, for more than a share of the training",
        (
            percent("threshold", 50, "share of the training"),
            percent("gpu_threshold", 10, "a GPU below it idles"),
            percent("cpu_threshold", 90, "a core above it is at its limit"),
            PATIENCE,
            SCAN,
        ),
        cpu,
    ),
    Rule(
        "IOBottleneck",
        "the GPU (or, without any, the cores) idles while a core waits for a disk",
        (
            percent("threshold", 50, "share of the training"),
            percent("gpu_threshold", 10, "a GPU below it idles"),
            percent("io_threshold", 50, "a core that waits for more of its time than this"),
            PATIENCE,
            SCAN,
        ),
        io,
    ),
)
