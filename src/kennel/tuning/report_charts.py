"""
The charts of a tuning job's report: history, importances, parallel coordinates, slices, curves.

Each returns None where there is nothing to draw. The key of every mark is its trial's number, by
which the page finds the trial's row and its other marks.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from math import inf, isfinite

from kennel.pages.charts import Axis, Dot, Line, figure, plot, stairs
from kennel.pages.legends import Bar, bars, key, legend
from kennel.pages.markup import Markup, element
from kennel.pages.parallel import parallel
from kennel.pages.scales import linear
from kennel.pages.words import counted, listed, number
from kennel.tuning.ranges import Categorical, Range
from kennel.tuning.report_axes import Objective, axis, objective, place, shortened, side_by_side
from kennel.tuning.trials import Trial, Tuning

DIGITS = 5  # of an objective
LABEL_CHARS = 24  # what a phone has room for
CURVE_POINTS = 100  # of one trial, at most
SLICED_DOTS = 2500  # in all slices together: what leaves the page below a megabyte
SPREAD = 0.5  # of a category's share, for its dots
GOLDEN = (5**0.5 - 1) / 2  # its multiples, modulo 1, keep their distance
FEW = 2  # the least that a comparison takes

Numbered = tuple[int, Trial]


def history(tuning: Tuning) -> Markup | None:
    """Draw the objective of each trial in the order of their start, and the best so far."""
    if not any(trial.succeeded for trial in tuning.trials):
        return None
    title, last, y = "Objective over trials", len(tuning.trials), scale(tuning)
    found = [(n, value_of(trial)) for n, trial in numbered(tuning) if trial.succeeded]
    best = list(accumulate((v for _, v in found), max if tuning.maximize else min))
    steps = stairs([(n, v) for (n, _), v in zip([*found, (last, 0)], [*best, *best[-1:]])])  # noqa: B905 - no best, no step
    description = f"{counted(last, 'trial')}; {len(found)} with an objective." + (
        f" The best is {number(best[-1], DIGITS)}." if best else ""
    )
    marks: list[Dot | Line] = [
        *([Line(steps, "best so far", look="best")] if steps else []),
        *(outcome(n, trial, y) for n, trial in numbered(tuning)),
        *crown(tuning, lambda n, trial: (n, value_of(trial))),
    ]
    x = Axis("trial", linear(0.5, max(last, FEW) + 0.5, whole=True))
    return figure(title, plot(title, description, x, y.axis, marks), shapes(tuning, y))


def parallel_coordinates(tuning: Tuning) -> Markup | None:
    """Draw each trial as a line through its values, to its objective."""
    y, found = scale(tuning), succeeded(tuning)
    lines = [
        Line(
            [*enumerate(places), (len(places), value_of(trial))],
            title_of(n, trial),
            n,
            y.look(value_of(trial)) + (" thick first" if trial == tuning.best else ""),
        )
        for n, trial in found
        if (places := places_of(trial, tuning.ranges)) is not None
    ]
    if len(lines) < FEW:
        return None
    title = "Values and objective together"
    description = f"A line for each of {counted(len(lines), 'trial')} through its values."
    axes = [*(axis(each) for each in tuning.ranges), y.axis]
    return figure(title, parallel(title, description, axes, lines), colours(y))


def slices(tuning: Tuning, importances: Mapping[str, float]) -> Markup | None:
    """Draw the objective over each hyperparameter, the most important one first."""
    y, found = scale(tuning), succeeded(tuning)
    if len(found) < FEW:
        return None
    order = sorted(tuning.ranges, key=lambda each: -importances.get(each.name, 0.0))
    drawn = order[: max(SLICED_DOTS // len(found), 1)]
    left = listed([each.name for each in order[len(drawn) :]])
    return element(
        "div",
        element("div", (slice_of(tuning, each, y, found) for each in drawn), class_="charts"),
        element("p", f"In the table alone, which has room for it: {left}.", class_="note")
        if left
        else None,
    )


def slice_of(tuning: Tuning, searched: Range, y: Objective, found: list[Numbered]) -> Markup:
    """Draw the objective over one hyperparameter."""

    def at(n: int, trial: Trial) -> tuple[float, float] | None:
        x = place(searched, trial)
        if x is None:
            return None
        return x + (spread(n) if isinstance(searched, Categorical) else 0.0), value_of(trial)

    dots = [
        Dot(*point, title_of(n, trial), n, y.look(point[1]), shape_of(trial, y))
        for n, trial in found
        if (point := at(n, trial)) is not None
    ]
    title = f"{y.axis.label} over {shortened(searched.name, LABEL_CHARS)}"
    return figure(
        title,
        plot(
            title,
            f"{counted(len(dots), 'trial')} by their value of {searched.name}.",
            Axis(shortened(searched.name, LABEL_CHARS), side_by_side(searched)),
            y.axis,
            [*sorted(dots, key=lambda dot: dot.x), *crown(tuning, at)],
        ),
    )


def spread(number_: int) -> float:
    """Return how far a dot lies beside its category, so that many do not hide each other."""
    return SPREAD * ((number_ * GOLDEN) % 1 - 0.5)


def curves(tuning: Tuning) -> Markup | None:
    """Draw how the objective came about in each trial, epoch by epoch."""
    known = [(n, t) for n, t in numbered(tuning) if any(map(isfinite, t.curve))]
    longest = max((len(trial.curve) for _, trial in known), default=0)
    if longest < FEW:
        return None
    whole = scale(tuning)
    best = tuning.best
    values = [value for _, trial in known for value in trial.curve if isfinite(value)]
    y = objective(whole.axis.label, values, maximize=tuning.maximize)
    marks = [
        curve_of(
            thinned(trial.curve),
            title_of(n, trial),
            n,
            (whole.look(value_of(trial)) if trial.succeeded else "dashed")
            + (" thick first" if trial == best else ""),
        )
        for n, trial in sorted(known, key=lambda each: each[1] == best)
    ]
    title = "Learning curves"
    return figure(
        title,
        plot(
            title,
            f"{y.axis.label} of {counted(len(marks), 'trial')} over up to {longest} epochs.",
            Axis("epoch", linear(1, longest, whole=True)),
            y.axis,
            marks,
        ),
        colours(whole),
        "The thick line is the best trial's; dashed ones have no objective at their end."
        if any("dashed" in mark.look for mark in marks)
        else "The thick line is the best trial's.",
    )


def curve_of(points: list[tuple[float, float]], title: str, number_: int, look: str) -> Line | Dot:
    """Return a trial's line, a dot where it has but one epoch."""
    if len(points) >= FEW:
        return Line(points, title, number_, look)
    return Dot(*points[0], title, number_, "open" if look == "dashed" else look)


