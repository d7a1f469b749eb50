"""
What a profiled run is made of, for the rules to say what to change: run.json's members.

The machine is sampling.py's to describe; how the run went is added in profiling.py.
"""

import statistics
import time
from collections.abc import Sequence
from dataclasses import replace

import torch
from PIL import Image

from kennel.datasets.folders import Sample
from kennel.profiling.run import Run
from kennel.training import pictures
from kennel.training.group import Group
from kennel.training.pictures import Reading
from kennel.training.prepare import Job

TRIED = 8  # pictures that are read to know how long it takes
TRIED_S = 0.2  # at most, for all of them


def described(run: Run, job: Job, group: Group) -> Run:
    """
    Return *run* with what is trained, on what and how.

    Raises:
        KennelError: A picture cannot be read any more.
    """
    chosen, reading, counts = job.chosen, job.reading, job.data.counts()
    tried = None if job.features else _tried(job.data.train, reading)
    width, height, read_s = tried or (None, None, None)
    return replace(
        run,
        model=chosen.model,
        device=reading.device.type,
        shared_bytes=pictures.free_shared_memory(),
        processes=group.size,
        hosts=-(-group.size // group.local_size),
        threads=torch.get_num_threads(),
        workers=reading.workers,
        batch_size=chosen.batch_size,
        image_size=chosen.image_size,
        picture_width=width,
        picture_height=height,
        read_s=read_s,
        train=counts["train"],
        valid=counts["valid"],
        test=counts["test"],
        epochs=chosen.epochs,
        freeze=chosen.freeze,
        features=job.features is not None,
        augment=chosen.augment,
        precision=str(job.dtype or torch.float32).removeprefix("torch."),
        torch=torch.__version__,
    )


def _tried(samples: Sequence[Sample], reading: Reading) -> tuple[int, int, float] | None:
    """Read a few pictures: median width and height, and the median of the seconds it took."""
    every = max(1, len(samples) // TRIED)
    sizes, seconds = [], []
    state = torch.get_rng_state()  # augmentation draws, and what is drawn later stays the same
    for path, _ in samples[::every][:TRIED]:
        began = time.perf_counter()
        reading.transform(reading.preprocessing.read(path))
        seconds.append(time.perf_counter() - began)
        with Image.open(path) as picture:
            sizes.append(picture.size)
        if sum(seconds) > TRIED_S:
            break
    torch.set_rng_state(state)
    if not sizes:
        return None
    width, height = (int(statistics.median(side)) for side in zip(*sizes, strict=True))
    return width, height, statistics.median(seconds)
