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
FAR = 3  # widths of the middle half beyond it: what is worse is off the scale
MARGIN = 0.05  # of the objective's axis, at both ends
LABEL_CHARS = 12
LABELS_CHARS = 32  # of all labels side by side, on a phone


@dataclass(frozen=True)
class Objective:
    """The objective's axis: from *low* to *high*, whichever of both is better."""

    axis: Axis
    low: float
    high: float
    maximize: bool

    def look(self, value: float) -> str:
        """Return the class of a value's colour."""
        at = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return colour(at if self.maximize else 1 - at)

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
    if len(values) >= ENOUGH:
        lower, _, upper = quantiles(values, n=4)
        reach = FAR * (upper - lower)
        if reach > 0 and maximize:
            low = max(low, lower - reach)
        elif reach > 0:
            high = min(high, upper + reach)
    margin = MARGIN * (high - low)
    return Objective(Axis(label, linear(low - margin, high + margin)), low, high, maximize)


def axis(searched: Range) -> Axis:
    """Return the axis of a range, in the scaling that it is searched with."""
    return Axis(shortened(searched.name, 2 * LABEL_CHARS), scale(searched))


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
