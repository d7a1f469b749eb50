"""The demonstration set is scikit-learn's digits, the same at every call."""

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from kennel.datasets import digits
from kennel.datasets.check import check
from kennel.errors import DataError


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits") / "made" / "for" / "it"
    digits.write(folder)
    return folder


def test_it_is_a_good_dataset_of_all_digits(written):
    """
    1,797 pictures, ten classes in three splits, no picture in two of them.
    """
    report = check(written)

    assert report.ok
    assert not report.warnings
    assert sum(sum(counts.values()) for counts in report.counts.values()) == 1797
    assert {split: len(counts) for split, counts in report.counts.items()} == {
        "train": 10,
        "valid": 10,
        "test": 10,
    }
    assert 0.68 < sum(report.counts["train"].values()) / 1797 < 0.72


def test_the_pictures_are_the_digits(written):
    """
    Each shows the digit of its folder: shrunk again, it is scikit-learn's original.
    """
    data = load_digits()
    for path in sorted(written.rglob("*.png"))[::97]:
        with Image.open(path) as file:
            picture = file.copy()
        number = int(path.stem)

        shrunk = np.asarray(picture.resize((8, 8), Image.Resampling.BOX), float) / 255 * 16

        assert picture.mode == "L"
        assert picture.size == (32, 32)
        assert path.parent.name == str(data.target[number])
        assert np.corrcoef(shrunk.ravel(), data.images[number].ravel())[0, 1] > 0.95


def test_a_second_call_changes_nothing(written):
    """
    The same files with the same bytes: staging again uploads nothing.
    """
    before = {path: path.read_bytes() for path in written.rglob("*.png")}

    digits.write(written)

    assert {path: path.read_bytes() for path in written.rglob("*.png")} == before


def test_somebody_elses_files_are_left_alone(tmp_path):
    """
    Digits are never mixed into other pictures.
    """
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "beach.jpg").write_bytes(b"precious")

    with pytest.raises(DataError, match=r"holds 1 other files, beach\.jpg first"):
        digits.write(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["holiday"]


def test_the_size_is_settable(tmp_path):
    """
    In px, for the sides of the pictures.
    """
    digits.write(tmp_path / "d", 16)

    with Image.open(next((tmp_path / "d").rglob("*.png"))) as picture:
        assert picture.size == (16, 16)
