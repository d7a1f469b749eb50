"""
How long steps took: their distribution, their course over the run, the slowest of them.
"""

from collections.abc import Sequence
from math import isfinite
from statistics import fmean, pstdev

from kennel.pages.areas import band, column
from kennel.pages.charts import Axis, Dot, Line, figure, plot
from kennel.pages.markup import Markup
from kennel.pages.scales import Scale, linear, logarithmic
from kennel.pages.tables import Cell, Column, Row, facts, table
from kennel.pages.words import counted, fine, number, percent
from kennel.profiling.run import Run
from kennel.profiling.timeline import Step, Timeline
from kennel.reports.bins import binned, counts, edges, growing_edges, quantile
from kennel.reports.phases import words

COLUMNS = 40  # of a distribution
PLACES = 240  # over the run
SLOWEST = 12  # named
OUTLYING = 3.0  # standard deviations above the mean: AWS's StepOutlier
WIDE = 8.0  # times the least: from there on an axis of equal factors shows more
LEAST_S = 1e-7


def distribution(timeline: Timeline) -> Markup | None:
    """Draw how many steps took how long."""
    seconds = durations(timeline.steps)
    if not seconds:
        return None
    ends = ends_of(seconds)
    found = counts(seconds, ends)
    title = "How long steps took"
    bars = [
        Line(
            column(left, right, 0, count),
            f"{counted(count, 'step')} of {fine(left)} to {fine(right)}",
            f"steps-{i}",
            filled=True,
        )
        for i, (left, right, count) in enumerate(zip(ends, ends[1:], found, strict=False))
        if count
    ]
    middle = quantile(sorted(seconds), 0.5)
    description = f"{counted(len(seconds), 'step')}; half of them took at most {fine(middle)}."
    y = Axis("steps", linear(0, max(found), whole=True))
    return figure(
        title, plot(title, description, Axis("seconds", scale(ends)), y, bars), sample(timeline)
    )


def sample(timeline: Timeline) -> str:
    """Say which steps are shown, where those are not all."""
    if timeline.stride <= 1:
        return ""
    return (
        f"Of {counted(timeline.steps_taken, 'step')} every {timeline.stride}th is kept one by one, "
        "and the slowest of all."
    )


def ends_of(seconds: Sequence[float]) -> list[float]:
    """Return the ends of a distribution's columns, growing where values are far apart."""
    low, high = max(min(seconds), LEAST_S), max(*seconds, LEAST_S)
    if high / low > WIDE:
        return growing_edges(low, high, COLUMNS)
    margin = (high - low) / 20 or high / 20
    return edges(max(low - margin, 0.0), high + margin, COLUMNS)


def scale(ends: Sequence[float]) -> Scale:
    """Return the axis of durations that columns with these ends stand on."""
    if ends[0] > 0 and ends[-1] / ends[0] > WIDE:
        return logarithmic(ends[0], ends[-1], name=fine)
    return linear(ends[0], ends[-1], name=fine)


def durations(steps: Sequence[Step]) -> list[float]:
    """Return the seconds of each step, those that are none left out."""
    return [step.seconds for step in steps if isfinite(step.seconds) and step.seconds >= 0]


