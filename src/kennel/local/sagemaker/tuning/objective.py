"""
The objective of a training job while it runs: every value that its log has, in order.

But for the epoch that kennel's training says again at its end: that is not one more of them.
"""

import re

from kennel.contract import BEST_EPOCH, TRAINING_LOG_GROUP
from kennel.local.logs import Logs, store
from kennel.local.logs.store import START, Span
from kennel.local.sagemaker.training import metrics
from kennel.local.wire.errors import ApiError


class Curve:
    """
    The values of a metric that a training job has printed, as far as its log was read.

    Args:
        job: Name of the training job; its log has streams for each host and each attempt.
        regex: Of the metric.
    """

    def __init__(self, logs: Logs, job: str, regex: re.Pattern[str]) -> None:
        self.logs = logs
        self.prefix = f"{job}/"
        self.regex = regex
        self.position = START
        self.values: list[float] = []

    def read(self) -> tuple[float, ...]:
        """Read what the log has that was not read before; return all values."""
        with self.logs.database.reading() as connection:
            try:
                streams = store.streams(connection, TRAINING_LOG_GROUP, self.prefix)
            except ApiError:  # no training job has said anything yet
                return ()
            rows = [stream.row for stream in streams]
            for event in store.after(connection, rows, self.position, Span()):
                self.position = event.position
                value = metrics.number(self.regex, event.message)
                if value is not None and not event.message.startswith(BEST_EPOCH):
                    self.values.append(value)
        return tuple(self.values)
