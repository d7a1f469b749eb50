"""Pictures in batches: the same whoever reads them."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from kennel.datasets.folders import Sample
from kennel.errors import DataError
from kennel.training.pictures import PictureSource, Reading, choose_workers
from kennel.vision.augmentation import augmentation
from kennel.vision.preprocessing import Preprocessing

PREPROCESSING = Preprocessing.for_size(16)
READING = Reading(
    preprocessing=PREPROCESSING,
    transform=augmentation("trivial", PREPROCESSING),
    batch_size=4,
    seed=1,
    workers=0,
    device=torch.device("cpu"),
)
BATCHES = [torch.tensor([5, 1]), torch.tensor([0, 2, 4])]


@pytest.fixture
def samples(tmp_path):
    """Six noisy pictures, each with the label of its place."""
    generator = torch.Generator().manual_seed(0)
    found = []
    for label in range(6):
        pixels = torch.randint(0, 256, (20, 30, 3), dtype=torch.uint8, generator=generator)
        path = tmp_path / f"{label}.png"
        Image.fromarray(pixels.numpy()).save(path)
        found.append(Sample(path, label))
    return found


def images(batches):
    return torch.cat([images for images, _ in batches])


def test_training_reads_the_batches_it_is_told(samples):
    """
    In that order, with their labels, in the shape that models take.
    """
    batches = list(PictureSource(samples, READING).training(BATCHES, 0, 0))

    assert [labels.tolist() for _, labels in batches] == [[5, 1], [0, 2, 4]]
    assert [tuple(images.shape) for images, _ in batches] == [(2, 3, 16, 16), (3, 3, 16, 16)]


@pytest.mark.parametrize("workers", [1, 2])
def test_the_number_of_workers_changes_nothing(samples, workers):
    """
    Augmentation is drawn for each picture, wherever it is read, in every epoch.
    """
    alone = PictureSource(samples, READING)
    shared = PictureSource(samples, dataclasses.replace(READING, workers=workers))

    for epoch in (0, 1):
        expected = images(alone.training(BATCHES, epoch, 0))
        assert torch.equal(images(shared.training(BATCHES, epoch, 0)), expected)


def test_augmentation_depends_on_seed_epoch_and_step_alone(samples):
    """
    The second step of an epoch is the same whether the run began there or before.
    """
    source = PictureSource(samples, READING)
    whole = images(source.training(BATCHES, 3, 0))
    torch.manual_seed(77)

    assert torch.equal(images(source.training(BATCHES[1:], 3, 1)), whole[2:])
    assert not torch.equal(images(source.training(BATCHES, 4, 0)), whole)
    other = PictureSource(samples, dataclasses.replace(READING, seed=2))
    assert not torch.equal(images(other.training(BATCHES, 3, 0)), whole)


def test_evaluation_sees_what_serving_sees(samples):
    """
    Every picture once, in order, through the artifact's preprocessing and nothing else.
    """
    source = PictureSource(samples, READING)
    pictures = [PREPROCESSING(PREPROCESSING.read(path)) for path, _ in samples]
    expected = torch.from_numpy(np.stack(pictures))

    assert torch.equal(images(source.evaluation()), expected)
    assert torch.cat([labels for _, labels in source.evaluation()]).tolist() == list(range(6))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_picture_that_went_bad_meanwhile_is_named(samples, workers):
    """
    It was verified when the run began; that it is gone is an error that begins with its path.
    """
    samples[2].path.unlink()
    reading = dataclasses.replace(READING, workers=workers)

    with pytest.raises(DataError) as error:
        list(PictureSource(samples, reading).evaluation())
    assert str(error.value).startswith(f"{samples[2].path} cannot be read")


@pytest.mark.parametrize(
    ("arguments", "workers"),
    [
        pytest.param({"wanted": 7}, 7, id="asked-for"),
        pytest.param({"wanted": 0}, 0, id="none-asked-for"),
        pytest.param({}, 4, id="half-of-the-cores"),
        pytest.param({"on_gpu": True}, 8, id="all-beside-a-gpu"),
        pytest.param({"on_gpu": True, "cores": 96}, 16, id="not-without-end"),
        pytest.param({"cores": 1}, 0, id="a-single-core"),
        pytest.param({"shared_bytes": 64 * 2**20}, 1, id="a-containers-shared-memory"),
        pytest.param({"shared_bytes": 0}, 0, id="no-shared-memory"),
    ],
)
def test_workers_fit_the_machine(arguments, workers):
    """
    As many as are useful and as shared memory has room for, unless the job says how many.
    """
    machine = {
        "wanted": None,
        "on_gpu": False,
        "cores": 8,
        "batch_bytes": 10 * 2**20,
        "shared_bytes": 2**34,
    }

    assert choose_workers(**machine | arguments) == workers
