"""
What a folder of pictures holds: splits, classes and samples, by names alone.

Nothing is decoded here (kennel.datasets.verify) and nothing reported (kennel.datasets.check).
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from kennel.errors import DataError

# The three spellings of the validation folder are all in the wild.
SPLIT_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "train": ("train", "training"),
    "valid": ("valid", "validation", "val"),
    "test": ("test",),
}
LAYOUT: Final = "one folder for each class, with JPEG or PNG files, e.g. train/cat/001.jpg"
REMEDY: Final = "kennel data check PATH"
_NAMED_AT_MOST: Final = 5
_LITTER: Final = frozenset({"__macosx", "thumbs.db", "desktop.ini"})  # what desktops leave behind


class Sample(NamedTuple):
    """A file that should be a picture, and the label of its class."""

    path: Path
    label: int  # index into class_names


@dataclass(frozen=True)
class Scan:
    """The classes and files of one split."""

    folder: Path
    class_names: tuple[str, ...]  # label -> name, sorted
    samples: tuple[Sample, ...]  # sorted by class, then by path
    strays: tuple[Path, ...] = ()  # files beside the class folders: they belong to no class

    def counts(self) -> dict[str, int]:
        """Return the number of files of each class, in order of label."""
        found = Counter(sample.label for sample in self.samples)
        return {name: found[label] for label, name in enumerate(self.class_names)}


def find_splits(folder: Path) -> dict[str, Path]:
    """
    Return the folders of train, valid and test below *folder*, those that exist.

    Empty when there is no train folder: then *folder* is one split, its folders being classes.

    Raises:
        DataError: *folder* cannot be listed, one split has two folders, or there are folders beside
            train that are no splits: it may be a class among classes, and they would be lost.
    """
    found: dict[str, Path] = {}
    others: list[str] = []
    for entry in _folders(folder):
        split = split_of(entry.name)
        if split is None:
            others.append(entry.name)
            continue
        if split in found:
            raise DataError(
                f"{folder} has two folders of {split}: {found[split].name} and {entry.name}",
                expected=f"one of {', '.join(SPLIT_NAMES[split])}",
            )
        found[split] = entry
    if "train" not in found:
        return {}
    if others:
        raise _ambiguous(folder, found["train"].name, others)
    return {name: found[name] for name in SPLIT_NAMES if name in found}


def _ambiguous(folder: Path, train: str, others: Sequence[str]) -> DataError:
    more = ", …" if len(others) > _NAMED_AT_MOST else ""
    return DataError(
        f"{folder} is ambiguous: {train!r} may be a split or a class, since beside it "
        f"there are {', '.join(map(repr, others[:_NAMED_AT_MOST]))}{more}",
        expected="folders of splits alone (train, valid, test), or of classes alone",
        remedy="move all classes into a folder train, or what is no split elsewhere",
    )


def split_of(name: str) -> str | None:
    """Return train, valid or test for any of the names of its folder or channel, else None."""
    for split, spellings in SPLIT_NAMES.items():
        if name.lower() in spellings:
            return split
    return None


def scan(folder: Path) -> Scan:
    """
    List the classes of *folder* and the files of each, those of nested folders too.

    Hidden files and what desktops leave behind are passed over in silence; any other file counts as
    a sample, whatever its suffix, so that what is no picture is found and reported.

    Raises:
        DataError: *folder* is missing, cannot be listed, has no class folders, or one whose name is
            not UTF-8.
    """
    classes = _folders(folder)
    if not classes:
        raise DataError(
            f"no class folders in {folder}: it holds {len(_strays(folder))} files",
            expected=LAYOUT,
            remedy=REMEDY,
        )
    for entry in classes:
        _require_text(entry.name)
    samples = [Sample(path, label) for label, entry in enumerate(classes) for path in files(entry)]
    return Scan(
        folder, tuple(entry.name for entry in classes), tuple(samples), tuple(_strays(folder))
    )


def _require_text(name: str) -> None:
    """Refuse what no artifact could hold, before a training and not after it."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise DataError(
            f"the name of a class folder is not UTF-8: {os.fsencode(name)!r}",
            remedy="rename the folder",
        ) from None


def disagreements(scans: Mapping[str, Scan]) -> list[str]:
    """
    Say what makes these splits unusable together: empty splits, empty and unshared classes.

    Args:
        scans: By split; a class must have pictures in each of them.
    """
    empty = [
        f"{split} has no pictures: {found.folder}"
        for split, found in scans.items()
        if not found.samples
    ]
    if empty:
        return empty
    counts = {split: found.counts() for split, found in scans.items()}
    every = sorted({name for of_split in counts.values() for name in of_split})
    return [problem for name in every for problem in _class_disagreements(name, counts)]


def _class_disagreements(name: str, counts: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    lacking = [split for split, of_split in counts.items() if name not in of_split]
    having = [split for split in counts if split not in lacking]
    if lacking:
        yield f"class {name!r} is in {_and(having)} but not in {_and(lacking)}"
    for split in having:
        if not counts[split][name]:
            yield f"class {name!r} has no pictures in {split}"


def _and(words: Sequence[str]) -> str:
    return " and ".join(words)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            listed = [entry for entry in entries if not _is_litter(entry.name)]
    except OSError as error:
        raise DataError(
            f"cannot list {folder}: {error.strerror}", expected=LAYOUT, remedy=REMEDY
        ) from error
    return sorted(listed, key=lambda entry: entry.name)


def _is_litter(name: str) -> bool:
    return name.startswith(".") or name.lower() in _LITTER


def visible(folder: Path) -> list[Path]:
    """Return what *folder* holds, sorted, without hidden files and desktops' litter."""
    return [Path(entry.path) for entry in _entries(folder)]


def _folders(folder: Path) -> list[Path]:
    return [Path(entry.path) for entry in _entries(folder) if entry.is_dir()]


def _strays(folder: Path) -> list[Path]:
    return [Path(entry.path) for entry in _entries(folder) if not entry.is_dir()]


def files(folder: Path, above: frozenset[str] = frozenset()) -> Iterator[Path]:
    """
    Walk through *folder*, sorted by name, symlinks included.

    Args:
        folder: Where to begin.
        above: Real paths that we are inside of already: a link back to one is not followed.
    """
    real = os.path.realpath(folder)
    if real in above:
        return
    for entry in _entries(folder):
        if entry.is_dir():
            yield from files(Path(entry.path), above | {real})
        else:
            yield Path(entry.path)
