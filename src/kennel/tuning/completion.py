"""
When a tuning job is done, by its limits, its completion criteria and what its trials came to.

Pure functions of the trials told so far. Needs the standard library alone.
"""

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import cast

from kennel.contract import TUNING_FAILURES_AT_START
from kennel.tuning.limits import Limits
from kennel.tuning.trials import Trial

IMPROVEMENT = 0.01  # AWS counts a training job as better from 1 % on
# AWS calls a lack of improvements convergence, and does not say for how long. Here: for half of the
# trials, and for this many at least.
CONVERGED_AFTER = 10
_NEVER = datetime.max.replace(tzinfo=UTC)


def reason(
    trials: Sequence[Trial], limits: Limits, elapsed_s: float, *, maximize: bool
) -> str | None:
    """Return why a tuning job is done at once, whatever still runs; None as long as it is not."""
    if limits.runtime_s is not None and elapsed_s >= limits.runtime_s:
        return f"it ran for MaxRuntimeInSeconds, {limits.runtime_s}"
    scores = _scores(trials, maximize=maximize)
    if limits.target is not None:
        goal = limits.target if maximize else -limits.target
        if any(score >= goal for score in scores):
            return f"a training job reached TargetObjectiveMetricValue, {limits.target}"
    stale = not_improving(trials, maximize=maximize)
    if limits.not_improving is not None and stale >= limits.not_improving:
        return f"{stale} training jobs in a row did not improve the best objective by 1 %"
    if limits.convergence and has_converged(trials, maximize=maximize):
        return "the search has converged"
    return None


def is_hopeless(trials: Iterable[Trial]) -> bool:
    """
    Return whether to start no more trials, since those that have ended are all in vain.

    AWS gives up after five without an objective; what still runs may succeed.
    """
    known = list(trials)
    vain = sum(not (trial.running or trial.succeeded) for trial in known)
    return vain >= TUNING_FAILURES_AT_START and not has_success(known)


def has_success(trials: Iterable[Trial]) -> bool:
    """Return whether a trial has ended with an objective."""
    return any(trial.succeeded for trial in trials)


def in_vain(trials: Iterable[Trial]) -> str:
    """Return why a tuning job has failed whose trials all ended without an objective."""
    known = in_order_of_ending(trials)
    said = f"No training job succeeded after {len(known)} attempts."
    if not known:
        return said
    first = min(known, key=lambda trial: trial.state != "Failed")
    why = first.reason or "it emitted no objective metric"
    return f"{said} The first that failed, {first.name}: {why}"


def not_improving(trials: Iterable[Trial], *, maximize: bool) -> int:
    """Return how many trials ended since one was better than the best before by 1 % or more."""
    best, stale = -math.inf, 0
    for score in _scores(trials, maximize=maximize):
        improved = math.isinf(best) or score - best >= IMPROVEMENT * abs(best)
        best, stale = max(best, score), 0 if improved else stale + 1
    return stale


def has_converged(trials: Iterable[Trial], *, maximize: bool) -> bool:
    """Say whether a better objective is not to be expected of more trials."""
    known = list(trials)
    succeeded = sum(trial.succeeded for trial in known)
    least = max(CONVERGED_AFTER, math.ceil(succeeded / 2))
    return not_improving(known, maximize=maximize) >= least


def in_order_of_ending(trials: Iterable[Trial]) -> list[Trial]:
    """Return trials as they ended, running ones last."""
    return sorted(trials, key=lambda trial: (trial.ended or _NEVER, trial.name))


def _scores(trials: Iterable[Trial], *, maximize: bool) -> list[float]:
    """Return the objectives in the order of ending, larger ones being better."""
    return [
        cast("float", trial.objective) * (1 if maximize else -1)
        for trial in in_order_of_ending(trials)
        if trial.succeeded
    ]