def course(timeline: Timeline) -> Markup | None:
    """Draw how long steps took over the run, with the slowest of them."""
    steps = timeline.steps
    if len(steps) < 2:  # noqa: PLR2004 - one is no course
        return None
    first, last = steps[0].number, max(step.number for step in steps)
    ends = edges(first, last + 1, min(PLACES, last + 1 - first))
    found = binned([step.number for step in steps], [step.seconds for step in steps], ends)
    there = [
        ((left + right) / 2, place)
        for left, right, place in zip(ends, ends[1:], found, strict=False)
        if place
    ]
    slow = slowest(timeline)
    title = "Step by step"
    marks: list[Dot | Line] = [
        band([(x, place.low, place.high) for x, place in there], "shortest to longest"),
        Line([(x, place.mean) for x, place in there], "mean", look="mean"),
        *(
            Dot(step.number, step.seconds, said(step), f"step-{step.number}", "k1")
            for step in sorted(outlying(slow, timeline), key=lambda step: step.number)
        ),
    ]
    every = [place.low for _, place in there] + [place.high for _, place in there]
    every += [step.seconds for step in slow]
    low, high = max(min(every), LEAST_S), max(*every, LEAST_S)
    y = logarithmic(low, high, name=fine) if high / low > WIDE else linear(0, high, name=fine)
    chart = plot(
        title,
        f"From {fine(low)} to {fine(high)} a step; the slowest is step {slow[0].number}.",
        Axis("step", linear(first, last, whole=True)),
        Axis("seconds", y),
        marks,
    )
    words = "The line is the mean, the band goes from the shortest to the longest."
    dots = " Dots are far slower than all others." if outlying(slow, timeline) else ""
    return figure(title, chart, words + dots)


def slowest(timeline: Timeline) -> list[Step]:
    """Return the slowest steps, the slowest first."""
    known = {step.number: step for step in [*timeline.steps, *timeline.slowest]}
    there = [step for step in known.values() if isfinite(step.seconds)]
    return sorted(there, key=lambda step: -step.seconds)[:SLOWEST]


def outlying(slow: Sequence[Step], timeline: Timeline) -> list[Step]:
    """Return those of the slowest steps that are far from all others."""
    seconds = durations(timeline.steps)
    limit = fmean(seconds) + OUTLYING * pstdev(seconds)
    return [step for step in slow if step.seconds > limit]


def said(step: Step) -> str:
    """Return what a step's mark says."""
    name, share = most(step)
    return f"Step {step.number}: {fine(step.seconds)}, {percent(share)} of it {words(name)}"


def most(step: Step) -> tuple[str, float]:
    """Return the phase that a step spent the most time in, and its share."""
    name = max(step.phases, key=lambda name: step.phases[name], default="other")
    return name, step.phases.get(name, 0.0) / (step.seconds or 1.0)


def slowest_table(timeline: Timeline, run: Run) -> Markup | None:
    """Return the slowest steps and what each spent its time on."""
    slow = slowest(timeline)
    if not slow:
        return None
    rows = []
    for step in slow:
        name, share = most(step)
        rows.append(
            Row(
                [
                    Cell(step.number, step.number),
                    Cell(fine(step.seconds), step.seconds),
                    Cell(fine(step.start), step.start),
                    Cell(step.epoch + 1, step.epoch + 1),
                    Cell(f"{words(name)}, {percent(share)}{traced(step, run)}"),
                ],
                f"step-{step.number}",
            )
        )
    columns = [
        Column("Step", numeric=True),
        Column("Took", numeric=True),
        Column("Began after", numeric=True),
        Column("Epoch", numeric=True),
        Column("Most of it"),
    ]
    caption = "The slowest steps; steps are counted from 0, epochs from 1"
    return table(caption, columns, rows, ordered=(1, "descending"))


def traced(step: Step, run: Run) -> str:
    """Say of a step that torch.profiler has seen that it has, which makes a step longer."""
    first = run.traced_first
    seen = first is not None and first <= step.number < first + (run.traced_steps or 0)
    return ", traced" if seen else ""


def figures(timeline: Timeline) -> Markup | None:
    """Return what steps came to in figures."""
    ordered = sorted(durations(timeline.steps))
    if not ordered:
        return None
    taken = max(timeline.steps_taken, len(ordered))
    return facts(
        {
            "Steps": f"{taken:,}",
            "Median": fine(quantile(ordered, 0.5)),
            "95 of 100 within": fine(quantile(ordered, 0.95)),
            "Longest": fine(slowest(timeline)[0].seconds),
            "Longest, times the median": number(
                slowest(timeline)[0].seconds / (quantile(ordered, 0.5) or LEAST_S), 3
            ),
        }
    )
