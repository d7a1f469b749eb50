"""A frozen backbone sees every picture once, and nothing comes out differently."""

import dataclasses

import pytest
import torch
from PIL import Image

from kennel.datasets.folders import Sample
from kennel.training import features, loop, prepare
from kennel.training.channels import Data
from kennel.training.hyperparameters import Hyperparameters
from kennel.training.loop import Stage
from kennel.training.pictures import PictureSource
from kennel.training.prepare import Job
from kennel.training.stopping import Stop, Stopped
from kennel.vision import models

CHOSEN = Hyperparameters(
    model="resnet18",
    weights="none",
    freeze=True,
    augment="none",
    epochs=3,
    batch_size=4,
    image_size=32,
    lr=0.05,
    workers=0,
)
TOLERANCE = 1e-4  # between the heads that both paths come to, of weights around 0.05


@pytest.fixture
def job(tmp_path):
    """Ten noisy pictures of two classes, bright and dark."""
    generator = torch.Generator().manual_seed(0)
    samples = []
    for number in range(10):
        noise = torch.randint(0, 128, (32, 32, 3), dtype=torch.uint8, generator=generator)
        path = tmp_path / f"{number}.png"
        Image.fromarray((noise + 120 * (number % 2)).numpy()).save(path)
        samples.append(Sample(path, number % 2))
    data = Data(("bright", "dark"), tuple(samples[:6]), tuple(samples[6:]), (), ())
    return Job(CHOSEN, data, prepare.reading(CHOSEN, torch.device("cpu")), None)


def build(job):
    prepare.seed_everything(0)
    model = models.build(job.chosen.model, 2)
    models.freeze_backbone(model)
    return prepare.state(model.to(memory_format=torch.channels_last), job)


def plain_stage(state, job):
    """What would be trained if there were no shortcut."""
    model = state.model
    return Stage(
        model,
        lambda: models.train_mode(model, frozen=True),
        torch.nn.CrossEntropyLoss(),
        PictureSource(job.data.train, job.reading),
        PictureSource(job.data.valid, job.reading),
    )


def test_features_come_to_the_same_head_as_pictures(job):
    """
    Training the head on features and training it on pictures agree to 1e-4, epoch by epoch.
    """
    plain, quick = build(job), build(job)
    recipe = prepare.recipe(job)
    loop.fit(plain, plain_stage(plain, job), recipe, Stop(), lambda _: None)
    stage = prepare.stage(quick.model, job, Stop())
    loop.fit(quick, stage, recipe, Stop(), lambda _: None)

    assert stage.module is models.head(quick.model), "the shortcut was not taken"
    start = models.head(build(job).model).weight
    assert not torch.allclose(models.head(quick.model).weight, start, atol=0.01), "nothing learned"
    torch.testing.assert_close(
        quick.model.state_dict(), plain.model.state_dict(), rtol=0, atol=TOLERANCE
    )
    for one, other in zip(quick.history, plain.history, strict=True):
        assert one.train_loss == pytest.approx(other.train_loss, abs=TOLERANCE)
        assert one.valid_loss == pytest.approx(other.valid_loss, abs=TOLERANCE)


def test_a_frozen_backbone_does_not_move(job):
    """
    Neither its weights nor its BatchNorm statistics, on the plain path too.
    """
    state = build(job)
    before = {name: tensor.clone() for name, tensor in state.model.state_dict().items()}
    loop.fit(state, plain_stage(state, job), prepare.recipe(job), Stop(), lambda _: None)

    after = state.model.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"fc.weight", "fc.bias"}


@pytest.mark.parametrize(
    ("name", "ends"),
    [
        ("resnet18", True),
        ("mobilenet_v2", True),
        ("vgg11_bn", True),
        ("shufflenet_v2_x0_5", True),
        ("squeezenet1_1", False),
    ],
)
def test_the_shortcut_is_taken_where_it_is_exact(name, ends):
    """
    Where the logits are the head's own output; SqueezeNet pools after it.
    """
    torch.manual_seed(0)
    model = models.build(name, 5).eval()
    for module in model.modules():  # statistics of a trained network, so that merging is tested
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    images = torch.randn(2, 3, 64, 64)

    assert features.ends_in_its_head(model, features.Backbone(model), images) is ends


def test_a_backbone_that_computes_something_else_is_noticed():
    """
    The shortcut is judged by the model's own logits.
    """
    torch.manual_seed(0)
    model, other = models.build("resnet18", 5).eval(), models.build("resnet18", 5).eval()

    assert not features.ends_in_its_head(model, features.Backbone(other), torch.randn(2, 3, 32, 32))


def test_the_plain_path_is_taken_where_pictures_change(job):
    """
    Augmented pictures, or a backbone that learns, are read in every epoch.
    """
    for change in ({"augment": "flip"}, {"freeze": False}):
        changed = dataclasses.replace(job, chosen=dataclasses.replace(CHOSEN, **change))
        model = build(job).model

        assert prepare.stage(model, changed, Stop()).module is model


def test_a_stop_is_heard_while_features_are_computed(job):
    """
    It takes a minute on a CPU, and a stop is not to wait for it.
    """
    stop = Stop()
    stop()

    with pytest.raises(Stopped):
        prepare.stage(build(job).model, job, stop)
