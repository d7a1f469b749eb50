"""
Follow a training job or an endpoint: its status, its log lines, its metrics, as they come.

Asks, and yields what is new as values; how they look is the command line's matter. It knows no
sleep and no clock but those it is given.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import TypeVar

from botocore.exceptions import ClientError

from kennel import contract
from kennel.errors import JobError
from kennel.jobs import lookup
from kennel.jobs.clients import Client
from kennel.jobs.failures import THROTTLED, code_of, is_missing
from kennel.jobs.lookup import Answer

SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 10.0
PAUSE_PER_COST = 20  # asking may take a twentieth of the time
GROWTH = 1.5  # of the first pauses
FIRST_METRICS = ("test_accuracy", "valid_accuracy")
PAGES_AT_ONCE = 50  # of one log stream, before the status is asked again


@dataclass(frozen=True)
class Status:
    """The job or endpoint is in another state than before."""

    status: str
    detail: str = ""  # a training job's secondary status
    message: str = ""
    timestamp_ms: int = field(default=0, compare=False)  # 0: not told


@dataclass(frozen=True)
class Line:
    """One line of a log."""

    text: str
    stream: str
    timestamp_ms: int
    is_shared: bool = False  # the log of its job has other hosts' lines as well

    @property
    def labelled(self) -> str:
        """The line, after its host where there are several."""
        return f"[{host(self.stream)}] {self.text}" if self.is_shared else self.text


def host(stream: str) -> str:
    """Return ``algo-1`` for the stream ``JOB/algo-1-1700000000``; an attempt has its own number."""
    return re.sub(r"-\d+$", "", stream.rpartition("/")[2])


@dataclass(frozen=True)
class Ended:
    """The last event: how the job or endpoint is described now that it has settled."""

    described: Answer


Event = Status | Line | Ended
Sleep = Callable[[float], object]
Seen = TypeVar("Seen")


class LogReader:
    """
    Read the lines of a log group's streams once each.

    Args:
        logs: A CloudWatch Logs client.
        prefix: Of the streams' names; a training job's is ``JOB/``.
    """

    def __init__(self, logs: Client, group: str, prefix: str = "") -> None:
        self._logs = logs
        self._group = group
        self._prefix = prefix
        self._tokens: dict[str, str] = {}

    def new_lines(self) -> Iterator[Line]:
        """Yield the lines that have come since the last call, in the order of their time."""
        streams = self._streams()
        is_shared = bool(self._prefix) and len(set(map(host, streams))) > 1
        lines = [line for stream in streams for line in self._new_of(stream, is_shared=is_shared)]
        yield from sorted(lines, key=lambda line: line.timestamp_ms)

    def _streams(self) -> list[str]:
        names = {"logStreamNamePrefix": self._prefix} if self._prefix else {}
        try:
            pages = self._logs.get_paginator("describe_log_streams").paginate(
                logGroupName=self._group, **names
            )
            return [stream["logStreamName"] for page in pages for stream in page["logStreams"]]
        except ClientError as error:
            if is_missing(error):  # nothing has been written yet
                return []
            raise

    def _new_of(self, stream: str, *, is_shared: bool) -> Iterator[Line]:
        for _ in range(PAGES_AT_ONCE):
            token = self._tokens.get(stream)
            page = self._logs.get_log_events(
                logGroupName=self._group,
                logStreamName=stream,
                startFromHead=True,
                **({"nextToken": token} if token else {}),
            )
            for event in page["events"]:
                text = event["message"].rstrip("\n")
                yield Line(text, stream, event["timestamp"], is_shared)
            self._tokens[stream] = page["nextForwardToken"]
            if page["nextForwardToken"] == token:  # AWS's sign that this is the end for now
                return


def training_log(logs: Client, name: str) -> LogReader:
    """Return a reader of the training job *name*."""
    return LogReader(logs, contract.TRAINING_LOG_GROUP, f"{name}/")


def endpoint_log(logs: Client, name: str) -> LogReader:
    """Return a reader of the endpoint *name*."""
    return LogReader(logs, f"{contract.ENDPOINT_LOG_GROUP}/{name}")


def pause_s(cost_s: float, looks: int, refusals: int = 0) -> float:
    """
    Say how long to wait before asking again.

    Quick at first; later a server that answers in milliseconds is asked a few times a second, one
    across the world every ten seconds. Each refusal in a row doubles the wait.

    Args:
        cost_s: How long asking took.
        looks: How often it has been asked before.
        refusals: How often in a row AWS has asked for patience.
    """
    if refusals:
        return LONGEST_PAUSE_S * 2.0 ** min(refusals - 1, 3)
    usual = min(max(SHORTEST_PAUSE_S, cost_s * PAUSE_PER_COST), LONGEST_PAUSE_S)
    return min(usual, SHORTEST_PAUSE_S * GROWTH ** min(looks, 20))


def is_end(event: object) -> bool:
    """Say whether an event is the last one."""
    return isinstance(event, Ended)


def polled(
    ask: Callable[[], list[Seen]],
    *,
    sleep: Sleep,
    clock: Callable[[], float] = time.monotonic,
    is_last: Callable[[Seen], bool] = is_end,
) -> Iterator[Seen]:
    """Yield what *ask* returns, again and again, until *is_last* says that this was all."""
    refusals = 0
    for looks in count():
        start = clock()
        events: list[Seen] = []
        try:
            events = ask()
            refusals = 0
        except ClientError as error:
            if code_of(error) not in THROTTLED:
                raise
            refusals += 1
        yield from events
        if events and is_last(events[-1]):
            return
        sleep(pause_s(clock() - start, looks, refusals))


def training(
    sagemaker: Client,
    reader: LogReader,
    name: str,
    *,
    sleep: Sleep = time.sleep,
) -> Iterator[Event]:
    """
    Follow the training job *name* until it has ended and its last lines have arrived.

    Yields:
        Status whenever it changes, every Line once, and Ended at last.
    """
    seen: list[Status] = []
    ended: list[Answer] = []

    def ask() -> list[Event]:
        if ended:  # lines arrive a little after the status does: this is the second look
            return [*reader.new_lines(), Ended(ended[0])]
        described = lookup.job(sagemaker, name)
        new = in_order([*new_statuses(described, seen), *reader.new_lines()])
        if described["TrainingJobStatus"] in contract.TRAINING_ENDED:
            ended.append(described)
        return [*new]

    return polled(ask, sleep=sleep)


def new_statuses(described: Answer, seen: list[Status]) -> list[Status]:
    """Return the secondary statuses that a job has gone through and that are not in *seen* yet."""
    transitions = described.get("SecondaryStatusTransitions") or [
        {"Status": described["SecondaryStatus"]}
    ]
    status = described["TrainingJobStatus"]
    told = [
        Status(status, t["Status"], t.get("StatusMessage", ""), milliseconds(t.get("StartTime")))
        for t in transitions
    ]
    known = {(s.detail, s.message, s.timestamp_ms) for s in seen}  # an interrupted job comes again
    new = [s for s in told if (s.detail, s.message, s.timestamp_ms) not in known]
    seen.extend(new)
    return new


def milliseconds(time: datetime | None) -> int:
    """Return a time as the logs count it, 0 where there is none."""
    return 0 if time is None else int(time.timestamp() * 1000)


def in_order(events: Iterable[Status | Line]) -> list[Status | Line]:
    """Put what came between two looks in the order of its time."""
    return sorted(events, key=lambda event: event.timestamp_ms)


def endpoint(sagemaker: Client, name: str, *, sleep: Sleep = time.sleep) -> Iterator[Event]:
    """Follow the endpoint *name* until it has settled; one that disappears is described as such."""
    last: list[str] = []

    def ask() -> list[Event]:
        described = lookup.endpoint(sagemaker, name) or gone(name)
        status = described["EndpointStatus"]
        events: list[Event] = [] if last[-1:] == [status] else [Status(status)]
        last.append(status)
        settled = status in contract.ENDPOINT_SETTLED or status == "Deleted"
        return [*events, Ended(described)] if settled else events

    return polled(ask, sleep=sleep)


def gone(name: str) -> Answer:
    """Describe an endpoint that is not there."""
    return {"EndpointName": name, "EndpointStatus": "Deleted"}


def metrics_in(text: str) -> dict[str, float]:
    """Return the metrics that SageMaker reads out of a log line."""
    found = {name: metric_in(text, r) for name, r in contract.METRIC_DEFINITIONS.items()}
    return {name: value for name, value in found.items() if value is not None}


def metric_in(text: str, regex: str) -> float | None:
    """Return the number that SageMaker reads out of a log line by *regex*, if there is one."""
    match = re.search(regex, text)
    try:
        return float(match[1] or "") if match else None
    except ValueError:
        return None


def final_metrics(described: Answer) -> dict[str, float]:
    """Return the last value of every metric of a job, what it is judged by first."""
    found = {m["MetricName"]: m["Value"] for m in described.get("FinalMetricDataList", [])}
    return {name: found[name] for name in (*FIRST_METRICS, *found) if name in found}


def completed(described: Answer) -> Answer:
    """
    Return the description of a job that has completed; JobError for any other end.

    For whoever has followed the job: the error does not send them to the log.
    """
    name, status = described["TrainingJobName"], described["TrainingJobStatus"]
    if status == "Completed":
        return described
    reason = described.get("FailureReason") or described.get("SecondaryStatus", "")
    raise JobError(f"training job {name} ended as {status}{told(reason)}")


def told(reason: str) -> str:
    """
    Word SageMaker's ``AlgorithmError: REASON, exit code: 1`` so that the reason comes last.

    The container's own reason may have several lines, and what to try at its end.
    """
    found = re.fullmatch(r"(\w+Error): (.*?),? exit code: (\d+)", reason.strip(), re.DOTALL)
    if not found:
        return f": {reason}"
    kind, text, code = found.groups()
    return f" ({kind}, exit code {code})" + (f": {text}" if text else "")


def cause(reason: str) -> str:
    """
    Word a reason for a text that goes on: without the exit code that SageMaker puts at its end.

    What the container advised, in lines of its own, is indented further than ours is.
    """
    first, *advice = re.sub(r",? exit code: \d+$", "", reason.strip()).splitlines() or [""]
    return "\n".join([first, *(f"    {line.strip()}" for line in advice)])


def in_service(described: Answer, *, config: str) -> Answer:
    """
    Return the description of an endpoint that serves *config*.

    Raises:
        JobError: It failed, or it went back to the version before.
    """
    name, status = described["EndpointName"], described["EndpointStatus"]
    serving = described.get("EndpointConfigName", config)
    if status == "InService" and serving == config:
        return described
    reason = described.get("FailureReason", "SageMaker gave no reason")
    what = (
        f"endpoint {name} went back to {serving}"
        if status == "InService"
        else f"endpoint {name} is {status}"
    )
    raise JobError(f"{what}: {reason}", remedy=f"kennel logs --endpoint {name}")


def saving(described: Answer) -> float | None:
    """Return the share that Spot saved, 0 to 1; None for a job on demand."""
    trained, billed = described.get("TrainingTimeInSeconds"), described.get("BillableTimeInSeconds")
    if not described.get("EnableManagedSpotTraining") or not trained or billed is None:
        return None
    return 1 - float(billed) / float(trained)
