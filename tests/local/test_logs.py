"""CloudWatch Logs by boto3: on the local server, and on moto as an oracle."""

import time
import uuid
from contextlib import suppress

import pytest
from botocore.exceptions import ClientError

MOTO_DIFFERS = {
    "test_an_empty_stream_can_be_followed[moto]": "AWS's tokens go on with what comes",
    "test_times_limit_what_is_read[moto]": "GetLogEvents leaves out what is at its end time",
    "test_filtering_joins_the_streams_in_time[moto]": "AWS joins streams, of the prefix only",
}


@pytest.fixture
def logs(api):
    """A client."""
    return api("logs")


@pytest.fixture
def group(logs):
    """A new group."""
    name = f"/test/{uuid.uuid4().hex}"
    logs.create_log_group(logGroupName=name)
    return name


@pytest.fixture
def now_ms():
    """The time: events far from it are refused."""
    return int(time.time() * 1000)


def write(logs, group, stream, events):
    with suppress(logs.exceptions.ResourceAlreadyExistsException):
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
    events = [{"timestamp": timestamp, "message": message} for timestamp, message in events]
    return logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def messages(answer):
    return [event["message"] for event in answer["events"]]


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"]


def test_what_is_written_is_read(logs, group, now_ms):
    """
    Time and message, in order.
    """
    written = [(now_ms - 2, "one"), (now_ms - 1, "zwei ü"), (now_ms, "three\twith tab")]

    write(logs, group, "s", written)

    events = logs.get_log_events(logGroupName=group, logStreamName="s")["events"]
    assert [(e["timestamp"], e["message"]) for e in events] == written
    assert all(e["ingestionTime"] >= now_ms for e in events)


def test_paging_forward_ends_where_the_token_stays(logs, group, now_ms):
    """
    From the head, in pages, until the same token comes back; what is written later follows.
    """
    write(logs, group, "s", [(now_ms + n, str(n)) for n in range(5)])
    stream = {"logGroupName": group, "logStreamName": "s", "startFromHead": True, "limit": 2}

    seen, token, arguments = [], None, {}
    while True:
        page = logs.get_log_events(**stream, **arguments)
        seen += messages(page)
        if page["nextForwardToken"] == token:
            break
        token = page["nextForwardToken"]
        arguments = {"nextToken": token}
    write(logs, group, "s", [(now_ms + 9, "later")])

    assert seen == ["0", "1", "2", "3", "4"]
    assert messages(logs.get_log_events(**stream, nextToken=token)) == ["later"]


def test_the_latest_come_first_unless_asked_otherwise(logs, group, now_ms):
    """
    Without startFromHead a page is the last events; the backward token leads to those before.
    """
    write(logs, group, "s", [(now_ms + n, str(n)) for n in range(5)])
    stream = {"logGroupName": group, "logStreamName": "s", "limit": 2}

    last = logs.get_log_events(**stream)
    before = logs.get_log_events(**stream, nextToken=last["nextBackwardToken"])

    assert messages(last) == ["3", "4"]
    assert messages(before) == ["1", "2"]


def test_an_empty_stream_can_be_followed(logs, group, now_ms):
    """
    The token of nothing leads to the first event that comes.
    """
    stream = {"logGroupName": group, "logStreamName": "s"}
    logs.create_log_stream(**stream)
    token = logs.get_log_events(**stream)["nextForwardToken"]

    write(logs, group, "s", [(now_ms, "first")])

    assert messages(logs.get_log_events(**stream, nextToken=token, startFromHead=True)) == ["first"]


def test_times_limit_what_is_read(logs, group, now_ms):
    """
    From the start time on; the end time is without for the one call, within for the other.
    """
    write(logs, group, "s", [(now_ms + n, str(n)) for n in range(5)])
    span = {"startTime": now_ms + 1, "endTime": now_ms + 4}

    got = logs.get_log_events(logGroupName=group, logStreamName="s", startFromHead=True, **span)
    filtered = logs.filter_log_events(logGroupName=group, **span)

    assert messages(got) == ["1", "2", "3"]
    assert messages(filtered) == ["1", "2", "3", "4"]


def test_filtering_joins_the_streams_in_time(logs, group, now_ms):
    """
    Events of several streams interleave; each names its stream and has an id of its own.
    """
    write(logs, group, "job/algo-1", [(now_ms, "a"), (now_ms + 2, "c")])
    write(logs, group, "job/algo-2", [(now_ms + 1, "b")])
    write(logs, group, "other", [(now_ms, "x")])

    by_prefix = logs.filter_log_events(logGroupName=group, logStreamNamePrefix="job/")
    by_name = logs.filter_log_events(logGroupName=group, logStreamNames=["other"])

    assert messages(by_prefix) == ["a", "b", "c"]
    assert [e["logStreamName"][-1] for e in by_prefix["events"]] == ["1", "2", "1"]
    assert len({e["eventId"] for e in by_prefix["events"]}) == 3
    assert messages(by_name) == ["x"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("loss", ["loss=1", "val loss=2"]), ('"val loss"', ["val loss=2"]), ("absent", [])],
)
def test_patterns_filter(logs, group, now_ms, pattern, expected):
    """
    Terms and phrases.
    """
    write(logs, group, "s", [(now_ms, "loss=1"), (now_ms + 1, "val loss=2"), (now_ms + 2, "end")])

    found = logs.filter_log_events(logGroupName=group, filterPattern=pattern)

    assert messages(found) == expected


