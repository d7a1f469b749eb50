"""The model for CPUs without torch is made from torch's own, and answers as that does."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from kennel.errors import ArtifactError
from kennel.training.export import convert_or_say
from kennel.vision import artifact, models, openvino_model, trained
from kennel.vision.artifact import Artifact
from kennel.vision.preprocessing import Preprocessing

FILES = {"artifact.json", "model.pth"}
OPENVINO = {"model.xml", "model.bin"}


def saved(folder, architecture, size, change=lambda _: None):
    """Save a model as a training leaves it, and return it in eval mode."""
    torch.manual_seed(0)
    model = models.build(architecture, 3, image_size=size)
    torch.nn.init.normal_(models.head(model).weight, std=0.1)  # a ViT's is 0 at first
    with torch.inference_mode():  # statistics of BatchNorm, without which deep models overflow
        model(torch.randn(4, 3, size, size))
    change(model)
    trained.save(folder, model, Artifact(architecture, tuple("abc"), Preprocessing.for_size(size)))
    return model.eval()


def names_in(folder):
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("architecture", "size"),
    [
        pytest.param("resnet18", 64, id="residual"),
        pytest.param("mobilenet_v2", 64, id="depthwise"),
        pytest.param("shufflenet_v2_x0_5", 64, id="channel-shuffle"),
        pytest.param("squeezenet1_1", 64, id="convolutional-head"),
        pytest.param("googlenet", 64, id="transformed-input"),
        pytest.param("swin_t", 64, id="shifted-windows"),
        pytest.param("vit_b_32", 64, id="attention"),
    ],
)
def test_the_openvino_model_answers_as_torch_does(tmp_path, architecture, size):
    """
    To 1e-4, for any number of pictures, one above all, which tracing may take for a constant.
    """
    model = saved(tmp_path, architecture, size)

    trained.convert(tmp_path)

    logits = openvino_model.compiled(tmp_path, threads=1)
    for count in (1, 2, 5):
        images = torch.randn(count, 3, size, size)
        with torch.inference_mode():
            expected = model(images).softmax(1).numpy()
        answered = torch.from_numpy(logits(images.numpy())).softmax(1).numpy()
        assert np.abs(answered - expected).max() < 1e-4
        assert answered.std() > 1e-3


def test_the_description_knows_the_converted_files(tmp_path):
    """
    By their digests; besides that it is what it was, and nothing else is left behind.
    """
    saved(tmp_path, "squeezenet1_1", 64)
    before = artifact.describe(tmp_path)

    trained.convert(tmp_path)

    after = artifact.describe(tmp_path)
    openvino_model.verify(tmp_path, after)
    assert after.openvino.keys() == OPENVINO
    assert after.to_dict() | {"openvino": {}} == before.to_dict()
    assert names_in(tmp_path) == FILES | OPENVINO


def test_the_converted_weights_are_float32(tmp_path):
    """
    Not compressed to float16, as OpenVINO does unless told: evaluation was in float32.
    """
    model = saved(tmp_path, "squeezenet1_1", 64)

    trained.convert(tmp_path)

    numbers = sum(parameter.numel() for parameter in model.parameters())
    assert (tmp_path / "model.bin").stat().st_size > 3 * numbers


def test_everyone_may_read_what_was_converted(tmp_path):
    """
    Like the other files: whoever serves need not be who trained.
    """
    saved(tmp_path, "squeezenet1_1", 64)

    trained.convert(tmp_path)

    modes = {(tmp_path / name).stat().st_mode & 0o777 for name in FILES | OPENVINO}
    assert len(modes) == 1


def poison(model):
    """Leave what OpenVINO computes otherwise: of NaN its ReLU makes 0."""
    with torch.no_grad():
        next(model.parameters()).fill_(torch.nan)


def test_a_model_that_openvino_answers_otherwise_is_not_recorded(tmp_path):
    """
    The artifact is as it was, without files of a conversion that failed.
    """
    saved(tmp_path, "squeezenet1_1", 64, poison)
    before = (tmp_path / "artifact.json").read_bytes()

    with pytest.raises(ArtifactError, match="OpenVINO's probabilities differ from torch's by nan"):
        trained.convert(tmp_path)

    assert (tmp_path / "artifact.json").read_bytes() == before
    assert names_in(tmp_path) == FILES


def test_training_goes_on_when_the_model_cannot_be_converted(tmp_path, capsys):
    """
    The log says so loudly, with the reason; the artifact still loads.
    """
    saved(tmp_path, "squeezenet1_1", 64, poison)

    convert_or_say(tmp_path)

    output = capsys.readouterr().out
    assert output.startswith("WARNING: ")
    assert "probabilities differ" in output
    assert "only an image that has torch can serve it" in output
    assert trained.load(tmp_path)


def test_another_model_in_the_same_folder_takes_the_converted_one_away(tmp_path):
    """
    It would be served instead of the new one.
    """
    model = saved(tmp_path, "squeezenet1_1", 64)
    trained.convert(tmp_path)

    trained.save(tmp_path, model, Artifact("squeezenet1_1", tuple("abc"), Preprocessing(64, 64)))

    assert artifact.describe(tmp_path).openvino == {}
    assert names_in(tmp_path) == FILES


def test_what_openvino_cannot_use_is_an_artifact_error(tmp_path):
    """
    Such as the files of a later version.
    """
    (tmp_path / "model.xml").write_text('<net name="Model0" version="99"><layers/><edges/></net>')
    (tmp_path / "model.bin").write_bytes(b"")

    with pytest.raises(ArtifactError, match=r"OpenVINO \d+\.\S+ cannot use .*model\.xml: \S"):
        openvino_model.compiled(tmp_path, threads=1)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        pytest.param(lambda f: (f / "model.bin").unlink(), "cannot read .*model.bin", id="missing"),
        pytest.param(lambda f: os.truncate(f / "model.bin", 5000), "model.bin is torn", id="torn"),
        pytest.param(
            lambda f: (f / "model.xml").write_text("<net/>"), "model.xml is torn", id="another"
        ),
    ],
)
def test_damaged_openvino_files_are_named(tmp_path, damage, says):
    """
    Before the library reads them: it would answer by weights that belong to another model.
    """
    saved(tmp_path, "squeezenet1_1", 64)
    trained.convert(tmp_path)
    damage(tmp_path)

    with pytest.raises(ArtifactError, match=says):
        openvino_model.verify(tmp_path, artifact.describe(tmp_path))


SIGNALLED = """
import gc, signal, sys
from pathlib import Path
from kennel.vision import openvino_model

signal.signal(signal.SIGTERM, lambda *_: print("heard"))
first = openvino_model.compiled(Path(sys.argv[1]), threads=1)
second = openvino_model.compiled(Path(sys.argv[1]), threads=1)
for model in ("first", "second"):
    del globals()[model]
    gc.collect()
signal.raise_signal(signal.SIGTERM)
"""


def test_a_process_hears_signals_after_its_models_are_gone(tmp_path):
    """
    Two models that go in the order in which they came left a signal stack behind that was unmapped.
    """
    saved(tmp_path, "resnet18", 32)
    trained.convert(tmp_path)

    ended = subprocess.run(  # noqa: S603 - ourselves
        [sys.executable, "-c", SIGNALLED, tmp_path],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (ended.returncode, ended.stdout) == (0, "heard\n")
