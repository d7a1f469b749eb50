"""
Hyperband's decision to stop a trial: successive halving in brackets, by Optuna's pruner.

The pruner keeps what it has seen in a study, and no study here outlives a question: so the curves
are shown to it again, of no more trials than are compared. That is why the brackets are drawn here,
as Optuna's HyperbandPruner draws them: it would go through all trials for each that it is shown.
"""

import math
from binascii import crc32
from collections.abc import Sequence
from itertools import accumulate

from optuna.pruners import SuccessiveHalvingPruner
from optuna.samplers import RandomSampler

from kennel.tuning.configuration import Halving
from kennel.tuning.search_space import STUDY, study

REDUCTION = 3  # of three trials that reach a rung one goes on (arXiv 1603.06560)


def should_stop(
    curves: Sequence[Sequence[float]],
    place: int,
    halving: Halving,
    *,
    maximize: bool,
    seen: int = 0,
) -> bool:
    """
    Say whether the trial at *place* is not in the best third at the rung that it has reached.

    A rung judges once, by what is known when it is reached. It would go against trials that take
    long to judge them again: ever more others would have come there meanwhile.

    Args:
        curves: Objectives after each epoch, of all trials in the order of their creation. The place
            decides in which bracket a trial is: after how many epochs it is looked at first.
        seen: Epochs of the trial that were judged before.
    """
    shares = _shares(halving)
    bracket = _bracket(place, shares)
    rungs = _rungs(halving.low * REDUCTION**bracket, len(curves[place]))
    if not rungs or rungs[-1] <= seen:
        return False
    others = (
        curve
        for other, curve in enumerate(curves)
        if other != place and _bracket(other, shares) == bracket
    )
    pruner = SuccessiveHalvingPruner(halving.low, REDUCTION, bracket)
    halved = study(RandomSampler(0), maximize=maximize, pruner=pruner)
    verdict = False
    for curve in (*others, curves[place]):
        trial = halved.ask()
        for epoch in rungs:
            if epoch <= len(curve):
                trial.report(curve[epoch - 1], epoch)
                verdict = trial.should_prune()
    return verdict


def _shares(halving: Halving) -> list[int]:
    """Return how many trials of a round each bracket gets; the first is looked at earliest."""
    brackets = int(math.log(halving.high / halving.low, REDUCTION)) + 1
    return [
        math.ceil(brackets * REDUCTION**left / (left + 1)) for left in reversed(range(brackets))
    ]


def _bracket(place: int, shares: Sequence[int]) -> int:
    draw = crc32(f"{STUDY}_{place}".encode()) % sum(shares)
    return next(bracket for bracket, end in enumerate(accumulate(shares)) if draw < end)


def _rungs(first: int, epochs: int) -> list[int]:
    """Return the epochs, up to *epochs*, after which trials of a bracket are looked at."""
    rungs = []
    while first <= epochs:
        rungs.append(first)
        first *= REDUCTION
    return rungs
