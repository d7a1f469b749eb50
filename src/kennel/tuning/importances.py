"""
How much each hyperparameter matters: its share in the differences of the objective, by fANOVA.

Optuna's, which needs scikit-learn; a search does not. How a report shows them is
``report_charts``'s.
"""

from importlib.util import find_spec

import optuna
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.samplers import RandomSampler
from optuna.trial import TrialState

from kennel.errors import TuningError
from kennel.tuning.search_space import Space, study
from kennel.tuning.trials import Trial, Tuning

LEAST_TRIALS = 5  # of fewer it is chance which hyperparameter comes out first


def importances(tuning: Tuning) -> dict[str, float]:
    """
    Return hyperparameter → share in the differences of the objective, the largest first.

    Returns:
        Shares from 0 to 1 that sum to 1. Trials that were stopped count only where too few ran to
        their end, since their objectives are of fewer epochs.

    Raises:
        TuningError: Too few trials succeeded, all came to the same, or scikit-learn is missing.
    """
    if find_spec("sklearn") is None:
        raise TuningError("importances need scikit-learn", remedy="pip install scikit-learn")
    trials = _comparable(tuning.trials)
    if len(trials) < LEAST_TRIALS:
        raise TuningError(
            f"importances of {len(trials)} trials with an objective",
            expected=f"at least {LEAST_TRIALS}",
            remedy="a tuning job of more trials",
        )
    if len({trial.objective for trial in trials}) == 1:
        raise TuningError(
            f"all {len(trials)} trials came to the same {tuning.metric}, {trials[0].objective}",
            expected="objectives that differ",
        )
    space, known = Space(tuning.ranges), study(RandomSampler(0), maximize=tuning.maximize)
    for trial in trials:
        if parameters := space.parameters(trial.values):
            known.add_trial(
                optuna.create_trial(
                    state=TrialState.COMPLETE,
                    value=trial.objective,
                    params=parameters,
                    distributions=space.distributions(),
                )
            )
    return dict(get_param_importances(known, evaluator=FanovaImportanceEvaluator(seed=0)))


def _comparable(trials: tuple[Trial, ...]) -> list[Trial]:
    succeeded = [trial for trial in trials if trial.succeeded]
    whole = [trial for trial in succeeded if trial.state == "Completed"]
    return whole if len(whole) >= LEAST_TRIALS else succeeded
