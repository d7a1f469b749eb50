"""StepOutlier: steps that are far slower than the others, what they lose their time in, and why."""

import math
from collections.abc import Sequence
from statistics import median

from kennel.profiling import quantiles, timeline
from kennel.profiling.evidence import Evidence
from kennel.profiling.rules import advice
from kennel.profiling.rules.loop import NO_STEPS
from kennel.profiling.rules.rule import GIVEN, SCAN, Judgement, Rule, Values, count, percent
from kennel.profiling.run import Run
from kennel.profiling.timeline import Step
from kennel.rules.outcome import Finding
from kennel.rules.parameters import Parameter

FEWEST_STEPS = 20
NAMED = 10  # of the outliers
WORTH_S = 1.0  # of a run: less is not worth a word, whichever share of its steps it is


def outliers(evidence: Evidence, values: Values) -> Judgement:
    """Judge StepOutlier: steps that are far slower than the others, and what they cost."""
    found = evidence.timeline
    if found is None or not found.steps:
        return Judgement(reason=NO_STEPS)
    mode = values["mode"].lower()
    if mode not in {"", "none"} and "train" not in mode:
        return Judgement(reason=f"of mode {values['mode']} there are no steps: only the training's")
    steps = _ordinary(evidence.run, found.steps)
    if len(steps) < FEWEST_STEPS:
        return Judgement(reason=f"{len(steps)} steps, and {FEWEST_STEPS} are needed")
    seconds = [_taken(step) for step in steps]
    usual, spread = median(seconds), quantiles.deviation(seconds)
    limit = quantiles.mean(seconds) + values["stddev"] * spread
    slow = sorted((step for step in steps if _taken(step) > limit), key=_taken, reverse=True)
    lost_s = math.fsum(_taken(step) - usual for step in slow)
    share = 100 * lost_s / math.fsum(seconds)
    ignored = _ignored(len(steps), values)
    details = {
        "step_stats": quantiles.quantiles(seconds),
        "mean": quantiles.mean(seconds),
        "stddev": spread,
        "threshold_s": limit,
        "number_of_outliers": len(slow),
        "ignored": ignored,
        "lost_share": round(share, 3),
        "step_numbers": [step.number for step in slow[:100]],
        **_histogram(seconds),
    }
    used = {"n_outliers": ignored}
    is_cheap = share <= values["cost_threshold"] or lost_s * found.stride < WORTH_S
    if len(slow) <= ignored or (is_cheap and values["cost_threshold"]):
        return Judgement(len(steps), details=details, parameters=used)
    findings = _slow(slow, steps, limit, lost_s * found.stride)
    return Judgement(len(steps), len(slow), findings, details, parameters=used)


def _ordinary(run: Run, steps: Sequence[Step]) -> list[Step]:
    """Leave out the first step, which sets up what the others use, and those that were traced."""
    first = steps[0].number if run.traced_first is None else run.traced_first
    traced = range(first, first + (run.traced_steps or 0))
    return [step for step in steps[1:] if step.number not in traced]


def _taken(step: Step) -> float:
    """
    Return a step's seconds without the debugger's.

    It saves tensors in every so many steps by intention: that these take longer is no fault of the
    loop, and would hide the steps that are held up by something.
    """
    return step.seconds - step.phases.get(timeline.DEBUG, 0.0)


def _ignored(count_: int, values: Values) -> int:
    """Return how many outliers are put up with: in a short run fewer, unless they were given."""
    if "n_outliers" in values[GIVEN]:
        return int(values["n_outliers"])
    return min(int(values["n_outliers"]), max(3, count_ // 100))


def _slow(
    slow: Sequence[Step], steps: Sequence[Step], limit: float, lost_s: float
) -> tuple[Finding, ...]:
    """Return what all of them are, and then the worst of them one by one."""
    usual = median(map(_taken, steps))
    phase, share = _to_blame(slow, steps)
    opening = _opening(slow, steps)
    worst = slow[0]
    longest = _taken(worst)
    summary = Finding(
        "steps",
        f"{len(slow)} of {len(steps)} steps are far slower than the usual {_time(usual)} (up to "
        f"{_time(longest)}, {longest / usual:.0f} times), {share:.0%} of it in phase {phase}",
        advice.for_slow_steps(phase, opening),
        longest,
        limit,
        step=worst.number,
        at_s=worst.start,
        cost_s=lost_s,
    )
    single = [
        Finding(
            f"step {step.number}",
            f"took {_time(_taken(step))}, {_taken(step) / usual:.0f} times the usual",
            "",
            _taken(step),
            limit,
            step=step.number,
            at_s=step.start,
            cost_s=_taken(step) - usual,
        )
        for step in slow[:NAMED]
    ]
    return (summary, *single)


def _to_blame(slow: Sequence[Step], steps: Sequence[Step]) -> tuple[str, float]:
    """Return the phase that the slow steps lose most of their time in, and which share of it."""
    names = {name for step in steps for name in step.phases} - {timeline.DEBUG}
    usual = {name: median(step.phases.get(name, 0.0) for step in steps) for name in names}
    lost = {
        name: math.fsum(max(0.0, step.phases.get(name, 0.0) - usual[name]) for step in slow)
        for name in names
    }
    worst = max(lost, key=lost.__getitem__, default=timeline.OTHER)
    return worst, lost.get(worst, 0.0) / (math.fsum(lost.values()) or 1.0)


def _opening(slow: Sequence[Step], steps: Sequence[Step]) -> int:
    """Return how many of the slow steps are the first of their epochs."""
    first: dict[int, int] = {}
    for step in steps:
        first.setdefault(step.epoch, step.number)
    return sum(step.number == first[step.epoch] for step in slow)


def _histogram(seconds: Sequence[float]) -> dict[str, list[float]]:
    low, high = min(seconds), max(seconds)
    bins = quantiles.bins_for(len(seconds))
    edges = [low + (high - low) * number / bins for number in range(bins + 1)]
    return {
        "probs": list(map(float, quantiles.histogram(seconds, low, high, bins))),
        "binedges": edges,
    }


def _time(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


RULES = (
    Rule(
        "StepOutlier",
        "steps are far slower than the others",
        (
            Parameter("stddev", 3.0, "standard deviations above the mean", low=0),
            Parameter("mode", "", "of the steps; training steps are what there is"),
            count("n_outliers", 10, "that are put up with; a short run: 1 % of its steps, or 3"),
            percent("cost_threshold", 5, "of the steps' time, lost; 0: as AWS (ours)"),
            SCAN,
        ),
        outliers,
    ),
)
