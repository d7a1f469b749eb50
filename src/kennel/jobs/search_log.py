"""
Read the trials of a search inside one training job out of its log, while it runs.

What it leaves at its end (contract.SEARCH_RESULT) is whole; until then there are the lines that
kennel.training.search.run prints. Pure: lines in, answers of DescribeTrainingJob's shape out.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from kennel import contract
from kennel.jobs.lookup import Answer
from kennel.jobs.watch import Line, metric_in

EPOCH = re.compile(r"trial=(\d+) (epoch=.*)")
ENDED = re.compile(r"trial=(\d+)(?:/\d+)? (completed|stopped|failed)\b:?(.*)")
BEGINS = re.compile(r"trial=(\d+)(?:/\d+)? begins( .*)")
SECONDS = re.compile(r" seconds=([\d.]+)(?:; best trial=.*)?$")
STATUSES = {"completed": "Completed", "stopped": "Stopped", "failed": "Failed"}


@dataclass
class Trials:
    """
    The trials of one search, as far as its log has been read.

    Args:
        job: The training job.
        searched: The hyperparameters that have a range.
    """

    job: str
    searched: Sequence[str]
    answers: dict[int, Answer] = field(default_factory=dict)
    epochs: dict[int, list[list[Answer]]] = field(default_factory=dict)  # metrics after each

    def read(self, lines: Iterable[Line]) -> list[Answer]:
        """Take more lines, and return all trials as they are now."""
        for line in lines:
            if found := EPOCH.match(line.text):
                self._epoch(int(found[1]), found[2], line.timestamp_ms / 1000)
            elif found := BEGINS.match(line.text):
                self._begins(int(found[1]), found[2], line.timestamp_ms / 1000)
            elif found := ENDED.match(line.text):
                self._ended(int(found[1]), found[2], found[3], line.timestamp_ms / 1000)
        return [self.answers[number] for number in sorted(self.answers)]

    def _begins(self, number: int, rest: str, now: float) -> None:
        self.answers[number] = self._trial(number, "InProgress") | {
            "HyperParameters": self._values(f"{rest} seconds="),
            "TrainingStartTime": now,
        }

    def _epoch(self, number: int, text: str, now: float) -> None:
        metrics = {n: metric_in(text, regex) for n, regex in contract.METRIC_DEFINITIONS.items()}
        known = [{"MetricName": n, "Value": v} for n, v in metrics.items() if v is not None]
        self.epochs.setdefault(number, []).append(known)
        begun = self.answers.get(number) or {"TrainingStartTime": now}
        self.answers[number] = {
            **begun,
            **self._trial(number, "InProgress"),
            "FinalMetricDataList": known,
        }

    def _ended(self, number: int, word: str, rest: str, now: float) -> None:
        told = SECONDS.search(rest)
        seconds = float(told[1]) if told else 0.0
        before = self.answers.get(number, {})
        self.answers[number] = self._trial(number, STATUSES[word]) | {
            "FinalMetricDataList": self._best(number, rest)
            or before.get("FinalMetricDataList", []),
            "HyperParameters": self._values(rest),
            "TrainingStartTime": now - seconds,
            "TrainingEndTime": now,
            "TrainingTimeInSeconds": seconds,
            **({"FailureReason": self._reason(rest)} if word == "failed" else {}),
        }

    def _trial(self, number: int, status: str) -> Answer:
        return {"TrainingJobName": f"{self.job}-{number:03d}", "TrainingJobStatus": status}

    def _best(self, number: int, rest: str) -> list[Answer]:
        """Return the objective, which stands first, and the other metrics of the epoch it is of."""
        found = re.match(r" (\S+)=([-+.\de]+) ", rest)
        if not found:
            return []
        objective = {"MetricName": found[1], "Value": float(found[2])}
        of_it = [metrics for metrics in self.epochs.pop(number, []) if objective in metrics][:1]
        others = [one for metrics in of_it for one in metrics if one != objective]
        return [objective, *others]

    def _values(self, rest: str) -> dict[str, str]:
        following = "|".join(map(re.escape, [*self.searched, "seconds"]))
        found = {
            name: re.search(rf" {re.escape(name)}=(.*?)(?= (?:{following})=)", rest)
            for name in self.searched
        }
        return {name: match[1] for name, match in found.items() if match}

    def _reason(self, rest: str) -> str:
        first = re.search("|".join(rf" {re.escape(name)}=" for name in self.searched), rest)
        return (rest[: first.start()] if first else rest).strip()
