"""
The training loop: steps, epochs, evaluation, and which epoch was the best.

No files, no printing, no arguments object. Where batches come from is a Source: pictures from disk
(pictures.py) or features in memory (features.py). Checkpoints, lines and artifacts are made in
main.py, through *on_epoch*.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler

from kennel.errors import HyperparameterError
from kennel.profiling.timeline import (
    BACKWARD,
    EVALUATION,
    EXCHANGE,
    FORWARD,
    METRICS,
    OPTIMIZER,
)
from kennel.training import draws, precision, schedule
from kennel.training.epochs import Epoch, best_of
from kennel.training.group import ALONE, Group
from kennel.training.metrics import Evaluation, Totals, confusion
from kennel.training.observer import OFF, Observer
from kennel.training.stopping import Stop

Batch = tuple[Tensor, Tensor]  # images (N, 3, H, W) or features (N, D) float; labels (N,) int64


class Source(Protocol):
    """A split, read in batches."""

    def __len__(self) -> int:
        """Return the number of examples."""

    def training(self, batches: Sequence[Tensor], epoch: int, first_step: int) -> Iterator[Batch]:
        """Yield the batches with these indices, augmented as befits (epoch, step)."""

    def evaluation(self, rank: int = 0, size: int = 1) -> Iterator[Batch]:
        """Yield every *size*-th example from *rank* on, in order and without augmentation."""


@dataclass(frozen=True)
class Recipe:
    """How the steps are taken."""

    epochs: int
    batch_size: int
    lr: float
    scheduler: str
    seed: int
    patience: int  # epochs without a better validation before the end; 0: never
    dtype: torch.dtype | None  # of autocast, in training steps alone


@dataclass
class State:
    """All that changes during a run, and so all that a checkpoint keeps."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: GradScaler
    totals: Totals  # of the epoch in progress
    step: int = 0  # steps taken in the epoch in progress
    history: list[Epoch] = field(default_factory=list)
    best: dict[str, Tensor] | None = None  # what changes, as after the best epoch, on the CPU

    @property
    def best_epoch(self) -> Epoch | None:
        """The first of the epochs that did best on validation, if one came to a finite loss."""
        return best_of(self.history)

    @property
    def stale(self) -> int:
        """Epochs since the best."""
        best = self.best_epoch
        return len(self.history) - (best.epoch if best else 0)


@dataclass(frozen=True)
class Stage:
    """What is trained, and on what."""

    module: nn.Module  # from a source's inputs to logits: the model, or its head alone
    enter_training: Callable[[], object]  # a frozen backbone stays in eval mode
    criterion: nn.CrossEntropyLoss
    train: Source
    valid: Source
    in_step: nn.Module | None = None  # what trains the module where there are others; or itself
    group: Group = ALONE  # who trains it
    observer: Observer = OFF  # who watches


def changing(model: nn.Module) -> dict[str, Tensor]:
    """
    Return the part of the model's state that training changes, the tensors themselves.

    That is all of it, or where parameters are frozen the layers with some that are not: the others
    are in eval mode, so their statistics stand still too.
    """
    learns = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    layers = {name.rpartition(".")[0] for name in learns if learns[name]}
    return {
        name: tensor
        for name, tensor in model.state_dict().items()
        if all(learns.values()) or name.rpartition(".")[0] in layers
    }


def restore(model: nn.Module, changed: Mapping[str, Tensor]) -> None:
    """
    Put back what ``changing`` returned.

    Raises:
        ValueError: It is of another model.
    """
    own = changing(model)
    if own.keys() != changed.keys():
        raise ValueError(f"not of this model: {sorted(own.keys() ^ changed.keys())[:3]}")
    for name, tensor in own.items():
        tensor.copy_(changed[name])


def all_finite(tensors: Mapping[str, Tensor]) -> bool:
    """Tell whether no number is infinite or none at all."""
    return bool(torch.stack([tensor.isfinite().all() for tensor in tensors.values()]).all())


