"""
How trials lie on a report's axes: the scale of each range, of the objective, and its colours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import quantiles

from kennel.pages.charts import Axis, colour
from kennel.pages.scales import (
    Scale,
    Tick,
    apart,
    categories,
    linear,
    logarithmic,
    reverse_logarithmic,
)
from kennel.tuning import ranges
from kennel.tuning.ranges import Categorical, Integer, Range
from kennel.tuning.trials import Trial

ENOUGH = 8  # trials, to call one of them an outlier
# Widths of the middle half beyond it: what is worse has the worst colour, or is off the scale.
UNUSUAL, FAR = 1.5, 3.0
MARGIN = 0.05  # of the objective's axis, at both ends
NAME_CHARS, LABEL_CHARS = 14, 12  # of an axis among others, and of a tick
LABELS_CHARS = 32  # of all labels side by side, on a phone


@dataclass(frozen=True)
class Objective:
    """
    The objective's axis.

    Args:
        low: Its least value, whether that is the best or the worst.
        high: Its greatest value.
        dull: What is as bad or worse has the worst colour.
    """

    axis: Axis
    low: float
    high: float
    dull: float
    maximize: bool

    @property
    def best(self) -> float:
        """The end that is better."""
        return self.high if self.maximize else self.low

    def look(self, value: float) -> str:
        """Return the class of a value's colour."""
        return colour((value - self.dull) / (self.best - self.dull))

    def off(self, value: float) -> bool:
        """Say whether a value is too bad to be on the axis."""
        return not self.low <= value <= self.high


def objective(label: str, values: Sequence[float], *, maximize: bool) -> Objective:
    """
    Return the axis of the objective.

    Args:
        values: Finite ones. Few that are far worse than most do not stretch the axis: a loss that
            exploded once would hide what all others differ in.
    """
    low, high = apart(min(values, default=0.0), max(values, default=1.0))
    dull = low if maximize else high
    if len(values) >= ENOUGH:
        lower, _, upper = quantiles(values, n=4)
        width = upper - lower
        if width > 0 and maximize:
            low, dull = max(low, lower - FAR * width), max(low, lower - UNUSUAL * width)
        elif width > 0:
            high, dull = min(high, upper + FAR * width), min(high, upper + UNUSUAL * width)
    margin = MARGIN * (high - low)
    return Objective(Axis(label, linear(low - margin, high + margin)), low, high, dull, maximize)


def axis(searched: Range) -> Axis:
    """Return the axis of a range, in the scaling that it is searched with."""
    return Axis(shortened(searched.name, NAME_CHARS), scale(searched))


def scale(searched: Range) -> Scale:
    """Return where a range's values lie."""
    if isinstance(searched, Categorical):
        return categories([shortened(each, LABEL_CHARS) for each in searched.values])
    match ranges.scaling(searched):
        case ranges.LOGARITHMIC:
            return logarithmic(searched.low, searched.high)
        case ranges.REVERSE:
            return reverse_logarithmic(searched.low, searched.high)
        case _:
            return linear(searched.low, searched.high, whole=isinstance(searched, Integer))


def side_by_side(searched: Range) -> Scale:
    """Return a range's scale for a narrow chart: of many categories only some are named."""
    found = scale(searched)
    if not isinstance(searched, Categorical):
        return found
    room = max(LABELS_CHARS // len(found.ticks), 3)
    step = (
        -(-len(found.ticks) * room // LABELS_CHARS) if len(found.ticks) > LABELS_CHARS // 3 else 1
    )
    return Scale(
        found.place,
        tuple(Tick(each.at, shortened(each.label, room * step)) for each in found.ticks[::step]),
    )


def place(searched: Range, trial: Trial) -> float | None:
    """Return a trial's value as its axis takes it; None where it has none, or none of the range."""
    found = ranges.value(searched, trial.values.get(searched.name, ""))
    if isinstance(searched, Categorical):
        return None if found is None else searched.values.index(str(found))
    return None if found is None else float(found)


def shortened(text: str, most: int) -> str:
    """Return *text* in at most *most* characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
