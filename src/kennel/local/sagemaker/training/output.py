"""What a training container says: its lines to CloudWatch Logs, its metrics to the job's record."""

import time
from pathlib import Path

from kennel.contract import TRAINING_LOG_GROUP
from kennel.local.logs import Logs
from kennel.local.resources import LOCAL, Document
from kennel.local.sagemaker import log_lines
from kennel.local.sagemaker.platform import now
from kennel.local.sagemaker.training import metrics
from kennel.local.sagemaker.training.record import Record

PASS_S = 0.5  # what a container that runs may hold up who watches over it by talking


class Output:
    """
    The output of one host of a job; its metrics are the job's, whichever host they are from.

    Args:
        index: Of the host.
        path: The file that the container's output is appended to.
    """

    def __init__(self, logs: Logs, record: Record, index: int, path: Path) -> None:
        self.logs = logs
        self.record = record
        self.index = index
        self.path = path
        job = record.read()
        self.stream = job[LOCAL]["Streams"][index]["Name"]
        self.regexes = metrics.compiled(job["AlgorithmSpecification"].get("MetricDefinitions", []))
        logs.append(TRAINING_LOG_GROUP, self.stream, [])  # it is there before the first line

    def store(self, *, ended: bool) -> None:
        """
        Store the lines written since the last time, and the metrics in them.

        Args:
            ended: Nothing more will come, see log_lines: store all. Else as much as PASS_S allows,
                for a container may write faster than can be stored.
        """
        deadline = time.monotonic() + PASS_S
        while self._store_some(ended=ended) and (ended or time.monotonic() < deadline):
            pass

    def _store_some(self, *, ended: bool) -> bool:
        """Store some lines and, in the same transaction, how far the file was read."""
        before = self.record.read()[LOCAL]["Streams"][self.index]["Offset"]
        lines, offset = log_lines.read_lines(self.path, before, ended=ended)
        if offset == before:
            return False
        with self.record.resources.database.transaction():
            self.logs.append(TRAINING_LOG_GROUP, self.stream, log_lines.events(lines))
            self.record.change(lambda job: self._read(job, lines, offset))
        return True

    def _read(self, job: Document, lines: list[str], offset: int) -> Document:
        """Return the job with how far its output was read, and the last value of each metric."""
        streams = [dict(stream) for stream in job[LOCAL]["Streams"]]
        streams[self.index]["Offset"] = offset
        known = job.get("FinalMetricDataList", [])
        return job | {
            "FinalMetricDataList": metrics.latest(known, self.regexes, lines, now()),
            LOCAL: job[LOCAL] | {"Streams": streams},
        }
