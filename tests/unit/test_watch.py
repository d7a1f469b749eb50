"""Following yields what is new, once, and ends when the job has."""

from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError

from kennel import contract
from kennel.errors import JobError
from kennel.jobs import watch
from kennel.jobs.watch import Ended, Line, LogReader, Status
from kennel.training.hyperparameters import Hyperparameters

STREAM = "job/algo-1-1700000000"
AGAIN = "job/algo-1-1700000500"  # after an interruption
OTHER = "job/algo-2-1700000000"


def refusal(code, message=""):
    return ClientError({"Error": {"Code": code, "Message": message}}, "Describe")


class FakeSageMaker:
    """Answers with each of *descriptions* in turn; an exception among them is raised."""

    def __init__(self, *descriptions):
        self.descriptions = list(descriptions)

    def describe_training_job(self, TrainingJobName):  # noqa: N803 - boto3's own name
        return self._next() | {"TrainingJobName": TrainingJobName}

    def describe_endpoint(self, EndpointName):  # noqa: N803 - boto3's own name
        return self._next() | {"EndpointName": EndpointName}

    def _next(self):
        description = self.descriptions.pop(0)
        if isinstance(description, Exception):
            raise description
        return description


class StreamsOfLogs:
    """Several streams of one line each."""

    def __init__(self, names):
        self.names = names

    def get_paginator(self, _operation):
        return self

    def paginate(self, **_which):
        return [{"logStreams": [{"logStreamName": name} for name in self.names]}]

    def get_log_events(self, *, nextToken="", **_which):  # noqa: N803 - boto3's own name
        events = [] if nextToken else [{"message": "said", "timestamp": 0}]
        return {"events": events, "nextForwardToken": "end"}


class FakeLogs:
    """One stream, to which a line is added between any two looks; two events a page."""

    def __init__(self, *texts):
        self.waiting = list(texts)
        self.events = []

    def get_paginator(self, _operation):
        return self

    def paginate(self, **_which):
        if self.waiting:
            self.events.append({"message": self.waiting.pop(0), "timestamp": len(self.events)})
        return [{"logStreams": [{"logStreamName": STREAM}] if self.events else []}]

    def get_log_events(self, *, nextToken="0", **_which):  # noqa: N803 - boto3's own name
        start = int(nextToken)
        page = self.events[start : start + 2]
        return {"events": page, "nextForwardToken": str(start + len(page))}


def job(status, *transitions):
    return {
        "TrainingJobStatus": status,
        "SecondaryStatus": transitions[-1],
        "SecondaryStatusTransitions": [{"Status": t, "StatusMessage": ""} for t in transitions],
    }


def test_a_job_is_followed_to_its_end():
    """
    Each status and line comes once and in order, the lines after the end too, and Ended is last.
    """
    sagemaker = FakeSageMaker(
        job("InProgress", "Starting"),
        job("InProgress", "Starting", "Training"),
        job("Completed", "Starting", "Training", "Completed"),
    )
    reader = LogReader(FakeLogs("a", "b", "c", "late"), "group")

    events = list(watch.training(sagemaker, reader, "job", sleep=lambda _s: None))

    assert [e.detail for e in events if isinstance(e, Status)] == [
        "Starting",
        "Training",
        "Completed",
    ]
    assert [e.text for e in events if isinstance(e, Line)] == ["a", "b", "c", "late"]
    assert isinstance(events[-1], Ended)
    assert events[-1].described["TrainingJobStatus"] == "Completed"


def test_what_came_between_two_looks_is_told_in_the_order_of_its_time():
    """
    The last line of the program comes before the status that its end led to.
    """
    started, uploading = (datetime.fromtimestamp(s, UTC) for s in (10, 12))
    statuses = watch.new_statuses(
        {
            "TrainingJobStatus": "InProgress",
            "SecondaryStatusTransitions": [
                {"Status": "Training", "StartTime": started},
                {"Status": "Uploading", "StartTime": uploading},
            ],
        },
        [],
    )
    lines = [Line("first", STREAM, 10_500), Line("last", STREAM, 11_999)]

    told = watch.in_order([*statuses, *lines])

    assert [getattr(event, "detail", None) or event.text for event in told] == [
        "Training",
        "first",
        "last",
        "Uploading",
    ]


