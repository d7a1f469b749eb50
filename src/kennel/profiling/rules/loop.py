"""Dataloader and MaxInitializationTime: what the loop waits for, in its steps and before them."""

import math
from collections.abc import Mapping

from kennel.profiling import quantiles, timeline
from kennel.profiling.evidence import Evidence
from kennel.profiling.rules import advice, loading
from kennel.profiling.rules.loading import Loading
from kennel.profiling.rules.rule import SCAN, Judgement, Rule, Values, percent
from kennel.rules.outcome import Finding
from kennel.rules.parameters import Parameter

NO_STEPS = "the run has no steps on record: profile=true has kennel's own training write them"

LONG_WAIT = 25.0  # per cent of the steps' time, where there are readers enough


def dataloader(evidence: Evidence, values: Values) -> Judgement:
    """Judge Dataloader: readers against cores, where the loop waits for them."""
    found = loading.of(evidence)
    if found is None:
        return Judgement(reason=NO_STEPS)
    if evidence.run.features:
        return Judgement(reason="the head is trained on features in memory: nothing is read")
    if found.workers is None or found.cores is None:
        return Judgement(reason="how many workers or cores there were is not on record")
    waits = 100 * found.share
    share = 100 * found.workers / found.cores
    datapoints = len(evidence.timeline.steps) if evidence.timeline else 0
    details = {
        "num_workers": found.workers,
        "cores": found.cores,
        "busy_cores": found.busy and round(found.busy, 2),
        "waiting_share": round(waits, 2),
        "dataloading_time": _waits(evidence),
    }
    if share > values["max_threshold"]:
        fewer = max(1, math.floor(found.cores * values["max_threshold"] / 100))
        finding = Finding(
            "workers",
            f"{found.workers} processes read on {found.cores:g} cores ({share:.0f} %)",
            f"set workers to {fewer}: more take each other's time and memory",
            share,
            values["max_threshold"],
            settings={"workers": str(fewer)},
        )
        return Judgement(datapoints, 1, (finding,), details)
    limit = values["wait_threshold"] if share < values["min_threshold"] else LONG_WAIT
    if waits > limit:
        return Judgement(datapoints, 1, (_waiting(found, evidence, limit),), details)
    return Judgement(datapoints, details=details)


def _waiting(found: Loading, evidence: Evidence, limit: float) -> Finding:
    readers = (
        "the loop's own process reading"
        if not found.workers
        else f"{found.workers} of {found.cores:g} cores loading"
    )
    text, settings = advice.for_waiting(found, evidence)
    return Finding(
        "workers",
        f"the loop waits {found.share:.0%} of the time for data with {readers}",
        text,
        100 * found.share,
        limit,
        cost_s=found.waited_s,
        settings=settings,
    )


def _waits(evidence: Evidence) -> Mapping[str, float]:
    steps = evidence.timeline.steps if evidence.timeline else ()
    return quantiles.quantiles([step.phases.get(timeline.DATA, 0.0) for step in steps])


def initialisation(evidence: Evidence, values: Values) -> Judgement:
    """Judge MaxInitializationTime: minutes from the start to the first step."""
    found = evidence.timeline
    if found is None:
        return Judgement(reason=NO_STEPS)
    until_s = found.steps[0].start if found.steps else found.wall_s
    parts: dict[str, float] = {}
    for span in found.spans:
        if span.start < until_s:
            parts[span.phase] = parts.get(span.phase, 0.0) + min(span.end, until_s) - span.start
    details = {
        "job_start": found.started,
        "job_end": found.started + found.wall_s,
        "step_num": {
            name: found.started + step.start
            for name, step in zip(
                ("first", "last"), (*found.steps[:1], *found.steps[-1:]), strict=False
            )
        },
        "seconds_before_the_first_step": round(until_s, 3),
        "phases": {name: round(seconds, 3) for name, seconds in parts.items()},
    }
    minutes = until_s / 60
    if minutes <= values["threshold"]:
        return Judgement(max(1, len(found.steps)), details=details)
    finding = Finding(
        "initialisation",
        f"the first step comes {minutes:.1f} minutes into a run of {found.wall_s / 60:.1f}"
        if found.steps
        else f"no step was taken in {minutes:.1f} minutes",
        advice.for_a_slow_start(parts),
        minutes,
        values["threshold"],
        cost_s=until_s,
    )
    return Judgement(max(1, len(found.steps)), 1, (finding,), details)


RULES = (
    Rule(
        "Dataloader",
        "the loop waits for pictures while cores could read them, or too many processes read",
        (
            Parameter("min_threshold", 70, "per cent of the cores that should read", low=0),
            Parameter("max_threshold", 200, "per cent of the cores that may read", low=1),
            percent("wait_threshold", 10, "of the steps' time, waiting; 0: as AWS (ours)"),
            SCAN,
        ),
        dataloader,
    ),
    Rule(
        "MaxInitializationTime",
        "the first step comes too late",
        (Parameter("threshold", 20.0, "minutes from the start to the first step", low=0), SCAN),
        initialisation,
    ),
)
