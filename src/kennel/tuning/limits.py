"""
How much a tuning job may do: its limits and completion criteria, as a request has them.

Whether one is reached is ``completion``'s. Needs the standard library alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from kennel.errors import TuningError

LEAST_NOT_IMPROVING = 3  # MaxNumberOfTrainingJobsNotImproving, as the service model has it


@dataclass(frozen=True)
class Limits:
    """
    When a tuning job ends; None: not by this.

    Args:
        jobs: Training jobs, at most.
        parallel: Training jobs at a time.
        runtime_s: Of the tuning job.
        target: Objective that is good enough.
        not_improving: Training jobs in a row that were less than 1 % better than the best before.
        convergence: End when no better value is to be expected.
    """

    jobs: int | None = None
    parallel: int = 1
    runtime_s: int | None = None
    target: float | None = None
    not_improving: int | None = None
    convergence: bool = False

    @classmethod
    def from_request(cls, config: Mapping[str, Any]) -> Self:
        """
        Read ResourceLimits and TuningJobCompletionCriteria of a HyperParameterTuningJobConfig.

        Raises:
            TuningError: One is not a number, or too small.
        """
        resources = config.get("ResourceLimits", {})
        criteria = config.get("TuningJobCompletionCriteria", {})
        patience = criteria.get("BestObjectiveNotImproving", {})
        target = criteria.get("TargetObjectiveMetricValue")
        if not isinstance(target, int | float | None):
            raise TuningError(f"TargetObjectiveMetricValue is {target!r}", expected="a number")
        return cls(
            jobs=_count(resources, "MaxNumberOfTrainingJobs"),
            parallel=_count(resources, "MaxParallelTrainingJobs") or 1,
            runtime_s=_count(resources, "MaxRuntimeInSeconds"),
            target=target,
            not_improving=_count(
                patience, "MaxNumberOfTrainingJobsNotImproving", LEAST_NOT_IMPROVING
            ),
            convergence=criteria.get("ConvergenceDetected", {}).get("CompleteOnConvergence")
            == "Enabled",
        )


def _count(document: Mapping[str, Any], name: str, least: int = 1) -> int | None:
    given = document.get(name)
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int) or given < least:
        raise TuningError(f"{name} is {given!r}", expected=f"a whole number from {least} on")
    return given
