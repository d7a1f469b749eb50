"""
The values of the next trials: at random, by a model of the trials so far, or all in turn.

The model is Optuna's tree-structured Parzen estimator; why that one and with these settings is in
docs/decisions/013-search.md.
"""

import hashlib
import itertools
import math
import random
import threading
import warnings
from collections.abc import Iterable, Iterator, Sequence

import optuna
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from kennel.tuning import ranges as ranges_
from kennel.tuning.ranges import Range
from kennel.tuning.search_space import Space, study
from kennel.tuning.trials import Trial

STARTUP = 5  # trials spread over the ranges before the model is asked
GOOD_SHARE = 0.2  # of the trials, whose values the model takes for good ones
ATTEMPTS = 10  # to draw values that were not tried
_FILTERS = threading.Lock()

Values = dict[str, str]


def at_random(ranges: Sequence[Range], seed: str) -> Values:
    """Return values that are drawn whatever is known."""
    return _ask(Space(ranges), study(RandomSampler(number(seed))))


def by_model(
    ranges: Sequence[Range], trials: Iterable[Trial], *, maximize: bool, seed: str
) -> Values:
    """
    Return values that a model of the trials so far takes for promising.

    Trials that run are taken for poor ones, so that their values are not tried again beside them;
    so are failed ones for good.
    """
    space = Space(ranges)
    learning = study(_estimator(number(seed)), maximize=maximize)
    for trial in trials:
        if told := _told(trial, space):
            learning.add_trial(told)
    return _ask(space, learning)


def spread(ranges: Sequence[Range], seed: str, index: int) -> Values:
    """
    Return values of the first trials: any STARTUP in a row are spread evenly over every range.

    Args:
        index: Of the trial, from 0 on.
    """
    block, place = divmod(index, STARTUP)
    values: Values = {}
    for each in ranges:
        draw = random.Random(f"{seed}/{block}/{each.name}")  # noqa: S311 - nothing secret
        places = draw.sample(range(STARTUP), STARTUP)
        offsets = [draw.random() for _ in places]
        share = (places[place] + offsets[place]) / STARTUP
        values[each.name] = ranges_.text(ranges_.at(each, share))
    return values


def grid(ranges: Sequence[Range]) -> Iterator[Values]:
    """Yield every combination, the last range changing fastest; no range may be continuous."""
    for combination in itertools.product(*(ranges_.members(each) for each in ranges)):
        yield {
            each.name: ranges_.text(value) for each, value in zip(ranges, combination, strict=True)
        }


def number(seed: str) -> int:
    """Return a number that Optuna can be seeded with."""
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4])


def _estimator(seed: int) -> BaseSampler:
    # Optuna 6 will not let the share be chosen; 5 says so at each use. See decision 13.
    with _FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return TPESampler(
            seed=seed, n_startup_trials=0, multivariate=True, constant_liar=True, gamma=_good
        )


def _good(trials: int) -> int:
    return max(1, math.ceil(GOOD_SHARE * trials))


def _ask(space: Space, asked: optuna.Study) -> Values:
    return space.texts(asked.ask(space.distributions()).params)


def _told(trial: Trial, space: Space) -> FrozenTrial | None:
    """Return a trial as Optuna knows it; None where its values are not in the ranges."""
    parameters = space.parameters(trial.values)
    if parameters is None:
        return None
    state, value = TrialState.PRUNED, None  # without a curve: worse than any other
    if trial.running:
        state = TrialState.RUNNING
    elif trial.succeeded and (trial.state == "Completed" or not trial.curve):
        state, value = TrialState.COMPLETE, trial.objective
    return optuna.create_trial(
        state=state,
        value=value,
        params=parameters,
        distributions=space.distributions(),
        intermediate_values=dict(enumerate(trial.curve, start=1)) if trial.succeeded else {},
    )
