"""
How things look: aligned columns on standard output, progress and status on standard error.

On a terminal the last line is alive; in a CI log there are plain lines and nothing else.
"""

import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TextIO

from kennel.cli import hints
from kennel.datasets.stage import Upload
from kennel.jobs import watch
from kennel.jobs.lookup import Answer
from kennel.jobs.predict import Guess, Prediction
from kennel.jobs.watch import Ended, Event, Line, Status

WATCHED = ("valid_accuracy", "test_accuracy")  # what the status line has room for
Show = Callable[[str], object]


def talk(text: str) -> None:
    """Say something that is no result; the commands in it are shown as they are typed here."""
    sys.stderr.write(f"{hints.typed(text)}\n")
    sys.stderr.flush()


def result(text: str) -> None:
    """Print a result."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def columns(rows: Sequence[Sequence[str]], *, indent: str = "") -> str:
    """Align *rows* of equal length; the last column is as wide as it likes."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join(
        (indent + "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True))).rstrip()
        for row in rows
    )


def duration(seconds: float) -> str:
    """Write 75 as 1:15."""
    text = str(timedelta(seconds=round(seconds)))
    return text.removeprefix("0:").removeprefix("0") if seconds < 3600 else text  # noqa: PLR2004 - an hour


def size(count: float) -> str:
    """Write a number of bytes as people do: 1.2 MB."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:  # noqa: PLR2004 - decimal units
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


@contextmanager
def upload_progress(uploads: Sequence[Upload]) -> Iterator[Callable[[Upload], object]]:
    """Draw a bar of files and bytes while the uploads go on; call what it gives after each."""
    from rich.console import Console  # noqa: PLC0415 - slow to import, and most commands draw none
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if not console.is_terminal or not uploads:
        yield lambda _upload: None
        return
    with Progress(
        TextColumn("uploading"),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[files]} files"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as progress:
        task = progress.add_task("", total=sum(u.size for u in uploads), files=0)
        count = iter(range(1, len(uploads) + 1))
        yield lambda upload: progress.update(task, advance=upload.size, files=next(count))


@contextmanager
def status_line() -> Iterator[Show]:
    """Keep one line alive at the end of standard error: what it gives sets its text."""
    from rich.console import Console  # noqa: PLC0415 - slow to import, and most commands draw none
    from rich.markup import escape  # noqa: PLC0415
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _text: None
        return
    shown = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*shown, console=console, transient=True) as progress:
        task = progress.add_task("")
        yield lambda text: progress.update(task, description=escape(text))


def follow(events: Iterable[Event], *, lines: TextIO | None = None) -> Answer:
    """
    Show *events* as they come, and return the description that the last one brings.

    Args:
        events: Of a training job or an endpoint.
        lines: Where log lines go; by default standard error, as talk.
    """
    view = _View(lines)
    with status_line() as show:
        for event in events:
            if isinstance(event, Ended):
                return event.described
            view.take(event, show)
    raise AssertionError("a follower ends with Ended")  # pragma: no cover - its contract


class _View:
    """What has to be remembered between two events to show them."""

    def __init__(self, lines: TextIO | None) -> None:
        self._lines = lines
        self._detail = ""
        self._metrics: dict[str, float] = {}

    def take(self, event: Status | Line, show: Show) -> None:
        """Print what is new, and bring the status line up to date."""
        if isinstance(event, Status):
            self._detail = event.detail or event.status
            said = "" if self._detail == "Failed" else event.message  # the error is to tell why
            talk(f"{self._detail}: {said}" if said else self._detail)
        else:
            self._metrics |= watch.metrics_in(event.text)
            (self._lines or sys.stderr).write(f"{event.labelled}\n")
            (self._lines or sys.stderr).flush()
        known = [f"{name} {self._metrics[name]:.4f}" for name in WATCHED if name in self._metrics]
        show("  ".join([self._detail, *known]))


def near(path: Path) -> Path:
    """Return *path* as seen from the current folder where it is below it, else as it is."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def metrics(values: Mapping[str, float]) -> str:
    """Render the last value of every metric."""
    return columns([(name, f"{value:.6g}") for name, value in values.items()], indent="  ")


def predictions(found: Sequence[Prediction], *, width: int) -> str:
    """
    Render a row a picture, the likeliest class first, then the pictures that could not be.

    Args:
        width: In characters: as many of the classes are shown as fit, one at least.
    """
    names = dict(zip([prediction.path for prediction in found], _short(found), strict=True))
    classified = [prediction for prediction in found if not prediction.error]
    failed = [(names[p.path], p.error) for p in found if p.error]
    rows = [[names[p.path], *map(_guess, p.guesses)] for p in classified]
    parts = [_fitting(rows, width)] if rows else []
    if failed:
        told = [f"  {name}: {error}".replace("\n", "\n  ") for name, error in failed]
        parts.append("\n".join([f"not classified: {len(failed)}", *told]))
    return "\n\n".join(parts)


def width() -> int:
    """Return how wide a table may be: as the terminal or COLUMNS says, else 100 characters."""
    return shutil.get_terminal_size(fallback=(100, 24)).columns


def _guess(guess: Guess) -> str:
    return f"{guess.class_name} {guess.probability:.1%}"


def _fitting(rows: Sequence[Sequence[str]], width: int) -> str:
    """Align *rows*, of a name and its guesses, leaving out the guesses that do not fit."""
    most = max(1, max(map(len, rows)) - 1)
    whole = [[*row, *[""] * (most + 1 - len(row))] for row in rows]
    for shown in range(most, 0, -1):
        head = ["picture", *(f"{rank}." for rank in range(1, shown + 1))]
        table = columns([head, *(row[: shown + 1] for row in whole)])
        if max(map(len, table.splitlines())) <= width:
            break
    left = f"\n({shown} of {most} classes fit here; --json has all)" if shown < most else ""
    return table + left


def _short(found: Sequence[Prediction]) -> list[str]:
    """Leave out the folders that all pictures share."""
    paths = [prediction.path for prediction in found]
    parents = {path.parent for path in paths}
    if len(parents) == 1:
        return [path.name for path in paths]
    return [str(path) for path in paths]
