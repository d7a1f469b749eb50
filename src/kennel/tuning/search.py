"""
What to try next, when to stop a trial, and when a tuning job is done.

Stateless: everything follows from the request and from the trials told, so a search that was cut
off goes on from a list of its trials, and the same trials always have the same answer.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import optuna

from kennel.tuning import ranges as ranges_
from kennel.tuning import trials as trials_
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
    ) -> None:
        self.ranges = ranges_.from_request(config.get("ParameterRanges", {}))
        self.limits = trials_.limits(config)
        objective = config.get("HyperParameterTuningJobObjective", {})
        self.maximize = objective.get("Type", "Maximize") == "Maximize"
        self._seed = str(config.get("RandomSeed", name))
        self._static, self._parents = static, parents

    def suggest(self, trials: Sequence[Trial], count: int) -> list[dict[str, str]]:
        """Return the values of the next *count* trials, hyperparameter → text."""
        return [self._draw(len(trials) + index) for index in range(count)]

    def should_stop(self, trials: Sequence[Trial], name: str) -> bool:
        """Say whether the running trial *name* is to be stopped, by its curve and the others'."""
        return False

    def is_complete(self, trials: Sequence[Trial], elapsed_s: float) -> str | None:
        """Return why the tuning job is done, None as long as it is not."""
        return None

    def best(self, trials: Sequence[Trial]) -> Trial | None:
        """Return the trial with the best objective; None if none succeeded."""
        return trials_.best(trials, maximize=self.maximize)

    def _draw(self, index: int) -> dict[str, str]:
        seed = int.from_bytes(hashlib.sha256(f"{self._seed}/{index}".encode()).digest()[:4])
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed))
        trial = study.ask()
        drawn: dict[str, str] = {}
        for each in self.ranges:
            match each:
                case ranges_.Continuous():
                    drawn[each.name] = ranges_.text(
                        trial.suggest_float(
                            each.name,
                            each.low,
                            each.high,
                            log=ranges_.scaling(each) == ranges_.LOGARITHMIC,
                        )
                    )
                case ranges_.Integer():
                    drawn[each.name] = ranges_.text(
                        trial.suggest_int(
                            each.name,
                            each.low,
                            each.high,
                            log=ranges_.scaling(each) == ranges_.LOGARITHMIC,
                        )
                    )
                case ranges_.Categorical():
                    drawn[each.name] = trial.suggest_categorical(each.name, each.values)
        return drawn
