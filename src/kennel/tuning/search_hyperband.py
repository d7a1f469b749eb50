"""
Hyperband's decision to stop a trial: successive halving in brackets, by Optuna's pruner.

The pruner keeps what it has seen in a study, and no study here outlives a question: so the curves
of all trials are shown to it again, at the epochs that it looks at.
"""

from collections.abc import Iterator, Sequence

from optuna.pruners import HyperbandPruner
from optuna.samplers import RandomSampler

from kennel.tuning.configuration import Halving
from kennel.tuning.search_space import study

REDUCTION = 3  # of three trials that reach a rung one goes on (arXiv 1603.06560)


def should_stop(
    curves: Sequence[Sequence[float]], place: int, halving: Halving, *, maximize: bool
) -> bool:
    """
    Say whether the trial at *place* was not in the best third at the last rung that it reached.

    Args:
        curves: Objectives after each epoch, of all trials in the order of their creation. The place
            decides in which bracket a trial is: after how many epochs it is looked at first.
    """
    pruner = HyperbandPruner(halving.low, halving.high, REDUCTION)
    halved = study(RandomSampler(0), maximize=maximize, pruner=pruner)
    trials = [halved.ask() for _ in curves]
    reached = [*_rungs(halving, len(curves[place]))]  # what others did later does not matter
    others = [other for other in range(len(curves)) if other != place]
    verdict = False
    for each in (*others, place):
        for epoch in reached:
            if epoch <= len(curves[each]):
                trials[each].report(curves[each][epoch - 1], epoch)
                verdict = trials[each].should_prune()
    return verdict


def _rungs(halving: Halving, epochs: int) -> Iterator[int]:
    """Yield the epochs, up to *epochs*, after which trials of any bracket are looked at."""
    epoch = halving.low
    while epoch <= epochs:
        yield epoch
        epoch *= REDUCTION
