"""
What a search has come to so far, kept in the checkpoint folder so that it can go on.

A record after every trial, below the folder that is synced while the job runs. What it becomes in
the job's output is answers.py's.
"""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from kennel.errors import JobError, TuningError
from kennel.training import checkpoint_files
from kennel.training.epochs import Epoch
from kennel.training.log import say
from kennel.training.search.request import Wanted
from kennel.training.search.trial import Result, Weights

FORMAT = 1
FOLDER = "search"  # below the checkpoints, whose own two names are those of a single training
# What a search that goes on may change: none of these alters the trials that were run.
FREE_ON_RESUME = ("ResourceLimits", "TuningJobCompletionCriteria")


@dataclass
class Progress:
    """All that changes during a search."""

    name: str  # of the job that began it; what is drawn follows from it
    results: dict[int, Result] = field(default_factory=dict)  # number of a trial → what came of it
    best: int = 0  # number of the trial whose weights these are; 0: there is none yet
    weights: Weights | None = None
    seconds: float = 0.0  # that were spent before this start


class Journal:
    """
    Keeps the record of one search.

    Args:
        folder: That is synced while the job runs.
        wanted: The search.
        pictures: Digest of what it is searched on.
    """

    def __init__(self, folder: Path, wanted: Wanted, pictures: str) -> None:
        self.folder = folder / FOLDER
        self._wanted, self._pictures = wanted, pictures
        self._started = time.monotonic()

    def restore(self, name: str) -> Progress:
        """
        Return how far the search had come, or its beginning, under *name*.

        Raises:
            TuningError: The folder has the record of another search.
        """
        for path in checkpoint_files.newest_first(self.folder):
            document = checkpoint_files.read(path)
            if document is not None:
                self._require_same(document)
                progress = _progress(document)
                say(f"{path.name}: going on after {len(progress.results)} trials")
                return progress
        return Progress(name)

    def elapsed_s(self, progress: Progress) -> float:
        """Return for how long has been searched, in all starts together."""
        return progress.seconds + time.monotonic() - self._started

    def save(self, progress: Progress) -> None:
        """
        Write the record, whole or not at all.

        Raises:
            JobError: The disk has no room for it, or the folder cannot be written to.
        """
        document = {
            "format": FORMAT,
            "name": progress.name,
            "search": dict(self._wanted.document),
            "static": dict(self._wanted.static),
            "pictures": self._pictures,
            "seconds": self.elapsed_s(progress),
            "results": [asdict(result) for _, result in sorted(progress.results.items())],
            "best": progress.best,
            "weights": dict(progress.weights) if progress.weights else {},
        }
        place = (len(progress.results), 0)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            checkpoint_files.write(self.folder, document, place)
        except (OSError, RuntimeError) as error:
            cause = error if isinstance(error, OSError) else error.__context__
            if not isinstance(cause, OSError):
                raise
            raise JobError(
                f"cannot write the record of the search in {self.folder}: {cause.strerror}",
                expected="room for three times the weights of a model, and the right to write",
                remedy="a larger VolumeSizeInGB",
            ) from error

    def _require_same(self, document: Mapping[str, Any]) -> None:
        changed = [] if document.get("format") == FORMAT else ["the version of kennel"]
        changed += _changed(document.get("search", {}), self._wanted.document, FREE_ON_RESUME)
        changed += _changed(document.get("static", {}), self._wanted.static)
        if document.get("pictures") != self._pictures:
            changed.append("the pictures")
        if changed:
            raise TuningError(
                f"the record in {self.folder} is of another search: {', '.join(changed)}",
                expected="the same search; its limits and completion criteria may change",
                remedy="another S3Uri in CheckpointConfig, or the search as it was",
            )


def _changed(
    before: Mapping[str, Any], now: Mapping[str, Any], free: tuple[str, ...] = ()
) -> list[str]:
    names = sorted({*before, *now} - set(free))
    return [name for name in names if before.get(name) != now.get(name)]


def _progress(document: Mapping[str, Any]) -> Progress:
    results = [
        Result(**(each | {"history": tuple(Epoch(**epoch) for epoch in each["history"])}))
        for each in document["results"]
    ]
    weights: dict[str, Tensor] = document["weights"]
    return Progress(
        document["name"],
        {result.number: result for result in results},
        document["best"],
        weights or None,
        document["seconds"],
    )
