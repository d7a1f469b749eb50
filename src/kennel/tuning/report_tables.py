"""
What a tuning job's report says in rows: trials, failures, what the request asked for.
"""

from collections import defaultdict

from kennel.pages.markup import Content, Markup, element
from kennel.pages.page import section
from kennel.pages.tables import Cell, Column, Row, facts, listing, table
from kennel.pages.words import counted, duration, listed, number
from kennel.tuning import report_charts as charts
from kennel.tuning.ranges import Categorical, Range, scaling
from kennel.tuning.trials import Trial, Tuning

# More trials than this are named by their count alone.
NAMED = 10


def trials(tuning: Tuning) -> Markup:
    """Return the table of all trials, the best one first."""
    billed = any(trial.billable_s is not None for trial in tuning.trials)
    columns = [
        Column("Trial", numeric=True),
        Column("Status"),
        Column(tuning.metric, numeric=True),
        *(Column(each.name, numeric=is_numeric(each)) for each in tuning.ranges),
        Column("Time", numeric=True),
        *([Column("Billable", numeric=True)] if billed else []),
        Column("Training job"),
    ]
    rows = [
        Row(
            [
                Cell(n, n),
                Cell(status(trial, tuning)),
                measure(trial.objective, charts.DIGITS),
                *(chosen(each, trial) for each in tuning.ranges),
                lasting(trial.seconds),
                *([lasting(trial.billable_s)] if billed else []),
                Cell(trial.name),
            ],
            n,
            look(trial, tuning),
        )
        for n, trial in best_first(tuning)
    ]
    caption = counted(len(rows), "trial") + (", the best first" if tuning.best else "")
    return table(caption, columns, rows, ordered=(2, direction(tuning)))


def metrics(tuning: Tuning) -> Markup | None:
    """Return the table of what trials measured besides; a metric may be called as a range is."""
    others = sorted({name for trial in tuning.trials for name in trial.metrics} - {tuning.metric})
    if not others:
        return None
    names = [tuning.metric, *others]
    rows = [
        Row(
            [
                Cell(n, n),
                measure(trial.objective, charts.DIGITS),
                *(measure(trial.metrics.get(name), charts.DIGITS) for name in others),
            ],
            n,
            look(trial, tuning),
        )
        for n, trial in best_first(tuning)
        if trial.metrics
    ]
    columns = [Column("Trial", numeric=True), *(Column(name, numeric=True) for name in names)]
    return table("All metrics, as printed last", columns, rows, ordered=(1, direction(tuning)))


def best_first(tuning: Tuning) -> list[charts.Numbered]:
    """Return the trials with their numbers, those without an objective last."""
    rest = [each for each in charts.numbered(tuning) if not each[1].succeeded]
    return [*charts.succeeded(tuning)[::-1], *rest]


def direction(tuning: Tuning) -> str:
    """Return in which order objectives stand when the best comes first."""
    return "descending" if tuning.maximize else "ascending"


def look(trial: Trial, tuning: Tuning) -> str:
    """Return the class of a trial's row."""
    return "best" if trial == tuning.best else "bad" if trial.state == "Failed" else ""


def is_numeric(searched: Range) -> bool:
    """Say whether a hyperparameter's values sort as numbers."""
    if not isinstance(searched, Categorical):
        return True
    return all(as_number(text) is not None for text in searched.values)


def as_number(text: str) -> float | None:
    """Return the number that a text is, or None."""
    try:
        return float(text)
    except ValueError:
        return None


def short(text: str) -> str:
    """Return a value in as many digits as a reader wants; a text as it is."""
    found = as_number(text)
    return text if found is None else number(found)


def status(trial: Trial, tuning: Tuning) -> str:
    """Return how a trial stands."""
    word = "Running" if trial.running else trial.state
    return f"{word}, best" if trial == tuning.best else word


def measure(value: float | None, digits: int) -> Cell:
    """Return the cell of a measure, empty where it is not known."""
    return Cell(None, None) if value is None else Cell(number(value, digits), value)


def chosen(searched: Range, trial: Trial) -> Cell:
    """Return the cell of a trial's value of a hyperparameter."""
    text = trial.values.get(searched.name)
    if text is None:
        return Cell(None, None)
    return Cell(short(text), as_number(text)) if is_numeric(searched) else Cell(text)


def lasting(seconds: float | None) -> Cell:
    """Return the cell of a duration."""
    return Cell(None, None) if seconds is None else Cell(duration(seconds), seconds)


def failures(tuning: Tuning) -> Markup | None:
    """Return why trials failed, each reason once, the most frequent first."""
    by_reason: dict[str, list[int]] = defaultdict(list)
    for n, trial in charts.numbered(tuning):
        if trial.state == "Failed":
            by_reason[trial.reason or "no reason was given"].append(n)
    if not by_reason:
        return None
    reasons = sorted(by_reason.items(), key=lambda each: -len(each[1]))
    return section(
        "Failures",
        (
            (element("h3", which(numbers)), element("pre", element("code", reason)))
            for reason, numbers in reasons
        ),
    )


def which(numbers: list[int]) -> str:
    """Return which trials failed for one reason."""
    if len(numbers) > NAMED:
        return f"{len(numbers)} trials, the first of them trial {numbers[0]}"
    return f"{'Trial' if len(numbers) == 1 else 'Trials'} {listed([str(n) for n in numbers])}"


def settings(tuning: Tuning) -> Markup:
    """Return what the request said."""
    limits = tuning.limits
    known: dict[str, Content] = {
        "Strategy": tuning.strategy,
        "Objective": f"{tuning.metric}, {'maximized' if tuning.maximize else 'minimized'}",
        "At a time": counted(limits.parallel, "trial"),
    }
    ends = {
        "At most": limits.jobs and counted(limits.jobs, "trial"),
        "For at most": limits.runtime_s and duration(limits.runtime_s),
        "Until it reaches": None if limits.target is None else number(limits.target),
        "Until nothing better came in": limits.not_improving
        and counted(limits.not_improving, "trial"),
        "Until convergence": "yes" if limits.convergence else None,
        "Epochs of a trial": tuning.halving and f"{tuning.halving.low} to {tuning.halving.high}",
        "Early stopping": "Auto" if tuning.early_stopping else None,
        "Started from": listed(list(tuning.parents)),
    }
    known |= {name: what for name, what in ends.items() if what}
    return element(
        "div",
        facts(known),
        listing(
            "Searched", ["Hyperparameter", "Values", "Scaling"], map(searched_row, tuning.ranges)
        ),
        listing(
            "The same in all trials", ["Hyperparameter", "Value"], sorted(tuning.static.items())
        )
        if tuning.static
        else None,
    )


def searched_row(searched: Range) -> tuple[str, str, str]:
    """Return what a range says: name, values, scaling."""
    if isinstance(searched, Categorical):
        return searched.name, ", ".join(searched.values), "none"
    used = scaling(searched)
    said = used if used == searched.scaling else f"{used} (by Auto)"
    return searched.name, f"{number(searched.low)} to {number(searched.high)}", said