@torch.inference_mode()
def is_sound(state: State, stage: Stage) -> bool:
    """
    Tell whether the weights as they are make numbers of pictures: tried on a batch of validation.

    Weights that are finite and far too large do not.
    """
    if not all_finite(changing(state.model)):
        return False
    stage.module.eval()
    inputs, _ = next(iter(stage.valid.evaluation()))
    return bool(stage.module(inputs).isfinite().all())


def fit(
    state: State, stage: Stage, recipe: Recipe, stop: Stop, on_epoch: Callable[[Epoch], None]
) -> str:
    """
    Train until the epochs are done or nothing gets better.

    Returns:
        Why it ended: ``finished``, ``early stopping``, or ``diverged`` after a good epoch.

    Raises:
        HyperparameterError: The loss of no epoch was finite.
        Stopped: A stop was asked for; *state* is between two steps, ready for a checkpoint.
    """
    watch = stage.observer
    while len(state.history) < recipe.epochs:
        if recipe.patience and state.stale >= recipe.patience:
            return _ended("early stopping", state, recipe)
        started = time.perf_counter()
        seen_before = state.totals.over(stage.group).seen
        lr = train_epoch(state, stage, recipe, stop)
        with watch.phase(METRICS):
            totals = state.totals.over(stage.group)
            finite = math.isfinite(totals.loss)
        trained = time.perf_counter()
        if not finite:
            return _ended("diverged", state, recipe, totals.loss)
        measured = evaluate(stage.module, stage.valid, stop, stage.group, watch)
        seen = totals.seen - seen_before
        speed = seen / (trained - started) if seen else 0.0
        seconds = time.perf_counter() - started
        with watch.phase(METRICS):
            _complete(state, totals, measured, lr=lr, images_per_s=speed, seconds=seconds)
        watch.epoch(state.history[-1])
        on_epoch(state.history[-1])
    return _ended("finished", state, recipe)


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
    rank, size, watch = stage.group.rank, stage.group.size, stage.observer
    watch.training(stage.module, stage.criterion, state.optimizer)
    parts = [draws.part(batch, rank, size) for batch in batches[state.step :]]
    for batch in watch.batches(stage.train.training(parts, epoch, state.step)):
        number = epoch * len(batches) + state.step
        with watch.step(epoch, number):
            borrowed = rank >= len(batches[state.step])
            with watch.phase(EXCHANGE):
                share = stage.group.share(partial(_weight, stage.criterion, batch, borrowed), stop)
            schedule.set_lr(state.optimizer, _lr(recipe, number, total))
            _seed(_dropout_seed(recipe.seed, epoch, state.step, rank), state.totals.sums.device)
            train_step(state, stage, batch, recipe.dtype, share)
            state.step += 1
    with stage.group.together():
        stop.check()
    return lr


def train_step(
    state: State, stage: Stage, batch: Batch, dtype: torch.dtype | None, share: float = 1.0
) -> None:
    """
    Take one optimizer step and count the batch in the running totals.

    Args:
        state: Its totals are on the device of the batch.
        stage: Its module is in training mode.
        batch: Inputs and labels (N,) int64 in [0, C).
        dtype: Of autocast, or None.
        share: What the batch weighs among those of all ranks; 0: it is only borrowed.

    Raises:
        HyperparameterError: The model cannot learn from a batch of one.
    """
    inputs, labels = batch
    watch = stage.observer
    with watch.phase(FORWARD), precision.autocast(inputs.device, dtype):
        logits = _logits(stage.in_step or stage.module, inputs)
        mean = stage.criterion(logits, labels)
        loss = mean * (share * stage.group.size)  # the ranks' mean is taken
    with watch.phase(OPTIMIZER):
        state.optimizer.zero_grad(set_to_none=True)
    with watch.phase(BACKWARD):
        state.scaler.scale(loss).backward()
    watch.learnt(mean, logits, labels)
    with watch.phase(OPTIMIZER):
        state.scaler.step(state.optimizer)
        state.scaler.update()
    if share:
        with watch.phase(METRICS):
            state.totals.add(logits.detach(), labels)


