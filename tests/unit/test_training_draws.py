"""Every draw is a function of the seed and the place in the run."""

import pytest
import torch

from kennel.training import draws


@pytest.mark.parametrize(("count", "batch_size"), [(10, 3), (10, 5), (3, 8), (9, 4), (1, 4)])
def test_an_epoch_has_every_example_once(count, batch_size):
    """
    Nothing is dropped and nothing comes twice, whatever is left over at the end.
    """
    batches = draws.batches(count, batch_size, seed=0, epoch=0)

    assert sorted(torch.cat(batches).tolist()) == list(range(count))


def test_a_left_over_example_joins_the_batch_before():
    """
    BatchNorm cannot learn from a batch of one.
    """
    assert [len(batch) for batch in draws.batches(9, 4, seed=0, epoch=0)] == [4, 5]


def test_epochs_and_seeds_shuffle_differently():
    """
    The order changes with the epoch and with the seed, and with nothing else.
    """

    def order(seed, epoch):
        return torch.cat(draws.batches(50, 8, seed, epoch)).tolist()

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)


def test_places_have_different_seeds():
    """
    (1, 23) and (12, 3) are different places.
    """
    seeds = {draws.seed_of(*place) for place in [(1, 23), (12, 3), (1, 2, 3), (123,)]}

    assert len(seeds) == 4
    assert all(0 <= seed < 2**63 for seed in seeds)
