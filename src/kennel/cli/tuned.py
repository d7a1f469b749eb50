"""
The record of the last search, for the training after it.

``kennel tune`` leaves the record when it has started the search, ``kennel train --tuned`` (which is
``make train``) reads it; what a search has come to that nobody followed is asked for then. A record
of other pictures, another model or other settings is not used, and it is said why.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from kennel import contract
from kennel.cli import best_values, show
from kennel.errors import JobError
from kennel.jobs import compose
from kennel.settings import Settings
from kennel.tuning.trials import Tuning, listed

WITHOUT = "without it: make train TUNED=, or kennel train without --tuned"


@dataclass(frozen=True)
class Asked:
    """What a search was asked to look at, so that another training is told from it."""

    data: str | None  # as the command line gave it, a folder as an absolute path
    folder: str  # [data] folder
    weights: str | None  # a file's absolute path, or imagenet or none; None: not given
    model: str
    hyperparameters: Mapping[str, str]  # of the settings, but for those that are searched
    ranges: Mapping[str, str]  # [tune.ranges]


@dataclass(frozen=True)
class Record:
    """The last search that was started here."""

    job: str
    objective: str
    static: Mapping[str, str]  # the hyperparameters that all trials share
    asked: Asked
    best: Mapping[str, str] | None = None  # those that were searched; None: not known here
    value: float | None = None  # of the objective
    before: "Record | None" = None  # the last that is known to have found something

    @property
    def hyperparameters(self) -> dict[str, str]:
        """All of the best trial's, as far as they are known."""
        return {**self.static, **(self.best or {})}

    def ended(self, tuning: Tuning) -> "Record":
        """Return it with what the search has found; JobError where that is nothing."""
        best = best_values.require_best(tuning)
        return replace(self, best=dict(best.values), value=best.objective, before=None)

    def after(self, last: "Record | None") -> "Record":
        """Return it with the last useful record, of *last*, in case this finds nothing."""
        return replace(self, before=last.before if last and last.best is None else last)


def asked(settings: Settings, *, data: str | None, weights: str | None) -> Asked:
    """Return what a command was asked, *settings* being those of the files and the environment."""
    ranges = {name: str(each) for name, each in settings.tune.ranges.items()}
    given = settings.train.hyperparameters
    return Asked(
        data=_absolute(data),
        folder=str(settings.data.folder.absolute()),
        weights=_absolute(weights),
        model=compose.model_name(settings),
        hyperparameters={k: v for k, v in given.items() if k not in ranges},
        ranges=ranges,
    )


def _absolute(given: str | None) -> str | None:
    return str(Path(given).absolute()) if given and Path(given).exists() else given


def write(path: Path, record: Record) -> None:
    """Leave *record* at *path*; say so if that cannot be: the search itself is none the worse."""
    draft = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(asdict(record), indent=2) + "\n", encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        show.talk(
            f"warning: {show.near(path)} cannot be written: {error.strerror}; make train will not "
            f"know of this search\n  use it: kennel train --from-tuning {record.job}"
        )


def read(path: Path) -> Record | None:
    """Return the record, None where there is none that can be read."""
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return _record(document)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        show.talk(f"{show.near(path)} is not used, it is no record of a search: {error}")
        return None


def _record(document: Mapping[str, Any]) -> Record:
    asked = Asked(**document["asked"])
    before = _record(document["before"]) if document.get("before") else None
    return Record(**{**document, "asked": asked, "before": before})


def differences(record: Record, now: Asked, chosen: Mapping[str, str]) -> Iterator[str]:
    """
    Yield what makes the record that of another training.

    Args:
        now: What is asked for; data and weights that are not given are those of the record.
        chosen: Hyperparameters of the command line.
    """
    then = record.asked
    if now.data not in (None, then.data):
        yield f"data {now.data} (was {then.data or then.folder})"
    if then.data is None and now.folder != then.folder:
        yield f"data {now.folder} (was {then.folder})"
    if now.weights not in (None, then.weights):
        yield f"weights {now.weights} (was {then.weights or 'not given'})"
    model = chosen.get("model", record.hyperparameters.get("model", then.model))
    if model != record.hyperparameters.get("model", then.model):
        yield f"model {model} (was {record.hyperparameters.get('model', then.model)})"
    yield from _changed("", then.hyperparameters, now.hyperparameters, set(then.ranges))
    yield from _changed("range ", then.ranges, now.ranges, set())


def _changed(
    what: str, then: Mapping[str, str], now: Mapping[str, str], but: set[str]
) -> Iterator[str]:
    for name in sorted({*then, *now} - but):
        if then.get(name) != now.get(name):
            yield f"{what}{name} {now.get(name, 'not set')} (was {then.get(name, 'not set')})"


def from_record(
    settings: Settings, now: Asked, chosen: Mapping[str, str], look: Callable[[str], Tuning]
) -> Record | None:
    """
    Return the record of the settings, if it is of such a training; say what was decided.

    Where the last search found nothing, or is of another training, the one before it that has
    found something is as good as ever.

    Args:
        look: At a search that was not followed to its end: its name in, what it is now out.

    Raises:
        JobError: The search still runs.
    """
    last = read(settings.tune.record)
    record = last and _usable(last, now, chosen, look)
    if record is None:
        return None
    if last and last.best is None and record.job == last.job:
        write(settings.tune.record, record)
    show.talk(
        f"with the best of {record.job} ({record.objective} {record.value:.6g}): "
        f"{listed(record.best or {})}\n  {WITHOUT}"
    )
    return record


def _usable(
    record: Record, now: Asked, chosen: Mapping[str, str], look: Callable[[str], Tuning]
) -> Record | None:
    """Return the record, or the one before it, as far as its search has been for this training."""
    found: Record | None = None
    if different := list(differences(record, now, chosen)):
        show.talk(
            f"what {record.job} has found is not used, it is of another training: "
            f"{'; '.join(different)}\n  use it all the same: kennel train --from-tuning "
            f"{record.job}"
        )
    else:
        found = record if record.best is not None else _looked_up(record, look)
    if found is None and record.before:
        return _usable(record.before, now, chosen, look)
    return found


def _looked_up(record: Record, look: Callable[[str], Tuning]) -> Record | None:
    """Return *record* with what its search has come to; None where that is nothing, and say so."""
    try:
        tuning = look(record.job)
        found = record.ended(tuning) if tuning.status in contract.TUNING_ENDED else None
    except JobError as error:
        show.talk(f"{record.job} is not used: {error.problem.splitlines()[0]}")
        return None
    if found is None:
        raise JobError(
            f"tuning job {record.job}, the last search here, still runs",
            expected="one that has ended, to train with what it has found",
            remedy=f"kennel tuning show {record.job} --follow; with its best so far: kennel train "
            f"--from-tuning {record.job}; {WITHOUT}",
        )
    return found