def test_the_stages_of_a_job_that_starts_again_are_told_again():
    """
    After an interruption the same statuses come with the same messages, at another time.
    """
    names = ["Training", "Interrupted", "Restarting", "Training"]
    transitions = [
        {"Status": name, "StartTime": datetime.fromtimestamp(second, UTC)}
        for second, name in enumerate(names)
    ]
    described, seen = {"TrainingJobStatus": "InProgress"}, []

    told = [
        status.detail
        for count in range(1, 5)
        for status in watch.new_statuses(
            described | {"SecondaryStatusTransitions": transitions[:count]}, seen
        )
    ]

    assert told == names


def test_a_reader_reads_all_pages_and_each_line_once():
    """
    Five lines on pages of two come in one look, and the next look brings only the new one.
    """
    logs = FakeLogs("new")
    logs.events = [{"message": f"{n}\n", "timestamp": n} for n in range(5)]
    logs.waiting, waiting = [], logs.waiting
    reader = LogReader(logs, "group")

    first = [line.text for line in reader.new_lines()]
    logs.waiting = waiting
    second = [line.text for line in reader.new_lines()]

    assert (first, second) == (["0", "1", "2", "3", "4"], ["new"])


def test_a_log_that_is_not_there_yet_is_empty():
    """
    A job has no log group until it has printed something.
    """

    class NoGroup(FakeLogs):
        def paginate(self, **_which):
            raise refusal("ResourceNotFoundException")

    assert list(LogReader(NoGroup(), "group").new_lines()) == []


def test_throttling_slows_down_and_goes_on():
    """
    When AWS asks for patience it is asked less often, and nothing is lost.
    """
    pauses = []
    sagemaker = FakeSageMaker(
        refusal("ThrottlingException"), refusal("ThrottlingException"), job("Failed", "Failed")
    )

    events = list(
        watch.training(sagemaker, LogReader(FakeLogs(), "group"), "job", sleep=pauses.append)
    )

    assert isinstance(events[-1], Ended)
    assert pauses[:2] == [watch.LONGEST_PAUSE_S, 2 * watch.LONGEST_PAUSE_S]


def test_any_other_refusal_ends_the_watch():
    """
    Waiting does not help against expired credentials.
    """
    events = watch.training(
        FakeSageMaker(refusal("ExpiredToken")), LogReader(FakeLogs(), "g"), "job", sleep=print
    )

    with pytest.raises(ClientError, match="ExpiredToken"):
        list(events)


@pytest.mark.parametrize(
    ("cost_s", "looks", "expected"),
    [
        pytest.param(0.001, 100, 0.1, id="here"),
        pytest.param(0.05, 100, 1.0, id="near"),
        pytest.param(3, 100, 10, id="far"),
        pytest.param(3, 0, 0.1, id="at-first"),
    ],
)
def test_a_slower_answer_is_asked_for_less_often(cost_s, looks, expected):
    """
    Asking takes about a twentieth of the time, between ten times a second and every ten seconds;
    the first pauses are short, for much happens early.
    """
    assert watch.pause_s(cost_s, looks) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        pytest.param({"EndpointStatus": "InService"}, ["Creating", "InService"], id="in-service"),
        pytest.param({"EndpointStatus": "Failed"}, ["Creating", "Failed"], id="failed"),
        pytest.param(
            refusal("ValidationException", 'Could not find endpoint "e".'),
            ["Creating", "Deleted"],
            id="gone",
        ),
    ],
)
def test_an_endpoint_is_followed_until_it_settles(last, expected):
    """
    Its statuses come once each; one that disappears has settled too.
    """
    creating = {"EndpointStatus": "Creating"}
    events = list(
        watch.endpoint(FakeSageMaker(creating, creating, last), "e", sleep=lambda _s: None)
    )

    assert [e.status for e in events if isinstance(e, Status)] == expected
    assert events[-1].described["EndpointStatus"] == expected[-1]


