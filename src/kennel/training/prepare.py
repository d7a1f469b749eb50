"""
From hyperparameters and data to what the loop takes: model, optimizer, sources, recipe.

Nothing is trained and nothing written here.
"""

import hashlib
import math
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from kennel.contract import ContainerPaths
from kennel.profiling.timeline import INITIALISATION, READING
from kennel.training import channels, pictures, precision, schedule, weights
from kennel.training.channels import Data
from kennel.training.checkpoint import Identity
from kennel.training.features import Features
from kennel.training.group import ALONE, Group
from kennel.training.hyperparameters import Hyperparameters
from kennel.training.log import say
from kennel.training.loop import Recipe, Source, Stage, State
from kennel.training.material import Reader
from kennel.training.metrics import Totals
from kennel.training.observer import OFF, Observer
from kennel.training.pictures import PictureSource, Reading
from kennel.training.stopping import Stop
from kennel.vision import models
from kennel.vision.augmentation import augmentation
from kennel.vision.preprocessing import Preprocessing


@dataclass(frozen=True)
class Job:
    """What was asked for, and on what."""

    chosen: Hyperparameters
    data: Data
    reading: Reading
    dtype: torch.dtype | None  # of autocast
    features: Features | None = None  # of its pictures, where they are all that is trained on


def seed_everything(seed: int) -> None:
    """Seed whatever draws without being told a seed, such as a model's initialisation."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the global generator is what libraries use
    torch.manual_seed(seed)


def begin(
    paths: ContainerPaths,
    chosen: Hyperparameters,
    stop: Stop,
    group: Group = ALONE,
    watch: Observer = OFF,
) -> tuple[nn.Module, Job]:
    """
    Build the model, on its device, and read what it is trained on.

    Raises:
        HyperparameterError: No such model, or not for pictures of this size or on this machine.
        DataError: The pictures or the weights are not usable.
        Stopped: A stop was asked for.
    """
    device = precision.choose_device()
    dtype = precision.choose_dtype(chosen.amp, device)
    with watch.phase(READING):
        scans = channels.find(paths, group)
    with watch.phase(INITIALISATION):
        seed_everything(chosen.seed)
        built = model(paths, chosen, scans["train"].class_names).to(device)
        how = reading(chosen, device, group)
    with watch.phase(READING):
        found = Reader(paths, chosen, built, how, stop, group, watch).read(scans)
    return built, Job(chosen, found.data, how, dtype, found.features)


def with_features(
    paths: ContainerPaths, model: nn.Module, job: Job, stop: Stop, group: Group = ALONE
) -> Job:
    """
    Return *job* with the features of its pictures, where its head needs no more.

    Raises:
        DataError: A picture has gone bad since it was read.
        Stopped: A stop was asked for.
    """
    reader = Reader(paths, job.chosen, model, job.reading, stop, group)
    return replace(job, features=reader.features(job.data))


def model(paths: ContainerPaths, chosen: Hyperparameters, class_names: Sequence[str]) -> nn.Module:
    """
    Build the model with its starting weights, on the CPU, in channels_last.

    Raises:
        HyperparameterError: No such model, or not for pictures of this size.
        DataError: The weights cannot be had, or do not fit.
    """
    origin = weights.source(paths, chosen.weights)
    built = models.build(chosen.model, len(class_names), image_size=chosen.image_size)
    models.require_image_size(built, chosen.image_size)
    say(f"model={chosen.model} starts from {weights.described(origin)}")
    weights.load(built, chosen.model, origin)
    if chosen.freeze:
        models.freeze_backbone(built)
    built.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # its stub lacks it
    return built


def state(model: nn.Module, job: Job) -> State:
    """Return the state of a run that has not begun."""
    chosen, device = job.chosen, job.reading.device
    model.to(device)
    optimizer = schedule.optimizer(
        chosen.optimizer,
        model.parameters(),
        lr=chosen.lr,
        momentum=chosen.momentum,
        decay=chosen.weight_decay,
    )
    return State(model, optimizer, precision.scaler(device, job.dtype), Totals(device))


def reading(chosen: Hyperparameters, device: torch.device, group: Group = ALONE) -> Reading:
    """Decide how pictures are read by each of the group."""
    preprocessing = Preprocessing.for_size(chosen.image_size)
    batch_size = math.ceil(chosen.batch_size / group.size)
    workers = pictures.choose_workers(
        chosen.workers,
        on_gpu=device.type == "cuda",
        cores=len(os.sched_getaffinity(0)) // group.local_size,
        batch_bytes=4 * 3 * chosen.image_size**2 * batch_size,
        shared_bytes=pictures.free_shared_memory() // group.local_size,
    )
    return Reading(
        preprocessing=preprocessing,
        transform=augmentation(chosen.augment, preprocessing),
        batch_size=batch_size,
        seed=chosen.seed,
        workers=workers,
        device=device,
    )


def recipe(job: Job) -> Recipe:
    """Return what the loop needs to know."""
    chosen = job.chosen
    return Recipe(
        epochs=chosen.epochs,
        batch_size=chosen.batch_size,
        lr=chosen.lr,
        scheduler=chosen.scheduler,
        seed=chosen.seed,
        patience=chosen.early_stopping_patience,
        dtype=job.dtype,
    )


def stage(model: nn.Module, job: Job, group: Group = ALONE, watch: Observer = OFF) -> Stage:
    """Decide what is trained: the model on pictures, or its head on features."""
    chosen, loss = job.chosen, criterion(job)
    if job.features:
        train = job.features.source("train", chosen.batch_size, chosen.views)
        valid = job.features.source("valid", chosen.batch_size)
        head = models.head(model.eval())
        in_step = group.in_step(head)
        return Stage(head, in_step.train, loss, train, valid, in_step, group, watch)
    in_step = group.in_step(model)

    def enter_training() -> None:
        models.train_mode(in_step, frozen=chosen.freeze)

    read, seen = (
        PictureSource(part, job.reading, watch) for part in (job.data.train, job.data.valid)
    )
    return Stage(model, enter_training, loss, read, seen, in_step, group, watch)


def measured(model: nn.Module, job: Job) -> tuple[nn.Module, Source]:
    """Return what is measured at the end, and on what: the test split, or without one valid."""
    if job.features:
        split = "test" if job.data.test else "valid"
        return models.head(model.eval()), job.features.source(split, job.chosen.batch_size)
    return model, PictureSource(job.data.test or job.data.valid, job.reading)


def criterion(job: Job) -> nn.CrossEntropyLoss:
    """Return the loss that the steps make smaller, on the job's device."""
    chosen = job.chosen
    weights = class_weights(chosen.class_weights, job.data)
    return nn.CrossEntropyLoss(weight=weights, label_smoothing=chosen.label_smoothing).to(
        job.reading.device
    )


def class_weights(name: str, data: Data) -> Tensor | None:
    """Return a weight for each class so that all weigh the same together, or None."""
    if name == "none":
        return None
    labels = torch.tensor([sample.label for sample in data.train])
    counts = torch.bincount(labels, minlength=len(data.class_names)).float()
    return len(labels) / (len(counts) * counts)


def identity(paths: ContainerPaths, job: Job, model: nn.Module) -> Identity:
    """Return what a checkpoint of this run, which starts from *model*, is known by."""
    digest = hashlib.sha256()
    for path, label in job.data.train:
        place = path.relative_to(paths.data) if path.is_relative_to(paths.data) else path
        digest.update(f"{label} {place}\n".encode(errors="surrogateescape"))
    return Identity(job.chosen, job.data.class_names, digest.hexdigest(), weights.fixed(model))
