"""
The API of CloudWatch Logs. Request shapes are checked before they come here (wire.validation).

A retention policy is kept and shown; nothing expires by it on one's own machine.
"""

import time
from collections.abc import Callable
from typing import Any

from kennel.local.logs import store
from kennel.local.logs.answers import (
    Answer,
    described_group,
    described_stream,
    filtered_event,
    output_event,
)
from kennel.local.logs.paging import cut, fitting, invalid, parse_position, token_text
from kennel.local.logs.patterns import matcher
from kennel.local.logs.store import END, START, Logs, Position, Span, Stream
from kennel.local.wire.errors import ApiError
from kennel.local.wire.json_protocol import JsonService

Request = dict[str, Any]

MAX_EVENTS = 10_000
OLDEST_MS = 14 * 24 * 3600 * 1000
NEWEST_MS = 2 * 3600 * 1000
RETENTION_DAYS = frozenset(
    [
        *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096),
        *(1827, 2192, 2557, 2922, 3288, 3653),
    ]
)


def service(logs: Logs) -> JsonService:
    """Return the API over *logs*."""
    api = Operations(logs)
    handlers: list[Callable[[Request], Answer | None]] = [
        *(api.create_log_group, api.delete_log_group, api.describe_log_groups),
        *(api.create_log_stream, api.delete_log_stream, api.describe_log_streams),
        *(api.put_log_events, api.get_log_events, api.filter_log_events),
        *(api.put_retention_policy, api.delete_retention_policy),
    ]
    return JsonService("logs", {operation_name(handler): handler for handler in handlers})


def operation_name(handler: Callable[..., object]) -> str:
    """Return AWS's name of a handler: ``PutLogEvents`` for put_log_events."""
    return "".join(word.title() for word in handler.__name__.split("_"))


class Operations:
    """A method for each operation."""

    def __init__(self, logs: Logs) -> None:
        self._logs = logs
        self._database = logs.database

    # Groups

    def create_log_group(self, request: Request) -> None:
        """Make a group."""
        with self._database.transaction() as connection:
            if not store.create_group(connection, request["logGroupName"], now_ms()):
                raise exists("log group")

    def delete_log_group(self, request: Request) -> None:
        """Delete a group."""
        with self._database.transaction() as connection:
            store.streams(connection, request["logGroupName"])
            self._logs.delete_group(request["logGroupName"])

    def describe_log_groups(self, request: Request) -> Answer:
        """Describe groups by prefix or by a part of the name."""
        prefix, part = request.get("logGroupNamePrefix"), request.get("logGroupNamePattern")
        if prefix and part:
            message = "LogGroup name prefix and LogGroup name pattern are mutually exclusive"
            raise invalid(f"{message} parameters.")
        with self._database.reading() as connection:
            found = store.groups(connection, prefix or "")
        found = [group for group in found if (part or "").lower() in group.name.lower()]
        page, token = cut(found, request, lambda group: [group.name])
        return {"logGroups": [described_group(group) for group in page], "nextToken": token}

    def put_retention_policy(self, request: Request) -> None:
        """Keep a group's retention policy."""
        days = request["retentionInDays"]
        if days not in RETENTION_DAYS:
            allowed = ", ".join(map(str, sorted(RETENTION_DAYS)))
            raise invalid(f"1 of retentionInDays must be satisfied: [{allowed}], not {days}")
        self._retain(request["logGroupName"], days)

    def delete_retention_policy(self, request: Request) -> None:
        """Forget a group's retention policy."""
        self._retain(request["logGroupName"], None)

    def _retain(self, group: str, days: int | None) -> None:
        update = "UPDATE log_groups SET retention_days = ? WHERE name = ?"
        with self._database.transaction() as connection:
            store.streams(connection, group)
            connection.execute(update, (days, group))

    # Streams

    def create_log_stream(self, request: Request) -> None:
        """Make a stream."""
        group, stream = request["logGroupName"], request["logStreamName"]
        with self._database.transaction() as connection:
            store.streams(connection, group, stream)
            if not store.create_stream(connection, group, stream, now_ms()):
                raise exists("log stream")

    def delete_log_stream(self, request: Request) -> None:
        """Delete a stream."""
        group, stream = request["logGroupName"], request["logStreamName"]
        with self._database.transaction() as connection:
            store.find_stream(connection, group, stream)
            self._logs.delete_stream(group, stream)

    def describe_log_streams(self, request: Request) -> Answer:
        """Describe a group's streams, by name or by their last event."""
        group, prefix = group_name(request), request.get("logStreamNamePrefix", "")
        by_time = request.get("orderBy") == "LastEventTime"
        if by_time and prefix:
            raise invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
        with self._database.reading() as connection:
            found = store.streams(connection, group, prefix)

        def order(stream: Stream) -> list[Any]:
            return [stream.last_ms or 0, stream.name] if by_time else [stream.name]

        page, token = cut(found, request, order)
        return {
            "logStreams": [described_stream(group, stream) for stream in page],
            "nextToken": token,
        }

    # Events

    def put_log_events(self, request: Request) -> Answer:
        """Append events to a stream; those too old or too new are refused, as AWS does."""
        events = [(event["timestamp"], event["message"]) for event in request["logEvents"]]
        times = [timestamp for timestamp, _ in events]
        if times != sorted(times):
            message = "Log events in a single PutLogEvents request must be in chronological order."
            raise invalid(message)
        now = now_ms()
        too_old = sum(timestamp < now - OLDEST_MS for timestamp in times)
        in_time = sum(timestamp <= now + NEWEST_MS for timestamp in times)
        with self._database.transaction() as connection:
            stream = store.find_stream(
                connection, request["logGroupName"], request["logStreamName"]
            )
            store.insert(connection, stream.row, events[too_old:in_time], now)
        rejected = {
            "tooOldLogEventEndIndex": too_old or None,
            "tooNewLogEventStartIndex": in_time if in_time < len(events) else None,
        }
        any_rejected = any(index is not None for index in rejected.values())
        return {
            "nextSequenceToken": f"{now:056d}",
            "rejectedLogEventsInfo": rejected if any_rejected else None,
        }

    def get_log_events(self, request: Request) -> Answer:
        """Page through a stream; the end is where a token comes back unchanged."""
        forward, position = start(request)
        limit, window = request.get("limit", MAX_EVENTS), span(request)
        with self._database.reading() as connection:
            stream = store.find_stream(connection, group_name(request), request["logStreamName"])
            if forward:
                events, _ = fitting(store.after(connection, [stream.row], position, window), limit)
            else:
                events = store.before(connection, stream.row, position, window, limit)
                events = fitting(reversed(events), limit)[0][::-1]
        if not events and position == END:
            position = START  # where the first event that comes will be after
        first = events[0].position._replace(row=events[0].row - 1) if events else position
        last = events[-1].position if events else position
        return {
            "events": [output_event(event) for event in events],
            "nextForwardToken": f"f/{token_text(last)}",
            "nextBackwardToken": f"b/{token_text(first)}",
        }

    def filter_log_events(self, request: Request) -> Answer:
        """Find events of a group's streams, oldest first."""
        matches = matcher(request.get("filterPattern", ""))
        limit = request.get("limit", MAX_EVENTS)
        position = parse_position(request["nextToken"]) if "nextToken" in request else START
        with self._database.reading() as connection:
            names = {stream.row: stream.name for stream in chosen(connection, request)}
            window = span(request)
            window = Span(window.start_ms, window.end_ms + 1)  # here AWS includes the end time
            found = store.after(connection, names, position, window)
            page, more = fitting((event for event in found if matches(event.message)), limit)
        return {
            "events": [filtered_event(event, names[event.stream]) for event in page],
            "searchedLogStreams": [],
            "nextToken": token_text(page[-1].position) if more else None,
        }


