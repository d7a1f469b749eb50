"""Splits and classes are found by their names, and what does not fit together is said."""

import os

import pytest

from kennel.datasets import folders
from kennel.errors import DataError


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def test_classes_are_labelled_in_order_of_name(tmp_path):
    """
    The label of a class is its place in the sorted names, on every machine.
    """
    touch(tmp_path, "dog/2.jpg", "dog/1.jpg", "cat/1.jpg", "10/1.jpg")

    found = folders.scan(tmp_path)

    assert found.class_names == ("10", "cat", "dog")
    assert [(s.path.name, s.label) for s in found.samples] == [
        ("1.jpg", 0),
        ("1.jpg", 1),
        ("1.jpg", 2),
        ("2.jpg", 2),
    ]
    assert found.counts() == {"10": 1, "cat": 1, "dog": 2}


def test_litter_is_passed_over_and_strays_are_told(tmp_path):
    """
    Hidden and desktop files do not count; files beside the classes are listed apart.
    """
    touch(tmp_path, "cat/.DS_Store", "cat/Thumbs.db", ".git/x", "__MACOSX/cat/1.jpg", "cat/1.jpg")
    touch(tmp_path, "LICENSE")

    found = folders.scan(tmp_path)

    assert found.class_names == ("cat",)
    assert [s.path.name for s in found.samples] == ["1.jpg"]
    assert [path.name for path in found.strays] == ["LICENSE"]


def test_every_suffix_counts_and_nested_folders_do_too(tmp_path):
    """
    A file that is no picture must be found to be reported, wherever it is inside a class.
    """
    touch(tmp_path, "cat/a/b/1.JPG", "cat/notes.txt", "cat/2")

    names = [s.path.relative_to(tmp_path).as_posix() for s in folders.scan(tmp_path).samples]

    assert names == ["cat/2", "cat/a/b/1.JPG", "cat/notes.txt"]


def test_links_are_followed_but_never_in_a_circle(tmp_path):
    """
    A channel may be a folder of links; one that leads back inside itself ends the walk.
    """
    touch(tmp_path, "store/cat/1.jpg")
    data = tmp_path / "data"
    data.mkdir()
    (data / "cat").symlink_to(tmp_path / "store" / "cat")
    (tmp_path / "store" / "cat" / "again").symlink_to(tmp_path / "store" / "cat")

    found = folders.scan(data)

    assert [s.path for s in found.samples] == [data / "cat" / "1.jpg"]


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (["train", "valid", "test"], {"train": "train", "valid": "valid", "test": "test"}),
        (["train", "validation"], {"train": "train", "valid": "validation"}),
        (["training", "val"], {"train": "training", "valid": "val"}),
        (["Train", "VAL", "Test"], {"train": "Train", "valid": "VAL", "test": "Test"}),
        (["cat", "dog"], {}),
        (["test", "valid"], {}),
    ],
    ids=lambda value: "-".join(value) or "none",
)
def test_splits_are_found_by_any_of_their_names(tmp_path, names, splits):
    """
    valid, validation and val are the same split; without a train folder there are no splits.
    """
    for name in names:
        (tmp_path / name).mkdir()

    found = folders.find_splits(tmp_path)

    assert {split: path.name for split, path in found.items()} == splits


@pytest.mark.parametrize(
    "names",
    [("bus/1", "car/1", "train/1"), ("car/1", "train/a/1"), ("train/a/1", "val/a/1", "x/1")],
)
def test_a_folder_that_may_be_a_split_or_a_class_is_an_error(tmp_path, names):
    """
    Taken as a split, the folders beside it would vanish from the training without a word.
    """
    touch(tmp_path, *names)

    with pytest.raises(
        DataError, match=r"'train' may be a split or a class.*there are '"
    ) as caught:
        folders.find_splits(tmp_path)

    assert caught.value.remedy


def test_files_and_litter_beside_splits_are_not_ambiguous(tmp_path):
    """
    Only a folder could be a class.
    """
    touch(tmp_path, "train/a/1", "LICENSE", ".git/x", "__MACOSX/x")

    assert folders.find_splits(tmp_path) == {"train": tmp_path / "train"}


def test_a_class_name_that_is_not_utf8_is_an_error(tmp_path):
    """
    No artifact could hold it: found here, and not when the training is over.
    """
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    try:
        os.mkdir(folder)  # noqa: PTH102 - bytes
    except OSError:
        pytest.skip("this file system holds UTF-8 alone")

    with pytest.raises(DataError, match=r"not UTF-8: b'caf\\xe9'") as caught:
        folders.scan(tmp_path)

    str(caught.value).encode()


def test_two_folders_for_one_split_are_an_error(tmp_path):
    """
    Nobody can say which of them is meant.
    """
    touch(tmp_path, "train/a/1", "val/a/1", "valid/a/1")

    with pytest.raises(DataError, match="two folders of valid: val and valid"):
        folders.find_splits(tmp_path)


@pytest.mark.parametrize(
    "make",
    [lambda p: p.parent, lambda p: p.mkdir(), lambda p: p.touch()],
    ids=["no", "dir", "file"],
)
def test_a_folder_without_classes_is_an_error(tmp_path, make):
    """
    Missing, empty, or a file: each is said with its path.
    """
    make(tmp_path / "data")

    with pytest.raises(DataError, match="data"):
        folders.scan(tmp_path / "data")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_folder_is_an_error(tmp_path):
    """
    What the system says is told.
    """
    (tmp_path / "cat").mkdir(mode=0)

    with pytest.raises(DataError, match="Permission denied"):
        folders.scan(tmp_path)


def test_splits_that_do_not_fit_together_are_told(tmp_path):
    """
    Classes that only one split has, and classes without pictures, are named.
    """
    touch(tmp_path, "train/cat/1", "train/dog/1", "valid/cat/1", "valid/eel/1", "test/cat/1")
    (tmp_path / "test" / "dog").mkdir()
    scans = {name: folders.scan(tmp_path / name) for name in ("train", "valid", "test")}

    assert folders.disagreements(scans) == [
        "class 'dog' is in train and test but not in valid",
        "class 'dog' has no pictures in test",
        "class 'eel' is in valid but not in train and test",
    ]


def test_splits_that_fit_together_are_silent(tmp_path):
    """
    No disagreement, no text.
    """
    touch(tmp_path, "train/cat/1", "train/dog/1", "valid/cat/1", "valid/dog/1")

    scans = {name: folders.scan(tmp_path / name) for name in ("train", "valid")}

    assert folders.disagreements(scans) == []
