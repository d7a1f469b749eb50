"""One request gets one answer: what training would say, or a short error with the right status."""

import io
import json
import logging

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_images

from kennel.errors import ArtifactError
from kennel.serving import loaded
from kennel.serving.application import Request, respond
from kennel.serving.classifier import Classifier
from kennel.vision import models, openvino_model, trained
from kennel.vision.artifact import Artifact
from kennel.vision.preprocessing import Preprocessing

NAMES = tuple("abcdefg")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An artifact with a model for each backend."""
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    model = models.build("resnet18", len(NAMES))
    trained.save(folder, model, Artifact("resnet18", NAMES, Preprocessing.for_size(64)))
    trained.convert(folder)
    return folder


@pytest.fixture(scope="module", params=["openvino", "torch"])
def classifier(folder, request):
    return loaded.start(folder, request.param, 1)


@pytest.fixture(scope="module")
def jpeg():
    file = io.BytesIO()
    Image.fromarray(load_sample_images().images[1]).save(file, "JPEG")
    return file.getvalue()


def broken(_):
    raise ValueError("secret detail")


def test_the_answer_is_the_models_evaluation(classifier, folder, jpeg):
    """
    The probabilities are those that training measures, to 1e-4, whatever computes them.
    """
    response = respond(classifier, Request(jpeg, "image/jpeg", accept="application/x-npy"))

    model, described = trained.load(folder)
    picture = described.preprocessing(described.preprocessing.read(jpeg))
    with torch.inference_mode():
        logits = model(torch.from_numpy(picture[None]))
    answered = np.load(io.BytesIO(response.body))
    assert (response.status, response.content_type) == (200, "application/x-npy")
    assert np.abs(answered - logits.softmax(1).numpy()).max() < 1e-4
    assert answered.std() > 0


def test_a_batch_answers_as_each_alone(classifier):
    """
    Forty pictures, more than the model is given at once, in their order.
    """
    tensors = np.random.default_rng(0).normal(size=(40, 3, 64, 64)).astype(np.float32)

    def ask(array):
        file = io.BytesIO()
        np.save(file, array)
        request = Request(file.getvalue(), "application/x-npy", "application/x-npy")
        return np.load(io.BytesIO(respond(classifier, request).body))

    batch = ask(tensors)

    assert batch.shape == (40, len(NAMES))
    assert (
        np.abs(batch[[0, 17, 39]] - np.concatenate([ask(tensors[n]) for n in (0, 17, 39)])).max()
        < 1e-5
    )


@pytest.mark.parametrize(
    ("attributes", "count"),
    [
        ("", 5),
        ("top_k=3", 3),
        ("trace=1, top_k=2", 2),
        ("Top_K = 1;x", 1),
        ("top_k=999999999999", 7),
    ],
)
def test_top_k_comes_from_the_custom_attributes(classifier, jpeg, attributes, count):
    """
    Five by default; others may use the header as well.
    """
    response = respond(classifier, Request(jpeg, "image/jpeg", custom_attributes=attributes))

    assert len(json.loads(response.body)["predictions"][0]) == count


def test_the_bodys_top_k_comes_first(classifier):
    """
    What is closest to the picture decides.
    """
    body = json.dumps({"instances": [np.zeros((3, 64, 64)).tolist()], "top_k": 2}).encode()

    response = respond(classifier, Request(body, "application/json", custom_attributes="top_k=4"))

    assert len(json.loads(response.body)["predictions"][0]) == 2


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"body": b"no picture"}, 400),
        ({"custom_attributes": "top_k=none"}, 400),
        ({"custom_attributes": "top_k=²"}, 400),
        ({"accept": "text/html"}, 406),
        ({"body": b"x" * 1_000_001}, 413),
        ({"content_type": "text/plain"}, 415),
    ],
)
def test_a_clients_mistake_is_a_short_json_error(classifier, jpeg, change, status):
    """
    The status a caller can act on, and a text without traceback.
    """
    request = Request(**{"body": jpeg, "content_type": "image/jpeg", **change})

    response = respond(classifier, request, max_bytes=1_000_000)

    document = json.loads(response.body)
    assert response.status == status
    assert response.content_type == "application/json"
    assert document.keys() <= {"error", "expected", "try"}
    assert document["error"]
    assert len(response.body) < 400
    assert b"Traceback" not in response.body


def overflowing(images):
    """Answer NaN, as weights do that a training with too high a learning rate left behind."""
    return np.full((len(images), len(NAMES)), np.nan, np.float32)


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize("accept", ["application/json", "text/csv", "application/x-npy"])
@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-npy", npy(np.full((3, 64, 64), 3e38, np.float32))),
        (
            "application/json",
            json.dumps({"image": np.full((3, 64, 64), 3e38).tolist()}).encode(),
        ),
    ],
)
def test_numbers_that_would_overflow_the_model_are_a_400(classifier, content_type, body, accept):
    """
    They are finite, and yet no picture's: the client learns what they should be.
    """
    response = respond(classifier, Request(body, content_type, accept))

    document = json.loads(response.body)
    assert response.status == 400
    assert "hold 3e+38" in document["error"]
    assert "pixels / 255" in document["expected"]


def test_a_picture_that_a_model_answers_with_nan_is_a_500(jpeg):
    """
    Not the client's mistake.
    """
    diverged = Classifier(overflowing, Artifact("resnet18", NAMES, Preprocessing.for_size(64)))

    assert respond(diverged, Request(jpeg, "image/jpeg")).status == 500


def test_a_model_that_answers_nan_is_refused_at_the_start(classifier):
    """
    The endpoint fails with the reason, and never answers a ping.
    """
    diverged = Classifier(overflowing, classifier.artifact)

    classifier.answer_once()
    with pytest.raises(ArtifactError, match="answers NaN or infinity"):
        diverged.answer_once()


@pytest.mark.parametrize(
    ("described", "says"),
    [
        pytest.param(
            Artifact("resnet18", NAMES[:2], Preprocessing.for_size(64)),
            r"with an array \(1, 7\)",
            id="fewer-classes",
        ),
        pytest.param(
            Artifact("resnet18", (*NAMES, "h"), Preprocessing.for_size(64)),
            r"with an array \(1, 7\)",
            id="more-classes",
        ),
        pytest.param(
            Artifact("resnet18", NAMES, Preprocessing.for_size(96)),
            "cannot answer a blank picture of 96 px",
            id="another-size",
        ),
    ],
)
def test_a_description_of_another_model_is_refused_at_the_start(folder, described, says):
    """
    OpenVINO loads any weights: it would answer with the names of other classes.
    """
    openvino = openvino_model.compiled(folder, threads=1)

    with pytest.raises(ArtifactError, match=says) as raised:
        Classifier(openvino, described).answer_once()
    assert "artifact.json" in raised.value.expected


def test_a_bug_is_a_500_without_details_and_with_a_log(jpeg, caplog):
    """
    The client learns nothing of the inside; the log has the traceback.
    """
    failing = Classifier(broken, Artifact("resnet18", NAMES, Preprocessing.for_size(64)))

    with caplog.at_level(logging.ERROR):
        response = respond(failing, Request(jpeg, "image/jpeg"))

    assert response.status == 500
    assert json.loads(response.body) == {"error": "internal error: the endpoint's log says more"}
    assert "secret detail" in caplog.text
