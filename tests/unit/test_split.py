"""A split is the same every time, keeps the shares of the classes, and bears additions."""

from pathlib import Path

import pytest

from kennel.datasets.folders import Sample, Scan
from kennel.datasets.split import split
from kennel.errors import DataError


def dataset(counts, root="/data", prefix="f"):
    samples = [
        Sample(Path(root, name, f"{prefix}{n}.jpg"), label)
        for label, (name, count) in enumerate(sorted(counts.items()))
        for n in range(count)
    ]
    return Scan(Path(root), tuple(sorted(counts)), tuple(samples))


def place_of(parts):
    return {
        sample.path.relative_to(scan.folder): part
        for part, scan in parts.items()
        for sample in scan.samples
    }


def test_every_file_lands_in_exactly_one_split():
    """
    Nothing is lost and nothing is in two places.
    """
    data = dataset({"cat": 100, "dog": 37})

    parts = split(data)

    assert sorted(s for scan in parts.values() for s in scan.samples) == sorted(data.samples)
    assert sum(len(scan.samples) for scan in parts.values()) == 137


def test_every_class_keeps_its_share():
    """
    Each class is divided by the fractions, not the whole.
    """
    parts = split(dataset({"cat": 100, "dog": 40}), fractions={"valid": 0.1, "test": 0.2})

    assert parts["train"].counts() == {"cat": 70, "dog": 28}
    assert parts["valid"].counts() == {"cat": 10, "dog": 4}
    assert parts["test"].counts() == {"cat": 20, "dog": 8}


def test_a_small_class_is_in_every_split():
    """
    Three pictures are enough; rounding never leaves a split without a class.
    """
    parts = split(dataset({"cat": 100, "dog": 3}))

    assert {part: scan.counts()["dog"] for part, scan in parts.items()} == {
        "train": 1,
        "valid": 1,
        "test": 1,
    }


def test_it_is_the_same_on_every_machine():
    """
    Where the data lies and in which order it was listed does not matter; the seed does.
    """
    here, there = dataset({"cat": 50, "dog": 50}), dataset({"cat": 50, "dog": 50}, root="/other")
    shuffled = Scan(here.folder, here.class_names, here.samples[::-1])

    assert place_of(split(here)) == place_of(split(there)) == place_of(split(shuffled))
    assert place_of(split(here)) != place_of(split(here, seed=1))


def test_known_files_keep_their_places():
    """
    The hash of a name is fixed for ever: a new version must not move test pictures into training.
    """
    parts = split(dataset({"cat": 8}), fractions={"test": 0.25})

    assert [s.path.name for s in parts["test"].samples] == ["f0.jpg", "f6.jpg"]


def test_an_added_class_moves_nothing():
    """
    Another class changes nothing for those that were there.
    """
    before, after = dataset({"cat": 50}), dataset({"ant": 20, "cat": 50})

    places = place_of(split(after))

    assert place_of(split(before)).items() <= places.items()


def test_an_added_file_moves_at_most_one_at_each_border():
    """
    Nearly everything stays where it was.
    """
    before, more = dataset({"cat": 100}), dataset({"cat": 1}, prefix="new")
    after = Scan(before.folder, before.class_names, before.samples + more.samples)

    old, new = place_of(split(before)), place_of(split(after))

    assert sum(old[path] != new[path] for path in old) <= 2


@pytest.mark.parametrize("fractions", [{"test": 0.0}, {"test": -0.1}, {"valid": 0.5, "test": 0.5}])
def test_impossible_fractions_are_an_error(fractions):
    """
    Training must get something, and so must every split.
    """
    with pytest.raises(DataError, match="cannot split by"):
        split(dataset({"cat": 10}), fractions=fractions)


def test_a_class_too_small_to_split_is_an_error():
    """
    It is named, with its number of files.
    """
    with pytest.raises(DataError, match="class 'dog' has 2 files"):
        split(dataset({"cat": 10, "dog": 2}))


@pytest.mark.parametrize("fractions", [{"valid": 0.5, "test": 0.3}, {"valid": 0.8, "test": 0.15}])
@pytest.mark.parametrize("count", [3, 4, 5, 20])
def test_no_part_is_left_without_a_class(count, fractions):
    """
    Whatever rounding would have it, each split has a picture of a class that has enough.
    """
    parts = split(dataset({"cat": 20, "dog": count}), fractions=fractions)

    assert all(scan.counts()["dog"] >= 1 for scan in parts.values())
    assert sum(scan.counts()["dog"] for scan in parts.values()) == count
