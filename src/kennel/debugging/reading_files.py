"""
The files of a trial: which steps there are, what each has saved, and where in its file it stands.

What that means, by tensor and step, is reading.py's.
"""

import json
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from kennel.debugging import records
from kennel.debugging.statistics import PREFIX, Array

END = "training_job_end.ts"
KEPT_BYTES = 128 * 2**20  # of event files in memory
WHOLE_BYTES = 4 * 2**20  # a larger one is read piece by piece


class Piece(NamedTuple):
    """Where a tensor is."""

    file: Path
    start: int
    length: int


@dataclass(frozen=True)
class Saved:
    """What one worker has saved of one step."""

    step: int
    worker: str
    mode: str
    mode_step: int
    written: float  # seconds since the epoch
    tensors: Mapping[str, Piece]  # by the name in the file, that of a reduction too

    @property
    def names(self) -> set[str]:
        """The tensors, reductions by the name of what they are of."""
        return {_tensor(name) for name in self.tensors}


class Files:
    """
    The files below a trial's folder.

    Event files are kept in memory for a while, so that their many numbers are one read.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: set[tuple[int, str]] = set()
        self._contents: OrderedDict[Path, memoryview] = OrderedDict()
        self._kept = 0

    @property
    def is_ended(self) -> bool:
        """Whether the file is there that says so."""
        return (self._folder / END).exists()

    def added(self) -> Iterator[Saved]:
        """Yield what has been added since the last time, in no order."""
        seen = {step for step, _ in self._known}
        for path in (self._folder / "index").glob("*/*.json"):
            key = _key(path)
            if key is None or key in self._known:
                continue
            saved = self._indexed(path, *key)
            if saved:
                self._known.add(key)
                seen.add(saved.step)
                yield saved
        yield from self._unindexed(seen)

    def collections(self) -> dict[str, tuple[frozenset[str], tuple[str, ...]]]:
        """Return name -> names of tensors, and regular expressions for names, of all workers."""
        found: dict[str, tuple[frozenset[str], tuple[str, ...]]] = {}
        for path in sorted((self._folder / "collections").glob("*/*_collections.json")):
            for name, described in _part(_read_json(path), "collections").items():
                members, patterns = found.get(name, (frozenset(), ()))
                found[name] = (
                    members | frozenset(_texts(described, "tensor_names")),
                    tuple(dict.fromkeys([*patterns, *_patterns(described)])),
                )
        return found

    def value(self, piece: Piece) -> Array | None:
        """Return the tensor that stands there, or None where its file is torn or gone."""
        try:
            return records.value_of(self._bytes(piece))
        except (OSError, ValueError):
            return None

    def _bytes(self, piece: Piece) -> memoryview:
        content = self._contents.get(piece.file)
        if content is not None:
            self._contents.move_to_end(piece.file)
            return content[piece.start : piece.start + piece.length]
        if piece.file.stat().st_size > WHOLE_BYTES:
            with piece.file.open("rb") as file:
                file.seek(piece.start)
                return memoryview(file.read(piece.length))
        content = memoryview(piece.file.read_bytes())
        self._keep(piece.file, content)
        return content[piece.start : piece.start + piece.length]

    def _keep(self, path: Path, content: memoryview) -> None:
        self._contents[path] = content
        self._kept += len(content)
        while self._kept > KEPT_BYTES and len(self._contents) > 1:
            _, dropped = self._contents.popitem(last=False)
            self._kept -= len(dropped)

    def _indexed(self, path: Path, step: int, worker: str) -> Saved | None:
        """Read one file of the index; None: it is torn yet, or none."""
        document = _read_json(path)
        meta = _part(document, "meta")
        if not document or not meta:
            return None
        file = self._folder / str(meta.get("event_file_name", ""))
        mode = str(meta.get("mode", "GLOBAL")).strip().rpartition(".")[2]
        try:
            mode_step = int(meta.get("mode_step", step))
            tensors = {
                str(entry["tensorname"]): Piece(file, int(entry["start_idx"]), int(entry["length"]))
                for entry in document.get("tensor_payload") or ()
            }
        except (KeyError, TypeError, ValueError):
            return None
        return Saved(step, worker, mode, mode_step, _written(file, path), tensors)

    def _unindexed(self, seen: set[int]) -> Iterator[Saved]:
        """Yield the steps that have events and no index at all."""
        for folder in (self._folder / "events").glob("*"):
            if not folder.name.isdecimal() or int(folder.name) in seen:
                continue
            for path in folder.glob("*.tfevents"):
                key = _key(path)
                saved = self._scanned(path, *key) if key and key not in self._known else None
                if saved and key:
                    self._known.add(key)
                    yield saved

    def _scanned(self, path: Path, step: int, worker: str) -> Saved | None:
        """Read a file of events from its first record to the last one that is there in full."""
        try:
            content = memoryview(path.read_bytes())
        except OSError:
            return None
        first: records.Tensor | None = None
        tensors = {}
        for start, length in records.records(content):
            try:
                tensor = records.decoded(content[start : start + length])
            except ValueError:
                break
            first = first or tensor
            tensors[tensor.name] = Piece(path, start, length)
        if first is None:
            return None
        return Saved(step, worker, first.mode, first.mode_step, first.wall_time, tensors)


def _tensor(name: str) -> str:
    """Return the tensor's name of that of a reduction: ``smdebug/reductions/KIND/NAME``."""
    return name.removeprefix(PREFIX).partition("/")[2] if name.startswith(PREFIX) else name


def _key(path: Path) -> tuple[int, str] | None:
    """Return the step and the worker that a file is of, e.g. 000000000012_worker_0.json."""
    step, _, worker = path.name.rpartition(".")[0].partition("_")
    return (int(step), worker) if step.isdecimal() and worker else None


def _written(*paths: Path) -> float:
    for path in paths:
        try:
            return path.stat().st_mtime
        except OSError:
            continue
    return 0.0


def _part(document: Any, name: str) -> dict[str, Any]:  # noqa: ANN401 - of a file of anybody's
    """Return a member that is an object; an empty one where it is none."""
    found = document.get(name) if isinstance(document, dict) else None
    return found if isinstance(found, dict) else {}


def _texts(described: Any, name: str) -> list[str]:  # noqa: ANN401 - as above
    found = described.get(name) if isinstance(described, dict) else None
    return [text for text in found if isinstance(text, str)] if isinstance(found, list) else []


def _patterns(described: Any) -> Iterator[str]:  # noqa: ANN401 - as above
    """Yield the regular expressions of a collection that are some."""
    for pattern in _texts(described, "include_regex"):
        with suppress(re.error):
            re.compile(pattern)
            yield pattern


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None
