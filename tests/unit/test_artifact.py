"""An artifact holds all that is needed to use a model, and is read back whole or not at all."""

import json
import math

import pytest
import torch

from kennel.errors import ArtifactError
from kennel.vision import models, trained
from kennel.vision.artifact import Artifact
from kennel.vision.preprocessing import Preprocessing


def description(architecture="squeezenet1_1", classes=("cat", "dög"), **more):
    return Artifact(architecture, tuple(classes), Preprocessing.for_size(64), **more)


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    model = models.build("squeezenet1_1", 2).eval()
    trained.save(tmp_path / "model", model, description(metrics={"test_accuracy": 0.5}))
    return tmp_path / "model", model


def test_what_is_saved_is_what_is_loaded(saved):
    """
    The same answers, class names, preprocessing and metrics, and the model in eval mode.
    """
    folder, model = saved
    images = torch.randn(2, 3, 64, 64)

    loaded, described = trained.load(folder)

    assert torch.equal(loaded(images), model(images))
    assert not loaded.training
    assert described.class_names == ("cat", "dög")
    assert described.preprocessing == Preprocessing.for_size(64)
    assert described.metrics == {"test_accuracy": 0.5}
    assert {"kennel", "torch", "torchvision", "python"} <= described.versions.keys()


@pytest.mark.parametrize("name", ["mnasnet0_5", "googlenet", "mobilenet_v2"])
def test_awkward_architectures_survive(tmp_path, name):
    """
    Those with layer versions, auxiliary logits or many buffers load like any other.
    """
    model = models.build(name, 3).eval()
    trained.save(tmp_path, model, description(name, "abc"))
    images = torch.randn(1, 3, 64, 64)

    assert torch.equal(trained.load(tmp_path)[0](images), model(images))


def test_a_wrapped_model_is_saved_unwrapped(tmp_path):
    """
    What torch.compile or DistributedDataParallel put around the model does not reach the file.
    """
    wrapped = torch.nn.Module()
    wrapped.module = models.build("squeezenet1_1", 2)

    trained.save(tmp_path, wrapped, description())

    assert trained.load(tmp_path)


def test_nothing_else_is_left_in_the_folder(saved):
    """
    Two files, no temporary ones, even when an earlier artifact is replaced.
    """
    folder, model = saved

    trained.save(folder, model, description())

    assert sorted(path.name for path in folder.iterdir()) == ["artifact.json", "model.pth"]


def test_a_failed_save_leaves_the_earlier_one_whole(saved):
    """
    Whatever goes wrong while writing, the artifact that was there still loads.
    """
    folder, _ = saved
    unsavable = models.build("squeezenet1_1", 2)
    unsavable.register_buffer("broken", torch.empty(2, device="meta"))

    with pytest.raises(NotImplementedError):
        trained.save(folder, unsavable, description())

    assert trained.load(folder)
    assert len(list(folder.iterdir())) == 2


def test_metrics_that_are_not_finite_become_null():
    """
    NaN is no JSON: other readers would refuse the file.
    """
    document = description(metrics={"loss": math.nan, "accuracy": 1.0, "test": None}).to_dict()

    assert json.loads(json.dumps(document, allow_nan=False))["metrics"] == {
        "loss": None,
        "accuracy": 1.0,
        "test": None,
    }


def edit(folder, **changes):
    path = folder / "artifact.json"
    document = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in document.items() if v is not ...}))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        pytest.param(
            lambda f: (f / "artifact.json").unlink(), "no artifact in", id="no-description"
        ),
        pytest.param(
            lambda f: (f / "model.pth").unlink(), "cannot read the weights", id="no-weights"
        ),
        pytest.param(lambda f: (f / "artifact.json").write_text('{"fo'), "torn", id="torn-json"),
        pytest.param(lambda f: (f / "artifact.json").write_text("[]"), "no JSON object", id="list"),
        pytest.param(
            lambda f: (f / "model.pth").write_bytes((f / "model.pth").read_bytes()[:-5000]),
            "cannot read the weights",
            id="torn-weights",
        ),
        pytest.param(lambda f: edit(f, format=2), "has format 2", id="format"),
        pytest.param(lambda f: edit(f, class_names=...), "class_names", id="no-classes"),
        pytest.param(lambda f: edit(f, class_names=[]), "class_names", id="empty-classes"),
        pytest.param(
            lambda f: edit(f, class_names=["a", "b", "c"]), "misshapen", id="a-class-more"
        ),
        pytest.param(lambda f: edit(f, architecture="resnet18"), "missing", id="architecture"),
        pytest.param(lambda f: edit(f, architecture="nonet"), "no model 'nonet'", id="unknown"),
        pytest.param(lambda f: edit(f, preprocessing={}), "preprocessing", id="preprocessing"),
        pytest.param(lambda f: edit(f, metrics=3), "wrong member", id="metrics"),
    ],
)
def test_a_damaged_artifact_says_what_is_damaged(saved, damage, says):
    """
    Each missing or torn part is an ArtifactError that names it.
    """
    folder, _ = saved
    damage(folder)

    with pytest.raises(ArtifactError, match=says):
        trained.load(folder)


def test_a_missing_artifact_lists_what_is_there(tmp_path):
    """
    Somebody else's model is recognised by what it holds instead.
    """
    (tmp_path / "saved_model.pb").touch()

    with pytest.raises(ArtifactError, match=r"it holds saved_model\.pb"):
        trained.load(tmp_path)
