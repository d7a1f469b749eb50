"""
A group of several processes over torch.distributed: gloo between CPUs, NCCL between GPUs.

What is agreed on goes over gloo on either, so that no GPU waits for it. How the processes find one
another is peers.py's.
"""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch._C._distributed_c10d import Store
from torch.nn.parallel import DistributedDataParallel

from kennel.training import batch_norm
from kennel.training.stopping import Stop, Stopped

T = TypeVar("T")

CPU = torch.device("cpu")
# Of a collective. A rank that has gone is known long before (peers.py); one that lives may be late,
# as where the first writes a checkpoint to a slow disk.
PATIENCE = timedelta(minutes=30)


class Ranks:
    """The group that torch.distributed's default process group is."""

    def __init__(self, rank: int, size: int, local_size: int) -> None:
        self.rank, self.size, self.local_size = rank, size, local_size

    @classmethod
    def join(cls, rank: int, size: int, local_size: int, store: Store) -> "Ranks":
        """Meet the others at *store*."""
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=PATIENCE)
        return cls(rank, size, local_size)

    def leave(self) -> None:
        """Close the connections."""
        dist.destroy_process_group()

    def share(self, amount: Callable[[], float], stop: Stop) -> float:
        """Return this rank's amount over the sum of all ranks' amounts, or stop with them."""
        own = amount()
        sums = self.sum(torch.tensor([own, _was_asked(stop)], dtype=torch.float64))
        if sums[1]:
            raise Stopped
        return own / float(sums[0])

    @contextmanager
    def together(self) -> Iterator[None]:
        """Leave a block as one: where a rank was stopped in it, all are."""
        stopped = False
        try:
            yield
        except Stopped:
            stopped = True
        if self.sum(torch.tensor(int(stopped))):
            raise Stopped

    def sum(self, tensor: Tensor) -> Tensor:
        """Return the sum of the ranks' tensors."""
        total = tensor.clone()
        dist.all_reduce(total)
        return total

    def gather(self, value: T) -> list[T]:
        """Return the ranks' values, in order."""
        return [self._from(rank, value) for rank in range(self.size)]

    def from_first(self, value: T) -> T:
        """Return the first rank's value."""
        return self._from(0, value)

    def interleave(self, part: Tensor, count: int) -> Tensor:
        """Return the rows of which each rank made its part."""
        # A rank without rows does not know what one looks like.
        shapes = self.gather((list(part.shape[1:]), str(part.dtype), len(part)))
        shape = next(shape for shape, _, rows in shapes if rows)
        dtype = next(
            getattr(torch, name.removeprefix("torch.")) for _, name, rows in shapes if rows
        )
        whole = torch.empty(count, *shape, dtype=dtype, device=part.device)
        for rank in range(self.size):
            rows = whole[rank :: self.size].clone() if rank != self.rank else part.contiguous()
            if len(rows):
                dist.broadcast(rows, src=rank)
                whole[rank :: self.size] = rows
        return whole

    def in_step(self, module: nn.Module) -> nn.Module:
        """Return what trains *module* in step with the other ranks."""
        shared = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
        twin = deepcopy(module, shared)  # layers of its own, to be replaced; the same tensors
        return DistributedDataParallel(batch_norm.over_ranks(twin), broadcast_buffers=False)

    def _from(self, source: int, value: T) -> T:
        """Return the value of rank *source*."""
        packed = _packed(value) if self.rank == source else torch.empty(0, dtype=torch.uint8)
        length = torch.tensor(len(packed))
        dist.broadcast(length, src=source)
        if self.rank != source:
            packed = torch.empty(int(length), dtype=torch.uint8)
        dist.broadcast(packed, src=source)
        if self.rank == source:
            return value
        received: T = _unpacked(packed)
        return received


def _was_asked(stop: Stop) -> bool:
    try:
        stop.check()
    except Stopped:
        return True
    return False


def _packed(value: object) -> Tensor:
    """Return the bytes of a value; torch's own format, whose reading runs no code."""
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return torch.frombuffer(buffer.getbuffer(), dtype=torch.uint8)


def _unpacked(packed: Tensor) -> Any:  # noqa: ANN401 - of the kind that was packed
    return torch.load(io.BytesIO(packed.numpy().tobytes()), map_location=CPU, weights_only=True)