def chosen(connection: Any, request: Request) -> list[Stream]:  # noqa: ANN401
    """Return the streams that a FilterLogEvents request asks for."""
    group, names = group_name(request), request.get("logStreamNames")
    prefix = request.get("logStreamNamePrefix")
    if names and prefix:
        message = "LogStream name prefix and LogStream names are mutually exclusive parameters."
        raise invalid(message)
    if names:
        return [store.find_stream(connection, group, name) for name in dict.fromkeys(names)]
    return store.streams(connection, group, prefix or "")


def group_name(request: Request) -> str:
    """Return the group a request means: by name, or by identifier (a name or an ARN)."""
    identifier: str | None = request.get("logGroupName") or request.get("logGroupIdentifier")
    if identifier is None:
        raise invalid("Either logGroupName or logGroupIdentifier is required.")
    return identifier.partition(":log-group:")[2].removesuffix(":*") or identifier


def start(request: Request) -> tuple[bool, Position]:
    """Return the direction and the place from which GetLogEvents reads."""
    token = request.get("nextToken")
    if token is None:
        return (True, START) if request.get("startFromHead") else (False, END)
    direction, _, place = token.partition("/")
    if direction not in ("f", "b"):
        raise invalid("The specified nextToken is invalid.")
    return direction == "f", parse_position(place)


def span(request: Request) -> Span:
    """Return the times a request asks for."""
    every = Span()
    end_ms = request.get("endTime", every.end_ms)
    return Span(request.get("startTime", every.start_ms), end_ms)


def now_ms() -> int:
    """Return the time in milliseconds since 1970."""
    return time.time_ns() // 10**6


def exists(what: str) -> ApiError:
    """Return the error for a group or stream that is there already."""
    return ApiError("ResourceAlreadyExistsException", f"The specified {what} already exists")
