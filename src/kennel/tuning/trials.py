"""
What was tried and what came of it: trials, and the tuning job that they belong to.

Read from AWS's answers, which the local server and a search in one job give in the same shape; so
tables and reports need not know where a tuning job ran. What to try next is ``search``'s. Needs the
standard library alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import isfinite
from typing import Any, Literal, cast

from kennel.tuning import parameter_ranges
from kennel.tuning.configuration import Halving, halving
from kennel.tuning.limits import Limits
from kennel.tuning.ranges import Range

State = Literal["InProgress", "Completed", "Stopped", "Failed"]
_STATES: Mapping[str, State] = {"Stopping": "InProgress", "Deleting": "Stopped"}


@dataclass(frozen=True)
class Trial:
    """
    A training job of a tuning job.

    Args:
        name: Of the training job; those of one tuning job sort in the order of their creation.
        values: Hyperparameter → text, of those that have a range.
        objective: The objective metric at the end; None as long as there is none.
        curve: The objective metric after each epoch so far.
        seconds: From its start to its end; None as long as it has not ended.
        billable_s: What AWS asks money for; None where that is not known.
        reason: Of its failure.
        metrics: Name → last value, of every metric.
    """

    name: str
    values: Mapping[str, str]
    state: State = "InProgress"
    objective: float | None = None
    curve: tuple[float, ...] = ()
    seconds: float | None = None
    billable_s: float | None = None
    reason: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def running(self) -> bool:
        """Say whether it has not ended."""
        return self.state == "InProgress"

    @property
    def succeeded(self) -> bool:
        """Say whether it ended with an objective that can be compared."""
        return (
            self.state in ("Completed", "Stopped")
            and self.objective is not None
            and isfinite(self.objective)
        )


@dataclass(frozen=True)
class Tuning:
    """
    A tuning job with its trials.

    Args:
        status: InProgress, Completed, Failed, Stopping, Stopped, as AWS says it.
        metric: Name of the objective metric.
        static: Hyperparameter → text, of those that all trials share.
        parents: Tuning jobs that it started from.
        halving: Hyperband's least and most epochs of a trial, else None.
        reason: Of its failure.
        trials: In the order of their names, which is that of their creation.
    """

    name: str
    status: str
    metric: str
    maximize: bool
    strategy: str
    ranges: tuple[Range, ...]
    static: Mapping[str, str]
    limits: Limits
    trials: tuple[Trial, ...]
    early_stopping: bool = False
    halving: Halving | None = None
    parents: tuple[str, ...] = ()
    reason: str = ""
    started: datetime | None = None
    ended: datetime | None = None

    @property
    def best(self) -> Trial | None:
        """The trial with the best objective."""
        return best(self.trials, maximize=self.maximize)


def best(trials: Iterable[Trial], *, maximize: bool) -> Trial | None:
    """Return the trial with the best objective, the first by name among equals; None if none."""
    done = sorted((trial for trial in trials if trial.succeeded), key=lambda trial: trial.name)
    sign = -1 if maximize else 1
    return min(done, key=lambda trial: sign * cast("float", trial.objective), default=None)


def listed(values: Mapping[str, str]) -> str:
    """Say values on one line, e.g. ``lr=0.01 batch-size=32``."""
    return " ".join(f"{name}={text}" for name, text in values.items())


def from_answers(
    described: Mapping[str, Any],
    answers: Iterable[Mapping[str, Any]],
    curves: Mapping[str, Sequence[float]] | None = None,
) -> Tuning:
    """
    Read a tuning job from what AWS answers.

    Args:
        described: Answer of DescribeHyperParameterTuningJob.
        answers: TrainingJobSummaries of ListTrainingJobsForHyperParameterTuningJob, answers of
            DescribeTrainingJob, or both; those of one name are joined. Times are datetimes, seconds
            since 1970, or ISO texts; members that are None are as good as missing.
        curves: Training job → objective after each epoch, where that is known from elsewhere.
    """
    described = _given(described)
    config = described["HyperParameterTuningJobConfig"]
    objective = config.get("HyperParameterTuningJobObjective", {})
    ranges = parameter_ranges.from_request(config.get("ParameterRanges", {}))
    metric, searched = objective.get("MetricName", ""), [each.name for each in ranges]
    joined: dict[str, dict[str, Any]] = {}
    for answer in answers:
        joined.setdefault(answer["TrainingJobName"], {}).update(_given(answer))
    definition = described.get("TrainingJobDefinition", {})
    return Tuning(
        name=described["HyperParameterTuningJobName"],
        status=described["HyperParameterTuningJobStatus"],
        metric=metric,
        maximize=objective.get("Type", "Maximize") == "Maximize",
        strategy=config["Strategy"],
        ranges=ranges,
        static=dict(definition.get("StaticHyperParameters", {})),
        limits=Limits.from_request(config),
        trials=tuple(
            _trial(joined[name], metric, searched, tuple((curves or {}).get(name, ())))
            for name in sorted(joined)
        ),
        halving=halving(config, definition.get("StaticHyperParameters", {})),
        early_stopping=config.get("TrainingJobEarlyStoppingType", "Off") == "Auto",
        parents=tuple(
            parent["HyperParameterTuningJobName"]
            for parent in described.get("WarmStartConfig", {}).get(
                "ParentHyperParameterTuningJobs", ()
            )
        ),
        reason=described.get("FailureReason", ""),
        started=_time(described.get("CreationTime")),
        ended=_time(described.get("HyperParameterTuningEndTime")),
    )


def _trial(
    answer: Mapping[str, Any], metric: str, searched: Sequence[str], curve: tuple[float, ...]
) -> Trial:
    given = answer.get("TunedHyperParameters", answer.get("HyperParameters", {}))
    status = answer["TrainingJobStatus"]
    state = _STATES.get(status, cast("State", status))
    metrics = {
        item["MetricName"]: float(item["Value"]) for item in answer.get("FinalMetricDataList", ())
    }
    final = answer.get("FinalHyperParameterTuningJobObjectiveMetric", {}).get("Value")
    if final is None and state in ("Completed", "Stopped"):
        final = metrics.get(metric)
    started, ended = _time(answer.get("TrainingStartTime")), _time(answer.get("TrainingEndTime"))
    seconds = answer.get("TrainingTimeInSeconds")
    if seconds is None and started and ended:
        seconds = (ended - started).total_seconds()
    return Trial(
        name=answer["TrainingJobName"],
        values={name: given[name] for name in searched if name in given},
        state=state,
        objective=None if final is None else float(final),
        curve=curve,
        seconds=seconds,
        billable_s=answer.get("BillableTimeInSeconds"),
        reason=answer.get("FailureReason", ""),
        started=started or _time(answer.get("CreationTime")),
        ended=ended,
        metrics=metrics,
    )


def _given(document: Mapping[str, Any]) -> dict[str, Any]:
    return {member: value for member, value in document.items() if value is not None}


def _time(given: datetime | float | str | None) -> datetime | None:
    match given:
        case None | datetime():
            return given
        case str():
            read = datetime.fromisoformat(given)
            return read if read.tzinfo else read.replace(tzinfo=UTC)
        case _:
            return datetime.fromtimestamp(given, UTC)
