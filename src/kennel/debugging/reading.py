"""
A trial: the tensors that a training has saved, in smdebug's files, whoever wrote them.

  collections/N/WORKER_collections.json    which tensors belong together
  index/N/STEP_WORKER.json                 which tensors a step has, and where in its event file
  events/STEP/STEP_WORKER.tfevents         the tensors (records.py)
  training_job_end.ts                      there is no more to come

A trial may be read while it is written, and with parts missing: a step whose index is torn comes
with a later ``refresh``, one whose index never came is read from its events. smdebug's own reader
gives the same numbers, and takes seconds for what this one takes milliseconds for (it opens a file
for every number). Saving is hook.py's.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from kennel.debugging import about, statistics
from kennel.debugging.reading_files import Files, Piece, Saved
from kennel.debugging.statistics import PREFIX, Array

# Of trials without a file of collections: smdebug's own
_DEFAULT = {
    "weights": ("^(?!gradient).*weight",),
    "biases": ("^(?!gradient).*bias",),
    "gradients": ("^gradient",),
    "losses": ("[Ll]oss_(?!input).*output",),
}


class Trial:
    """
    The tensors of one training.

    Steps are numbers over the whole run, evaluation's batches among them; ``mode_step`` says which
    one of its mode a step is, e.g. the training step counted from 0.

    Args:
        folder: May be empty yet, or not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files = Files(folder)
        self._steps: dict[int, dict[str, Saved]] = {}  # step -> worker -> what it has saved
        self._where: dict[str, list[int]] = {}  # tensor -> the steps that have it, in order
        self._groups: Mapping[str, tuple[frozenset[str], tuple[str, ...]]] = {}
        self._found: dict[tuple[str | None, str | None], tuple[str, ...]] = {}
        self.refresh()

    def refresh(self) -> tuple[int, ...]:
        """Read what has been added, and return the steps that are new, in order."""
        new: set[int] = set()
        for saved in self._files.added():
            if saved.step not in self._steps:
                new.add(saved.step)
            self._steps.setdefault(saved.step, {})[saved.worker] = saved
            self._note(saved)
        if new:
            self._found.clear()
            self._groups = self._files.collections()
        return tuple(sorted(new))

    @property
    def is_ended(self) -> bool:
        """Whether the training has said that there is no more to come."""
        return self._files.is_ended

    @property
    def about(self) -> about.About:
        """What the training has said of itself, as it stands now."""
        return about.read(self.folder)

    @property
    def workers(self) -> tuple[str, ...]:
        """Who has saved tensors, e.g. ``worker_0``."""
        return tuple(sorted({worker for workers in self._steps.values() for worker in workers}))

    def steps(self, mode: str | None = None) -> list[int]:
        """Return the steps with anything saved, in order; *mode*: TRAIN, EVAL, PREDICT, GLOBAL."""
        return sorted(step for step in self._steps if mode in (None, self.mode(step)))

    def mode(self, step: int) -> str:
        """Return TRAIN, EVAL, PREDICT or GLOBAL."""
        return self._first(step).mode

    def mode_step(self, step: int) -> int:
        """Return which one of its mode this step is, counted from 0."""
        return self._first(step).mode_step

    def wall_time(self, step: int) -> float:
        """Return when it was saved, in seconds since the epoch."""
        return self._first(step).written

    def saved(self, name: str) -> list[int]:
        """Return the steps at which this tensor, or a reduction of it, was saved, in order."""
        return list(self._where.get(name, ()))

    def names(self, collection: str | None = None, regex: str | None = None) -> tuple[str, ...]:
        """
        Return the names of saved tensors, in order; a reduction goes by its tensor's name.

        Args:
            collection: Only its tensors.
            regex: Only those where it is found anywhere in the name.
        """
        asked = collection, regex
        if asked not in self._found:
            self._found[asked] = self._named(collection, regex)
        return self._found[asked]

    def collections(self) -> dict[str, tuple[str, ...]]:
        """Return the collections that have tensors, with their names."""
        every = {*self._groups, *_DEFAULT}
        return {name: self.names(name) for name in sorted(every) if self.names(name)}

    def value(self, name: str, step: int, worker: str | None = None) -> Array | None:
        """Return a tensor, read-only, or None where only reductions of it are there, or nothing."""
        piece = self._piece(name, step, worker)
        return self._files.value(piece) if piece else None

    def reduction(
        self, name: str, step: int, statistic: str, worker: str | None = None
    ) -> float | None:
        """
        Return a statistic of a tensor: as it was saved, or of the value; None without either.

        Args:
            name: Of the tensor.
            step: Of the whole run.
            statistic: One of smdebug's, e.g. ``variance`` or ``abs_mean``.
            worker: Whose; the first one that has it.
        """
        piece = self._piece(f"{PREFIX}{statistic}/{_bare(name)}", step, worker)
        kept = self._files.value(piece) if piece else None
        if kept is not None and kept.size == 1:
            return float(kept.item())
        value = self.value(name, step, worker)
        if value is None or not statistics.known(statistic):
            return None
        return statistics.reduced(value, statistic)

    def _first(self, step: int) -> Saved:
        workers = self._steps[step]
        return workers[min(workers)]

    def _piece(self, name: str, step: int, worker: str | None) -> Piece | None:
        workers = self._steps.get(step, {})
        asked: Iterable[str] = sorted(workers) if worker is None else [worker]
        found = (workers[one].tensors.get(name) for one in asked if one in workers)
        return next((piece for piece in found if piece), None)

    def _note(self, saved: Saved) -> None:
        for name in saved.names:
            steps = self._where.setdefault(name, [])
            if not steps or steps[-1] < saved.step:
                steps.append(saved.step)
            elif saved.step not in steps:
                self._where[name] = sorted([*steps, saved.step])

    def _named(self, collection: str | None, regex: str | None) -> tuple[str, ...]:
        names = sorted(self._where)
        if collection is not None:
            members, patterns = self._groups.get(collection, (frozenset(), ()))
            patterns = patterns or _DEFAULT.get(collection, ())
            names = [name for name in names if name in members or _matches(name, patterns)]
        return tuple(names if regex is None else [name for name in names if re.search(regex, name)])


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(re.search(pattern, name) for pattern in patterns)


def _bare(name: str) -> str:
    """Return the name that smdebug gives a tensor's reductions: without TensorFlow's ``:0``."""
    return re.sub(r":\d+", "", name) if ":" in name else name
