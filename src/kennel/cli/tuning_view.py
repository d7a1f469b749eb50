"""
How a tuning job looks: its progress on a line, its trials in a table, as JSON, and live.

Where it comes from is kennel.jobs.tuning_reader; the page to look at in a browser is
kennel.tuning.report's.
"""

import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from kennel.cli import show
from kennel.jobs import watch
from kennel.jobs.tunings import Job
from kennel.tuning.trials import Trial, Tuning, best, listed

ROOM = 7  # lines of a terminal that are not for trials
TOLD = ("valid_accuracy", "valid_loss")  # metrics beside the objective
Show = Callable[[Tuning], object]


def follow(events: Iterable[Tuning]) -> Tuning:
    """Show a tuning job as it goes on, and return what it came to."""
    last: Tuning | None = None
    with _shown() as update:
        for tuning in events:
            update(tuning)
            last = tuning
    if last is None:  # pragma: no cover - its contract
        raise AssertionError("a follower ends with a tuning job that has ended")
    return last


@contextmanager
def _shown() -> Iterator[Show]:
    """Give what shows a tuning job: a live table on a terminal, elsewhere lines of what is new."""
    from rich.console import Console  # noqa: PLC0415 - slow to import, and most commands draw none

    console = Console(stderr=True)
    if not console.is_terminal:
        yield Lines()
        return
    from rich.live import Live  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    with Live(console=console, transient=True, auto_refresh=False) as live:

        def update(tuning: Tuning) -> None:
            text = Text(picture(tuning, console.width, console.height), no_wrap=True)
            live.update(text, refresh=True)

        yield update


class Lines:
    """Says on standard error what is new: a line for each trial that has ended."""

    def __init__(self) -> None:
        self._status = ""
        self._told: set[str] = set()

    def __call__(self, tuning: Tuning) -> None:
        """Take a look."""
        for trial in tuning.trials:
            if not trial.running and trial.name not in self._told:
                self._told.add(trial.name)
                known = [one for one in tuning.trials if one.name in self._told]
                show.talk(f"{line(tuning, trial)}; {_best(tuning, known)}")
        if tuning.status != self._status:
            show.talk(f"{tuning.status}: {progress(tuning)}")
            self._status = tuning.status


def picture(tuning: Tuning, width: int, height: int) -> str:
    """
    Return what a terminal of that size shows: progress, the newest trials, the best.

    Where the table is too wide, metrics beside the objective are left out before it is cut.
    """
    shown = newest(tuning, max(height - ROOM, 1))
    lines = [f"{tuning.name}  {tuning.status}", *textwrap.wrap(progress(tuning), width)]
    if shown:
        whole = table(tuning, shown).splitlines()
        fits = max(map(len, whole)) <= width
        lines += whole if fits else table(tuning, shown, told=()).splitlines()
    return "\n".join(line[:width] for line in [*lines, _best(tuning, tuning.trials)])


def newest(tuning: Tuning, most: int) -> Sequence[Trial]:
    """Return the newest trials, and the best one even if it is none of them."""
    last, winner = tuning.trials[-most:], tuning.best
    return last if winner is None or winner in last else (winner, *last[1:])


def progress(tuning: Tuning, job: Job | None = None, now: datetime | None = None) -> str:
    """Say how far a tuning job is, against its limits, and what it costs."""
    ended = [trial for trial in tuning.trials if not trial.running]
    failed = sum(trial.state == "Failed" for trial in ended)
    of = f" of {tuning.limits.jobs}" if tuning.limits.jobs else ""
    parts = [f"{len(ended)}{of} trials"]
    if running := len(tuning.trials) - len(ended):
        parts.append(f"{running} running")
    if failed:
        parts.append(f"{failed} failed")
    if (seconds := elapsed_s(tuning, now)) is not None:
        most = tuning.limits.runtime_s
        parts.append(show.duration(seconds) + (f" of {show.duration(most)}" if most else ""))
    if (billable := billable_s(tuning, job)) is not None:
        parts.append(f"{billable:.0f} billable seconds")
    return ", ".join(parts)


def elapsed_s(tuning: Tuning, now: datetime | None = None) -> float | None:
    """Return for how long it has run; None before it began."""
    if tuning.started is None:
        return None
    end = tuning.ended or now or datetime.now(UTC)
    return max((end - tuning.started).total_seconds(), 0.0)


def billable_s(tuning: Tuning, job: Job | None = None) -> float | None:
    """Return what its trials, or the one job, have cost so far; None where that is not told."""
    if job and job.in_job:
        return job.billable_s
    known = [trial.billable_s for trial in tuning.trials if trial.billable_s is not None]
    return sum(known) if known else None


def _best(tuning: Tuning, among: Iterable[Trial]) -> str:
    found = best(among, maximize=tuning.maximize)
    if found is None:
        return f"no {tuning.metric} yet"
    return f"best {tuning.metric} {found.objective:.6g}: trial {short(tuning, found)}"


