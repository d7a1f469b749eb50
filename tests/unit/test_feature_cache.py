"""Features on disk: taken where they are those that are wanted and whole, and told apart else."""

import dataclasses
import json

import numpy as np
import pytest

from kennel.datasets.verify import BadFile
from kennel.training import feature_cache
from kennel.training.feature_cache import Identity, Kept, Unusable

IDENTITY = Identity(
    files="f",
    division="as given",
    weights="w",
    model="resnet18",
    preprocessing="p",
    augmentation="flip",
    views=2,
    precision="bf16",
)


@pytest.fixture
def kept(tmp_path):
    draws = np.random.default_rng(0)
    values = {split: draws.random((3, 2, 4), np.float32) for split in ("train", "valid")}
    return Kept(values, (BadFile(tmp_path / "data" / "train" / "x.jpg", "is empty"),))


@pytest.fixture
def folder(tmp_path, kept):
    feature_cache.write(tmp_path / "f", IDENTITY, "digest", kept, tmp_path / "data")
    return tmp_path / "f"


def read(folder, wanted=IDENTITY, digest="digest"):
    return feature_cache.read(folder, wanted, folder.parent / "data", lambda: digest)


def test_what_was_written_is_read(folder, kept):
    """
    To the bit, and with the files that were no pictures; nothing else is left in the folder.
    """
    found = read(folder)

    assert found.skipped == kept.skipped
    assert found.values.keys() == kept.values.keys()
    for split, values in kept.values.items():
        np.testing.assert_array_equal(found.values[split], values)
    names = {path.name for path in folder.iterdir()}
    assert names == {"features.json", "train.npy", "valid.npy"}


def test_where_nothing_is_kept_nothing_is_found(tmp_path):
    """
    Neither in a folder that is missing nor in an empty one.
    """
    assert read(tmp_path / "missing") is None
    assert read(tmp_path) is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"files": "g"}, "other files"),
        ({"division": "seed 1"}, "another division into splits"),
        ({"weights": "v"}, "other weights"),
        ({"model": "vgg11"}, "model=resnet18"),
        ({"preprocessing": "q"}, "another preprocessing"),
        ({"augmentation": "none"}, "augment=flip"),
        ({"views": 3}, "2 views instead of 3"),
        ({"precision": "f32"}, "precision bf16"),
        ({"version": 0}, "another version of kennel"),
    ],
)
def test_stale_features_say_what_differs(folder, changes, words):
    """
    Each part of the identity, by its name.
    """
    with pytest.raises(Unusable, match=f"^of {words}$"):
        read(folder, dataclasses.replace(IDENTITY, **changes))


def test_pictures_that_have_changed_are_noticed(folder):
    """
    Their names are the same, and their bytes are not.
    """
    with pytest.raises(Unusable, match="of pictures that have changed"):
        read(folder, digest="another")


@pytest.mark.parametrize("changes", [{"views": 1}, {"precision": "auto"}])
def test_what_is_more_than_is_wanted_will_do(folder, changes):
    """
    Further views are left aside, and where any precision will do theirs does.
    """
    assert read(folder, dataclasses.replace(IDENTITY, **changes))


@pytest.mark.parametrize("name", ["train.npy", "valid.npy", "features.json"])
@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
def test_torn_features_are_noticed(folder, name, damage):
    """
    Whichever file it is, cut off, changed or missing; without a description there are none.
    """
    path = folder / name
    contents = path.read_bytes()
    path.write_bytes(contents[:-9] if damage == "cut" else bytes([contents[0] ^ 1]) + contents[1:])
    if damage == "gone":
        path.unlink()

    if (name, damage) == ("features.json", "gone"):
        assert read(folder) is None
    else:
        with pytest.raises(Unusable, match=r"^torn: "):
            read(folder)


@pytest.mark.parametrize("document", ["[]", "{}", '{"format": 2}', '{"format": 1, "identity": 7}'])
def test_a_strange_description_is_no_error(folder, document):
    """
    Whatever is found there, the features are computed again.
    """
    (folder / "features.json").write_text(document)

    with pytest.raises(Unusable):
        read(folder)


def test_a_write_that_is_broken_off_leaves_nothing_that_is_taken_for_whole(folder, kept, tmp_path):
    """
    Of new features beside an old description the digests do not fit.
    """
    values = {"train": kept.values["train"] + 1, "valid": "cannot be written".split}
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever NumPy makes of it
        feature_cache.write(folder, IDENTITY, "digest", Kept(values, ()), tmp_path)

    with pytest.raises(Unusable, match="torn"):
        read(folder)
    assert not list(folder.glob(".*"))


def test_the_description_says_how_large_the_files_are(folder):
    """
    So that a client can tell from a listing whether all of it has been synced.
    """
    files = json.loads((folder / "features.json").read_text())["files"]

    sizes = {name: (folder / f"{name}.npy").stat().st_size for name in ("train", "valid")}
    assert {name: file["bytes"] for name, file in files.items()} == sizes
