"""
A search in one job, as the hyperparameter kennel-tuning asks for it: AWS's own document, as text.

Judged before anything slow begins; torch is not needed. The search itself is run.py's, and what
is tried next kennel.tuning.search's.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kennel.contract import (
    METRIC_DEFINITIONS,
    RESERVED_HYPERPARAMETER_PREFIXES,
    SEARCH_HYPERPARAMETER,
)
from kennel.errors import HyperparameterError, TuningError
from kennel.training import config
from kennel.training.hyperparameters import Hyperparameters, parse
from kennel.tuning import configuration, ranges
from kennel.tuning.configuration import Configuration
from kennel.tuning.ranges import Categorical, Range

METRICS = tuple(name for name in METRIC_DEFINITIONS if not name.startswith("test_"))
# Trials that differ in these would be judged on different pictures, or by luck, or not at all.
SHARED = ("max-bad-share", "valid-share", "test-share", "seed", "features-only")


@dataclass(frozen=True)
class Wanted:
    """What is searched."""

    document: Mapping[str, Any]  # AWS's HyperParameterTuningJobConfig
    configuration: Configuration  # the same, read
    static: Mapping[str, str]  # hyperparameters that all trials share

    @property
    def metric(self) -> str:
        """Name of the objective metric."""
        return self.configuration.metric

    def chosen(self, values: Mapping[str, str]) -> Hyperparameters:
        """
        Return the hyperparameters of the trial with these values.

        Raises:
            HyperparameterError: They do not go together.
        """
        return parse({**self.static, **values})


def read(raw: Mapping[str, object]) -> Wanted | None:
    """
    Return the search that the job's hyperparameters ask for, or None for a single training.

    Args:
        raw: Name → text, as in hyperparameters.json.

    Raises:
        TuningError: The document is none of AWS's, or asks for something impossible.
        HyperparameterError: A range has values that its hyperparameter does not take.
    """
    given = raw.get(SEARCH_HYPERPARAMETER)
    if given is None:
        return None
    static = {
        name.replace("_", "-"): config.text(value)
        for name, value in raw.items()
        if not name.startswith((*RESERVED_HYPERPARAMETER_PREFIXES, SEARCH_HYPERPARAMETER))
    }
    document = _document(given)
    _check_objective(document)
    wanted = Wanted(document, configuration.read(document, static, METRICS), static)
    if wanted.chosen({}).features_only:
        raise TuningError(
            "features-only=true trains nothing, and so there is nothing to search",
            expected="one of the two",
        )
    for each in wanted.configuration.ranges:
        _check_range(each, wanted)
    return wanted


def _document(given: object) -> dict[str, Any]:
    try:
        document = json.loads(given) if isinstance(given, str) else given
        if isinstance(document, str):  # the SageMaker SDK sends text as JSON of text
            document = json.loads(document)
    except ValueError as error:
        raise _no_document(f"is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise _no_document(f"is {type(document).__name__}")
    return document


def _no_document(found: str) -> TuningError:
    return TuningError(
        f"hyperparameter {SEARCH_HYPERPARAMETER} {found}",
        expected="a JSON object: HyperParameterTuningJobConfig of CreateHyperParameterTuningJob",
        remedy="kennel tune --in-job --dry-run shows one",
    )


def _check_objective(document: Mapping[str, Any]) -> None:
    metric = document.get("HyperParameterTuningJobObjective", {}).get("MetricName")
    if metric in METRICS:
        return
    if metric in METRIC_DEFINITIONS:
        raise TuningError(
            f"the objective is {metric}: that is tuning on the test set, "
            "which then says nothing about other pictures",
            expected=f"one of {', '.join(METRICS)}",
            remedy="valid_accuracy",
        )
    raise TuningError(
        f"the objective is {metric!r}, which this training does not measure",
        expected=f"MetricName of HyperParameterTuningJobObjective: one of {', '.join(METRICS)}",
    )


def _check_range(each: Range, wanted: Wanted) -> None:
    name = each.name.replace("_", "-")
    if name in SHARED:
        raise TuningError(
            f"range {name}: trials that differ in it cannot be compared",
            expected="a static hyperparameter",
        )
    for value in _extremes(each):
        try:
            wanted.chosen({each.name: value})
        except HyperparameterError as error:
            raise HyperparameterError(
                f"range {each.name}: {error.problem}",
                expected=error.expected,
                remedy=error.remedy,
            ) from error


def _extremes(each: Range) -> Iterator[str]:
    """Yield values that show whether the hyperparameter takes all that is in the range."""
    match each:
        case Categorical():
            yield from each.values
        case _:
            yield ranges.text(each.low)
            yield ranges.text(each.high)
