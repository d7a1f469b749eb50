"""
The training loop: steps, epochs, evaluation, and which epoch was the best.

No files, no printing, no arguments object. Where batches come from is a Source: pictures from disk
(pictures.py) or features in memory (features.py). Checkpoints, lines and artifacts are made in
main.py, through *on_epoch*.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler

from kennel.errors import HyperparameterError
from kennel.training import draws, precision, schedule
from kennel.training.metrics import Evaluation, Totals, confusion
from kennel.training.stopping import Stop

Batch = tuple[Tensor, Tensor]  # images (N, 3, H, W) or features (N, D) float; labels (N,) int64


class Source(Protocol):
    """A split, read in batches."""

    def __len__(self) -> int:
        """Return the number of examples."""

    def training(self, batches: Sequence[Tensor], epoch: int, first_step: int) -> Iterator[Batch]:
        """Yield the batches with these indices, augmented as befits (epoch, step)."""

    def evaluation(self) -> Iterator[Batch]:
        """Yield every example once, in order and without augmentation."""


@dataclass(frozen=True)
class Recipe:
    """How the steps are taken."""

    epochs: int
    batch_size: int
    lr: float
    scheduler: str
    seed: int
    patience: int  # epochs without a better validation before the end; 0: never
    dtype: torch.dtype | None  # of autocast


@dataclass(frozen=True)
class Epoch:
    """What an epoch came to; losses in nats, accuracies as fractions."""

    epoch: int  # counted from 1
    train_loss: float
    train_accuracy: float
    valid_loss: float
    valid_accuracy: float
    lr: float  # of its last step
    images_per_s: float  # while training, validation aside
    seconds: float  # with the validation

    @property
    def rank(self) -> tuple[float, float]:
        """More is better: accuracy first, and of equals the lower loss."""
        return self.valid_accuracy, -self.valid_loss


@dataclass
class State:
    """All that changes during a run, and so all that a checkpoint keeps."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: GradScaler
    totals: Totals  # of the epoch in progress
    step: int = 0  # steps taken in the epoch in progress
    history: list[Epoch] = field(default_factory=list)
    best: dict[str, Tensor] | None = None  # the model's weights after the best epoch, on the CPU

    @property
    def best_epoch(self) -> Epoch | None:
        """The first of the epochs that did best on validation."""
        return max(self.history, key=lambda epoch: epoch.rank, default=None)

    @property
    def stale(self) -> int:
        """Epochs since the best."""
        best = self.best_epoch
        return len(self.history) - best.epoch if best else 0


@dataclass(frozen=True)
class Stage:
    """What is trained, and on what."""

    module: nn.Module  # from a source's inputs to logits: the model, or its head alone
    enter_training: Callable[[], object]  # a frozen backbone stays in eval mode
    criterion: nn.Module
    train: Source
    valid: Source


def fit(
    state: State, stage: Stage, recipe: Recipe, stop: Stop, on_epoch: Callable[[Epoch], None]
) -> str:
    """
    Train until the epochs are done or nothing gets better.

    Returns:
        Why it ended: ``finished``, ``early stopping``, or ``diverged`` after a good epoch.

    Raises:
        HyperparameterError: The loss was never finite.
        Stopped: A stop was asked for; *state* is between two steps, ready for a checkpoint.
    """
    while len(state.history) < recipe.epochs:
        if recipe.patience and state.stale >= recipe.patience:
            return "early stopping"
        started = time.perf_counter()
        seen_before = state.totals.seen
        lr = train_epoch(state, stage, recipe, stop)
        trained = time.perf_counter()
        if not math.isfinite(state.totals.loss):
            return _diverged(state, recipe)
        measured = evaluate(stage.module, stage.valid.evaluation(), recipe.dtype, stop)
        seen = state.totals.seen - seen_before
        speed = seen / (trained - started) if seen else 0.0
        _complete(state, measured, lr, speed, time.perf_counter() - started)
        on_epoch(state.history[-1])
    return "finished"


def train_epoch(state: State, stage: Stage, recipe: Recipe, stop: Stop) -> float:
    """
    Take the steps that are left of the epoch in progress, and return the last learning rate.

    Raises:
        Stopped: A stop was asked for, between two steps.
    """
    epoch = len(state.history)
    batches = draws.batches(len(stage.train), recipe.batch_size, recipe.seed, epoch)
    total = recipe.epochs * len(batches)
    lr = _lr(recipe, epoch * len(batches) + len(batches) - 1, total)
    stage.enter_training()
    for batch in stage.train.training(batches[state.step :], epoch, state.step):
        stop.check()
        schedule.set_lr(state.optimizer, _lr(recipe, epoch * len(batches) + state.step, total))
        torch.manual_seed(draws.seed_of(recipe.seed, epoch, state.step))  # of dropout
        train_step(state, stage, batch, recipe.dtype)
        state.step += 1
    stop.check()
    return lr


def train_step(state: State, stage: Stage, batch: Batch, dtype: torch.dtype | None) -> None:
    """
    Take one optimizer step and count the batch in the running totals.

    Args:
        state: Its totals are on the device of the batch.
        stage: Its module is in training mode.
        batch: Inputs and labels (N,) int64 in [0, C).
        dtype: Of autocast, or None.
    """
    inputs, labels = batch
    with precision.autocast(inputs.device, dtype):
        logits = stage.module(inputs)
        loss = stage.criterion(logits, labels)
    state.optimizer.zero_grad(set_to_none=True)
    state.scaler.scale(loss).backward()
    state.scaler.step(state.optimizer)
    state.scaler.update()
    state.totals.add(logits.detach(), labels)


@torch.inference_mode()
def evaluate(
    module: nn.Module, batches: Iterable[Batch], dtype: torch.dtype | None, stop: Stop
) -> Evaluation:
    """
    Measure *module*, in eval mode, on a split.

    Raises:
        Stopped: A stop was asked for; nothing has changed.
    """
    module.eval()
    totals: Totals | None = None
    matrix: Tensor | None = None
    for inputs, labels in batches:
        stop.check()
        with precision.autocast(inputs.device, dtype):
            logits = module(inputs)
        totals = totals or Totals(inputs.device)
        totals.add(logits, labels)
        counted = confusion(logits, labels)
        matrix = counted if matrix is None else matrix + counted
    if totals is None or matrix is None:
        raise ValueError("an evaluation needs at least one batch")
    return Evaluation(totals.loss, matrix.cpu())


def _lr(recipe: Recipe, step: int, steps: int) -> float:
    return recipe.lr * schedule.factor(recipe.scheduler, step, steps)


def _complete(
    state: State, measured: Evaluation, lr: float, images_per_s: float, seconds: float
) -> None:
    """Close the epoch in progress: write its record, and keep the weights if they are the best."""
    record = Epoch(
        len(state.history) + 1,
        state.totals.loss,
        state.totals.accuracy,
        measured.loss,
        measured.accuracy,
        lr,
        images_per_s,
        seconds,
    )
    state.history.append(record)
    if state.best_epoch is record:
        state.best = {
            name: tensor.detach().cpu().clone() for name, tensor in state.model.state_dict().items()
        }
    state.step, state.totals = 0, Totals(state.totals.sums.device)


def _diverged(state: State, recipe: Recipe) -> str:
    """Keep the best epoch if there was a good one."""
    if state.history:
        return "diverged"
    raise HyperparameterError(
        f"training diverged: with lr={recipe.lr} the first loss is {state.totals.loss}",
        expected="a finite loss",
        remedy="a smaller lr, say a tenth of it",
    )
