"""Scales put values where a reader looks for them."""

import math

import pytest

from kennel.pages.scales import categories, elapsed, linear, logarithmic, reverse_logarithmic


def labels(scale):
    return [tick.label for tick in scale.ticks]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        pytest.param(0, 1, ["0", "0.2", "0.4", "0.6", "0.8", "1"], id="unit"),
        pytest.param(0.62, 0.93, ["0.7", "0.8", "0.9"], id="accuracy"),
        pytest.param(-3, 3, ["-2", "0", "2"], id="both-sides"),
        pytest.param(0, 4200, ["0", "1000", "2000", "3000", "4000"], id="thousands"),
    ],
)
def test_linear_ticks_are_numbers_that_one_counts_in(low, high, expected):
    """
    Steps are 1, 2, 2.5 or 5 times a power of ten, written without digits that say nothing.
    """
    assert labels(linear(low, high)) == expected


@pytest.mark.parametrize("high", [1.5, 2, 3, 12, 13, 500])
def test_whole_ticks_are_whole(high):
    """
    There is no trial 2.5.
    """
    ticks = labels(linear(0.5, high, whole=True))

    assert ticks
    assert all(label.isdigit() for label in ticks)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        pytest.param(0.001, 0.1, ["0.001", "0.003", "0.01", "0.03", "0.1"], id="two-decades"),
        pytest.param(1, 12, ["1", "2", "5", "10"], id="one-decade"),
        pytest.param(1e-7, 1, ["1e-7", "1e-5", "0.001", "0.1"], id="many-decades"),
        pytest.param(4, 4.5, ["4", "4.243", "4.5"], id="hardly-anything"),
    ],
)
def test_logarithmic_ticks_are_round(low, high, expected):
    """
    Powers of ten first, and what lies between where there is room.
    """
    assert labels(logarithmic(low, high)) == expected


@pytest.mark.parametrize(
    ("scale", "low", "middle", "high"),
    [
        pytest.param(linear(2, 4), 2, 3, 4, id="linear"),
        pytest.param(logarithmic(0.001, 0.1), 0.001, 0.01, 0.1, id="logarithmic"),
        pytest.param(reverse_logarithmic(0.9, 0.999), 0.9, 0.99, 0.999, id="reverse"),
    ],
)
def test_values_lie_between_the_ends(scale, low, middle, high):
    """
    The middle of a scale is its own kind of mean; what lies outside is put at the end.
    """
    assert [scale.place(each) for each in (low, middle, high)] == pytest.approx([0, 0.5, 1])
    assert [scale.place(-math.inf), scale.place(math.inf)] == [0, 1]
    assert all(0 <= tick.at <= 1 for tick in scale.ticks)
    assert sorted(scale.ticks, key=lambda tick: tick.at) == list(scale.ticks)


def test_a_single_value_lies_in_the_middle():
    """
    A range of no width is widened, at zero as well.
    """
    assert [linear(7, 7).place(7), linear(0, 0).place(0), logarithmic(7, 7).place(7)] == (
        pytest.approx([0.5, 0.5, 0.5])
    )


def test_categories_stand_in_the_middle_of_their_share():
    """
    Their ticks are their names.
    """
    scale = categories(["sgd", "adamw"])

    assert [(tick.at, tick.label) for tick in scale.ticks] == [(0.25, "sgd"), (0.75, "adamw")]
    assert scale.place(1) == 0.75


@pytest.mark.parametrize(
    ("scale", "low", "high"),
    [
        (logarithmic, 0, 1),
        (logarithmic, -1, 1),
        (reverse_logarithmic, 0, 1),
        (reverse_logarithmic, 0.5, 0.5),
    ],
)
def test_a_logarithm_of_nothing_is_refused(scale, low, high):
    """
    Zero has none, and neither has the distance to 1 at 1.
    """
    with pytest.raises(ValueError, match="scale"):
        scale(low, high)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        pytest.param(0.02, ["0 s", "5 ms", "10 ms", "15 ms", "20 ms"], id="instant"),
        pytest.param(67, ["0 s", "15 s", "30 s", "45 s", "1 min"], id="a-minute"),
        pytest.param(5000, ["0 s", "30 min", "1 h"], id="an-hour-and-more"),
        pytest.param(86400 * 3, ["0 s", "1 d", "2 d", "3 d"], id="days"),
        pytest.param(0, ["0 s", "100 ms", "200 ms", "300 ms", "400 ms", "500 ms"], id="none"),
    ],
)
def test_ticks_of_a_clock_are_those_of_a_clock(seconds, expected):
    """
    A quarter of a minute or of an hour, not 20 % of 67 s.
    """
    assert labels(elapsed(seconds)) == expected
