"""
Every random draw of a run, as a function of the seed and the place in the run.

Nothing depends on what was drawn before. So a run that was stopped in the middle of an epoch goes
on as if it had not been, and the number of loading workers changes nothing. What the draws decide
is elsewhere: augmentation in kennel.vision, dropout in the models.
"""

import hashlib

import torch
from torch import Tensor


def seed_of(*place: int) -> int:
    """Return a seed in [0, 2**63) for a place, such as (seed, epoch, step)."""
    digest = hashlib.blake2b(repr(place).encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> 1


def batches(count: int, batch_size: int, seed: int, epoch: int) -> list[Tensor]:
    """
    Shuffle *count* examples and cut them into the batches of an epoch.

    A single left-over example joins the batch before it: BatchNorm cannot learn from one.

    Returns:
        Indices (n,) int64 of each batch; every example is in exactly one.
    """
    generator = torch.Generator().manual_seed(seed_of(seed, epoch))
    parts = list(torch.split(torch.randperm(count, generator=generator), batch_size))
    if len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts


def part(batch: Tensor, rank: int, size: int) -> Tensor:
    """
    Return what *rank* of *size* takes of a batch: as much as the others, or one example more.

    Never nothing, for layers need an example to work on: a rank that is left without (*rank* is not
    below the number of examples) borrows the first. That one is not to be counted again.
    """
    own = torch.tensor_split(batch, size)[rank]
    return own if len(own) else batch[:1]
