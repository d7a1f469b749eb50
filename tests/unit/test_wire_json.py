"""The JSON protocol: bodies in, handlers called, bodies out."""

import json
from datetime import UTC, datetime

import pytest

from kennel.local.wire.errors import ApiError
from kennel.local.wire.json_protocol import JsonService


@pytest.fixture
def service():
    """A service whose one handler notes what it gets and answers what it is told."""

    class Recorder:
        answer: dict = {}  # noqa: RUF012 - replaced by each test
        seen = None

        def handle(self, params):
            self.seen = params
            return self.answer

        def call(self, request, operation="ListTrainingJobs"):
            service = JsonService("sagemaker", {operation: self.handle})
            return json.loads(service.call(operation, json.dumps(request).encode()))

    return Recorder()


def refused(call):
    with pytest.raises(ApiError) as caught:
        call()
    return caught.value


def test_handlers_get_datetimes_and_no_nulls(service):
    """
    Epoch seconds become aware datetimes; a member that is null is as good as absent.
    """
    service.call({"CreationTimeAfter": 1.5, "NameContains": None, "MaxResults": 3})

    after = datetime(1970, 1, 1, 0, 0, 1, 500000, tzinfo=UTC)
    assert service.seen == {"CreationTimeAfter": after, "MaxResults": 3}


def test_answers_have_the_shape_of_the_operation(service):
    """
    Datetimes become epoch seconds; what is None or unknown to the shape is dropped.
    """
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    service.answer = {
        "TrainingJobSummaries": [{"TrainingJobName": "a", "CreationTime": moment, "Local": 1}],
        "NextToken": None,
        "Secret": "x",
    }

    answer = service.call({})

    summary = {"TrainingJobName": "a", "CreationTime": moment.timestamp()}
    assert answer == {"TrainingJobSummaries": [summary]}


def test_an_operation_without_output_answers_an_empty_object(service):
    """
    A handler of such an operation need not return anything.
    """
    service.answer = None

    assert service.call({"EndpointName": "a"}, "DeleteEndpoint") == {}


@pytest.mark.parametrize(
    ("request_", "found"),
    [
        ({"MaxResults": "3"}, "STRING_VALUE"),
        ({"MaxResults": 1.5}, "NUMBER_VALUE"),
        ({"MaxResults": True}, "BOOLEAN_VALUE"),
        ({"NameContains": 3}, "NUMBER_VALUE"),
        ({"NameContains": ["a"]}, "START_ARRAY"),
        ({"CreationTimeAfter": "soon"}, "STRING_VALUE"),
        ({"NameContains": "\ud83d"}, "STRING_VALUE"),
        ({"CreationTimeAfter": 1e300}, "NUMBER_VALUE"),
    ],
)
def test_a_value_of_another_type_is_a_serialization_error(service, request_, found):
    """
    AWS's code, and what was found.
    """
    error = refused(lambda: service.call(request_))

    assert error.code == "SerializationException"
    assert error.message.startswith(f"{found} can not be converted")


@pytest.mark.parametrize("body", [b"{", b"[]", b'"text"', b"\xff"])
def test_a_body_that_is_no_json_object_is_a_serialization_error(body):
    """
    Whatever arrives, the answer is an AWS error.
    """
    service = JsonService("logs", {"CreateLogGroup": dict})

    assert refused(lambda: service.call("CreateLogGroup", body)).code == "SerializationException"


def test_what_local_mode_lacks_is_said_with_what_it_has():
    """
    An operation of AWS's model without a handler is named, and so are those there are.
    """
    service = JsonService("logs", {"CreateLogGroup": dict})

    error = refused(lambda: service.call("StartQuery", b"{}"))

    assert error.code == "NotInLocalMode"
    assert "logs StartQuery is not in local mode, which has: CreateLogGroup" in error.message


def test_what_aws_lacks_too_is_an_unknown_operation():
    """
    A misspelt operation is not promised for AWS.
    """
    service = JsonService("logs", {"CreateLogGroup": dict})

    assert refused(lambda: service.call("Creat", b"{}")).code == "UnknownOperationException"
