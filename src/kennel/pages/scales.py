"""
Scales: where on an axis a value lies, as a fraction of its length, and which ticks the axis has.

A scale takes numbers from *low* to *high*; what lies outside is put at the end. A category is a
number, too: its place in the list.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from kennel.pages.words import DAY_S, HOUR_S, MINUTE_S, duration, fine, number

# Distances between ticks that a reader can count in, times a power of ten.
STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
# Distances in seconds between ticks that a reader of a clock can count in.
CLOCK_S = (
    *(1.0, 2.0, 5.0, 10.0, 15.0, 30.0),
    *(minutes * MINUTE_S for minutes in (1.0, 2.0, 5.0, 10.0, 15.0, 30.0)),
    *(hours * HOUR_S for hours in (1.0, 2.0, 3.0, 6.0, 12.0)),
)
# Between the ticks of a decade, from the few to the many.
EXTREME = 1e300
MANTISSAS = ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0))


@dataclass(frozen=True)
class Tick:
    """A place on an axis, as a fraction of its length, and what is written there."""

    at: float
    label: str


@dataclass(frozen=True)
class Scale:
    """Where values lie, as fractions in [0, 1] of the axis' length, and the axis' ticks."""

    place: Callable[[float], float]
    ticks: tuple[Tick, ...]


def linear(
    low: float,
    high: float,
    *,
    wanted: int = 5,
    whole: bool = False,
    name: Callable[[float], str] = number,
) -> Scale:
    """
    Return a scale of equal steps.

    Args:
        wanted: About how many ticks.
        whole: Ticks at whole numbers only.
        name: What to write at a tick.
    """
    low, high = apart(low, high)
    step = nice_step((high - low) / wanted, whole=whole)
    first = math.ceil(low / step - 1e-9)
    values = [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]
    return scale_by(lambda value: value, low, high, values, name)


def elapsed(high: float, *, wanted: int = 5) -> Scale:
    """Return a scale of seconds from 0, whose ticks are those of a clock."""
    _, high = apart(0.0, max(high, 0.0))
    about = high / wanted
    if about < CLOCK_S[0]:
        return linear(0.0, high, wanted=wanted, name=fine)
    days = nice_step(max(about / DAY_S, 1.0), whole=True) * DAY_S
    step = next((each for each in CLOCK_S if each >= about), days)
    values = [k * step for k in range(math.floor(high / step + 1e-9) + 1)]
    return scale_by(lambda value: value, 0.0, high, values, duration)


def logarithmic(
    low: float, high: float, *, wanted: int = 5, name: Callable[[float], str] = number
) -> Scale:
    """
    Return a scale of equal factors.

    Args:
        wanted: About how many ticks.
        name: What to write at a tick.
    Raises:
        ValueError: *low* is not above 0.
    """
    if low <= 0:
        raise ValueError(f"a logarithm's scale cannot start at {low}")
    low, high = (low, high) if low < high else (low / 2, low * 2)
    return scale_by(math.log, low, high, powers(low, high, wanted), name)


def reverse_logarithmic(low: float, high: float, *, wanted: int = 5) -> Scale:
    """
    Return a scale that spreads what is next to 1: SageMaker's ReverseLogarithmic.

    Raises:
        ValueError: The range is not inside [0, 1).
    """
    if not 0 <= low < high < 1:
        raise ValueError(f"a reversed logarithm's scale lies in [0, 1), not from {low} to {high}")
    values = [1 - value for value in reversed(powers(1 - high, 1 - low, wanted))]
    return scale_by(lambda value: -math.log1p(-value), low, high, values)


def categories(names: Sequence[str]) -> Scale:
    """Return a scale of names side by side, each in the middle of its share; values are 0, 1, …."""
    share = 1 / max(len(names), 1)

    def place(value: float) -> float:
        return (value + 0.5) * share

    return Scale(place, tuple(Tick(place(i), name) for i, name in enumerate(names)))


def apart(low: float, high: float) -> tuple[float, float]:
    """Return an interval that floats can divide: wider than nothing, its ends not at theirs."""
    low, high = (min(max(end, -EXTREME), EXTREME) for end in (low, high))
    if high - low > 1 / EXTREME:
        return low, high
    half = abs(low) / 10 or 0.5
    return low - half, high + half


def nice_step(about: float, *, whole: bool = False) -> float:
    """Return the least step that a reader can count in and that is not below *about*."""
    power = 10.0 ** math.floor(math.log10(max(about, 1.0) if whole else about))
    steps = [step * power for step in STEPS if not whole or (step * power).is_integer()]
    return next((step for step in steps if step >= about * (1 - 1e-9)), steps[-1])


def powers(low: float, high: float, wanted: int) -> list[float]:
    """Return the ticks of a logarithm's axis: powers of ten, and more where there is room."""
    values: list[float] = []
    for mantissas in MANTISSAS:
        found = list(between(decades(low, high, mantissas), low, high))
        if len(found) > wanted + 1 and values:
            break
        values = thinned(found, wanted + 1)
    # In less than a decade two ticks do not show the factor.
    return values if len(values) > 2 else [low, math.sqrt(low * high), high]  # noqa: PLR2004


def decades(low: float, high: float, mantissas: Sequence[float]) -> Iterator[float]:
    """Yield *mantissas* times every power of ten from below *low* to *high*."""
    for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1):
        yield from (float(f"{mantissa}e{power}") for mantissa in mantissas)


def between(values: Iterator[float], low: float, high: float) -> Iterator[float]:
    """Yield what lies from *low* to *high*, however the last digits were rounded."""
    yield from (value for value in values if low * (1 - 1e-9) <= value <= high * (1 + 1e-9))


def thinned(values: list[float], most: int) -> list[float]:
    """Return at most about *most* of *values*, at equal distances."""
    return values[:: math.ceil(len(values) / most)] if values else values


def scale_by(
    transform: Callable[[float], float],
    low: float,
    high: float,
    values: Sequence[float],
    name: Callable[[float], str] = number,
) -> Scale:
    """Return the scale that is linear in *transform*'s result, with ticks at *values*."""
    start, end = transform(low), transform(high)

    def place(value: float) -> float:
        inside = min(max(value, low), high)
        return (transform(inside) - start) / (end - start)

    return Scale(place, tuple(Tick(place(value), name(value)) for value in values))