def test_filtering_pages_to_the_end(logs, group, now_ms):
    """
    The paginator sees each event once.
    """
    write(logs, group, "s", [(now_ms + n // 3, str(n)) for n in range(20)])

    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=group, PaginationConfig={"PageSize": 3}
    )

    assert [m for page in pages for m in messages(page)] == [str(n) for n in range(20)]


def test_groups_and_streams_are_described(logs, group, now_ms):
    """
    With their times and ARNs; streams by name, or by their last event.
    """
    write(logs, group, "a", [(now_ms, "new")])
    write(logs, group, "b", [(now_ms - 5000, "old"), (now_ms - 4000, "older")])
    (described,) = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    in_group = {"logGroupName": group}

    by_name = logs.describe_log_streams(**in_group)["logStreams"]
    by_time = logs.describe_log_streams(**in_group, orderBy="LastEventTime", descending=True)
    prefixed = logs.describe_log_streams(**in_group, logStreamNamePrefix="b")["logStreams"]

    assert described["logGroupName"] == group
    assert described["arn"].endswith(f":log-group:{group}:*")
    assert abs(described["creationTime"] - now_ms) < 60_000
    assert [s["logStreamName"] for s in by_name] == ["a", "b"]
    assert [s["logStreamName"] for s in by_time["logStreams"]] == ["a", "b"]
    assert [s["firstEventTimestamp"] for s in prefixed] == [now_ms - 5000]
    assert [s["lastEventTimestamp"] for s in prefixed] == [now_ms - 4000]
    assert prefixed[0]["arn"].endswith(f":log-group:{group}:log-stream:b")


def test_describing_pages(logs, group):
    """
    The paginator sees each stream once.
    """
    for n in range(5):
        logs.create_log_stream(logGroupName=group, logStreamName=f"s{n}")

    pages = logs.get_paginator("describe_log_streams").paginate(
        logGroupName=group, PaginationConfig={"PageSize": 2}
    )

    names = [s["logStreamName"] for page in pages for s in page["logStreams"]]
    assert names == ["s0", "s1", "s2", "s3", "s4"]


def test_a_retention_policy_is_shown(logs, group):
    """
    Until it is deleted.
    """

    def retention():
        (described,) = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
        return described.get("retentionInDays")

    logs.put_retention_policy(logGroupName=group, retentionInDays=7)
    assert retention() == 7
    logs.delete_retention_policy(logGroupName=group)
    assert retention() is None


def test_errors_have_awss_codes(logs, group):
    """
    For what is there already, and for what is not.
    """
    stream = {"logGroupName": group, "logStreamName": "s"}
    logs.create_log_stream(**stream)
    missing = {"logGroupName": f"{group}-not"}

    exists = "ResourceAlreadyExistsException"
    assert refused(logs.create_log_group, logGroupName=group) == exists
    assert refused(logs.create_log_stream, **stream) == exists
    assert refused(logs.describe_log_streams, **missing) == "ResourceNotFoundException"
    assert refused(logs.filter_log_events, **missing) == "ResourceNotFoundException"
    assert refused(logs.delete_log_group, **missing) == "ResourceNotFoundException"
    for call in (logs.get_log_events, logs.delete_log_stream):
        code = refused(call, logGroupName=group, logStreamName="none")
        assert code == "ResourceNotFoundException"


@pytest.mark.parametrize("token", ["WzFd", "not a token", "e30="])
def test_a_token_that_is_none_is_refused(aws, token):
    """
    InvalidParameterException, wherever it comes from.
    """
    logs, group = aws("logs"), f"/test/{uuid.uuid4().hex}"
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    codes = [
        refused(call, logGroupName=group, nextToken=token, **more)
        for call, more in (
            (logs.describe_log_streams, {}),
            (logs.filter_log_events, {}),
            (logs.get_log_events, {"logStreamName": "s"}),
        )
    ]

    assert codes == ["InvalidParameterException"] * 3


def test_deleting_takes_the_events_along(logs, group, now_ms):
    """
    A stream, then the group; made again they are empty.
    """
    write(logs, group, "s", [(now_ms, "x")])
    logs.delete_log_stream(logGroupName=group, logStreamName="s")
    assert logs.describe_log_streams(logGroupName=group)["logStreams"] == []
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    assert logs.filter_log_events(logGroupName=group)["events"] == []

    logs.delete_log_group(logGroupName=group)

    assert logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"] == []


def test_events_out_of_time_are_refused_and_said_to_be(logs, group, now_ms):
    """
    More than two hours ahead, or two weeks old; the others are kept.
    """
    hour = 3_600_000
    events = [(now_ms - 400 * hour, "old"), (now_ms, "now"), (now_ms + 3 * hour, "future")]

    rejected = write(logs, group, "s", events)["rejectedLogEventsInfo"]

    assert rejected["tooOldLogEventEndIndex"] in (0, 1)  # AWS documents the index past the last
    assert rejected["tooNewLogEventStartIndex"] == 2
    assert messages(logs.get_log_events(logGroupName=group, logStreamName="s")) == ["now"]


def test_events_must_be_in_order(logs, group, now_ms):
    """
    InvalidParameterException; nothing is kept.
    """
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    events = [{"timestamp": now_ms + n, "message": "x"} for n in (1, 0)]

    code = refused(logs.put_log_events, logGroupName=group, logStreamName="s", logEvents=events)

    assert code == "InvalidParameterException"
    assert logs.filter_log_events(logGroupName=group)["events"] == []
