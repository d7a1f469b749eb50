"""
Loss and accuracy over a training, as it was learnt and as it was measured.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite
from statistics import quantiles
from typing import Any

from kennel.pages.areas import band
from kennel.pages.charts import Axis, Dot, Line, figure, plot
from kennel.pages.legends import names
from kennel.pages.markup import Markup
from kennel.pages.scales import Scale, linear, logarithmic
from kennel.pages.words import counted, listed, number, percent
from kennel.reports.bins import binned, edges, thinned
from kennel.reports.series import Drawn, Epoch, Points

PLACES = 240
DOTTED = 60  # epochs; more would be a line of dots
ENOUGH = 8  # values, to call one of them wild
FAR = 6.0  # widths of the middle half beyond it: what is worse is off the scale
ROOM = 1e4  # times the least: so much an axis of equal factors has room for
LEAST = 1e-4  # what is less is as good as nothing
WIDE = 100.0  # times the least: from there on equal factors show more


@dataclass(frozen=True)
class Curve:
    """
    A curve with its name.

    Args:
        points: (step or epoch, value).
        look: Class of its colour.
        is_dense: Whether there are many points for each place: a band shows where they lie.
    """

    name: str
    points: Points
    look: str
    key: str
    is_dense: bool = False

    @property
    def known(self) -> Points:
        """The points whose values are numbers."""
        return tuple(point for point in self.points if isfinite(point[1]))


def losses(found: Drawn) -> list[Curve]:
    """Return the losses over the steps."""
    by_step = [epoch for epoch in found.epochs if epoch.step is not None]
    measured = of_epochs(by_step, "valid_loss", by_step=True)
    curves = [
        Curve("training, each saved step", found.losses.get("train", ()), "k9", "loss-train", True),  # noqa: FBT003 - is_dense
        Curve("training, each epoch", of_epochs(by_step, "train_loss", by_step=True), "k0", "e"),
    ]
    if measured:
        curves.append(Curve("validation, each epoch", measured, "k1", "loss-valid"))
    else:
        shown = found.losses.get("eval", ())
        curves.append(Curve("evaluation, each saved step", shown, "k1", "loss-valid"))
    others = [name for name in found.losses if name not in ("train", "eval")]
    curves += [Curve(name, found.losses[name], "k2", f"loss-{name}", True) for name in others]  # noqa: FBT003 - is_dense
    return [curve for curve in curves if curve.points]


def accuracies(found: Drawn) -> list[Curve]:
    """Return the accuracies over the epochs."""
    curves = [
        Curve("training", of_epochs(found.epochs, "train_accuracy"), "k0", "acc-train"),
        Curve("validation", of_epochs(found.epochs, "valid_accuracy"), "k1", "acc-valid"),
    ]
    return [curve for curve in curves if curve.points]


def of_epochs(epochs: Sequence[Epoch], measure: str, *, by_step: bool = False) -> Points:
    """Return a measure over the epochs, or over the steps after which they ended."""
    found = []
    for epoch in epochs:
        value = getattr(epoch, measure)
        place = epoch.step if by_step else epoch.epoch
        if value is not None and place is not None:
            found.append((place, value))
    return tuple(found)


def loss_chart(curves: Sequence[Curve], title: str = "Loss") -> Markup | None:
    """Draw losses over the steps."""
    return chart(title, "step", curves, {})


def accuracy_chart(curves: Sequence[Curve], title: str = "Accuracy") -> Markup | None:
    """Draw accuracies over the epochs."""
    return chart(title, "epoch", curves, {"name": percent})


def chart(
    title: str, along: str, curves: Sequence[Curve], options: Mapping[str, Any]
) -> Markup | None:
    """Draw curves over the same places."""
    known = [value for curve in curves for _, value in curve.known]
    if not curves or not known:
        return None
    low, high = limits(known)
    y = vertical(low, high, options)
    places = [place for curve in curves for place, _ in curve.points]
    marks = [mark for curve in curves for mark in marks_of(curve, high)]
    return figure(
        title,
        plot(
            title,
            "; ".join(described(curve) for curve in curves),
            Axis(along, linear(min(places), max(places), whole=True)),
            Axis(title.lower(), y),
            marks,
        ),
        names((curve.key, curve.look, curve.name) for curve in curves),
        strange(curves, high),
    )


def limits(values: Sequence[float]) -> tuple[float, float]:
    """Return the ends of the axis; a few wild values do not stretch it."""
    low, high = min(values), max(values)
    if len(values) >= ENOUGH and (low < 0 or high > max(low, LEAST) * ROOM):
        lower, _, upper = quantiles(values, n=4)
        high = min(high, upper + FAR * (upper - lower)) if upper > lower else high
    return low, high


def vertical(low: float, high: float, options: Mapping[str, Any]) -> Scale:
    """Return the axis of values."""
    if low > 0 and high / low > WIDE:
        return logarithmic(low, high, **options)
    margin = (high - low) / 20
    return linear(low - margin if low < 0 else max(low - margin, 0.0), high + margin, **options)


def marks_of(curve: Curve, high: float) -> Iterable[Dot | Line]:
    """Yield what draws a curve: a band where it is dense, else dots; a cross where it breaks."""
    drawn, title = curve.known, described(curve)
    if curve.is_dense and len(drawn) > PLACES:
        first, last = drawn[0][0], drawn[-1][0]
        ends = edges(first, last, PLACES)
        found = binned([x for x, _ in drawn], [y for _, y in drawn], ends)
        parts = [
            ((a + b) / 2, each) for a, b, each in zip(ends, ends[1:], found, strict=False) if each
        ]
        yield band([(x, each.low, each.high) for x, each in parts], curve.name, curve.look)
        drawn = tuple((x, each.mean) for x, each in parts)
    yield Line(thinned(drawn, PLACES), title, curve.key, curve.look)
    if not curve.is_dense and len(drawn) <= DOTTED:
        for x, y in drawn:
            text = f"{curve.name}, {number(x)}: {number(y)}"
            yield Dot(x, y, text, None, curve.look, "up" if y > high else "dot")
    broken = [place for place, value in curve.points if not isfinite(value)]
    if broken:
        text = f"{curve.name} is no number, first at {number(broken[0])}"
        yield Dot(broken[0], inf, text, None, "bad", "cross")


def described(curve: Curve) -> str:
    """Return what a curve does, in words."""
    drawn = curve.known
    if not drawn:
        return f"{curve.name}: no numbers"
    values = [value for _, value in drawn]
    return (
        f"{curve.name}: {number(values[0])} at first, {number(values[-1])} at last, "
        f"{number(min(values))} to {number(max(values))}"
    )


def strange(curves: Sequence[Curve], high: float) -> str:
    """Say what is not on the chart as it is."""
    broken = [(curve, sum(not isfinite(v) for _, v in curve.points)) for curve in curves]
    said = [
        f"{counted(count, 'value')} of {curve.name} {'is' if count == 1 else 'are'} no number"
        for curve, count in broken
        if count
    ]
    wild = [curve.name for curve in curves if any(value > high for _, value in curve.known)]
    if wild:
        said.append(f"beyond the scale: some of {listed(wild)}")
    text = ("A cross marks the first: " if any(c for _, c in broken) else "") + "; ".join(said)
    return text[:1].upper() + text[1:]


def renamed(curve: Curve, name: str, look: str) -> Curve:
    """Return a curve under another name, for one of two runs."""
    return replace(curve, name=f"{name}: {curve.name}", look=look, key=f"{name}-{curve.key}")
