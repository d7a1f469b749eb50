"""Any torchvision classifier by name, with our head, and weights that either fit or say why not."""

import pytest
import torch
from torch import nn

from kennel.errors import DataError, HyperparameterError
from kennel.vision import models
from kennel.vision.classifiers import CLASSIFIERS

# One of each family that builds its head in its own way, the smallest of each.
FAMILIES = [
    "alexnet",
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "googlenet",
    "inception_v3",
    "maxvit_t",
    "mnasnet0_5",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "regnet_y_400mf",
    "resnet18",
    "shufflenet_v2_x0_5",
    "squeezenet1_1",
    "swin_t",
    "swin_v2_t",
    "vgg11",
    "vit_b_32",
]
QUICK = ["resnet18", "mobilenet_v2", "squeezenet1_1", "mnasnet0_5", "densenet121", "googlenet"]


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.fixture
def uninitialised():
    """Build without the random numbers, which take nearly all the time."""

    class Skip(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            if getattr(function, "__module__", "") == "torch.nn.init":
                return kwargs["tensor"] if kwargs and "tensor" in kwargs else args[0]
            return function(*args, **(kwargs or {}))

    with Skip():
        yield


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.usefixtures("uninitialised")
def test_the_head_of_every_family_is_found(name):
    """
    The layer that makes the logits has one output for each class, and is the only one that stays
    trainable when the backbone is frozen.
    """
    model = models.build(name, 7)

    models.freeze_backbone(model)

    head = models.head(model)
    outputs = head.out_features if isinstance(head, nn.Linear) else head.out_channels
    trainable = {n for n, p in model.named_parameters() if p.requires_grad}
    assert outputs == 7
    assert trainable == {f"{models.head_name(model)}.{n}" for n, _ in head.named_parameters()}


def test_every_classifier_of_torchvision_is_known():
    """
    The classifiers are all there, for those without torch too, and nothing else of torchvision is.
    """
    known = models.names()

    assert {"resnet18", "resnet50", "mobilenet_v2", *FAMILIES} <= set(known)
    assert tuple(known) == CLASSIFIERS
    assert not [name for name in known if "quantized" in name or "rcnn" in name or "r3d" in name]


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1", "inception_v3", "googlenet"])
@pytest.mark.parametrize("training", [True, False])
def test_logits_are_a_plain_tensor_in_both_modes(name, training):
    """
    The models that have auxiliary logits return the same thing as all the others.
    """
    model = models.build(name, 3, image_size=96).train(training)

    assert model(torch.randn(2, 3, 96, 96)).shape == (2, 3)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("Resnet-18", "resnet18"), ("mobilenetv2", "mobilenet_v2"), ("vit", "vit")],
)
def test_an_unknown_model_names_the_nearest(name, nearest):
    """
    A slip of the pen is told what was probably meant.
    """
    with pytest.raises(HyperparameterError) as caught:
        models.build(name, 2)

    assert nearest in caught.value.remedy


def test_an_image_size_that_a_model_cannot_take_is_named():
    """
    Before training, not in the middle of its first step; and asking leaves no trace.
    """
    model = models.build("alexnet", 2).train()

    with pytest.raises(HyperparameterError, match="cannot take pictures of 32 px"):
        models.require_image_size(model, 32)

    models.require_image_size(model, 64)
    assert model.training


def test_a_vit_is_built_for_its_image_size():
    """
    Position embeddings fit the size that is asked for; an impossible size is an error.
    """
    model = models.build("vit_b_32", 2, image_size=64)

    assert model.eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 2)
    with pytest.raises(HyperparameterError, match="cannot take pictures of 50 px"):
        models.build("vit_b_32", 2, image_size=50)


def test_a_frozen_backbone_does_not_drift():
    """
    In training mode its BatchNorm statistics stay, whatever passes; unfrozen, they move.
    """
    model = models.build("resnet18", 2)
    before = model.bn1.running_mean.clone()

    models.train_mode(model, frozen=True)
    model(torch.randn(2, 3, 32, 32))
    assert torch.equal(model.bn1.running_mean, before)
    assert models.head(model).training

    models.train_mode(model, frozen=False)
    model(torch.randn(2, 3, 32, 32))
    assert not torch.equal(model.bn1.running_mean, before)


@pytest.mark.parametrize("name", QUICK)
def test_pretrained_weights_load_except_the_head(name):
    """
    The backbone is the weights', the head stays as it was, whatever its size in the weights.
    """
    source, target = models.build(name, 1000), models.build(name, 4)
    head = models.head_name(target)
    own_head = models.head(target).weight.clone()

    models.load_pretrained(target, source.state_dict())

    expected = source.state_dict()
    for key, value in target.state_dict().items():
        if not key.startswith(head + "."):
            assert torch.equal(value, expected[key]), key
    assert torch.equal(models.head(target).weight, own_head)


