"""OverallSystemUsage and OverallFrameworkMetrics: summaries, which never trigger."""

from collections.abc import Mapping, Sequence
from typing import Any

from kennel.profiling import quantiles, system, timeline
from kennel.profiling.evidence import Evidence
from kennel.profiling.rules import advice, samples
from kennel.profiling.rules.rule import SCAN, Judgement, Rule, Values
from kennel.profiling.system import Series
from kennel.profiling.timeline import Timeline
from kennel.rules.outcome import Finding

IN_STEPS = (
    timeline.DATA,
    timeline.COPY,
    timeline.FORWARD,
    timeline.BACKWARD,
    timeline.OPTIMIZER,
    timeline.METRICS,
    timeline.EXCHANGE,
    timeline.DEBUG,
)
DIMENSIONS = {
    "CPU": system.UTILIZATION,
    "I/O": system.IO_WAIT,
    "GPU": system.GPU_UTILIZATION,
    "GPU memory": system.GPU_MEMORY,
}
METRICS = {
    "CPU memory": system.MEMORY_USED,
    "Disk operations": system.IOPS,
    "Disk bytes read": system.READ,
    "Disk bytes written": system.WRITE,
}
BEFORE = (timeline.INITIALISATION, timeline.READING)
AFTER = (timeline.CHECKPOINT, timeline.EXPORT, timeline.REPORT)
WORTH_TELLING = 0.25  # of the wall time, for a phase that is not the training


def system_usage(evidence: Evidence, _: Values) -> Judgement:
    """Judge OverallSystemUsage: quantiles of each metric, of each node over all that it has."""
    if not evidence.system:
        return Judgement(reason="no system metrics were sampled")
    details: dict[str, dict[str, Mapping[str, float]]] = {}
    for label, found in _groups(evidence.system):
        for node, series in samples.by_node(found).items():
            values = samples.average(series).values
            details.setdefault(label, {})[node] = quantiles.quantiles(values)
    return Judgement(max(len(series.values) for series in evidence.system), details=details)


def _groups(found: Sequence[Series]) -> list[tuple[str, list[Series]]]:
    """Return AWS's name of each metric, and what it is made of; ours for those of disks."""
    groups: dict[str, list[Series]] = {label: [] for label in (*DIMENSIONS, *METRICS, "Network")}
    for series in found:
        for label, dimension in DIMENSIONS.items():
            if series.dimension == dimension:
                groups[label].append(series)
        for label, name in METRICS.items():
            if series.name == name:
                groups[label].append(series)
        if series.type == system.NETWORK and series.dimension == system.ALGORITHM:
            groups["Network"].append(series)
    return [(label, group) for label, group in groups.items() if group]


def framework_metrics(evidence: Evidence, _: Values) -> Judgement:
    """Judge OverallFrameworkMetrics: how the wall time divides, and what takes too much of it."""
    found = evidence.timeline
    if found is None:
        return Judgement(reason="the run has no phases on record")
    totals = found.totals()
    trained = sum(totals.get(name, 0.0) for name in IN_STEPS)
    evaluated = totals.get(timeline.EVALUATION, 0.0)
    parts = {"train": trained, "eval": evaluated, "others": found.wall_s - trained - evaluated}
    forward, backward = totals.get(timeline.FORWARD, 0.0), totals.get(timeline.BACKWARD, 0.0)
    details: dict[str, Any] = {
        "phase": _shares(parts),
        "phase_time": {name: round(seconds, 3) for name, seconds in parts.items()},
        "general": _shares(totals),
        "forward_backward": _shares({"Forward pass": forward, "Backward pass": backward}),
    }
    on_gpu = any(operator.self_gpu_s for operator in evidence.operators)
    if evidence.operators:
        costs = {
            operator.name: operator.self_gpu_s if on_gpu else operator.self_cpu_s
            for operator in evidence.operators[:20]
        }
        details["GPU" if on_gpu else "CPU"] = _shares(costs)
    return Judgement(
        max(1, found.steps_taken),
        findings=_findings(found, totals, parts, evidence),
        details=details,
    )


def _shares(seconds: Mapping[str, float]) -> dict[str, float]:
    """Return per cent of their sum."""
    whole = sum(seconds.values()) or 1.0
    return {name: round(100 * part / whole, 3) for name, part in seconds.items()}


def _findings(
    found: Timeline,
    totals: Mapping[str, float],
    parts: Mapping[str, float],
    evidence: Evidence,
) -> tuple[Finding, ...]:
    """Return what is not training and takes a good part of the run, the longest first."""
    before = {name: totals[name] for name in BEFORE if totals.get(name)}
    after = {name: totals[name] for name in AFTER if totals.get(name)}
    candidates = [
        _finding(
            "initialisation",
            "initialisation is {share:.0%} of this run of {wall_s:.0f} s",
            advice.for_a_slow_start(before),
            sum(before.values()),
            found,
        ),
        _finding(
            "ending",
            "checkpoints and what the run leaves behind are {share:.0%} of its {wall_s:.0f} s",
            advice.for_a_slow_end(after),
            sum(after.values()),
            found,
        ),
    ]
    if parts["eval"] > parts["train"] > 0:
        candidates.append(
            _finding(
                timeline.EVALUATION,
                "evaluation takes longer than training: {share:.0%} of {wall_s:.0f} s",
                advice.for_evaluation(evidence, parts["eval"] / parts["train"]),
                parts["eval"],
                found,
            )
        )
    told = [finding for finding in candidates if finding.value >= WORTH_TELLING]
    again = advice.for_a_backbone_again(evidence)
    if again:
        problem, text, settings, cost_s = again
        share = cost_s / found.wall_s if found.wall_s else 0.0
        told.append(
            Finding("backbone", problem, text, share, 0.0, cost_s=cost_s, settings=settings)
        )
    return tuple(sorted(told, key=lambda finding: -(finding.cost_s or 0.0)))


def _finding(subject: str, words: str, text: str, seconds: float, found: Timeline) -> Finding:
    share = seconds / found.wall_s if found.wall_s else 0.0
    problem = words.format(share=share, wall_s=found.wall_s)
    return Finding(subject, problem, text, share, WORTH_TELLING, cost_s=seconds)


RULES = (
    Rule(
        "OverallSystemUsage",
        "a summary of each system metric; it never triggers",
        (SCAN,),
        system_usage,
    ),
    Rule(
        "OverallFrameworkMetrics",
        "a summary of where the time went; it never triggers, and says what takes too much of it",
        (SCAN,),
        framework_metrics,
    ),
)
