"""
Judge a dataset before it is staged or trained on, and say all that is wrong with it at once.

A problem stops a training; a warning does not, but makes its figures worth less.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kennel.datasets import folders
from kennel.datasets.folders import Scan
from kennel.datasets.verify import BadFile, Inspection, inspect_all
from kennel.errors import DataError

SAMPLE: Final = "kennel data digits DIR, which writes such a set to look at"
WHOLE: Final = "dataset"  # the name of the only split, when the folder holds classes and no splits
_FEW: Final = 10  # files of a class in a split
_LISTED_AT_MOST: Final = 10


@dataclass(frozen=True)
class Report:
    """What a check found. Paths are relative to the folder."""

    folder: Path
    counts: Mapping[str, Mapping[str, int]]  # split -> class -> pictures that decode
    bad: Sequence[BadFile]
    problems: Sequence[str]
    warnings: Sequence[str]

    @property
    def ok(self) -> bool:
        """Whether a training can use it."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able document."""
        return {
            "folder": str(self.folder),
            "ok": self.ok,
            "counts": {split: dict(counts) for split, counts in self.counts.items()},
            "bad": [{"path": str(path), "reason": reason} for path, reason in self.bad],
            "problems": list(self.problems),
            "warnings": list(self.warnings),
        }

    def __str__(self) -> str:
        """Render for people: a table of counts, then what is wrong."""
        parts = [
            _table(self.counts),
            _section("files not readable", [f"{path} {why}" for path, why in self.bad]),
            _section("problems", self.problems),
            _section("warnings", self.warnings),
        ]
        return "\n\n".join(text for lines in parts if (text := "\n".join(lines)))


def check(folder: Path, *, workers: int | None = None) -> Report:
    """
    Decode every file below *folder* and report.

    Args:
        folder: Class folders, or split folders (see ``folders.SPLIT_NAMES``) of class folders.
        workers: Threads; by default one for each CPU.

    Raises:
        DataError: There is nothing to judge: *folder* holds no classes, or cannot be told from one
            that does.
    """
    try:
        splits = folders.find_splits(folder)
        scans, unscannable = _scans(splits or {WHOLE: folder})
        strays = _strays(folder, splits, scans)
    except DataError as error:
        raise _without_circle(error) from error
    paths = [sample.path for found in scans.values() for sample in found.samples]
    inspections = {found.path: found for found in inspect_all(paths, workers=workers)}
    return _judged(folder, scans, inspections, unscannable, strays)


def require_usable(folder: Path, *, max_bad_share: float) -> None:
    """
    Judge *folder* as a training job will, before anything is paid for.

    Args:
        max_bad_share: Of unreadable files, as the hyperparameter of that name.

    Raises:
        DataError: A training could not use it.
    """
    report = check(folder)
    count = len(report.bad) + sum(sum(of_split.values()) for of_split in report.counts.values())
    unreadable = [f"{path} {reason}" for path, reason in report.bad]
    problems = list(report.problems)
    if len(unreadable) > max_bad_share * count:
        problems.append(
            f"{len(unreadable)} of {count} files cannot be read as pictures, which is more than a "
            f"share of {max_bad_share:g} (max-bad-share): {_some(unreadable)}"
        )
    if problems:
        raise DataError(
            f"no training can use {folder}: {'; '.join(problems)}",
            expected=folders.LAYOUT,
            remedy=f"kennel data check {folder}",
        )


def _scans(splits: Mapping[str, Path]) -> tuple[dict[str, Scan], list[str]]:
    scans: dict[str, Scan] = {}
    errors: list[DataError] = []
    for split, path in splits.items():
        try:
            scans[split] = folders.scan(path)
        except DataError as error:
            errors.append(error)
    if errors and not scans:
        raise errors[0]
    return scans, [error.problem for error in errors]


def _without_circle(error: DataError) -> DataError:
    """Advise something else than this very check."""
    remedy = SAMPLE if error.remedy == folders.REMEDY else error.remedy
    return DataError(error.problem, expected=error.expected, remedy=remedy)


