"""The rules about how much a GPU does: LowGPUUtilization and BatchSize."""

from collections.abc import Sequence

from kennel.profiling import quantiles
from kennel.profiling.evidence import Evidence
from kennel.profiling.rules import advice, samples
from kennel.profiling.rules.rule import PATIENCE, SCAN, Judgement, Rule, Values, count, percent
from kennel.profiling.rules.samples import NO_GPU, too_short
from kennel.profiling.system import Series
from kennel.rules.outcome import Finding

WINDOW = count("window", 500, "samples whose quantiles are taken together", low=1)


def low_utilisation(evidence: Evidence, values: Values) -> Judgement:
    """Judge LowGPUUtilization: each GPU by itself, window by window."""
    gpus = samples.gpus(evidence)
    if not gpus:
        return Judgement(reason=NO_GPU)
    ready = [gpu for gpu in gpus if len(gpu.values) > values["patience"]]
    if not ready:
        return Judgement(reason=too_short(gpus, values["patience"]))
    found = [finding for gpu in ready if (finding := _low(gpu, evidence, values))]
    details: dict[str, dict[str, object]] = {}
    for gpu in ready:
        details.setdefault(gpu.node, {})[gpu.name] = {
            "gpu_max": max(gpu.values),
            "gpu_95": quantiles.quantile(sorted(gpu.values), 0.95),
            "gpu_5": quantiles.quantile(sorted(gpu.values), 0.05),
            **quantiles.box(gpu.values),
        }
    return Judgement(
        datapoints=sum(len(gpu.values) for gpu in ready),
        violations=sum(broken for _, broken in found),
        findings=tuple(finding for finding, _ in sorted(found, key=lambda pair: pair[0].value)),
        details=details,
    )


def _low(gpu: Series, evidence: Evidence, values: Values) -> tuple[Finding, int] | None:
    """Return what is wrong with a GPU, and in how many windows."""
    parts = [sorted(part) for part in samples.windows(gpu.values, values["window"])]
    tops = [quantiles.quantile(part, 0.95) for part in parts]
    bottoms = [quantiles.quantile(part, 0.05) for part in parts]
    low = [top < values["threshold_p95"] for top in tops]
    swinging = [
        not is_low and bottom < values["threshold_p5"]
        for is_low, bottom in zip(low, bottoms, strict=True)
    ]
    broken = sum(low) + sum(swinging)
    if not broken:
        return None
    subject = f"{gpu.name} of {gpu.node}"
    often = f" in {broken} of {len(parts)} windows" if len(parts) > 1 else ""
    idle = 1 - quantiles.mean(gpu.values) / 100
    cost_s = idle * (gpu.times[-1] - gpu.times[0])
    text, settings = advice.for_an_idle_gpu(evidence)
    if any(low):
        value = min(tops)
        problem = f"{subject} is never busier than {value:.0f} % for 95 % of the time{often}"
        return (
            Finding(
                subject,
                problem,
                text,
                value,
                values["threshold_p95"],
                cost_s=cost_s,
                settings=settings,
            ),
            broken,
        )
    value = min(
        bottom for bottom, is_swinging in zip(bottoms, swinging, strict=True) if is_swinging
    )
    problem = (
        f"{subject} swings between {value:.0f} % and {max(tops):.0f} %{often}: "
        f"{quantiles.mean(gpu.values):.0f} % on average"
    )
    return (
        Finding(
            subject,
            problem,
            text,
            value,
            values["threshold_p5"],
            cost_s=cost_s,
            settings=settings,
        ),
        broken,
    )


def batch_size(evidence: Evidence, values: Values) -> Judgement:
    """Judge BatchSize: whether cores, GPU and its memory are all little used."""
    within = samples.training(evidence)
    gpus = samples.of(evidence, samples.GPU, within)
    memories = samples.of(evidence, samples.GPU_MEMORY, within)
    cores = samples.by_node(samples.of(evidence, samples.CPU, within))
    if not gpus:
        return Judgement(reason=NO_GPU)
    ready = [gpu for gpu in gpus if len(gpu.values) > values["patience"]]
    if not ready:
        return Judgement(reason=too_short(gpus, values["patience"]))
    memory_of = {(series.node, series.name): series for series in memories}
    busy = {
        node: _top(samples.average(found).values, values["window"]) for node, found in cores.items()
    }
    findings: list[Finding] = []
    details: dict[str, dict[str, dict[str, float]]] = {}
    for gpu in ready:
        used = memory_of.get((gpu.node, gpu.name))
        if used is None or gpu.node not in busy:
            continue
        tops = {
            "cpu": busy[gpu.node],
            "gpu": _top(gpu.values, values["window"]),
            "gpu_memory": _top(used.values, values["window"]),
        }
        details.setdefault(gpu.node, {})[gpu.name] = tops
        if all(top < values[f"{name}_threshold_p95"] for name, top in tops.items()):
            findings.append(_small(gpu, tops, evidence, values))
    return Judgement(
        datapoints=sum(len(gpu.values) for gpu in ready),
        violations=len(findings),
        findings=tuple(findings),
        details=details,
    )


def _top(values: Sequence[float], window: int) -> float:
    """Return the largest 95th percentile of all windows."""
    parts = samples.windows(values, window)
    return max(quantiles.quantile(sorted(part), 0.95) for part in parts)


def _small(gpu: Series, tops: dict[str, float], evidence: Evidence, values: Values) -> Finding:
    batch = evidence.run.batch_size
    subject = f"{gpu.name} of {gpu.node}"
    a_batch = f"a batch of {batch}" if batch else "a batch"
    of = advice.of_memory(tops["gpu_memory"], evidence.run.gpu_memory_bytes)
    problem = (
        f"{a_batch} uses {of} of {subject}, which is {tops['gpu']:.0f} % busy, and the cores are "
        f"{tops['cpu']:.0f} % busy (95th percentiles)"
    )
    text, settings = advice.for_a_small_batch(evidence, tops["gpu_memory"])
    limit = values["gpu_memory_threshold_p95"]
    return Finding(subject, problem, text, tops["gpu_memory"], limit, settings=settings)


RULES = (
    Rule(
        "LowGPUUtilization",
        "a GPU is little used (95th percentile), or swings between busy and idle (5th)",
        (
            percent("threshold_p95", 70, "the 95th percentile of a busy GPU is above"),
            percent("threshold_p5", 10, "the 5th percentile of a steady GPU is above"),
            WINDOW,
            PATIENCE,
            SCAN,
        ),
        low_utilisation,
    ),
    Rule(
        "BatchSize",
        "cores, GPU and its memory are all little used: a larger batch, or a smaller machine",
        (
            percent("cpu_threshold_p95", 70, "95th percentile of all cores together"),
            percent("gpu_threshold_p95", 70, "95th percentile of the GPU"),
            percent("gpu_memory_threshold_p95", 70, "95th percentile of its memory"),
            PATIENCE,
            WINDOW,
            SCAN,
        ),
        batch_size,
    ),
)
