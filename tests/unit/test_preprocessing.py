"""One preprocessing for training, evaluation and serving; augmentation only where training asks."""

import io
import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torchvision import transforms

from kennel.errors import ArtifactError, HyperparameterError
from kennel.vision.augmentation import AUGMENTATIONS, augmentation
from kennel.vision.preprocessing import Preprocessing

ONE_LEVEL = 1.01 / 255 / min(Preprocessing.for_size(224).std)


@pytest.fixture(scope="module")
def photographs():
    return [Image.fromarray(pixels) for pixels in load_sample_images().images]


@pytest.mark.parametrize("size", [32, 96, 224, 299])
@pytest.mark.parametrize("turn", [False, True], ids=["landscape", "portrait"])
def test_it_is_torchvisions_evaluation_transform(photographs, size, turn):
    """
    Pretrained weights see what they were trained with, to one level in 255.
    """
    ours = Preprocessing.for_size(size)
    theirs = transforms.Compose(
        [
            transforms.Resize(ours.resize_px),
            transforms.CenterCrop(ours.crop_px),
            transforms.ToTensor(),
            transforms.Normalize(ours.mean, ours.std),
        ]
    )
    for photograph in photographs:
        image = photograph.transpose(Image.Transpose.ROTATE_90) if turn else photograph

        difference = np.abs(ours(image) - theirs(image).numpy())

        assert difference.max() <= ONE_LEVEL
        assert difference.mean() < ONE_LEVEL / 5


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (500, 3), (7, 9), (64, 64)])
def test_any_size_of_picture_gives_the_same_shape(size):
    """
    Tiny and long pictures are stretched to the crop like any other.
    """
    array = Preprocessing.for_size(64)(Image.new("RGB", size, "white"))

    assert array.shape == (3, 64, 64)
    assert array.dtype == np.float32
    assert array.flags.c_contiguous


def test_every_level_is_normalised_as_torchvision_does():
    """
    Bit for bit: what torch trained with, NumPy serves with.
    """
    ours = Preprocessing.for_size(16)
    levels = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    theirs = transforms.Compose([transforms.ToTensor(), transforms.Normalize(ours.mean, ours.std)])

    assert np.array_equal(ours.normalise(Image.fromarray(levels)), theirs(levels).numpy())


def test_white_is_normalised_by_mean_and_std():
    """
    A pixel of 255 becomes (1 - mean) / std.
    """
    ours = Preprocessing(resize_px=8, crop_px=8, mean=(0.5, 0.25, 0.0), std=(0.5, 0.25, 2.0))

    pixel = ours(Image.new("RGB", (8, 8), "white"))[:, 0, 0]

    assert pixel.tolist() == pytest.approx([1.0, 3.0, 0.5])


def test_reading_shrinks_nothing_below_what_is_needed(photographs):
    """
    A photograph read smaller gives nearly the same array as one read whole.
    """
    ours = Preprocessing.for_size(32)
    file = io.BytesIO()
    photographs[0].save(file, "JPEG", quality=95)

    read = ours.read(file.getvalue())

    assert min(read.size) >= 2 * ours.resize_px
    assert read.size < photographs[0].size
    assert np.abs(ours(read) - ours(photographs[0])).mean() < 0.05


def test_it_survives_a_document():
    """
    What the artifact stores is what is read back.
    """
    ours = Preprocessing(resize_px=70, crop_px=64, mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 3.0))

    assert Preprocessing.from_dict(ours.to_dict()) == ours


@pytest.mark.parametrize(
    "change",
    [
        {"resize_px": None},
        {"crop_px": "big"},
        {"crop_px": 500},
        {"mean": [0, 0]},
        {"std": [0, 0, 0]},
    ],
)
def test_a_wrong_document_is_an_artifact_error(change):
    """
    Missing, malformed and impossible members are named.
    """
    document = Preprocessing.for_size(224).to_dict() | change

    with pytest.raises(ArtifactError, match="cannot read the preprocessing"):
        Preprocessing.from_dict(document)


@pytest.mark.parametrize(("resize", "crop"), [(10, 11), (10, 0), (0, 0)])
def test_an_impossible_crop_is_refused(resize, crop):
    """
    The crop lies inside of the resized picture.
    """
    with pytest.raises(HyperparameterError, match="cannot crop"):
        Preprocessing(resize_px=resize, crop_px=crop)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_every_augmentation_gives_the_shape_and_follows_the_seed(photographs, name):
    """
    Shape and range are the preprocessing's, the seed decides, and workers can be sent it.
    """
    sent = pickle.dumps(augmentation(name, Preprocessing.for_size(48)))
    transform = pickle.loads(sent)  # noqa: S301 - our own bytes

    torch.manual_seed(3)
    first = [transform(photographs[0]) for _ in range(8)]
    torch.manual_seed(3)
    second = [transform(photographs[0]) for _ in range(8)]

    assert all(array.shape == (3, 48, 48) for array in first)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert all(np.array_equal(first[0], array) for array in first) == (name == "none")


def test_no_augmentation_is_the_evaluation():
    """
    Training without augmentation sees what evaluation and serving see.
    """
    ours = Preprocessing.for_size(48)

    assert augmentation("none", ours) is ours


def test_flip_mirrors_half_of_the_pictures(photographs):
    """
    Each picture is either as evaluation has it, or its mirror image.
    """
    ours = Preprocessing.for_size(48)
    plain = ours(photographs[0])
    torch.manual_seed(0)

    seen = [augmentation("flip", ours)(photographs[0]) for _ in range(40)]

    same = sum(np.array_equal(array, plain) for array in seen)
    mirrored = sum(np.array_equal(array, plain[:, :, ::-1]) for array in seen)
    assert same + mirrored == 40
    assert 10 < same < 30


def test_an_unknown_augmentation_names_the_known():
    """
    The error lists what there is.
    """
    with pytest.raises(HyperparameterError, match=r"no augmentation 'mixup'"):
        augmentation("mixup", Preprocessing.for_size(48))