def _strays(folder: Path, splits: Mapping[str, Path], scans: Mapping[str, Scan]) -> list[str]:
    """Name what stands where neither a split nor a class takes it in."""
    beside_classes = [path for found in scans.values() for path in found.strays]
    beside_splits = [path for path in folders.visible(folder) if path not in splits.values()]
    strays = beside_classes + (beside_splits if splits else [])
    return [f"{path.relative_to(folder)} belongs to no class" for path in strays]


def _judged(
    folder: Path,
    scans: Mapping[str, Scan],
    inspections: Mapping[Path, Inspection],
    unscannable: Sequence[str],
    strays: Sequence[str],
) -> Report:
    readable = {split: _only_readable(found, inspections) for split, found in scans.items()}
    counts = {split: found.counts() for split, found in readable.items()}
    bad = [
        BadFile(path.relative_to(folder), reason)
        for path, reason, _ in inspections.values()
        if reason is not None
    ]
    return Report(
        folder=folder,
        counts=counts,
        bad=bad,
        problems=[*unscannable, *folders.disagreements(readable), *_lone_class(readable)],
        warnings=[*strays, *_few(counts), *_copies(folder, readable, inspections)],
    )


def _only_readable(scan: Scan, inspections: Mapping[Path, Inspection]) -> Scan:
    samples = tuple(s for s in scan.samples if inspections[s.path].reason is None)
    return Scan(scan.folder, scan.class_names, samples)


def _lone_class(scans: Mapping[str, Scan]) -> Iterator[str]:
    names = {name for found in scans.values() for name in found.class_names}
    if len(names) == 1:
        yield f"there is only one class, {names.pop()!r}: nothing to tell apart"


def _few(counts: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    for split in ("train", WHOLE):
        for name, count in counts.get(split, {}).items():
            if 0 < count < _FEW:
                yield f"class {name!r} has only {count} pictures in {split}"


def _copies(
    folder: Path, scans: Mapping[str, Scan], inspections: Mapping[Path, Inspection]
) -> Iterator[str]:
    """Report the same bytes in two splits (leakage) or in two classes (a wrong label)."""
    places: dict[bytes, list[tuple[str, str, Path]]] = defaultdict(list)
    for split, found in scans.items():
        for path, label in found.samples:
            place = (split, found.class_names[label], path.relative_to(folder))
            places[inspections[path].digest].append(place)
    leaks = [_paths(same) for same in places.values() if len({split for split, _, _ in same}) > 1]
    labels = [_paths(same) for same in places.values() if len({name for _, name, _ in same}) > 1]
    if leaks:
        yield f"{len(leaks)} pictures are in more than one split: {_some(leaks)}"
    if labels:
        yield f"{len(labels)} pictures are in more than one class: {_some(labels)}"


def _paths(places: Iterable[tuple[str, str, Path]]) -> str:
    return " = ".join(str(path) for _, _, path in places)


def _some(items: Sequence[str]) -> str:
    more = ", …" if len(items) > _LISTED_AT_MOST else ""
    return ", ".join(items[:_LISTED_AT_MOST]) + more


def _table(counts: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    names = sorted({name for of_split in counts.values() for name in of_split})
    width = max([len(name) for name in names], default=0)
    if not names:
        return
    yield " ".join([" " * width, *(f"{split:>7}" for split in counts)])
    for name in names:
        yield " ".join([f"{name:<{width}}", *(f"{c.get(name, 0):>7}" for c in counts.values())])
    totals = (sum(of_split.values()) for of_split in counts.values())
    yield " ".join([f"{'':<{width}}", *(f"{total:>7}" for total in totals)])


def _section(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield f"{title}: {len(lines)}"
        yield from (f"  {line}" for line in lines[:_LISTED_AT_MOST])
    if len(lines) > _LISTED_AT_MOST:
        yield f"  … and {len(lines) - _LISTED_AT_MOST} more"