def _weight(criterion: nn.CrossEntropyLoss, batch: Batch, borrowed: bool) -> float:  # noqa: FBT001 - bound by partial
    """Return what the mean of the batch's losses was divided by."""
    _, labels = batch
    if borrowed:
        return 0.0
    if criterion.weight is None:
        return len(labels)
    return float(criterion.weight[labels].sum())


def _dropout_seed(seed: int, epoch: int, step: int, rank: int) -> int:
    """Return another one for each rank, and alone what it would be for the first."""
    return draws.seed_of(seed, epoch, step, *([rank] if rank else []))


def _seed(seed: int, device: torch.device) -> None:
    """Seed what dropout draws from; torch.manual_seed would take as long as a small head's step."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


def _logits(module: nn.Module, inputs: Tensor) -> Tensor:
    try:
        logits: Tensor = module(inputs)
    except ValueError as error:
        if len(inputs) > 1:
            raise
        # BatchNorm, which learns from differences, where it sees a single number per channel.
        raise HyperparameterError(
            f"this model cannot learn from one example at a time: {error}",
            expected="batch-size of 2 or more",
            remedy="batch-size=2, or a larger image-size",
        ) from error
    return logits


@torch.inference_mode()
def evaluate(
    module: nn.Module,
    source: Source,
    stop: Stop,
    group: Group = ALONE,
    watch: Observer = OFF,
) -> Evaluation:
    """
    Measure *module*, in eval mode, on a split of which each rank takes its share.

    In float32, whatever precision it is trained in: that is how it will be served.

    Raises:
        Stopped: A stop was asked for; nothing has changed.
    """
    module.eval()
    totals: Totals | None = None
    matrix: Tensor | None = None
    watch.evaluating(module)
    with watch.phase(EVALUATION):
        with group.together():
            for inputs, labels in watch.batches(source.evaluation(group.rank, group.size)):
                stop.check()
                logits = module(inputs)
                totals = totals or Totals(inputs.device)
                totals.add(logits, labels)
                counted = confusion(logits, labels)
                matrix = counted if matrix is None else matrix + counted
                watch.evaluated(logits, labels)
        own = [] if totals is None or matrix is None else [totals.sums.cpu(), matrix.cpu()]
        parts = [part for part in group.gather(own) if part]  # of few examples some ranks have none
    if not parts:
        raise ValueError("an evaluation needs at least one example")
    sums, matrices = zip(*parts, strict=True)
    return Evaluation(Totals.of(sum(sums)).loss, sum(matrices))


def _lr(recipe: Recipe, step: int, steps: int) -> float:
    return recipe.lr * schedule.factor(recipe.scheduler, step, steps)


def _complete(  # noqa: PLR0913 - what an epoch came to
    state: State,
    totals: Totals,
    measured: Evaluation,
    *,
    lr: float,
    images_per_s: float,
    seconds: float,
) -> None:
    """Close the epoch in progress: write its record, and keep the weights if they are the best."""
    changed = changing(state.model)
    # Infinite statistics of a BatchNorm can make finite logits; they are not to be chosen.
    valid_loss = measured.loss if all_finite(changed) else math.nan
    record = Epoch(
        len(state.history) + 1,
        totals.loss,
        totals.accuracy,
        valid_loss,
        measured.accuracy,
        lr,
        images_per_s,
        seconds,
    )
    state.history.append(record)
    if state.best_epoch is record:
        state.best = {name: tensor.detach().cpu().clone() for name, tensor in changed.items()}
    state.step, state.totals = 0, Totals(state.totals.sums.device)


def _ended(reason: str, state: State, recipe: Recipe, loss: float = math.nan) -> str:
    """Return *reason*, if there is a good epoch to end with; *loss* is that of the last."""
    if state.best_epoch:
        return reason
    if state.history:
        raise diverged(recipe.lr, f"the validation loss is {state.history[-1].valid_loss}")
    raise diverged(recipe.lr, f"the loss of the first epoch is {loss}")


def diverged(lr: float, found: str) -> HyperparameterError:
    """Return the error of a run that has nothing to export."""
    return HyperparameterError(
        f"training diverged: with lr={lr} {found}",
        expected="a finite loss",
        remedy="a smaller lr, say a tenth of it",
    )
