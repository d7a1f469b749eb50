"""
What the processes of a run share: their places, what they decide together, what they add up.

``ALONE`` is a run in one process, which asks nobody. Several processes are ranks.py's, started by
launch.py; who watches over them is peers.py.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, TypeVar

from torch import Tensor, nn

from kennel.training.stopping import Stop

T = TypeVar("T")


class Group(Protocol):
    """The processes that train one model; each calls the same methods in the same order."""

    rank: int  # of this process, from 0: the first writes and speaks for all
    size: int  # processes
    local_size: int  # of them, those that share this machine's cores

    def share(self, amount: Callable[[], float], stop: Stop) -> float:
        """
        Return this rank's amount over the sum of all ranks' amounts.

        Args:
            amount: Called where there are others: it may have to wait for a GPU.
            stop: Looked at first.

        Raises:
            Stopped: A stop was asked for on one of the ranks, and so of them all.
        """
        ...

    def together(self) -> AbstractContextManager[None]:
        """
        Leave a block as one: where a rank was stopped in it, all are.

        Raises:
            Stopped: A stop was asked for on one of the ranks.
        """
        ...

    def sum(self, tensor: Tensor) -> Tensor:
        """Return the sum of the ranks' tensors, which are of one shape."""
        ...

    def gather(self, value: T) -> list[T]:
        """Return the ranks' values, in order: tensors, numbers, text, and lists or tuples."""
        ...

    def from_first(self, value: T) -> T:
        """Return the first rank's value, of the kinds that ``gather`` takes, or dictionaries."""
        ...

    def interleave(self, part: Tensor, count: int) -> Tensor:
        """
        Return the *count* rows of which each rank made its part.

        Args:
            part: Rows rank, rank + size, rank + 2 * size and so on.
            count: Rows of all.
        """
        ...

    def in_step(self, module: nn.Module) -> nn.Module:
        """
        Return what trains *module*: its gradients are the means over the ranks, its batches whole.

        Parameters and statistics are those of *module* itself.
        """
        ...


class Alone:
    """The group of one."""

    rank = 0
    size = 1
    local_size = 1

    def share(self, amount: Callable[[], float], stop: Stop) -> float:  # noqa: ARG002 - nobody else has any
        """Return 1."""
        stop.check()
        return 1.0

    def together(self) -> AbstractContextManager[None]:
        """Add nothing to the block."""
        return nullcontext()

    def sum(self, tensor: Tensor) -> Tensor:
        """Return the tensor."""
        return tensor

    def gather(self, value: T) -> list[T]:
        """Return the value alone."""
        return [value]

    def from_first(self, value: T) -> T:
        """Return the value."""
        return value

    def interleave(self, part: Tensor, count: int) -> Tensor:  # noqa: ARG002 - the part is all
        """Return the rows."""
        return part

    def in_step(self, module: nn.Module) -> nn.Module:
        """Return the module."""
        return module


ALONE = Alone()
