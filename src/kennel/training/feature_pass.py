"""
One pass over the pictures: each is read once, verified, digested, and seen by the backbone.

Worker processes read, while this one computes. What computes is backbone.py's; where the features
are kept afterwards, feature_cache.py's.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from kennel.datasets.folders import Sample
from kennel.datasets.verify import BadFile
from kennel.errors import ImageError
from kennel.training import pictures
from kennel.training.backbone import Engine, Engines
from kennel.training.feature_views import Pixels, Views
from kennel.training.group import Group
from kennel.training.log import say
from kennel.training.stopping import Stop

BATCH = 32  # views that a worker hands over together
SAY_EVERY_S = 20.0


@dataclass(frozen=True)
class Task:
    """A split, and what is to be seen of it."""

    split: str
    samples: Sequence[Sample]
    views: Views


@dataclass(frozen=True)
class Looks:
    """What a worker found in a batch of pictures."""

    digests: list[bytes]  # of the bytes of each; empty if they cannot be read
    reasons: list[str | None]  # why it is no picture; None if it is
    pixels: Tensor  # (views of those that are pictures, H, W, 3) uint8


@dataclass
class Made:
    """What a pass came to."""

    values: dict[str, Tensor] = field(default_factory=dict)  # split → (N, views, D); bad ones 0
    bad: list[BadFile] = field(default_factory=list)  # in the order of the tasks
    digests: dict[Path, bytes] = field(default_factory=dict)


def compute(  # noqa: PLR0913, PLR0917 - what it takes to read, to compute and to end
    tasks: Sequence[Task],
    engines: Engines,
    width: int,
    workers: int,
    tolerate: Callable[[Sequence[BadFile]], None],
    stop: Stop,
    group: Group,
) -> Made:
    """
    Pass the pictures through the backbone: each rank its share, and all have all features.

    Args:
        tasks: The first one's pictures are trained on.
        engines: Of the backbone.
        width: D, of the features.
        workers: Processes that read; 0: this one does.
        tolerate: Given all bad files so far; raises where they are too many.
        stop: Looked at after every batch.
        group: Of this run.

    Raises:
        DataError: What *tolerate* raises.
        Stopped: A stop was asked for.
    """
    own = [Task(t.split, t.samples[group.rank :: group.size], t.views) for t in tasks]
    rows = {t.split: np.zeros((len(t.samples), t.views.count, width), np.float32) for t in own}
    made = Made()
    with group.together():
        for task, first, looks in _progress(_read(own, workers), own):
            stop.check()
            engine = engines.training if task is own[0] else engines.evaluation
            good = _note(made, task, first, looks)
            tolerate(made.bad)
            _begin(engine, looks.pixels.numpy(), rows[task.split], good)
        engines.training.finish()
        engines.evaluation.finish()
    return _joined(made, tasks, rows, group)


def digest(path: Path) -> bytes:
    """Return the digest of a file's bytes, nothing of one that cannot be read."""
    try:
        return _digest(path.read_bytes())
    except OSError:
        return b""


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


class _Pictures(Dataset[tuple[bytes, str | None, NDArray[np.uint8] | None]]):
    """What a worker process needs: the pictures of all tasks, by task and place."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._tasks = tasks

    def __getitem__(
        self, place: tuple[int, int]
    ) -> tuple[bytes, str | None, NDArray[np.uint8] | None]:
        """Read one picture: the digest of its bytes, and why it is none or its views."""
        task = self._tasks[place[0]]
        try:
            data = task.samples[place[1]].path.read_bytes()
        except OSError as error:
            return b"", f"cannot be read: {error.strerror}", None
        found = _digest(data)
        try:
            image = task.views.preprocessing.read(data)
        except ImageError as error:
            return found, error.problem, None
        return found, None, task.views(image, found)


def _collate(items: list[tuple[bytes, str | None, NDArray[np.uint8] | None]]) -> Looks:
    digests, reasons, views = zip(*items, strict=True)
    seen = [view for view in views if view is not None]
    pixels = torch.from_numpy(np.concatenate(seen)) if seen else torch.empty(0, dtype=torch.uint8)
    return Looks(list(digests), list(reasons), pixels)


def _read(tasks: Sequence[Task], workers: int) -> Iterator[tuple[Task, int, Looks]]:
    """Yield batch by batch: its task, the place of its first picture, and what was found."""
    batches = [
        (number, first, min(first + step, len(task.samples)))
        for number, task in enumerate(tasks)
        for step in [max(1, BATCH // task.views.count)]
        for first in range(0, len(task.samples), step)
    ]
    loader = DataLoader(
        _Pictures(tasks),
        batch_sampler=[[(number, at) for at in range(a, b)] for number, a, b in batches],
        collate_fn=_collate,
        num_workers=workers,
        worker_init_fn=pictures.on_start if workers else None,
    )
    for (number, first, _), looks in zip(batches, loader, strict=True):
        yield tasks[number], first, looks


def _progress(
    batches: Iterator[tuple[Task, int, Looks]], tasks: Sequence[Task]
) -> Iterator[tuple[Task, int, Looks]]:
    """Say now and then how far it is."""
    count, done, said = sum(len(task.samples) for task in tasks), 0, time.monotonic()
    for task, first, looks in batches:
        done += len(looks.reasons)
        if time.monotonic() - said > SAY_EVERY_S:
            said = time.monotonic()
            say(f"features: {done} of {count} pictures")
        yield task, first, looks


def _note(made: Made, task: Task, first: int, looks: Looks) -> NDArray[np.int64]:
    """Take note of digests and bad files, and return the places of the good ones."""
    paths = [sample.path for sample in task.samples[first : first + len(looks.reasons)]]
    made.digests.update(zip(paths, looks.digests, strict=True))
    good = []
    for place, (path, reason) in enumerate(zip(paths, looks.reasons, strict=True), first):
        if reason is None:
            good.append(place)
        else:
            made.bad.append(BadFile(path, reason))
    return np.array(good, np.int64)


def _begin(
    engine: Engine, pixels: Pixels, rows: NDArray[np.float32], good: NDArray[np.int64]
) -> None:
    """Give the views of the *good* pictures to the engine, as many at a time as suit it."""
    count = rows.shape[1]
    step = max(1, engine.batch // count)
    for first in range(0, len(good), step):
        part = pixels[first * count : (first + step) * count]
        engine(part, partial(_store, rows, good[first : first + step]))


def _store(rows: NDArray[np.float32], good: NDArray[np.int64], made: NDArray[np.float32]) -> None:
    rows[good] = made.reshape(len(good), *rows.shape[1:])


def _joined(
    own: Made, tasks: Sequence[Task], rows: Mapping[str, NDArray[np.float32]], group: Group
) -> Made:
    """Return what all ranks made."""
    if group.size == 1:
        return Made(
            {split: torch.from_numpy(part) for split, part in rows.items()}, own.bad, own.digests
        )
    paths = [sample.path for task in tasks for sample in task.samples]
    number = {path: place for place, path in enumerate(paths)}
    bad = group.gather([(number[path], reason) for path, reason in own.bad])
    digests = group.gather([(number[path], found.hex()) for path, found in own.digests.items()])
    return Made(
        {t.split: group.interleave(torch.from_numpy(rows[t.split]), len(t.samples)) for t in tasks},
        [
            BadFile(paths[at], reason)
            for at, reason in sorted(pair for part in bad for pair in part)
        ],
        {paths[at]: bytes.fromhex(text) for part in digests for at, text in part},
    )
