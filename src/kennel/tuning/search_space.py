"""
A tuning job in Optuna's words: its ranges as distributions, values there and back, a study.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler

from kennel.tuning import ranges as ranges_
from kennel.tuning.ranges import LOGARITHMIC, REVERSE, Categorical, Continuous, Integer, Range

Parameter = float | int | str
STUDY = "kennel"  # any name, and always the same: Hyperband's brackets are drawn by it


def study(
    sampler: BaseSampler, *, maximize: bool = True, pruner: BasePruner | None = None
) -> optuna.Study:
    """Return a study that knows no trials."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # or each is announced
    return optuna.create_study(
        study_name=STUDY,
        direction="maximize" if maximize else "minimize",
        sampler=sampler,
        pruner=pruner,
    )


@dataclass(frozen=True)
class Space:
    """What is searched."""

    ranges: Sequence[Range]

    def distributions(self) -> dict[str, BaseDistribution]:
        """Return name → distribution; of a reverse logarithmic range it is the distance to 1."""
        return {each.name: _distribution(each) for each in self.ranges}

    def parameters(self, values: Mapping[str, str]) -> dict[str, Parameter] | None:
        """Return what Optuna knows a trial by; None where a value is missing or out of range."""
        parameters: dict[str, Parameter] = {}
        for each in self.ranges:
            value = ranges_.value(each, values.get(each.name, ""))
            if value is None:
                return None
            parameters[each.name] = _distance(value) if _is_reverse(each) else value
        return parameters

    def texts(self, parameters: Mapping[str, Parameter]) -> dict[str, str]:
        """Return the values of a trial as a request says them."""
        return {
            each.name: ranges_.text(_value(each, parameters[each.name])) for each in self.ranges
        }


def _distribution(each: Range) -> BaseDistribution:
    match each:
        case Categorical():
            return CategoricalDistribution(each.values)
        case Integer():
            return IntDistribution(each.low, each.high, log=ranges_.scaling(each) == LOGARITHMIC)
        case Continuous() if _is_reverse(each):
            return FloatDistribution(_distance(each.high), _distance(each.low), log=True)
        case Continuous():
            return FloatDistribution(each.low, each.high, log=ranges_.scaling(each) == LOGARITHMIC)


def _value(each: Range, parameter: Parameter) -> Parameter:
    if isinstance(each, Continuous) and _is_reverse(each):
        return min(max(_distance(parameter), each.low), each.high)  # 1 - x rounds
    return parameter


def _is_reverse(each: Range) -> bool:
    return isinstance(each, Continuous) and ranges_.scaling(each) == REVERSE


def _distance(value: Parameter) -> float:
    return 1 - float(value)
