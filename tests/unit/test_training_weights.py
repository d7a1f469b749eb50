"""Which weights a run starts from."""

import pytest
import torch
from torch import nn

from kennel.contract import ContainerPaths
from kennel.errors import DataError
from kennel.training import weights
from kennel.vision import models


@pytest.fixture
def paths(tmp_path):
    return ContainerPaths(tmp_path)


@pytest.fixture
def channel(paths):
    folder = paths.channel("weights")
    folder.mkdir(parents=True)
    return folder


def test_auto_takes_the_one_file_of_the_channel(paths, channel):
    """
    Who gives a file does not have to name it.
    """
    (channel / "breeds.pth").write_bytes(b"x")

    assert weights.source(paths, "auto") == channel / "breeds.pth"


def test_auto_without_the_channel_is_imagenet(paths):
    """
    Torchvision's weights are the default.
    """
    assert weights.source(paths, "auto") == "imagenet"


@pytest.mark.parametrize("named", ["none", "imagenet"])
def test_the_words_stand_for_themselves(paths, channel, named):
    """
    Also beside a channel with a file.
    """
    (channel / "breeds.pth").write_bytes(b"x")

    assert weights.source(paths, named) == named


def test_a_file_is_chosen_by_name(paths, channel):
    """
    Its own name, or its path in the channel.
    """
    (channel / "old").mkdir()
    for place in ("a.pth", "old/b.pth"):
        (channel / place).write_bytes(b"x")

    assert weights.source(paths, "a.pth") == channel / "a.pth"
    assert weights.source(paths, "b.pth") == channel / "old" / "b.pth"
    assert weights.source(paths, "old/b.pth") == channel / "old" / "b.pth"


@pytest.mark.parametrize("named", ["auto", "c.pth"])
def test_a_choice_that_cannot_be_made_lists_the_files(paths, channel, named):
    """
    Two files and no name, or a name that is not there.
    """
    for name in ("a.pth", "b.pth"):
        (channel / name).write_bytes(b"x")

    with pytest.raises(DataError, match=r"weights") as caught:
        weights.source(paths, named)
    assert "a.pth, b.pth" in str(caught.value)


def test_a_file_gives_the_backbone_and_not_the_head(tmp_path):
    """
    A thousand classes of ImageNet become the two of the data.
    """
    torch.manual_seed(0)
    trained, model = models.build("resnet18", 1000), models.build("resnet18", 2)
    head = models.head(model).weight.clone()
    torch.save(trained.state_dict(), tmp_path / "w.pth")

    weights.load(model, "resnet18", tmp_path / "w.pth")

    assert torch.equal(model.conv1.weight, trained.conv1.weight)
    assert torch.equal(models.head(model).weight, head)


def test_none_leaves_the_model_as_it_is():
    """
    Training from scratch starts from the seed alone.
    """
    model = nn.Linear(2, 2)
    before = model.weight.clone()

    weights.load(model, "resnet18", "none")

    assert torch.equal(model.weight, before)
