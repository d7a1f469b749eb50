"""
From the job's channels to three lists of pictures: which folders are which split, and what is left
once unreadable files and impossible classes are dealt with.

Turning pictures into tensors is in pictures.py. The channel ``weights`` is read in weights.py, the
channel ``features`` in feature_cache.py.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kennel.contract import ContainerPaths
from kennel.datasets import folders, split
from kennel.datasets.folders import LAYOUT, Sample, Scan
from kennel.datasets.verify import BadFile, inspect_all
from kennel.errors import DataError
from kennel.training import config
from kennel.training.group import ALONE, Group
from kennel.training.stopping import Stop

WEIGHTS_CHANNEL = "weights"
FEATURES_CHANNEL = "features"  # of a frozen backbone, computed by an earlier job
NO_PICTURES = (WEIGHTS_CHANNEL, FEATURES_CHANNEL)
NAMED_AT_MOST = 5


@dataclass(frozen=True)
class Data:
    """The pictures of a run, all readable, each class in every split."""

    class_names: tuple[str, ...]  # label → name
    train: tuple[Sample, ...]
    valid: tuple[Sample, ...]
    test: tuple[Sample, ...]  # empty: there is none
    skipped: tuple[BadFile, ...]

    def counts(self) -> dict[str, int]:
        """Return the number of pictures of each split."""
        return {"train": len(self.train), "valid": len(self.valid), "test": len(self.test)}


@dataclass(frozen=True)
class Rules:
    """What to put up with, and how to divide what is not divided."""

    max_bad_share: float  # of unreadable files
    valid_share: float  # of each class, held out of train where no validation split is given
    test_share: float  # the same for the test, where train is all that is given
    seed: int  # another seed, another division


def read(paths: ContainerPaths, rules: Rules, stop: Stop, group: Group = ALONE) -> Data:
    """
    Find the splits and verify every picture, each rank its share.

    Raises:
        DataError: See ``find`` and ``divide``.
        Stopped: A stop was asked for.
    """
    scans = find(paths, group)
    return divide(scans, unreadable(scans, stop, group), rules)


def find(paths: ContainerPaths, group: Group = ALONE) -> dict[str, Scan]:
    """
    Find the splits that are given and the files of each, by their names alone.

    Raises:
        DataError: Channels that cannot be told apart, or are empty; other classes in one split than
            in another; other files than another rank's.
    """
    scans = {name: folders.scan(folder) for name, folder in split_folders(paths).items()}
    for name, scan in scans.items():
        _require_pictures(name, scan)
    _require_replicas(scans, group)
    return scans


def divide(scans: Mapping[str, Scan], bad: Sequence[BadFile], rules: Rules) -> Data:
    """
    Leave out what cannot be read, and hold out what is not given.

    Args:
        scans: From ``find``.
        bad: All that cannot be read.
        rules: Of this run.

    Raises:
        DataError: Too many unreadable files; a class without pictures, or missing from a split.
    """
    require_few(bad, sum(len(scan.samples) for scan in scans.values()), rules)
    whole = {name: _without(scan, bad) for name, scan in scans.items()}
    _require_agreement(whole)
    whole = _with_held_out(whole, rules)
    _require_agreement(whole)
    names = whole["train"].class_names
    samples = {name: scan.samples for name, scan in whole.items()}
    return Data(names, samples["train"], samples["valid"], samples.get("test", ()), tuple(bad))


def held_out(scans: Mapping[str, Scan], rules: Rules) -> dict[str, float]:
    """Return the share of each split that is not given: a test only where train is all there is."""
    shares = {} if "valid" in scans else {"valid": rules.valid_share}
    if set(scans) == {"train"} and rules.test_share > 0:
        shares["test"] = rules.test_share
    return shares


def split_folders(paths: ContainerPaths) -> dict[str, Path]:
    """
    Return the folder of each split that is given: train, and perhaps valid and test.

    Raises:
        DataError: No channel holds the training pictures, or a channel's name says nothing.
    """
    channels = [name for name in _channels(paths) if name not in NO_PICTURES]
    if len(channels) == 1 and folders.split_of(channels[0]) in (None, "train"):
        only = paths.channel(channels[0])
        return folders.find_splits(only) or {"train": only}
    found: dict[str, Path] = {}
    for channel in channels:
        name = folders.split_of(channel)
        if name is None or name in found:
            raise _unclear(channel, channels)
        found[name] = paths.channel(channel)
    if "train" not in found:
        raise DataError(
            f"no channel with training pictures: the job has {_listed(channels) or 'none'}",
            expected="a channel called train, or a single channel with everything",
        )
    return found


def _channels(paths: ContainerPaths) -> list[str]:
    """Return the names that the platform declares, or without its file those of the folders."""
    declared = config.channels(paths)
    if declared is not None:
        return declared
    present = paths.data.iterdir() if paths.data.is_dir() else iter(())
    return sorted(entry.name for entry in present if entry.is_dir())


def _unclear(channel: str, channels: Iterable[str]) -> DataError:
    return DataError(
        f"cannot tell what the channel {channel!r} is for, among {_listed(channels)}",
        expected="train, valid (or validation, val), test, weights and features, each once at most",
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _require_pictures(name: str, scan: Scan) -> None:
    if not scan.samples:
        raise DataError(
            f"the {name} split has no images: the {len(scan.class_names)} class folders of "
            f"{scan.folder} hold 0 files",
            expected=LAYOUT,
            remedy="kennel data check PATH",
        )


def _require_replicas(scans: Mapping[str, Scan], group: Group) -> None:
    """Compare the names of all files: the ranks are to take their parts of the same batches."""
    digest = hashlib.sha256()
    for name, scan in sorted(scans.items()):
        for path, label in scan.samples:
            place = f"{name} {label} {path.relative_to(scan.folder)}\n"
            digest.update(place.encode(errors="surrogateescape"))
    count = sum(len(scan.samples) for scan in scans.values())
    counts, digests = zip(*group.gather((count, digest.hexdigest())), strict=True)
    if len(set(digests)) > 1:
        other = next(rank for rank, own in enumerate(digests) if own != digests[0])
        raise DataError(
            f"the ranks have other files: rank 0 {counts[0]}, rank {other} {counts[other]}, "
            "not all of the same names",
            expected="the same pictures on every host, of which each takes its part of a batch",
            remedy="S3DataDistributionType=FullyReplicated",
        )


def unreadable(scans: Mapping[str, Scan], stop: Stop, group: Group = ALONE) -> list[BadFile]:
    """
    Decode every picture, each rank its share, and return those that are none, in order.

    Raises:
        Stopped: A stop was asked for.
    """
    paths = [sample.path for scan in scans.values() for sample in scan.samples]
    own = range(group.rank, len(paths), group.size)
    bad = []
    with group.together():
        for number, found in zip(own, inspect_all(paths[number] for number in own), strict=True):
            stop.check()
            if found.reason is not None:
                bad.append((number, found.reason))
    of_all = sorted(one for part in group.gather(bad) for one in part)
    return [BadFile(paths[number], reason) for number, reason in of_all]


def require_few(bad: Sequence[BadFile], count: int, rules: Rules) -> None:
    """
    Put up with unreadable files as far as the rules go.

    Raises:
        DataError: There are more of them.
    """
    if len(bad) <= rules.max_bad_share * count:
        return
    few = "; ".join(f"{path} {reason}" for path, reason in bad[:NAMED_AT_MOST])
    raise DataError(
        f"{len(bad)} of {count} files cannot be read as pictures: {few}",
        expected=f"at most a share of {rules.max_bad_share:g}, the hyperparameter max-bad-share",
        remedy="kennel data check PATH names them all",
    )


def _without(scan: Scan, bad: Iterable[BadFile]) -> Scan:
    unreadable = {path for path, _ in bad}
    kept = tuple(sample for sample in scan.samples if sample.path not in unreadable)
    return Scan(scan.folder, scan.class_names, kept)


def _require_agreement(scans: Mapping[str, Scan]) -> None:
    problems = folders.disagreements(scans)
    names = scans["train"].class_names
    if not problems and len(names) == 1:
        problems = [f"there is only one class, {names[0]!r}: nothing to tell apart"]
    if problems:
        raise DataError(
            "; ".join(problems),
            expected="the same classes in every split, each with pictures that can be read",
            remedy="kennel data check PATH",
        )


def _with_held_out(scans: Mapping[str, Scan], rules: Rules) -> dict[str, Scan]:
    shares = held_out(scans, rules)
    if not shares:
        return dict(scans)
    return {**scans, **split.split(scans["train"], seed=rules.seed, fractions=shares)}
