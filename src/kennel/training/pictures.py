"""
A split as batches of pictures from disk.

The workers of torch's DataLoader read and augment; every picture is augmented by a seed of its own,
so their number changes speed and nothing else. Features in memory are in features.py.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from kennel.datasets.folders import Sample
from kennel.errors import DataError, ImageError
from kennel.profiling.timeline import COPY
from kennel.training import draws
from kennel.training.observer import OFF, Observer
from kennel.vision.preprocessing import Preprocessing, Transform

Draw = tuple[int, int]  # index of the picture, seed of its augmentation
Batch = tuple[Tensor, Tensor]

PREFETCH = 2  # batches that each worker has ready, torch's default
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where workers leave their batches, no file of ours


@dataclass(frozen=True)
class Unreadable:
    """A picture that was readable when the run began; an error would lose its words on the way."""

    reason: str


class Pictures(Dataset[tuple[Tensor, int] | Unreadable]):
    """What a worker process needs: the samples, and how to read one."""

    def __init__(
        self, samples: Sequence[Sample], preprocessing: Preprocessing, transform: Transform
    ) -> None:
        self.samples = samples
        self.preprocessing = preprocessing
        self.transform = transform

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self.samples)

    def __getitem__(self, draw: Draw) -> tuple[Tensor, int] | Unreadable:
        """Read one picture: float32 (3, H, W) and its label."""
        index, seed = draw
        path, label = self.samples[index]
        try:
            image = self.preprocessing.read(path)
        except ImageError as error:
            return Unreadable(f"{path} {error}")
        torch.manual_seed(seed)
        return torch.from_numpy(self.transform(image)), label


class _Plan:
    """The batch sampler: the batches that the next iteration is to yield."""

    def __init__(self) -> None:
        self.batches: list[list[Draw]] = []

    def __iter__(self) -> Iterator[list[Draw]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


@dataclass(frozen=True)
class Reading:
    """How pictures are read, the same for every split."""

    preprocessing: Preprocessing  # of evaluation and serving
    transform: Transform  # of training: the augmentation
    batch_size: int  # of evaluation; training names its batches itself
    seed: int  # of the augmentation
    workers: int  # processes that read; 0: this one does
    device: torch.device  # where batches go


class PictureSource:
    """A split, read from disk: readable pictures with their labels."""

    def __init__(
        self, samples: Sequence[Sample], reading: Reading, observer: Observer = OFF
    ) -> None:
        self._samples, self._reading, self._observer = samples, reading, observer
        self._loaders: dict[int, tuple[_Plan, DataLoader[tuple[Tensor, int] | Unreadable]]] = {}

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self._samples)

    def training(self, batches: Sequence[Tensor], epoch: int, first_step: int) -> Iterator[Batch]:
        """Yield augmented batches with these indices, the first being that of *first_step*."""
        draws_ = [
            [
                (int(index), draws.seed_of(self._reading.seed, epoch, step, int(index)))
                for index in batch
            ]
            for step, batch in enumerate(batches, first_step)
        ]
        return self._read(self._reading.transform, draws_)

    def evaluation(self, rank: int = 0, size: int = 1) -> Iterator[Batch]:
        """Yield every *size*-th picture from *rank* on, in order, as serving would see it."""
        own = [(index, 0) for index in range(rank, len(self), size)]
        batch_size = self._reading.batch_size
        batches = [own[start : start + batch_size] for start in range(0, len(own), batch_size)]
        return self._read(self._reading.preprocessing, batches)

    def _read(self, transform: Transform, batches: list[list[Draw]]) -> Iterator[Batch]:
        plan, loader = self._loader(transform)
        plan.batches = batches
        device = self._reading.device
        for batch in loader:
            if isinstance(batch, Unreadable):
                raise DataError(batch.reason)
            images, labels = batch
            with self._observer.phase(COPY):
                images = images.to(device, non_blocking=True, memory_format=torch.channels_last)
                labels = labels.to(device, non_blocking=True)
            yield images, labels

    def _loader(
        self, transform: Transform
    ) -> tuple[_Plan, DataLoader[tuple[Tensor, int] | Unreadable]]:
        """Return a loader whose workers live as long as the source: starting them takes time."""
        if id(transform) not in self._loaders:
            plan, workers = _Plan(), self._reading.workers
            loader = DataLoader(
                Pictures(self._samples, self._reading.preprocessing, transform),
                batch_sampler=plan,
                collate_fn=_collate,
                num_workers=workers,
                persistent_workers=workers > 0,
                pin_memory=self._reading.device.type == "cuda",
                worker_init_fn=on_start if workers else None,
            )
            self._loaders[id(transform)] = (plan, loader)
        return self._loaders[id(transform)]


def _collate(items: list[tuple[Tensor, int] | Unreadable]) -> Batch | Unreadable:
    """Make a batch, unless a picture could not be read."""
    bad = next((item for item in items if isinstance(item, Unreadable)), None)
    return bad or default_collate(items)


def choose_workers(
    wanted: int | None, *, on_gpu: bool, cores: int, batch_bytes: int, shared_bytes: int
) -> int:
    """
    Return how many processes are to read pictures.

    Args:
        wanted: The hyperparameter, or None for a choice of ours.
        on_gpu: Whether the model leaves the cores to the workers.
        cores: Of this machine, as many as we may use.
        batch_bytes: Size of a batch.
        shared_bytes: Free shared memory; a container has 64 MiB unless it was asked for more, and
            a worker that finds it full dies of a bus error.
    """
    if wanted is not None:
        return wanted
    useful = cores if on_gpu else cores // 2
    fitting = shared_bytes // 2 // (batch_bytes * (PREFETCH + 1))
    return min(useful, fitting, 16)


def free_shared_memory() -> int:
    """Return the bytes that workers may fill with batches."""
    return shutil.disk_usage(SHARED_MEMORY).free if SHARED_MEMORY.is_dir() else 0


def on_start(_worker: int) -> None:
    """
    Take a worker out of the process group of the run.

    A SIGTERM to the whole group would end it in the middle of a step, before the run could save.
    It lives until it is told to end, or until its parent is no more: torch's workers look.
    """
    os.setpgid(0, 0)
