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
from kennel.tuning.trials import Tuning
from kennel.tuning.verdict import comparable, untold


def importances(tuning: Tuning) -> dict[str, float]:
    """
    Return hyperparameter → share in the differences of the objective, the largest first.

    Returns:
        Shares from 0 to 1 that sum to 1.

    Raises:
        TuningError: Too few trials succeeded, all came to the same, their values do not tell what
            they came to, or scikit-learn is missing.
    """
    if find_spec("sklearn") is None:
        raise TuningError("importances need scikit-learn", remedy="pip install 'kennel[local]'")
    if why := untold(tuning):
        more = "a tuning job of more trials" if comparable(tuning) else ""
        raise TuningError(f"no importances: {why}", remedy=more)
    space, known = Space(tuning.ranges), study(RandomSampler(0), maximize=tuning.maximize)
    for trial in comparable(tuning):
        if parameters := space.parameters(trial.values):
            known.add_trial(
                optuna.create_trial(
                    state=TrialState.COMPLETE,
                    value=trial.objective,
                    params=parameters,
                    distributions=space.distributions(),
                )
            )
    try:
        shares = get_param_importances(known, evaluator=FanovaImportanceEvaluator(seed=0))
    except RuntimeError as error:  # no tree found a difference
        raise TuningError(
            "no importances: the values of the trials do not tell what they came to",
            remedy="a tuning job of more trials",
        ) from error
    return dict(shares)
