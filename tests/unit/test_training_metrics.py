"""Measures: sums over examples, divided once."""

import pytest
import torch
from sklearn.metrics import precision_recall_fscore_support

from kennel.training.metrics import Evaluation, Totals, confusion, per_class

LOGITS = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(40) % 3


def test_totals_weigh_examples_and_not_batches():
    """
    Uneven batches come to what the whole comes to.
    """
    whole, uneven = Totals(torch.device("cpu")), Totals(torch.device("cpu"))
    whole.add(LOGITS, LABELS)
    for part in (slice(0, 33), slice(33, 40)):
        uneven.add(LOGITS[part], LABELS[part])

    assert uneven.loss == pytest.approx(whole.loss)
    assert (uneven.accuracy, uneven.seen) == (whole.accuracy, 40)
    assert whole.loss == pytest.approx(torch.nn.functional.cross_entropy(LOGITS, LABELS).item())


def test_a_confusion_matrix_has_the_true_classes_in_rows():
    """
    Two of class 0, one of them taken for class 2.
    """
    logits = torch.eye(3)[torch.tensor([0, 2, 1])]

    assert confusion(logits, torch.tensor([0, 0, 1])).tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 0]]


def test_class_measures_are_scikit_learns():
    """
    Precision, recall, F1 and support of every class.
    """
    theirs = precision_recall_fscore_support(LABELS, LOGITS.argmax(1))
    ours = per_class(confusion(LOGITS, LABELS), ["a", "b", "c"])

    for label, name in enumerate("abc"):
        measure = ours[name]
        assert (measure.precision, measure.recall, measure.f1, measure.support) == pytest.approx(
            tuple(column[label] for column in theirs)
        )


def test_a_class_that_is_never_seen_nor_called_measures_zero():
    """
    Nothing is divided by zero.
    """
    measure = per_class(torch.tensor([[3, 0], [0, 0]]), ["a", "b"])["b"]

    assert (measure.precision, measure.recall, measure.f1, measure.support) == (0, 0, 0, 0)


def test_accuracy_is_the_share_on_the_diagonal():
    """
    Three of four.
    """
    assert Evaluation(0.1, torch.tensor([[2, 1], [0, 1]])).accuracy == 0.75
