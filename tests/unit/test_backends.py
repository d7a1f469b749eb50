"""What computes follows from the machine, the artifact and one variable."""

import pytest
import torch

from kennel.errors import ArtifactError, MissingToolError
from kennel.serving import backends
from kennel.serving.backends import AUTO, OPENVINO, TORCH
from kennel.vision import models, trained
from kennel.vision.artifact import Artifact
from kennel.vision.preprocessing import Preprocessing

CONVERTED = {"model.xml": "0", "model.bin": "1"}
YES, NO = True, False


def described(openvino):
    return Artifact("squeezenet1_1", ("a", "b"), Preprocessing.for_size(64), openvino=openvino)


@pytest.mark.parametrize(
    ("wanted", "openvino", "cuda", "has_torch", "chosen"),
    [
        pytest.param(AUTO, CONVERTED, YES, YES, TORCH, id="gpu"),
        pytest.param(AUTO, CONVERTED, NO, YES, OPENVINO, id="cpu"),
        pytest.param(AUTO, CONVERTED, NO, NO, OPENVINO, id="cpu-without-torch"),
        pytest.param(AUTO, {}, NO, YES, TORCH, id="not-converted"),
        pytest.param(OPENVINO, CONVERTED, YES, YES, OPENVINO, id="forced-openvino"),
        pytest.param(TORCH, CONVERTED, NO, YES, TORCH, id="forced-torch"),
    ],
)
def test_the_backend_is_the_fastest_that_is_there(wanted, openvino, cuda, has_torch, chosen):
    """
    torch on a GPU; OpenVINO on a CPU; torch there where nothing was converted.
    """
    assert (
        backends.choose(wanted, described(openvino), cuda=lambda: cuda, torch=has_torch) == chosen
    )


@pytest.mark.parametrize(
    ("wanted", "openvino", "has_torch", "error"),
    [
        pytest.param(AUTO, {}, NO, ArtifactError, id="nothing-to-serve-with"),
        pytest.param(OPENVINO, {}, YES, ArtifactError, id="not-converted"),
        pytest.param(TORCH, CONVERTED, NO, MissingToolError, id="no-torch"),
    ],
)
def test_what_cannot_be_served_says_what_can(wanted, openvino, has_torch, error):
    """
    The artifact's fault or the image's, and each time another way.
    """
    with pytest.raises(error) as raised:
        backends.choose(wanted, described(openvino), cuda=lambda: NO, torch=has_torch)

    assert raised.value.expected
    assert "gpu variant of the image" in raised.value.remedy


@pytest.mark.parametrize(("wanted", "has_torch"), [(OPENVINO, YES), (TORCH, YES), (AUTO, NO)])
def test_the_gpu_is_not_asked_where_the_answer_changes_nothing(wanted, has_torch):
    """
    Asking imports torch, which takes seconds.
    """
    asked = []

    backends.choose(wanted, described(CONVERTED), cuda=lambda: asked.append(1), torch=has_torch)

    assert asked == []


@pytest.mark.parametrize("wanted", [OPENVINO, TORCH])
def test_both_answer_the_same(tmp_path, wanted):
    """
    The same artifact, prepared and started as a worker does it.
    """
    torch.manual_seed(0)
    model = models.build("squeezenet1_1", 2).eval()
    trained.save(tmp_path, model, described({}))
    trained.convert(tmp_path)
    images = torch.randn(2, 3, 64, 64)

    name, backend = backends.prepare(tmp_path, trained.load(tmp_path)[1], wanted)

    with torch.inference_mode():
        expected = model(images)
    assert name == wanted
    answered = torch.from_numpy(backend.start(1)(images.numpy()))
    torch.testing.assert_close(answered, expected, rtol=1e-4, atol=1e-4)
