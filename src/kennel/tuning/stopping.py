"""
TrainingJobEarlyStoppingType Auto: the median rule, as AWS documents it.

Hyperband has a rule of its own, in ``search_hyperband``. Needs the standard library alone.
"""

from collections.abc import Iterable
from math import isfinite
from statistics import fmean, median

from kennel.tuning.trials import Trial

# Of fewer curves the median says little. AWS names no number.
LEAST_CURVES = 3


def by_median(trials: Iterable[Trial], trial: Trial, *, maximize: bool) -> bool:
    """
    Say whether *trial* is worse than what others were like by the same epoch.

    "Stop Training Jobs Early" in the developer guide: the objective after an epoch is compared with
    the median of the running averages of earlier training jobs up to the same epoch.

    Args:
        trials: Of the tuning job; those that ended and came as far are compared with.
    """
    epoch = len(trial.curve)
    if epoch == 0:
        return False
    others = (
        other.curve[:epoch]
        for other in trials
        if other.succeeded and other.name != trial.name and len(other.curve) >= epoch
    )
    averages = [fmean(curve) for curve in others if all(map(isfinite, curve))]
    return len(averages) >= LEAST_CURVES and _worse(
        trial.curve[-1], median(averages), maximize=maximize
    )


def _worse(value: float, bar: float, *, maximize: bool) -> bool:
    """Compare with the bar; what is not a number is worse than any."""
    return not (value >= bar if maximize else value <= bar)
