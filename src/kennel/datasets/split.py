"""
Divide one folder of classes into train, valid and test: the same way every time, on any machine.

A file's place is decided by a hash of the seed and its name, class by class. So a file added to one
class moves nothing in the others, and in its own at most one file at each border.
"""

import hashlib
from collections.abc import Mapping
from typing import Final

from kennel.datasets.folders import Sample, Scan
from kennel.errors import DataError

FRACTIONS: Final[Mapping[str, float]] = {"valid": 0.15, "test": 0.15}  # the rest is train


def split(
    scan: Scan, *, seed: int = 0, fractions: Mapping[str, float] = FRACTIONS
) -> dict[str, Scan]:
    """
    Return a scan each for train and for the names of *fractions*, with the same classes.

    Args:
        scan: All the pictures.
        seed: Another seed, another division.
        fractions: Share of every class, above 0 and together below 1; each gets at least one file.

    Raises:
        DataError: The fractions are impossible, or a class has too few files for every split.
    """
    if any(share <= 0 for share in fractions.values()) or sum(fractions.values()) >= 1:
        raise DataError(
            f"cannot split by {dict(fractions)}", expected="shares above 0 and together below 1"
        )
    parts: dict[str, list[Sample]] = {name: [] for name in ("train", *fractions)}
    for label, name in enumerate(scan.class_names):
        members = [sample for sample in scan.samples if sample.label == label]
        _require_enough(name, len(members), len(parts))
        for part, samples in _divide(_shuffled(members, scan, seed), fractions).items():
            parts[part] += sorted(samples)
    return {
        part: Scan(scan.folder, scan.class_names, tuple(found)) for part, found in parts.items()
    }


def _require_enough(name: str, files: int, parts: int) -> None:
    if files < parts:
        raise DataError(
            f"class {name!r} has {files} files, too few to split into {parts}",
            expected=f"at least {parts} in every class",
            remedy="add pictures, leave the class out, or give the splits as folders",
        )


def _shuffled(members: list[Sample], scan: Scan, seed: int) -> list[Sample]:
    return sorted(members, key=lambda sample: _order(seed, _name(sample, scan)))


def _name(sample: Sample, scan: Scan) -> str:
    """Return what is the same on every machine: the path below the dataset."""
    return sample.path.relative_to(scan.folder).as_posix()


def _order(seed: int, name: str) -> bytes:
    return hashlib.blake2b(f"{seed}/{name}".encode(errors="surrogateescape")).digest()


def _divide(shuffled: list[Sample], fractions: Mapping[str, float]) -> dict[str, list[Sample]]:
    """Cut off a part for each fraction, none of them empty, nor what is left for training."""
    parts: dict[str, list[Sample]] = {}
    left = shuffled
    for waiting, (name, share) in zip(range(len(fractions), 0, -1), fractions.items(), strict=True):
        size = min(max(1, round(len(shuffled) * share)), len(left) - waiting)
        parts[name], left = left[:size], left[size:]
    return {**parts, "train": left}
