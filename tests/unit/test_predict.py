"""Asking an endpoint: what is one picture's fault and what is everybody's."""

import io
import json

import pytest
from botocore.exceptions import ClientError

from kennel import contract
from kennel.errors import DataError, JobError
from kennel.jobs import predict
from kennel.jobs.predict import Guess

ANSWER = {"predictions": [[{"class": "cat", "label": 0, "probability": 0.9}]]}


class FakeRuntime:
    """Answers every picture alike, but refuses those whose bytes name an error code."""

    def __init__(self):
        self.requests = []

    def invoke_endpoint(self, **request):
        self.requests.append(request)
        if request["Body"].startswith(b"!"):
            code = request["Body"][1:].decode()
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, "InvokeEndpoint")
        return {"Body": io.BytesIO(json.dumps(ANSWER).encode())}


@pytest.fixture
def write(tmp_path):
    def write(name, content=b"picture"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


def ask(*paths):
    return list(predict.predict_all(FakeRuntime(), "e", paths, top=5))


def test_answers_come_in_the_order_of_the_pictures(write):
    """
    Several are asked about at a time, and none changes places.
    """
    paths = [write(f"{n}.jpg") for n in range(50)]

    found = ask(*paths)

    assert [one.path for one in found] == paths
    assert found[0].guesses == (Guess("cat", 0.9),)


def test_a_bad_picture_does_not_stop_the_others(write):
    """
    What the container refuses, and what cannot be read here, is noted; the rest is classified.
    """
    bad, gone, good = write("bad.jpg", b"!ModelError"), write("gone.jpg"), write("good.jpg")
    gone.unlink()

    found = ask(bad, gone, good)

    assert [bool(one.error) for one in found] == [True, True, False]
    assert "error" in found[0].to_dict()


@pytest.mark.parametrize("code", ["ValidationError", "ExpiredTokenException"])
def test_what_is_wrong_with_every_picture_is_said_once(write, code):
    """
    No endpoint, no credentials: an error of the command, not of a picture.
    """
    with pytest.raises(ClientError, match=code):
        ask(*[write(f"{n}.jpg", b"!" + code.encode()) for n in range(3)])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.jpg", "image/jpeg"),
        ("a.JPEG", "image/jpeg"),
        ("a.png", "image/png"),
        ("a.webp", "image/webp"),
        ("a.bmp", "application/x-image"),
        ("a", "application/x-image"),
    ],
)
def test_a_picture_goes_by_the_type_of_its_name(write, valid_request, name, expected):
    """
    Types that the endpoint has no name for are sent as a picture of any kind.
    """
    request = predict.request("e", write(name), top=5)

    assert request["ContentType"] == expected
    valid_request("InvokeEndpoint", request, service="sagemaker-runtime")


def test_a_picture_that_is_too_large_is_not_sent(write):
    """
    An endpoint takes 25 MB; the error says so here.
    """
    with pytest.raises(DataError, match="at most"):
        predict.request("e", write("a.jpg", bytes(contract.INVOCATION_BODY_BYTES + 1)), top=5)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"predictions": []}', b'{"predictions": [[{}]]}'])
def test_an_endpoint_that_is_not_kennels_is_said_to_be_so(body):
    """
    Another container answers in another shape.
    """
    with pytest.raises(JobError, match="the endpoint answered"):
        predict.guesses(body)
