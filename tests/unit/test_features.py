"""A frozen backbone sees every picture once, and nothing comes out differently."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from kennel.contract import ContainerPaths
from kennel.datasets.folders import Sample
from kennel.training import backbone, loop, prepare
from kennel.training.channels import Data
from kennel.training.feature_views import Views
from kennel.training.features import FeatureSource
from kennel.training.hyperparameters import Hyperparameters
from kennel.training.loop import Stage
from kennel.training.pictures import PictureSource
from kennel.training.prepare import Job
from kennel.training.stopping import Stop, Stopped
from kennel.vision import models, openvino_model
from kennel.vision.preprocessing import Preprocessing

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
BF16_TOLERANCE = 0.05  # of the length of a picture's features


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


def with_features(model, job, stop=None):
    return prepare.with_features(ContainerPaths(), model, job, stop or Stop())


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
    stage = prepare.stage(quick.model, with_features(quick.model, job))
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

    assert backbone.ends_in_its_head(model, backbone.headless(model), images) is ends


def test_a_backbone_that_computes_something_else_is_noticed():
    """
    The shortcut is judged by the model's own logits.
    """
    torch.manual_seed(0)
    model, other = models.build("resnet18", 5).eval(), models.build("resnet18", 5).eval()

    images = torch.randn(2, 3, 32, 32)
    assert not backbone.ends_in_its_head(model, backbone.headless(other), images)


@pytest.mark.parametrize("change", [{"freeze": False}, {"feature_views": 0}])
def test_the_plain_path_is_taken_where_it_is_asked_for(job, change):
    """
    A backbone that learns, or whose pictures are to be new in every epoch, reads them every time.
    """
    changed = dataclasses.replace(job, chosen=dataclasses.replace(CHOSEN, **change))
    model = build(job).model

    assert prepare.stage(model, with_features(model, changed)).module is model


def test_the_plain_path_is_taken_where_a_head_needs_more(job):
    """
    SqueezeNet's head is given a picture, and not numbers alone.
    """
    chosen = dataclasses.replace(CHOSEN, model="squeezenet1_1")
    changed = dataclasses.replace(job, chosen=chosen)

    assert with_features(build(changed).model, changed).features is None


def test_a_stop_is_heard_while_features_are_computed(job):
    """
    It takes a minute on a CPU, and a stop is not to wait for it.
    """
    stop = Stop()
    stop()

    with pytest.raises(Stopped):
        with_features(build(job).model, job, stop)


def test_the_epochs_take_the_views_by_turns():
    """
    Epoch e is trained on view e mod their number, and evaluated on the first.
    """
    views = [torch.full((2, 3), float(view)) for view in range(3)]
    source = FeatureSource(views[0], torch.tensor([0, 1]), 2, views[1:])
    seen = [next(source.training([torch.tensor([1])], epoch, 0))[0][0, 0] for epoch in range(5)]

    assert seen == [0, 1, 2, 0, 1]
    assert torch.equal(next(source.evaluation())[0], views[0])


def test_flip_has_the_picture_and_its_mirror_image(job, tmp_path):
    """
    The second view's features are those of a file that is mirrored; evaluation has none of it.
    """
    model = build(job).model
    # Of 28 px, for the crop is then in the very middle of the picture.
    flipped = dataclasses.replace(CHOSEN, augment="flip", image_size=28)
    reading = prepare.reading(flipped, torch.device("cpu"))
    job = dataclasses.replace(job, chosen=flipped, reading=reading)
    both = with_features(model, job).features.values
    mirrored = []
    for path, label in job.data.train:
        mirrored.append(Sample(tmp_path / f"mirrored-{path.name}", label))
        ImageOps.mirror(Image.open(path)).save(mirrored[-1].path)
    data = dataclasses.replace(job.data, train=tuple(mirrored))
    other = with_features(model, dataclasses.replace(job, data=data)).features.values

    assert (both["train"].shape[1], both["valid"].shape[1]) == (2, 1)
    torch.testing.assert_close(both["train"][:, 1], other["train"][:, 0], rtol=0, atol=1e-5)
    assert not torch.allclose(both["train"][:, 0], both["train"][:, 1])


def test_drawn_views_are_those_of_the_picture():
    """
    Whatever was drawn before: as many as asked for, each another, and of another picture others.
    """
    noise = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    views = Views(Preprocessing.for_size(16), "crop", 3)
    first = views(Image.fromarray(noise), b"one")
    torch.manual_seed(99)

    assert first.shape == (3, 16, 16, 3)
    assert np.array_equal(views(Image.fromarray(noise), b"one"), first)
    assert not np.array_equal(views(Image.fromarray(noise), b"other"), first)
    assert not np.array_equal(first[0], first[1])


@pytest.mark.parametrize(
    ("augment", "asked", "views"),
    [
        ("none", None, 1),
        ("none", 5, 1),
        ("flip", None, 2),
        ("flip", 9, 2),
        ("flip", 1, 1),
        ("crop", None, 4),
        ("trivial", 7, 7),
        ("crop", 0, 0),
    ],
)
def test_there_are_as_many_views_as_the_augmentation_is_worth(augment, asked, views):
    """
    Where it has one outcome or two, more would only be the same again.
    """
    assert Hyperparameters(freeze=True, augment=augment, feature_views=asked).views == views
    assert Hyperparameters(freeze=False, augment=augment, feature_views=asked).views == 0


@pytest.fixture(scope="module")
def bodies():
    """A backbone as torch and as OpenVINO have it, by hyperparameter amp and number of views."""
    torch.manual_seed(0)
    model = models.build("shufflenet_v2_x0_5", 5).eval()
    preprocessing, cpu = Preprocessing.for_size(64), torch.device("cpu")

    def engines(amp, views):
        body = backbone.headless(model)
        return backbone.engines(body, preprocessing, amp=amp, views=views, device=cpu)

    return engines


def answers(engine, pixels):
    """Pass the pixels through in three batches."""
    found = {}

    def keep(number):
        return lambda features: found.__setitem__(number, features.copy())

    for number, batch in enumerate(np.array_split(pixels, 3)):
        engine(batch, keep(number))
    engine.finish()
    return np.concatenate([found[number] for number in range(3)])


def test_openvino_computes_the_features_that_torch_computes(bodies):
    """
    Those of evaluation to rounding; those of training to 5 % where the CPU has bfloat16.
    """
    pixels = np.random.default_rng(0).integers(0, 255, (10, 64, 64, 3), dtype=np.uint8)
    by_torch, by_openvino = bodies("off", 1), bodies("auto", 1_000_000)
    wanted = answers(by_torch.evaluation, pixels)

    assert isinstance(by_openvino.evaluation, openvino_model.Stream)
    assert isinstance(by_torch.evaluation, backbone.TorchEngine)
    np.testing.assert_allclose(answers(by_openvino.evaluation, pixels), wanted, atol=1e-4)
    near = answers(by_openvino.training, pixels)
    assert np.linalg.norm(near - wanted) < BF16_TOLERANCE * np.linalg.norm(wanted)
    assert by_openvino.training.precision in ("f32", "bf16", "f16")
    assert bodies("off", 1_000_000).training.precision == "f32"
