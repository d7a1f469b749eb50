"""
Read a tuning job as often as it is asked to, with its trials: SageMaker's, or inside one job.

Takes AWS's clients, opens none. Which tuning jobs there are stands in ``tunings``; following one is
``watch``'s loop around ``Reader``.
"""

import json
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from kennel import contract
from kennel.errors import JobError
from kennel.jobs import lookup, search_log, storage
from kennel.jobs.aws import Aws
from kennel.jobs.lookup import Answer
from kennel.jobs.tunings import PAGES, find
from kennel.jobs.watch import Line, LogReader, metric_in, training_log
from kennel.tuning import trials
from kennel.tuning.trials import Trial, Tuning

ASKING = 8  # requests at a time
Asked = TypeVar("Asked")
Told = TypeVar("Told")


class Reader:
    """
    Reads one tuning job as often as it is asked to; of trials that have ended once.

    Raises:
        JobError: There is no such tuning job.
    """

    def __init__(self, aws: Aws, name: str) -> None:
        self._aws = aws
        self._ended: dict[str, Answer] = {}
        self._log: LogReader | None = None
        self.job = find(aws.sagemaker, name)
        self._name = self.job.name
        self._told = search_log.Trials(self._name, ())

    def read(self) -> Tuning:
        """Return the tuning job as it is now, with its trials."""
        self.job = find(self._aws.sagemaker, self._name)
        if not self.job.in_job:
            return trials.from_answers(self.job.described, self._trials())
        document = self._left()
        described = as_tuning_job(self.job.described, document.get("Tuning", {}))
        answers = document.get("TrainingJobs") or self._so_far(described)
        return trials.from_answers(described, answers, document.get("Curves"))

    def read_briefly(self) -> Tuning:
        """Return it with its trials' values and objectives alone: a request for a hundred."""
        return trials.from_answers(self.job.described, self._summaries())

    def _trials(self) -> list[Answer]:
        summaries = self._summaries()
        return [*summaries, *_at_once(self._described, summaries)]

    def _summaries(self) -> list[Answer]:
        pages = self._aws.sagemaker.get_paginator(
            "list_training_jobs_for_hyper_parameter_tuning_job"
        ).paginate(HyperParameterTuningJobName=self._name, PaginationConfig=PAGES)
        return [one for page in pages for one in page["TrainingJobSummaries"]]

    def _described(self, summary: Answer) -> Answer:
        """Return what the summary lacks: metrics, and the seconds that are paid for."""
        name = summary["TrainingJobName"]
        if name not in self._ended:
            described = lookup.job(self._aws.sagemaker, name)
            if described["TrainingJobStatus"] not in contract.TRAINING_ENDED:
                return described
            self._ended[name] = described
        return self._ended[name]

    def _left(self) -> Answer:
        """Return what a search in one job has left; nothing while it runs, or where it broke."""
        described = self.job.described
        if described["TrainingJobStatus"] not in contract.TRAINING_ENDED:
            return {}
        with tempfile.TemporaryDirectory() as folder:
            try:
                storage.unpack(self._aws.s3, storage.outputs(described), Path(folder))
                return dict(json.loads((Path(folder) / contract.SEARCH_RESULT).read_text()))
            except (JobError, FileNotFoundError):
                return {}

    def _so_far(self, described: Answer) -> list[Answer]:
        """Return the trials that the log of a search in one job tells of."""
        ranges = described["HyperParameterTuningJobConfig"]["ParameterRanges"]
        if self._log is None:
            names = [one["Name"] for kind in ranges.values() for one in kind]
            self._log = training_log(self._aws.logs, self._name)
            self._told = search_log.Trials(self._name, names)
        return self._told.read(self._log.new_lines())

    def with_curves(self) -> Tuning:
        """Return the tuning job with the learning curves of its trials, as their logs have them."""
        tuning = self.read()
        if self.job.in_job:
            return tuning
        definition = self.job.described.get("TrainingJobDefinition", {})
        metrics = definition.get("AlgorithmSpecification", {}).get("MetricDefinitions", ())
        regex = {one["Name"]: one["Regex"] for one in metrics}.get(tuning.metric)
        if regex is None:  # of a built-in algorithm, or of several definitions
            return tuning
        logs = self._aws.logs  # made before the threads

        def with_curve(trial: Trial) -> Trial:
            return replace(trial, curve=curve(training_log(logs, trial.name).new_lines(), regex))

        return replace(tuning, trials=tuple(_at_once(with_curve, tuning.trials)))


def curve(lines: Iterable[Line], regex: str) -> tuple[float, ...]:
    """Return a metric after each epoch; the best one, said again at the end, is no other epoch."""
    texts = (line.text for line in lines if not line.text.startswith(contract.BEST_EPOCH))
    values = (metric_in(text, regex) for text in texts)
    return tuple(value for value in values if value is not None)


def _at_once(ask: Callable[[Asked], Told], about: Sequence[Asked]) -> list[Told]:
    """Ask for each of *about*, a few at a time: of hundreds of trials one by one takes minutes."""
    with ThreadPoolExecutor(ASKING) as pool:
        return list(pool.map(ask, about))


def as_tuning_job(described: Answer, left: Mapping[str, object]) -> Answer:
    """
    Describe a search in one training job as AWS describes a tuning job.

    Args:
        described: The training job.
        left: What the search says of itself, so far or at its end.
    """
    static = dict(described["HyperParameters"])
    config = json.loads(static.pop(contract.SEARCH_HYPERPARAMETER))
    ended = described.get("TrainingEndTime")
    return {
        "HyperParameterTuningJobConfig": config,
        "TrainingJobDefinition": {"StaticHyperParameters": static},
        **left,
        "HyperParameterTuningJobName": described["TrainingJobName"],
        "HyperParameterTuningJobStatus": described["TrainingJobStatus"],
        "CreationTime": described["CreationTime"],
        **({"HyperParameterTuningEndTime": ended} if ended else {}),
        **({"FailureReason": r} if (r := described.get("FailureReason")) else {}),
    }
