"""What a run tells of itself."""

import dataclasses
import json

import pytest
import torch
from PIL import Image

from kennel.datasets.folders import Sample
from kennel.datasets.verify import BadFile
from kennel.training import export, report
from kennel.training.channels import Data
from kennel.training.epochs import Epoch
from kennel.training.export import Outcome
from kennel.training.hyperparameters import Hyperparameters
from kennel.training.metrics import Evaluation

HISTORY = [
    Epoch(1, 1.5, 0.4, 250.0, 0.3, 0.1, 10.0, 1.0),
    Epoch(2, 0.5, 0.8, 0.6, 0.75, 0.05, 10.0, 1.0),
    Epoch(3, 0.3, 0.9, float("inf"), 0.7, 0.0, 10.0, 1.0),
]


def data(tmp_path, classes, *, test=True):
    names = tuple(f"class {label:03}" for label in range(classes))
    samples = tuple(Sample(tmp_path / f"{label}.png", label) for label in range(classes))
    return Data(names, samples, samples, samples if test else (), ())


def outcome(matrix, split="test", ended="finished", history=HISTORY):
    best = max(history, key=lambda epoch: epoch.rank, default=None)
    measured = None if matrix is None else Evaluation(0.25, matrix)
    return Outcome(ended, history, best, measured, split)


def ink(path):
    """How many different colours a picture has: a blank one has one."""
    with Image.open(path) as image:
        return len(image.convert("RGB").getcolors(2**24))


@pytest.mark.parametrize("classes", [2, 10, 133])
def test_pictures_are_drawn_for_any_number_of_classes(tmp_path, classes):
    """
    From two classes to the 133 breeds of the originals.
    """
    matrix = torch.randint(0, 9, (classes, classes)) + 20 * torch.eye(classes, dtype=torch.int64)
    export.write_report(tmp_path, outcome(matrix), Hyperparameters(), data(tmp_path, classes))

    assert ink(tmp_path / "confusion_matrix.png") > 50
    assert ink(tmp_path / "learning_curves.png") > 50


def test_the_figures_stand_in_metrics_json(tmp_path):
    """
    Accuracies, history, measures of each class; what is not finite is null, for JSON has no word.
    """
    matrix = torch.tensor([[3, 1], [0, 4]])
    export.write_report(tmp_path, outcome(matrix), Hyperparameters(lr=0.5), data(tmp_path, 2))

    document = json.loads((tmp_path / "metrics.json").read_text())
    assert document["test_accuracy"] == 0.875
    assert (document["valid_accuracy"], document["best_epoch"]) == (0.75, 2)
    assert document["hyperparameters"]["lr"] == 0.5
    assert document["history"][2]["valid_loss"] is None
    assert document["classes"]["class 000"] == {
        "precision": 1.0,
        "recall": 0.75,
        "f1": pytest.approx(6 / 7),
        "support": 4,
    }
    assert document["confusion"] == [[3, 1], [0, 4]]
    assert document["pictures"] == {"train": 2, "valid": 2, "test": 2}


def test_without_a_test_split_there_is_no_test_accuracy(tmp_path):
    """
    The classes are measured on validation then, and the document says so.
    """
    matrix = torch.tensor([[3, 1], [0, 4]])
    given = data(tmp_path, 2, test=False)
    export.write_report(tmp_path, outcome(matrix, split="valid"), Hyperparameters(), given)

    document = json.loads((tmp_path / "metrics.json").read_text())
    assert "test_accuracy" not in document
    assert document["measured_on"] == "valid"


def test_a_run_stopped_before_its_first_epoch_has_a_report(tmp_path):
    """
    With nothing to draw it draws nothing, and metrics.json says how the run ended.
    """
    stopped = outcome(None, ended="stopped", history=[])
    export.write_report(tmp_path, stopped, Hyperparameters(), data(tmp_path, 2))

    assert json.loads((tmp_path / "metrics.json").read_text())["ended"] == "stopped"
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.json"]


def test_skipped_files_are_listed_by_their_place_in_the_channels(tmp_path):
    """
    As they are called in the bucket, not in the container.
    """
    bad = [BadFile(tmp_path / "train" / "cat" / "1.jpg", "is empty")]
    export.write_skipped(tmp_path / "out", tmp_path, bad)

    assert json.loads((tmp_path / "out" / "skipped.json").read_text()) == [
        {"path": "train/cat/1.jpg", "reason": "is empty"}
    ]


def test_one_wild_validation_does_not_flatten_the_curves():
    """
    The axis of the losses follows the training where validation is off by orders of magnitude.
    """
    assert report.loss_limit(HISTORY) == pytest.approx(1.05 * 4.5)
    assert report.loss_limit([HISTORY[1]]) == pytest.approx(1.05 * 0.6)


def test_a_class_name_is_not_read_as_a_formula(tmp_path):
    """
    Folders are called anything.
    """
    samples = tuple(Sample(tmp_path / f"{label}.png", label) for label in range(2))
    named = Data(("$5_$^", "a_b"), samples, samples, samples, ())
    matrix = torch.tensor([[3, 1], [0, 4]])

    export.write_report(tmp_path, outcome(matrix), Hyperparameters(), named)

    assert ink(tmp_path / "confusion_matrix.png") > 50


def test_a_picture_that_cannot_be_drawn_fails_no_run(tmp_path, capsys):
    """
    The figures are there, and the log says what is not.
    """
    (tmp_path / "learning_curves.png").mkdir()

    export.write_report(tmp_path, outcome(None), Hyperparameters(), data(tmp_path, 2))

    assert json.loads((tmp_path / "metrics.json").read_text())["best_epoch"] == 2
    assert "WARNING: the pictures in" in capsys.readouterr().out


def test_a_loss_that_is_no_number_has_its_place_in_the_curves(tmp_path):
    """
    It leaves a gap.
    """
    history = [HISTORY[0], dataclasses.replace(HISTORY[1], valid_loss=float("nan"))]
    report.learning_curves(tmp_path / "curves.png", history)

    assert ink(tmp_path / "curves.png") > 50