def test_names_of_wrapped_models_and_auxiliary_heads_are_understood():
    """
    Weights saved from DistributedDataParallel or torch.compile, or with auxiliary logits, load.
    """
    source, target = models.build("googlenet", 5), models.build("googlenet", 5)
    wrapped = {f"module.{key}": value for key, value in source.state_dict().items()}
    extra = {"module.aux1.fc1.weight": torch.zeros(1)}

    models.load_pretrained(target, wrapped | extra)

    assert torch.equal(target.conv1.conv.weight, source.conv1.conv.weight)


def test_old_densenet_names_are_understood():
    """
    torchvision's own DenseNet weights still have the names of 2017.
    """
    source, target = models.build("densenet121", 5), models.build("densenet121", 5)
    old = {
        key.replace(".norm1.", ".norm.1.").replace(".conv2.", ".conv.2."): value
        for key, value in source.state_dict().items()
    }
    assert old.keys() != source.state_dict().keys()

    models.load_pretrained(target, old)

    block = "features.denseblock1.denselayer1.norm1.weight"
    assert torch.equal(target.state_dict()[block], source.state_dict()[block])


def test_position_embeddings_are_interpolated_to_another_size():
    """
    A ViT's weights for one size start a ViT for another.
    """
    source = models.build("vit_b_32", 2, image_size=64)
    target = models.build("vit_b_32", 2, image_size=96)

    models.load_pretrained(target, source.state_dict())

    assert target.encoder.pos_embedding.shape[1] == 3 * 3 + 1
    assert torch.equal(target.conv_proj.weight, source.conv_proj.weight)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param(lambda w: w.pop("conv1.weight"), r"1 missing \(conv1.weight\)", id="missing"),
        pytest.param(
            lambda w: w.update(extra=torch.zeros(1)), r"1 unknown \(extra\)", id="unknown"
        ),
        pytest.param(
            lambda w: w.update({"conv1.weight": torch.zeros(2)}),
            r"1 misshapen \(conv1.weight \(2,\) for \(64, 3, 7, 7\)\)",
            id="misshapen",
        ),
        pytest.param(
            lambda w: [w.pop(key) for key in list(w) if key.startswith("layer")],
            r"\d+ missing \(layer1.0.conv1.weight, .*, …\)",
            id="many",
        ),
    ],
)
def test_weights_that_do_not_fit_name_what_does_not(change, says):
    """
    Missing, unknown and misshapen weights are counted, and the first of them named.
    """
    model = models.build("resnet18", 2)
    weights = dict(model.state_dict())
    change(weights)

    with pytest.raises(DataError, match=says):
        models.load_pretrained(model, weights)


@pytest.mark.parametrize(
    "wrap", [lambda w: w, lambda w: {"state_dict": w, "epoch": 3}], ids=["alone", "inside"]
)
def test_weights_are_read_alone_or_inside_a_checkpoint(tmp_path, wrap):
    """
    Either is a file that people have.
    """
    weights = models.build("squeezenet1_1", 2).state_dict()
    torch.save(wrap(weights), tmp_path / "weights.pth")

    assert models.read_state_dict(tmp_path / "weights.pth").keys() == weights.keys()


class Evil:
    def __reduce__(self):
        return print, ("unpickled!",)


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda path: path.parent, id="missing"),
        pytest.param(lambda path: path.write_bytes(b"no weights"), id="garbage"),
        pytest.param(lambda path: torch.save([1, 2], path), id="no-dictionary"),
        pytest.param(lambda path: torch.save({"epoch": 3}, path), id="no-weights"),
        pytest.param(lambda path: torch.save({"w": Evil()}, path), id="code"),
    ],
)
def test_what_is_no_state_dict_is_a_data_error(tmp_path, write, capfd):
    """
    And code inside a file of weights is never run.
    """
    write(tmp_path / "weights.pth")

    with pytest.raises(DataError, match=r"weights\.pth"):
        models.read_state_dict(tmp_path / "weights.pth")
    assert "unpickled" not in capfd.readouterr().out


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        pytest.param(
            lambda path: path.write_bytes(b"# my weights"), "Unsupported operand 35", id="a-text"
        ),
        pytest.param(
            lambda path: torch.save({"w": Evil()}, path), "Unsupported global", id="a-function"
        ),
        pytest.param(lambda path: path.write_bytes(b""), "EOFError", id="empty"),
    ],
)
def test_nobody_is_advised_to_trust_a_file_of_weights(tmp_path, write, reason):
    """
    Torch's own message says what it found, and then how to run whatever code the file brings.
    """
    write(tmp_path / "weights.pth")

    with pytest.raises(DataError, match=reason) as caught:
        models.read_state_dict(tmp_path / "weights.pth")

    assert not [word for word in ("weights_only", "safe_globals") if word in str(caught.value)]


def test_imagenet_weights_come_from_the_cache_or_say_where_to_put_them(tmp_path, monkeypatch):
    """
    A wrong file in TORCH_HOME is found out; so nothing needs the network here.
    """
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nobody listens

    with pytest.raises(DataError, match="cannot get the ImageNet weights of resnet18 from https"):
        models.imagenet_state_dict("resnet18")