def importance_bars(importances: Mapping[str, float]) -> Markup | None:
    """Draw which part each hyperparameter has in the differences of the objective."""
    known = {name: part for name, part in importances.items() if isfinite(part)}
    if not known:
        return None
    return bars(
        "Share of the differences in the objective",
        [
            Bar(name, min(max(part, 0.0), 1.0), f"{part:.0%}")
            for name, part in sorted(known.items(), key=lambda each: -each[1])
        ],
    )


def scale(tuning: Tuning) -> Objective:
    """Return the objective's axis, over all trials that succeeded."""
    values = [value_of(trial) for trial in tuning.trials if trial.succeeded]
    return objective(shortened(tuning.metric, LABEL_CHARS), values, maximize=tuning.maximize)


def numbered(tuning: Tuning) -> list[Numbered]:
    """Return the trials with their numbers, from 1, in the order in which they were created."""
    return list(enumerate(tuning.trials, 1))


def succeeded(tuning: Tuning) -> list[Numbered]:
    """Return the trials that have an objective, with their numbers, the best one last."""
    sign = 1 if tuning.maximize else -1
    found = [(n, trial) for n, trial in numbered(tuning) if trial.succeeded]
    return sorted(found, key=lambda each: (sign * value_of(each[1]), -each[0]))


def value_of(trial: Trial) -> float:
    """Return the objective of a trial that succeeded."""
    return 0.0 if trial.objective is None else trial.objective


def title_of(number_: int, trial: Trial) -> str:
    """Return what a mark of a trial says."""
    if trial.succeeded:
        return f"Trial {number_}: {number(value_of(trial), DIGITS)}"
    return f"Trial {number_}: {'running' if trial.running else trial.state.lower()}"


def outcome(number_: int, trial: Trial, y: Objective) -> Dot:
    """Return a trial's mark in the history; without an objective it lies at the worse edge."""
    title = title_of(number_, trial)
    if trial.succeeded:
        value = value_of(trial)
        return Dot(number_, value, title, number_, y.look(value), shape_of(trial, y))
    edge = -inf if y.maximize else inf
    if trial.state == "Failed":
        return Dot(number_, edge, title, number_, "bad", "cross")
    return Dot(number_, edge, title, number_, "open", "ring" if trial.running else "square")


def shape_of(trial: Trial, y: Objective) -> str:
    """Return the shape of a trial that has an objective."""
    if y.off(value_of(trial)):
        return "down" if y.maximize else "up"
    return "square" if trial.state == "Stopped" else "dot"


def crown(tuning: Tuning, at: Callable[[int, Trial], tuple[float, float] | None]) -> Iterator[Dot]:
    """Yield the ring around the best trial's mark."""
    for n, trial in numbered(tuning):
        if trial == tuning.best and (point := at(n, trial)) is not None:
            yield Dot(*point, f"Trial {n}: the best", look="best", shape="crown")


def places_of(trial: Trial, ranges: tuple[Range, ...]) -> list[float] | None:
    """Return a trial's values as their axes take them; None if one is not in its range."""
    places = [place(each, trial) for each in ranges]
    known = [each for each in places if each is not None]
    return known if len(known) == len(places) else None


def thinned(curve: tuple[float, ...]) -> list[tuple[float, float]]:
    """Return the points of a curve, from epoch 1, its last one included."""
    points = [(float(i), value) for i, value in enumerate(curve, 1) if isfinite(value)]
    step = -(-len(points) // CURVE_POINTS)
    return [*points[:-1:step], points[-1]]


def shapes(tuning: Tuning, y: Objective) -> Markup:
    """Return what the history's shapes and colours mean, of those that are in it."""
    drawn = {(dot.shape, dot.look) for n, t in numbered(tuning) for dot in [outcome(n, t, y)]}
    names = {shape for shape, _ in drawn}
    entries = [
        ("crown", "best", "best", tuning.best is not None),
        ("dot", "c8", "completed", "dot" in names),
        (
            "square",
            "c8",
            "stopped early, with a value",
            any(shape == "square" and look != "open" for shape, look in drawn),
        ),
        ("down" if y.maximize else "up", "c0", "too bad for the scale", names & {"up", "down"}),
        ("cross", "bad", "failed", "cross" in names),
        ("square", "open", "stopped, no value", ("square", "open") in drawn),
        ("ring", "open", "running", "ring" in names),
    ]
    return key(*((shape, look, words) for shape, look, words, there in entries if there))


def colours(y: Objective) -> Markup:
    """Return the legend of the objective's colours."""
    return legend(f"{number(y.dull)} or worse", f"{number(y.best)}, the best")
