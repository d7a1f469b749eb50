"""
Who watches a training: the one thing that the loop knows of profiling and debugging.

The loop says what it does, and observers make of it what they like: phases and steps are timed by
phases.py, tensors are saved by kennel.debugging. ``OFF`` watches nothing and costs nothing.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Protocol, TypeVar

from torch import Tensor, nn
from torch.optim import Optimizer

from kennel.profiling.timeline import DEBUG
from kennel.training.epochs import Epoch

T = TypeVar("T")

_NOTHING = nullcontext()  # can be entered again and again, within itself too


class Observer(Protocol):
    """
    Watches a run; each method is called from the thread that trains.

    The order of a step is: ``batches`` yields, ``step`` is entered, ``phase`` forward, backward,
    ``learnt``, ``phase`` optimizer, metrics, ``step`` is left. Evaluations come between steps.
    """

    def phase(self, name: str) -> AbstractContextManager[None]:
        """Enter a phase, one of kennel.profiling.timeline's; they may nest."""
        ...

    def batches(self, source: Iterator[T]) -> Iterator[T]:
        """Pass on what *source* yields: to wait for the next one is the phase data."""
        ...

    def training(self, module: nn.Module, criterion: nn.Module, optimizer: Optimizer) -> None:
        """Take note that steps follow: at the start of every epoch, in training mode."""
        ...

    def step(self, epoch: int, number: int) -> AbstractContextManager[None]:
        """
        Enter a training step.

        Args:
            epoch: Counted from 0.
            number: Of the step, counted over the whole run from 0, before a resume too.
        """
        ...

    def learnt(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """
        Take note of what a step came to, after the backward and before the optimizer.

        Args:
            loss: Mean of the batch, in nats, a scalar with its graph.
            logits: (N, C).
            labels: (N,) int64.
        """
        ...

    def evaluating(self, module: nn.Module) -> None:
        """Take note that the validation split is measured next, in eval mode, without gradients."""
        ...

    def evaluated(self, logits: Tensor, labels: Tensor) -> None:
        """Take note of one batch of it: logits (N, C) float32, labels (N,) int64."""
        ...

    def epoch(self, epoch: Epoch) -> None:
        """Take note of an epoch that is complete, before its checkpoint is written."""
        ...


class Off:
    """Nobody watches. Others derive from it what they do not care for."""

    def phase(self, name: str) -> AbstractContextManager[None]:  # noqa: ARG002 - nobody cares
        """Do nothing."""
        return _NOTHING

    def batches(self, source: Iterator[T]) -> Iterator[T]:
        """Return the source."""
        return source

    def training(self, module: nn.Module, criterion: nn.Module, optimizer: Optimizer) -> None:
        """Do nothing."""

    def step(self, epoch: int, number: int) -> AbstractContextManager[None]:  # noqa: ARG002 - nobody cares
        """Do nothing."""
        return _NOTHING

    def learnt(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Do nothing."""

    def evaluating(self, module: nn.Module) -> None:
        """Do nothing."""

    def evaluated(self, logits: Tensor, labels: Tensor) -> None:
        """Do nothing."""

    def epoch(self, epoch: Epoch) -> None:
        """Do nothing."""


OFF: Observer = Off()


class Several:
    """
    Several observers as one: each is told, in their order.

    Args:
        observers: The first one times what the others take, as the phase debug.
    """

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._first, *others = observers
        self._others = tuple(others)

    def phase(self, name: str) -> AbstractContextManager[None]:
        """Enter the phase with each."""
        return _Stack([self._first.phase(name), *(other.phase(name) for other in self._others)])

    def batches(self, source: Iterator[T]) -> Iterator[T]:
        """Pass the source through each."""
        source = self._first.batches(source)
        for other in self._others:
            source = other.batches(source)
        return source

    def training(self, module: nn.Module, criterion: nn.Module, optimizer: Optimizer) -> None:
        """Tell each."""
        self._first.training(module, criterion, optimizer)
        with self._first.phase(DEBUG):
            for other in self._others:
                other.training(module, criterion, optimizer)

    def step(self, epoch: int, number: int) -> AbstractContextManager[None]:
        """Enter the step with each."""
        contexts = [other.step(epoch, number) for other in self._others]
        return _Stack([self._first.step(epoch, number), *map(self._timed, contexts)])

    def learnt(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Tell each."""
        self._first.learnt(loss, logits, labels)
        with self._first.phase(DEBUG):
            for other in self._others:
                other.learnt(loss, logits, labels)

    def evaluating(self, module: nn.Module) -> None:
        """Tell each."""
        self._first.evaluating(module)
        with self._first.phase(DEBUG):
            for other in self._others:
                other.evaluating(module)

    def evaluated(self, logits: Tensor, labels: Tensor) -> None:
        """Tell each."""
        self._first.evaluated(logits, labels)
        with self._first.phase(DEBUG):
            for other in self._others:
                other.evaluated(logits, labels)

    def epoch(self, epoch: Epoch) -> None:
        """Tell each."""
        self._first.epoch(epoch)
        with self._first.phase(DEBUG):
            for other in self._others:
                other.epoch(epoch)

    def _timed(self, context: AbstractContextManager[None]) -> AbstractContextManager[None]:
        return _During(context, self._first.phase(DEBUG))


def together(observers: Sequence[Observer]) -> Observer:
    """Return all of them as one, without those that watch nothing."""
    awake = [observer for observer in observers if observer is not OFF]
    if not awake:
        return OFF
    return awake[0] if len(awake) == 1 else Several(awake)


class _Stack(AbstractContextManager[None]):
    """Contexts that are entered in order, and left in the opposite one."""

    def __init__(self, contexts: Sequence[AbstractContextManager[None]]) -> None:
        self._contexts, self._stack = contexts, ExitStack()

    def __enter__(self) -> None:
        with ExitStack() as stack:
            for context in self._contexts:
                stack.enter_context(context)
            self._stack = stack.pop_all()

    def __exit__(self, *error: object) -> None:
        self._stack.__exit__(*error)  # type: ignore[arg-type] # the three of an exception


class _During(AbstractContextManager[None]):
    """A context whose beginning and end are within another one: what they take, not what it has."""

    def __init__(
        self, context: AbstractContextManager[None], within: AbstractContextManager[None]
    ) -> None:
        self._context, self._within = context, within

    def __enter__(self) -> None:
        with self._within:
            self._context.__enter__()

    def __exit__(self, *error: object) -> None:
        with self._within:
            self._context.__exit__(*error)  # type: ignore[arg-type] # as above
