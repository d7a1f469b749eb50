"""
What to try next, when to stop a trial, and when a tuning job is done.

Stateless: everything follows from the request and from the trials told, so a search that was cut
off goes on from a list of its trials, and the same trials always have the same answer. How values
are drawn is ``search_samplers``'s, how curves are compared ``stopping``'s and
``search_hyperband``'s, when the limits are reached ``completion``'s.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from kennel.tuning import completion, configuration, search_hyperband, stopping
from kennel.tuning import ranges as ranges_
from kennel.tuning import search_samplers as samplers
from kennel.tuning import trials as trials_
from kennel.tuning.configuration import BAYESIAN, GRID, HYPERBAND
from kennel.tuning.ranges import Range
from kennel.tuning.search_samplers import ATTEMPTS, STARTUP, Values
from kennel.tuning.trials import Trial


class Search:
    """
    A tuning job's search.

    Args:
        config: AWS's HyperParameterTuningJobConfig.
        static: Hyperparameter → text, of those that all trials share.
        parents: Trials of earlier tuning jobs, to start from; their values hold the static
            hyperparameters of their job too, where a range is now what was static then.
        name: Of the tuning job; what is drawn follows from it where there is no RandomSeed.
        epoch_metrics: Metrics that are printed after every epoch; None where that is not known.

    Trials may be told in any order; those of one tuning job have names that sort in the order of
    their creation.

    Raises:
        TuningError: The strategy, a range or a limit asks for something impossible.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        *,
        static: Mapping[str, str],
        parents: Sequence[Trial] = (),
        name: str = "",
        epoch_metrics: Collection[str] | None = None,
    ) -> None:
        self.configuration = configuration.read(config, static, epoch_metrics)
        self._static = static
        self._parents, self.notes = _usable(parents, self.configuration.ranges)
        seed = self.configuration.seed
        self._seed = name if seed is None else str(seed)

    def suggest(self, trials: Sequence[Trial], count: int) -> list[dict[str, str]]:
        """
        Return the values of the next trials, hyperparameter → text.

        Args:
            trials: All so far; the values of those that run are not suggested again.
            count: How many are wanted. There are fewer when MaxNumberOfTrainingJobs is reached, or
                when every combination of the ranges was tried.
        """
        known = _in_order(trials)
        for _ in range(self._left(known, count)):
            values = self._next(known)
            if values is None:
                break
            known.append(Trial(f"next-{len(known)}", values))
        return [dict(trial.values) for trial in known[len(trials) :]]

    def should_stop(self, trials: Sequence[Trial], name: str, seen: int | None = None) -> bool:
        """
        Say whether the running trial *name* is to be stopped, by its curve and the others'.

        Args:
            seen: How long its curve was when this was asked before; None: one shorter, for it is
                asked after every epoch.
        """
        chosen, known = self.configuration, _in_order(trials)
        place = next(place for place, trial in enumerate(known) if trial.name == name)
        curve, halving = known[place].curve, chosen.halving
        epochs = configuration.epochs_of({**self._static, **known[place].values})
        if epochs is not None and len(curve) >= epochs:
            return False  # it ends by itself, and has a model to save
        if halving:
            curves = [trial.curve for trial in known]
            return len(curve) >= halving.high or search_hyperband.should_stop(
                curves,
                place,
                halving,
                maximize=chosen.maximize,
                seen=len(curve) - 1 if seen is None else seen,
            )
        return chosen.early_stopping and stopping.by_median(
            known, known[place], maximize=chosen.maximize
        )

    def is_complete(self, trials: Sequence[Trial], elapsed_s: float) -> str | None:
        """
        Return why the tuning job is done, None as long as it is not.

        Args:
            elapsed_s: Since the tuning job was created.
        """
        chosen = self.configuration
        if why := completion.reason(trials, chosen.limits, elapsed_s, maximize=chosen.maximize):
            return why
        if any(trial.running for trial in trials):
            return None
        if chosen.limits.jobs is not None and len(trials) >= chosen.limits.jobs:
            return f"all {len(trials)} training jobs have ended"
        if self._is_exhausted(trials):
            return f"all {len(trials)} combinations of the ranges were tried"
        return None

    def best(self, trials: Iterable[Trial]) -> Trial | None:
        """Return the trial with the best objective; None if none succeeded."""
        return trials_.best(trials, maximize=self.configuration.maximize)

    def _left(self, known: Sequence[Trial], count: int) -> int:
        most = self.configuration.limits.jobs
        return count if most is None else min(count, most - len(known))

    def _next(self, known: Sequence[Trial]) -> Values | None:
        """Return values that were not tried; None if all were."""
        chosen = self.configuration
        if self._is_exhausted(known):
            return None
        tried = [trial.values for trial in known]
        drawn = () if chosen.strategy == GRID else self._drawn(known)
        finite = ranges_.size(chosen.ranges) is not None
        values = None
        for values in chain(drawn, samplers.grid(chosen.ranges) if finite else ()):
            if values not in tried:
                break
        return values

    def _is_exhausted(self, known: Sequence[Trial]) -> bool:
        combinations = ranges_.size(self.configuration.ranges)
        if combinations is None or len(known) < combinations:
            return False
        return len({frozenset(trial.values.items()) for trial in known}) >= combinations

    def _drawn(self, known: Sequence[Trial]) -> Iterator[Values]:
        """Yield values for the next trial, the best ones first."""
        chosen, seed = self.configuration, f"{self._seed}/{len(known)}"
        learnt = sum(trial.succeeded for trial in (*self._parents, *known))
        if chosen.strategy in (BAYESIAN, HYPERBAND) and learnt < STARTUP:
            yield samplers.spread(chosen.ranges, self._seed, len(known))
        elif chosen.strategy in (BAYESIAN, HYPERBAND):
            for attempt in range(ATTEMPTS):
                yield samplers.by_model(
                    chosen.ranges,
                    (*self._parents, *known),
                    maximize=chosen.maximize,
                    seed=f"{seed}/{attempt}",
                )
        for attempt in range(ATTEMPTS):
            yield samplers.at_random(chosen.ranges, f"{seed}/random/{attempt}")


def _usable(
    parents: Sequence[Trial], ranges: Sequence[Range]
) -> tuple[tuple[Trial, ...], tuple[str, ...]]:
    """Return the parents that say something about the ranges, and what is to be said of others."""
    usable = tuple(
        parent
        for parent in parents
        if parent.succeeded
        and all(
            ranges_.value(each, parent.values.get(each.name, "")) is not None for each in ranges
        )
    )
    failed = sum(not parent.succeeded for parent in parents)
    outside = len(parents) - failed - len(usable)
    counts = {"their values are not all in the ranges": outside, "they have no objective": failed}
    notes = tuple(
        f"{count} of {len(parents)} earlier trials are left out: {why}"
        for why, count in counts.items()
        if count
    )
    return usable, notes


def _in_order(trials: Iterable[Trial]) -> list[Trial]:
    return sorted(trials, key=lambda trial: trial.name)
