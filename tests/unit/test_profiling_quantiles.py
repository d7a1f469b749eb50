"""Quantiles and distances, beside numpy's."""

import math

import numpy as np
import pytest

from kennel.profiling import quantiles


@pytest.mark.parametrize("count", [1, 2, 7, 1000])
@pytest.mark.parametrize("share", [0, 0.05, 0.5, 0.95, 1])
def test_a_quantile_is_numpys(count, share):
    """
    It lies between two values in proportion, as AWS's reports have it.
    """
    values = list(np.random.default_rng(count).uniform(-5, 100, count))

    assert quantiles.quantile(sorted(values), share) == pytest.approx(np.quantile(values, share))


def test_mean_and_deviation_are_numpys():
    """
    The deviation is that of all values, not an estimate from some.
    """
    values = list(np.random.default_rng(3).normal(5, 2, 500))

    assert quantiles.mean(values) == pytest.approx(np.mean(values))
    assert quantiles.deviation(values) == pytest.approx(np.std(values))


def test_a_histogram_counts_every_value():
    """
    What lies outside is in the first or the last part.
    """
    values = [-3.0, 0.0, 9.9, 10.0, 99.9, 100.0, 250.0]

    assert quantiles.histogram(values, 0, 100, 10) == [3, 1, 0, 0, 0, 0, 0, 0, 0, 3]


def test_the_distance_of_histograms_goes_from_nothing_to_the_root_of_ln_2():
    """
    The same histogram is no distance from itself; disjoint ones are as far apart as can be.
    """
    assert quantiles.distance([5, 0, 5], [10, 0, 10]) == pytest.approx(0)
    assert quantiles.distance([5, 0, 0], [0, 0, 9]) == pytest.approx(math.sqrt(math.log(2)))
    assert 0.1 < quantiles.distance([6, 4, 0], [3, 5, 2]) < 0.5


def test_a_box_ends_where_the_values_end():
    """
    A whisker is at most one and a half boxes long, and no longer than the values reach.
    """
    found = quantiles.box([1.0, 2.0, 3.0, 4.0, 100.0])

    assert found["p50"] == 3
    assert (found["lower"], found["upper"]) == (1, 7)