@pytest.mark.parametrize(
    ("streams", "prefix", "expected"),
    [
        pytest.param([STREAM], "job/", ["said"], id="one-host"),
        pytest.param([STREAM, AGAIN], "job/", ["said", "said"], id="one-host-twice"),
        pytest.param(
            [STREAM, OTHER], "job/", ["[algo-1] said", "[algo-2] said"], id="several-hosts"
        ),
        pytest.param([STREAM, OTHER], "", ["said", "said"], id="no-job"),
    ],
)
def test_a_line_names_its_host_where_there_are_several(streams, prefix, expected):
    """
    From the first line on, however often a host has started again.
    """
    reader = LogReader(StreamsOfLogs(streams), "group", prefix)

    assert [line.labelled for line in reader.new_lines()] == expected


def test_metrics_are_read_as_sagemaker_reads_them():
    """
    The status line shows what the same regexes will find.
    """
    assert set(contract.METRIC_DEFINITIONS) >= {"valid_accuracy", "test_accuracy"}
    assert watch.metrics_in("Test set: Average accuracy: 0.9500") == {"test_accuracy": 0.95}
    assert watch.metrics_in("epoch=1/9 valid_accuracy=0.5")["valid_accuracy"] == 0.5
    assert watch.metrics_in("epoch=1/9 valid_accuracy=...") == {}


def test_the_hyperparameters_are_no_metrics():
    """
    A job that failed before its first epoch has measured nothing, though its log says lr=0.01.
    """
    assert watch.metrics_in(f"hyperparameters: {Hyperparameters()}") == {}


def test_what_a_job_is_judged_by_comes_first():
    """
    The rest of the metrics keep SageMaker's order.
    """
    names = ("lr", "valid_accuracy", "train_loss", "test_accuracy")
    described = {"FinalMetricDataList": [{"MetricName": name, "Value": 0.5} for name in names]}

    assert list(watch.final_metrics(described)) == [
        "test_accuracy",
        "valid_accuracy",
        "lr",
        "train_loss",
    ]


@pytest.mark.parametrize("status", ["Failed", "Stopped"])
def test_a_job_that_did_not_complete_says_why(status):
    """
    The error carries SageMaker's reason; who has followed the job has seen its log.
    """
    described = job(status, status) | {"TrainingJobName": "j", "FailureReason": "no GPU"}

    with pytest.raises(JobError, match=rf"^training job j ended as {status}: no GPU$"):
        watch.completed(described)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        pytest.param(
            "AlgorithmError: model is 'x'\n  try: resnet18, exit code: 1",
            " (AlgorithmError, exit code 1): model is 'x'\n  try: resnet18",
            id="ours",
        ),
        pytest.param(
            "AlgorithmError: , exit code: 137", " (AlgorithmError, exit code 137)", id="no"
        ),
        pytest.param("InternalServerError: later", ": InternalServerError: later", id="no-code"),
    ],
)
def test_what_the_container_said_ends_without_the_exit_code(reason, expected):
    """
    What to try is the last line, as it can be typed.
    """
    assert watch.told(reason) == expected


@pytest.mark.parametrize(
    ("described", "message"),
    [
        pytest.param(
            {"EndpointStatus": "Failed", "FailureReason": "no ping"},
            "e is Failed: no ping",
            id="failed",
        ),
        pytest.param(
            {"EndpointStatus": "InService", "EndpointConfigName": "v1", "FailureReason": "no ping"},
            "e went back to v1: no ping",
            id="rolled-back",
        ),
    ],
)
def test_an_endpoint_that_does_not_serve_what_was_deployed_is_an_error(described, message):
    """
    A roll-back ends InService too, but with the version before.
    """
    with pytest.raises(JobError, match=message):
        watch.in_service(described | {"EndpointName": "e"}, config="v2")


def test_spot_saves_what_was_not_billed():
    """
    1 - billable / trained, for Spot jobs alone.
    """
    spot = {
        "EnableManagedSpotTraining": True,
        "TrainingTimeInSeconds": 100,
        "BillableTimeInSeconds": 30,
    }

    assert watch.saving(spot) == pytest.approx(0.7)
    assert watch.saving({"TrainingTimeInSeconds": 100, "BillableTimeInSeconds": 100}) is None
