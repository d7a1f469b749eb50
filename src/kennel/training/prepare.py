"""
From hyperparameters and data to what the loop takes: model, optimizer, sources, recipe.

Nothing is trained and nothing written here.
"""

import hashlib
import math
import os
import random
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from kennel.contract import ContainerPaths
from kennel.training import features, loop, pictures, precision, schedule, weights
from kennel.training.channels import Data
from kennel.training.checkpoint import Identity
from kennel.training.group import ALONE, Group
from kennel.training.hyperparameters import Hyperparameters
from kennel.training.log import say
from kennel.training.loop import Recipe, Source, Stage, State
from kennel.training.metrics import Totals
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


def seed_everything(seed: int) -> None:
    """Seed whatever draws without being told a seed, such as a model's initialisation."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the global generator is what libraries use
    torch.manual_seed(seed)


def model(paths: ContainerPaths, job: Job) -> nn.Module:
    """
    Build the model with its starting weights, on the CPU, in channels_last.

    Raises:
        HyperparameterError: No such model, or not for pictures of this size.
        DataError: The weights cannot be had, or do not fit.
    """
    chosen = job.chosen
    origin = weights.source(paths, chosen.weights)
    built = models.build(chosen.model, len(job.data.class_names), image_size=chosen.image_size)
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


def stage(model: nn.Module, job: Job, stop: Stop, group: Group = ALONE) -> Stage:
    """
    Decide what is trained: the model on pictures, or its head on features.

    Raises:
        Stopped: A stop was asked for while features were computed.
    """
    chosen, device = job.chosen, job.reading.device
    train: Source = PictureSource(job.data.train, job.reading)
    valid: Source = PictureSource(job.data.valid, job.reading)
    loss = criterion(job)
    if chosen.freeze and chosen.augment == "none":
        backbone = features.Backbone(model.eval())
        noise = torch.randn(2, 3, chosen.image_size, chosen.image_size, device=device)
        if features.ends_in_its_head(model, backbone, noise):
            say(f"backbone: frozen, so {len(train) + len(valid)} pictures pass through it once")
            train = backbone.features(train, chosen.batch_size, stop, group)
            valid = backbone.features(valid, chosen.batch_size, stop, group)
            head = models.head(model)
            in_step = group.in_step(head)
            return Stage(head, in_step.train, loss, train, valid, in_step, group)
    in_step = group.in_step(model)

    def enter_training() -> None:
        models.train_mode(in_step, frozen=chosen.freeze)

    return Stage(model, enter_training, loss, train, valid, in_step, group)


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
    return Identity(job.chosen, job.data.class_names, digest.hexdigest(), _fixed(model))


def _fixed(model: nn.Module) -> str:
    """Return the digest of the weights that never change, and that no checkpoint holds."""
    changing = loop.changing(model)
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        if name not in changing:
            digest.update(name.encode())
            digest.update(tensor.cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
