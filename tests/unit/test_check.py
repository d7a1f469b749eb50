"""A dataset is judged by decoding it, and everything wrong is said at once."""

import json
import os

import pytest
from PIL import Image

from kennel.datasets.check import check, require_usable
from kennel.datasets.verify import verify
from kennel.errors import DataError


@pytest.fixture
def picture():
    """Write small pictures, all different."""
    made = iter(range(10_000))

    def write(path, kind="PNG"):
        path.parent.mkdir(parents=True, exist_ok=True)
        n = next(made)
        Image.new("RGB", (8, 8), (n % 256, n // 256, 7)).save(path, kind)
        return path

    return write


@pytest.fixture
def dataset(tmp_path, picture):
    """Two classes in two splits, twelve pictures each, nothing wrong."""
    for split in ("train", "valid"):
        for name in ("cat", "dog"):
            for n in range(12):
                picture(tmp_path / split / name / f"{n}.png")
    return tmp_path


def test_a_good_dataset_is_ok(dataset):
    """
    Counts by split and class, and not a word more.
    """
    report = check(dataset)

    assert report.ok
    assert report.counts == {"train": {"cat": 12, "dog": 12}, "valid": {"cat": 12, "dog": 12}}
    assert (report.bad, report.problems, report.warnings) == ([], [], [])


def test_what_a_good_share_of_files_is_usable(dataset):
    """
    A few unreadable files are put up with, as the hyperparameter max-bad-share says, and no more.
    """
    (dataset / "train" / "cat" / "note.txt").write_text("no picture")
    (dataset / "train" / "cat" / "gone.png").symlink_to("nowhere")

    require_usable(dataset, max_bad_share=0.05)  # 2 of 50
    with pytest.raises(DataError, match=r"(?s)2 of 50 files.*kennel data check"):
        require_usable(dataset, max_bad_share=0.03)


@pytest.mark.parametrize(
    ("folders", "problem"),
    [
        pytest.param(["train/cat"], "only one class", id="one-class"),
        pytest.param([""], "no class folders", id="no-classes"),
        pytest.param(["train/cat", "train/dog", "test/cat"], "not in test", id="unshared-class"),
    ],
)
def test_what_no_training_can_use_is_an_error(tmp_path, picture, folders, problem):
    """
    The problems are those of the check.
    """
    for folder in folders:
        picture(tmp_path / folder / "1.png")

    with pytest.raises(DataError, match=problem):
        require_usable(tmp_path, max_bad_share=1)


def test_classes_without_splits_are_ok(tmp_path, picture):
    """
    A folder of classes is one dataset, split later.
    """
    for name in ("cat", "dog"):
        for n in range(10):
            picture(tmp_path / name / f"{n}.png")

    report = check(tmp_path)

    assert report.ok
    assert report.counts == {"dataset": {"cat": 10, "dog": 10}}


def test_bad_files_are_listed_with_their_reasons(dataset, picture):
    """
    Each is named relative to the dataset, with what is wrong; the good ones still count.
    """
    folder = dataset / "train" / "cat"
    (folder / "empty.png").touch()
    (folder / "notes.txt").write_text("hello")
    whole = picture(folder / "torn.jpg", "JPEG").read_bytes()
    (folder / "torn.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "gone.png").symlink_to("nowhere")
    (folder / ".DS_Store").write_text("litter")

    report = check(dataset)

    reasons = {path.as_posix(): reason for path, reason in report.bad}
    assert sorted(reasons) == [
        f"train/cat/{name}" for name in ("empty.png", "gone.png", "notes.txt", "torn.jpg")
    ]
    assert "empty" in reasons["train/cat/empty.png"]
    assert "not a picture" in reasons["train/cat/notes.txt"]
    assert "truncated" in reasons["train/cat/torn.jpg"]
    assert "No such file" in reasons["train/cat/gone.png"]
    assert report.counts["train"]["cat"] == 12
    assert report.ok


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_listed(dataset):
    """
    What the system says is told.
    """
    (dataset / "train" / "cat" / "0.png").chmod(0)

    assert "Permission denied" in check(dataset).bad[0].reason


def test_a_class_of_bad_files_only_is_a_problem(dataset):
    """
    A class that has files, but no picture, would fail a training.
    """
    for path in (dataset / "valid" / "dog").iterdir():
        path.write_bytes(b"")

    report = check(dataset)

    assert not report.ok
    assert report.problems == ["class 'dog' has no pictures in valid"]


def test_a_class_in_one_split_only_is_a_problem(dataset, picture):
    """
    It could not be learnt, or not be measured.
    """
    picture(dataset / "train" / "eel" / "1.png")

    assert "class 'eel' is in train but not in valid" in check(dataset).problems


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda p: p.parent, "cannot list"),
        (lambda p: p.mkdir(), "no class folders"),
        (lambda p: (p / "train").mkdir(parents=True), "no class folders"),
        (lambda p: (p.mkdir(), (p / "1.jpg").touch()), "it holds 1 files"),
        (
            lambda p: [(p / s / "a").mkdir(parents=True) for s in ("train", "val", "valid")],
            "two fold",
        ),
    ],
    ids=["missing", "empty", "empty-split", "flat", "two-names"],
)
def test_a_folder_that_is_no_dataset_is_an_error(tmp_path, make, says):
    """
    There is nothing to report of it; the error says what a dataset is, and not to check it.
    """
    make(tmp_path / "data")

    with pytest.raises(DataError, match=says) as raised:
        check(tmp_path / "data")

    assert raised.value.expected
    assert "data check" not in raised.value.remedy


