"""Numbers, durations and dates are written for a reader."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from kennel.pages.words import amount, counted, duration, fine, listed, moment, number, percent


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0"),
        (512.0, "512"),
        (0.031234567, "0.03123"),
        (0.000015, "1.5e-5"),
        (123456789, "1.235e8"),
        (1650.25, "1650"),
        (12345.6, "12350"),
        (-0.5, "-0.5"),
        (float("nan"), "not a number"),
        (float("-inf"), "-infinite"),
    ],
)
def test_numbers_have_the_digits_that_matter(value, expected):
    """
    Four of them, and no zeros of an exponent.
    """
    assert number(value) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0 s"),
        (0.26, "0.3 s"),
        (9.99, "10 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (100_800, "1 d 4 h"),
    ],
)
def test_durations_have_two_units(seconds, expected):
    """
    A rounded second never makes 60 of them.
    """
    assert duration(seconds) == expected


def test_moments_are_in_utc():
    """
    Whatever zone they were in; a naive one was UTC.
    """
    east = timezone(timedelta(hours=2))

    assert moment(datetime(2026, 11, 20, 1, 30, tzinfo=east)) == "2026-11-19 23:30 UTC"
    assert moment(datetime(2026, 11, 20, 1, 30, tzinfo=UTC).replace(tzinfo=None)) == (
        "2026-11-20 01:30 UTC"
    )


def test_words_agree_with_their_count():
    """
    One trial, two trials; a, b and c.
    """
    assert [counted(1, "trial"), counted(1200, "trial")] == ["1 trial", "1,200 trials"]
    assert [listed([]), listed(["a"]), listed(["a", "b", "c"])] == ["", "a", "a, b and c"]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0 s"),
        (3.4e-9, "3.4 ns"),
        (0.00034, "340 µs"),
        (0.01234, "12.3 ms"),
        (-1.3, "-1.3 s"),
        (59.94, "59.9 s"),
        (200, "3 min 20 s"),
        (float("nan"), "not a number"),
    ],
)
def test_short_times_have_three_digits(seconds, expected):
    """
    In the unit that leaves the fewest zeros.
    """
    assert fine(seconds) == expected


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0, "0 %"),
        (1, "100 %"),
        (0.414, "41 %"),
        (0.997, "100 %"),
        (0.08, "8 %"),
        (0.0996, "10 %"),
        (0.0321, "3.2 %"),
        (0.0004, "0.04 %"),
        (1e-9, "below 0.01 %"),
    ],
)
def test_shares_have_two_digits(share, expected):
    """
    What is not nothing is not called 0.
    """
    assert percent(share) == expected


def test_amounts_are_in_powers_of_a_thousand():
    """
    Bytes, as rates and sizes of files are given.
    """
    assert [amount(size) for size in (0, 999, 12_345, 3.4e9)] == [
        "0 B",
        "999 B",
        "12.3 kB",
        "3.4 GB",
    ]
