"""The answers of a server, judged."""

import pytest

from kennel.checking import hosting, invocations, stopping
from kennel.checking.limits import Limits
from kennel.checking.probe import Answer
from kennel.checking.sandbox import Ended
from kennel.checking.servers import Waited
from kennel.checking.stopping import Stop

LIMITS = Limits()
RESET = Answer(None, error="closed without an answer")


def test_a_slow_ping_or_connection_fails():
    """
    2 s and 250 ms are SageMaker's, and the slowest counts.
    """
    quick, slow = Answer(200, connect_s=0.01, seconds=0.01), Answer(200, connect_s=0.3, seconds=2)

    assert invocations.pings([quick, quick], LIMITS).status == "pass"
    assert invocations.pings([quick, slow], LIMITS).status == "fail"
    assert invocations.connections([quick, quick], LIMITS).status == "pass"
    assert invocations.connections([quick, slow], LIMITS).status == "fail"


def test_a_ping_that_fails_once_it_was_ready_fails():
    """
    503 beside invocations takes the container out of service.
    """
    assert invocations.pings([Answer(200), Answer(503)], LIMITS).status == "fail"


@pytest.mark.parametrize(
    ("answer", "is_given", "status"),
    [
        (Answer(200), False, "pass"),
        (Answer(415), False, "skip"),
        (Answer(500), False, "skip"),
        (Answer(415), True, "fail"),
        (Answer(500), True, "fail"),
        (Answer(404), False, "fail"),
        (Answer(405), False, "fail"),
        (RESET, False, "fail"),
    ],
)
def test_only_a_request_that_was_given_must_be_answered(answer, is_given, status):
    """
    A picture of ours may not be what the image takes; an answer there must be in any case.
    """
    found = invocations.invocation(answer, what="it", is_given=is_given)

    assert found.status == status


def test_a_host_of_several_models_need_not_take_invocations():
    """
    It is asked by POST /models/NAME/invoke.
    """
    asked = {"what": "it", "is_given": False, "is_multi_model": True}

    assert invocations.invocation(Answer(404), **asked).status == "skip"


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (Answer(400, b"not a picture"), "pass"),
        (Answer(400, b'Traceback (most recent call last):\n  File "x"'), "warn"),
        (Answer(400, b"java.lang.Error\n\tat com.example.Main.run(Main.java:1)"), "warn"),
        (Answer(500), "warn"),
        (RESET, "warn"),
        (Answer(200), "skip"),
    ],
)
def test_a_bad_body_is_answered_4xx_without_a_traceback(answer, status):
    """
    SageMaker does not ask for it, so it is a warning; an image that takes any body is not judged.
    """
    assert invocations.bad_body(answer).status == status


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        ([Answer(200), Answer(200)], "pass"),
        ([Answer(400), Answer(400)], "pass"),
        ([Answer(200), Answer(413)], "warn"),
        ([Answer(413), Answer(413)], "warn"),
        ([RESET, RESET], "warn"),
        ([Answer(500), Answer(500)], "warn"),
    ],
)
def test_large_bodies_should_be_taken(answers, status):
    """
    400 is the picture's fault, 413 the server's limit, which an image may set.
    """
    asked = list(zip((6, 25), answers, strict=True))

    assert invocations.big_bodies(asked, Answer(200)).status == status


def test_a_server_that_takes_no_body_of_ours_is_not_blamed_for_large_ones():
    """
    5xx to a small one as well says nothing of the size.
    """
    asked = [(6, Answer(500)), (25, Answer(500))]

    assert invocations.big_bodies(asked, Answer(500)).status == "skip"


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (Answer(404), "pass"),
        (Answer(200, b'{"MaxConcurrentTransforms": 8, "MaxPayloadInMB": 6}'), "pass"),
        (Answer(200, b'{"MaxConcurrentTransforms": 8, "MaxPayloadInMB": 50}'), "fail"),
        (Answer(200, b'{"MaxConcurrentTransforms": "8"}'), "fail"),
        (Answer(200, b"yes"), "warn"),
        (Answer(500), "warn"),
    ],
)
def test_parameters_of_a_transform_are_checked(answer, status):
    """
    None are needed; those that are there must be what SageMaker takes.
    """
    assert invocations.batch(answer).status == status


def test_a_model_list_is_asked_of_who_claims_it():
    """
    The label promises the API.
    """
    assert invocations.multi_model(None).status == "skip"
    assert invocations.multi_model(Answer(200)).status == "pass"
    assert invocations.multi_model(Answer(404)).status == "fail"


@pytest.mark.parametrize(
    ("before", "first", "delay_s", "status"),
    [
        (("refused",), Answer(200), 0, "pass"),
        (("refused", "503"), Answer(200), 0, "pass"),
        ((), Answer(400), 0, "pass"),
        (("refused", "404"), Answer(200), 0, "pass"),
        (("closed without an answer", "502"), Answer(200), 0, "pass"),
        (("no answer within 4 s",), Answer(200), 0, "warn"),
        (("refused",), Answer(200), 2.0, "fail"),
        (("refused",), Answer(503), 30.0, "skip"),
        (("refused",), Answer(404), 30.0, "skip"),
    ],
)
def test_ready_means_that_invocations_are_answered(before, first, delay_s, status):
    """
    A ping that says 200 before they are is early; one that never comes true is another check's.
    """
    assert hosting.not_ready(Waited(1.0, before), first, delay_s).status == status


def test_requests_in_flight_are_finished():
    """
    A lost one fails, and so does a 503; none in flight proves nothing.
    """
    good = Answer(200)

    assert in_flight([good] * 3, usual=good) == "pass"
    assert in_flight([good, RESET], usual=good) == "fail"
    assert in_flight([Answer(503)], usual=good) == "fail"
    assert in_flight([], usual=good) == "skip"


def test_in_flight_is_compared_with_how_it_answers_otherwise():
    """
    500 to a request that it does not understand is an answer as well; silence is not judged.
    """
    assert in_flight([Answer(500)], usual=Answer(500)) == "pass"
    assert in_flight([RESET], usual=Answer(500)) == "fail"
    assert in_flight([RESET], usual=RESET) == "skip"


def in_flight(answers, *, usual):
    return stopping.in_flight(Stop(Ended(0), 1, answers), usual).status


def test_a_server_that_only_sigkill_ends_fails():
    """
    The exit code of one that ends by itself does not matter.
    """
    assert stopping.ending(Stop(None, 30, [])).status == "fail"
    assert stopping.ending(Stop(Ended(143), 1, [])).status == "pass"