def line(tuning: Tuning, trial: Trial) -> str:
    """Say on a line what came of a trial."""
    known = trial.objective is not None
    parts = [f"trial {short(tuning, trial)} {trial.state}"]
    parts += [f"{tuning.metric}={trial.objective:.6g}"] if known else []
    parts += [f"{name}={rounded(value)}" for name, value in trial.values.items()]
    parts += [f"in {show.duration(trial.seconds)}"] if trial.seconds is not None else []
    reason = trial.reason.strip().splitlines()
    return " ".join(parts) + (f": {reason[0]}" if reason else "")


def short(tuning: Tuning, trial: Trial) -> str:
    """Return a trial's number, which its name has after that of its tuning job."""
    return trial.name.removeprefix(f"{tuning.name}-").partition("-")[0]


def table(tuning: Tuning, trials: Sequence[Trial], told: Sequence[str] = TOLD) -> str:
    """Align *trials* in columns, the best one marked; *told* are metrics beside the objective."""
    searched = [each.name for each in tuning.ranges]
    metrics = [name for name in told if any(name in t.metrics for t in trials)]
    others = [name for name in metrics if name != tuning.metric]
    rows = [
        (
            short(tuning, trial) + (" *" if trial == tuning.best else ""),
            trial.state,
            _figure(_objective(tuning, trial)),
            *(_figure(trial.metrics.get(name)) for name in others),
            *(rounded(trial.values.get(name, "")) for name in searched),
            "" if trial.seconds is None else show.duration(trial.seconds),
        )
        for trial in trials
    ]
    return show.columns([("trial", "status", tuning.metric, *others, *searched, "took"), *rows])


def _objective(tuning: Tuning, trial: Trial) -> float | None:
    """Return the objective; of a trial that runs, its last value so far."""
    return trial.metrics.get(tuning.metric) if trial.objective is None else trial.objective


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def rounded(text: str) -> str:
    """Shorten a value that has more digits than anyone reads."""
    try:
        return f"{float(text):.4g}" if "." in text or "e" in text else text
    except ValueError:
        return text


def outcome(tuning: Tuning, job: Job, *, reason: bool = True) -> str:
    """Render a tuning job for people: what it came to, and why unless that is said elsewhere."""
    rows = {
        "tuning job": tuning.name,
        "status": tuning.status + (" (in one training job)" if job.in_job else ""),
        "reason": watch.cause(tuning.reason) if reason else "",
        "strategy": f"{tuning.strategy}, for {_wanted(tuning)} {tuning.metric}",
        "progress": progress(tuning, job),
        "started from": ", ".join(tuning.parents),
        **best_rows(tuning, job),
    }
    head = show.columns([(name, value) for name, value in rows.items() if value])
    return f"{table(tuning, tuning.trials)}\n\n{head}" if tuning.trials else head


def _wanted(tuning: Tuning) -> str:
    return "the highest" if tuning.maximize else "the lowest"


def best_rows(tuning: Tuning, job: Job) -> dict[str, str]:
    """Return what is to be said of the best trial; nothing where there is none."""
    winner = tuning.best
    if winner is None:
        return {}
    tested = test_accuracy(tuning, job)
    return {
        "best": f"{tuning.metric} {winner.objective:.6g}, {winner.name}",
        "values": listed(winner.values),
        "test accuracy": "" if tested is None else f"{tested:.4f}",
    }


def test_accuracy(tuning: Tuning, job: Job) -> float | None:
    """Return the accuracy of the best trial on the test split, if it was measured."""
    if job.in_job or tuning.best is None:
        return job.test_accuracy
    return tuning.best.metrics.get("test_accuracy")


def document(tuning: Tuning, job: Job) -> dict[str, Any]:
    """Return what a script wants to know of a tuning job."""
    return {
        "tuning_job": tuning.name,
        "status": tuning.status,
        "reason": tuning.reason or None,
        "in_job": job.in_job,
        "strategy": tuning.strategy,
        "objective": tuning.metric,
        "direction": "Maximize" if tuning.maximize else "Minimize",
        "best": tuning.best and _trial(tuning.best),
        "test_accuracy": test_accuracy(tuning, job),
        "static": dict(tuning.static),
        "trials": [_trial(trial) for trial in tuning.trials],
        "limits": vars(tuning.limits),
        "seconds": elapsed_s(tuning),
        "billable_s": billable_s(tuning, job),
    }


def _trial(trial: Trial) -> dict[str, Any]:
    return {
        "job": trial.name,
        "status": trial.state,
        "objective": trial.objective,
        "values": dict(trial.values),
        "metrics": dict(trial.metrics),
        "seconds": trial.seconds,
        "billable_s": trial.billable_s,
        "reason": trial.reason or None,
    }
