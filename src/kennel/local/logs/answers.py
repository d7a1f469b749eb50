"""Groups, streams and events as the API shows them. Pure."""

from typing import Any

from kennel.local.logs.store import Event, Group, Stream
from kennel.local.wire.context import arn

Answer = dict[str, Any]


def described_group(group: Group) -> Answer:
    """Return a group as DescribeLogGroups shows it."""
    name = arn("logs", f"log-group:{group.name}")
    return {
        "logGroupName": group.name,
        "creationTime": group.created_ms,
        "retentionInDays": group.retention_days,
        "metricFilterCount": 0,
        "arn": f"{name}:*",
        "logGroupArn": name,
        "storedBytes": 0,
        "logGroupClass": "STANDARD",
    }


def described_stream(group: str, stream: Stream) -> Answer:
    """Return a stream as DescribeLogStreams shows it."""
    return {
        "logStreamName": stream.name,
        "creationTime": stream.created_ms,
        "firstEventTimestamp": stream.first_ms,
        "lastEventTimestamp": stream.last_ms,
        "lastIngestionTime": stream.last_ingestion_ms,
        "uploadSequenceToken": f"{stream.row:056d}",
        "arn": arn("logs", f"log-group:{group}:log-stream:{stream.name}"),
        "storedBytes": 0,
    }


def output_event(event: Event) -> Answer:
    """Return an event as GetLogEvents shows it."""
    return {
        "timestamp": event.timestamp_ms,
        "message": event.message,
        "ingestionTime": event.ingestion_ms,
    }


def filtered_event(event: Event, stream: str) -> Answer:
    """Return an event as FilterLogEvents shows it."""
    return {
        **output_event(event),
        "logStreamName": stream,
        "eventId": f"{event.row:056d}",
    }