def test_an_empty_class_is_a_problem(tmp_path):
    """
    The report says so from its first line: without counts there is no table.
    """
    (tmp_path / "cat").mkdir()

    report = check(tmp_path)

    assert any("no pictures" in problem for problem in report.problems)
    assert str(report).splitlines()[0].strip()


def test_one_split_without_classes_is_a_problem_among_others(dataset):
    """
    The rest of the dataset is judged all the same.
    """
    (dataset / "test").mkdir()

    report = check(dataset)

    assert [problem.partition(" in ")[0] for problem in report.problems] == ["no class folders"]
    assert report.counts["train"] == {"cat": 12, "dog": 12}


def test_a_single_class_is_a_problem(tmp_path, picture):
    """
    There is nothing to tell apart.
    """
    picture(tmp_path / "cat" / "1.png")

    assert any("only one class" in problem for problem in check(tmp_path).problems)


def test_the_same_picture_in_two_splits_is_leakage(dataset):
    """
    It makes the accuracy look better than it is: a warning that names both places.
    """
    train, valid = dataset / "train" / "cat" / "3.png", dataset / "valid" / "cat" / "99.png"
    valid.write_bytes(train.read_bytes())

    report = check(dataset)

    assert report.ok
    assert report.warnings == [
        "1 pictures are in more than one split: train/cat/3.png = valid/cat/99.png"
    ]


def test_the_same_picture_in_two_classes_is_a_warning(dataset):
    """
    One of the labels is wrong.
    """
    (dataset / "train" / "dog" / "99.png").write_bytes(
        (dataset / "train" / "cat" / "3.png").read_bytes()
    )

    assert check(dataset).warnings == [
        "1 pictures are in more than one class: train/cat/3.png = train/dog/99.png"
    ]


def test_what_belongs_to_no_class_and_what_is_rare_are_warnings(dataset, picture):
    """
    Files beside the classes and beside the splits, classes of a few pictures.
    """
    picture(dataset / "train" / "stray.png")
    picture(dataset / "extra.png")
    for n in range(3, 12):
        (dataset / "train" / "dog" / f"{n}.png").unlink()

    assert check(dataset).warnings == [
        "train/stray.png belongs to no class",
        "extra.png belongs to no class",
        "class 'dog' has only 3 pictures in train",
    ]


def test_a_report_is_for_people_and_for_programs(dataset):
    """
    The text has the counts and the reasons; the document survives JSON.
    """
    (dataset / "valid" / "dog" / "0.png").write_bytes(b"")

    report = check(dataset)

    document = json.loads(json.dumps(report.to_dict()))
    assert document["ok"] is True
    assert document["counts"]["valid"] == {"cat": 12, "dog": 11}
    assert document["bad"][0]["path"] == "valid/dog/0.png"
    assert "valid/dog/0.png is empty: 0 bytes" in str(report)
    assert [line.split() for line in str(report).splitlines()[:4]] == [
        ["train", "valid"],
        ["cat", "12", "12"],
        ["dog", "12", "11"],
        ["24", "23"],
    ]


def test_a_long_list_is_cut_for_people_only(dataset):
    """
    A thousand bad files do not scroll the rest away; the document has them all.
    """
    for n in range(100, 150):
        (dataset / "train" / "cat" / f"{n}.png").write_bytes(b"x")

    report = check(dataset)

    assert len(report.to_dict()["bad"]) == 50
    assert "files not readable: 50" in str(report)
    assert "… and 40 more" in str(report)
    assert len(str(report).splitlines()) < 20


@pytest.mark.parametrize("workers", [1, 4])
def test_verify_keeps_the_order(dataset, workers):
    """
    Good and bad each come in the order given, however many threads decode.
    """
    paths = sorted((dataset / "train").rglob("*.png"))
    for path in paths[::5]:
        path.write_bytes(b"x")

    good, bad = verify(paths, workers)

    assert [file.path for file in bad] == paths[::5]
    assert good == [path for path in paths if path not in paths[::5]]
