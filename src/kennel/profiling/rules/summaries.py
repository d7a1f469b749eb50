"""OverallSystemUsage and OverallFrameworkMetrics: summaries, and what takes too much time."""

from collections.abc import Mapping, Sequence
from typing import Any

from kennel.profiling import quantiles, system, timeline
from kennel.profiling.evidence import Evidence
from kennel.profiling.rules import advice, loading, samples
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
AFTER = (timeline.CHECKPOINT, timeline.EXPORT)
OF_REPORT = (timeline.REPORT,)
CROWDED = 0.2  # of the cores: so many used by others make a run slower
OTHERS = "other programs"
WORTH_TELLING = 0.25  # of the wall time, for a phase that is not the training


def system_usage(evidence: Evidence, _: Values) -> Judgement:
    """Judge OverallSystemUsage: quantiles of each metric, of each node over all that it has."""
    if not evidence.system:
        return Judgement(reason="no system metrics were sampled")
    others, cores = loading.by_others(evidence), evidence.run.cores
    crowded = cores and others and others > CROWDED * cores
    details: dict[str, dict[str, Mapping[str, float]]] = {}
    for label, found in _groups(evidence.system):
        for node, series in samples.by_node(found).items():
            values = samples.average(series).values
            details.setdefault(label, {})[node] = quantiles.quantiles(values)
    return Judgement(
        max(len(series.values) for series in evidence.system),
        findings=(_crowded(others, cores),) if crowded and others and cores else (),
        details=details,
    )


def _crowded(others: float, cores: float) -> Finding:
    return Finding(
        OTHERS,
        f"other programs used {others:.1f} of {cores:g} cores while this trained: its times are "
        "not its own",
        "measure again when the machine does nothing else",
        others,
        CROWDED * cores,
    )


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
    causes = _causes(found, parts, evidence)
    return Judgement(
        max(1, found.steps_taken),
        len(causes),
        (*causes, *_fixed(found, totals)),
        details,
    )


def _shares(seconds: Mapping[str, float]) -> dict[str, float]:
    """Return per cent of their sum."""
    whole = sum(seconds.values()) or 1.0
    return {name: round(100 * part / whole, 3) for name, part in seconds.items()}


def _causes(found: Timeline, parts: Mapping[str, float], evidence: Evidence) -> list[Finding]:
    """Return what could be done in less time, the longest first."""
    causes = []
    share = _share(parts["eval"], found)
    if parts["eval"] > parts["train"] > 0 and share >= WORTH_TELLING:
        causes.append(
            Finding(
                timeline.EVALUATION,
                f"evaluation takes longer than training: {parts['eval']:.0f} s against "
                f"{parts['train']:.0f} s",
                advice.for_evaluation(evidence, parts["eval"] / parts["train"]),
                share,
                WORTH_TELLING,
                cost_s=parts["eval"] - parts["train"] / 2,  # what the advice comes to
            )
        )
    again = advice.for_a_backbone_again(evidence)
    if again:
        problem, text, settings, cost_s = again
        value = _share(cost_s, found)
        causes.append(
            Finding("backbone", problem, text, value, 0.0, cost_s=cost_s, settings=settings)
        )
    return sorted(causes, key=lambda finding: -(finding.cost_s or 0.0))


def _fixed(found: Timeline, totals: Mapping[str, float]) -> list[Finding]:
    """Return what takes as long in any run and much of this one: not to be saved, so no cost."""
    candidates = (
        ("initialisation", "initialisation is {share:.0%}", BEFORE, advice.for_a_slow_start),
        (
            "ending",
            "checkpoints and what the run leaves behind are {share:.0%}",
            AFTER,
            advice.for_a_slow_end,
        ),
        ("report", "the profiler's own report is {share:.0%}", OF_REPORT, advice.for_a_report),
    )
    fixed = []
    for subject, words, names, advise in candidates:
        seconds = {name: totals[name] for name in names if totals.get(name)}
        share = _share(sum(seconds.values()), found)
        if share >= WORTH_TELLING:
            problem = words.format(share=share) + " of a run this short"
            fixed.append(Finding(subject, problem, advise(seconds), share, WORTH_TELLING))
    return sorted(fixed, key=lambda finding: -finding.value)


def _share(seconds: float, found: Timeline) -> float:
    return seconds / found.wall_s if found.wall_s else 0.0


RULES = (
    Rule(
        "OverallSystemUsage",
        "a summary of each system metric; it never triggers",
        (SCAN,),
        system_usage,
    ),
    Rule(
        "OverallFrameworkMetrics",
        "a summary of where the time went; it triggers where some of it could be saved",
        (SCAN,),
        framework_metrics,
    ),
)
