"""Which broken rules are causes, and which their consequences."""

import json
import math

import pytest

from kennel.rules import causes, doubts
from kennel.rules.outcome import ISSUES, Finding, Outcome


def broken(rule, step, value=1.0, threshold=0.5):
    finding = Finding("a tensor", "is bad", "mend it", value, threshold, step)
    return Outcome(rule, rule, ISSUES, violations=1, findings=(finding,))


def advices(*outcomes, **run):
    explained = causes.explained(outcomes, doubts.of(run))
    return {each.name: each.findings[0].advice for each in explained}


@pytest.mark.parametrize(
    ("cause", "value"),
    [("ExplodingTensor", math.nan), ("WeightUpdateRatio", 1810.0), ("LossNotDecreasing", 1e6)],
)
def test_what_comes_after_a_training_is_torn_apart_is_a_consequence(cause, value):
    """
    NaN, updates far too large, a loss beyond measure: gradients, losses and classes only follow.
    """
    rest = ["VanishingGradient", "PoorWeightInitialization", "ClassImbalance", "Confusion"]

    told = advices(*(broken(rule, 16) for rule in rest), broken(cause, 12, value))

    assert told.pop(cause) == "mend it"
    assert set(told.values()) == {f"a consequence of {cause}: mend that first"}


def test_what_was_there_before_is_no_consequence():
    """
    Nor are weights that were badly drawn, where the first step has NaN already.
    """
    told = advices(
        broken("PoorWeightInitialization", 0),
        broken("VanishingGradient", 8),
        broken("ExplodingTensor", 12),
    )
    at_once = advices(broken("PoorWeightInitialization", 0), broken("ExplodingTensor", 0))

    assert set(told.values()) == {"mend it"}
    assert set(at_once.values()) == {"mend it"}


def test_a_loss_that_rises_a_little_explains_nothing():
    """
    By a tenth, say: it is no explosion.
    """
    told = advices(broken("LossNotDecreasing", 12, 10.0), broken("Confusion", 16))

    assert set(told.values()) == {"mend it"}


@pytest.mark.parametrize(("rule", "value"), [("UnchangedTensor", 0.0), ("WeightUpdateRatio", 0.0)])
def test_weights_that_rest_are_why_nothing_is_learnt(rule, value):
    """
    The loss and the classes show no more than that; what keeps them from learning may be deeper.
    """
    others = ["LossNotDecreasing", "Confusion", "VanishingGradient"]

    told = advices(*(broken(other, 30) for other in others), broken(rule, 40, value))

    assert told["LossNotDecreasing"] == told["Confusion"]
    assert told["Confusion"] == f"a consequence of {rule}: mend that first"
    assert told["VanishingGradient"] == told[rule] == "mend it"


def test_causes_stand_before_what_they_cause():
    """
    Tensors, weights, losses, classes; a user's own rule, which nobody knows, last.
    """
    rules = ["Mine", "Confusion", "LossNotDecreasing", "WeightUpdateRatio", "ExplodingTensor"]

    assert sorted(rules, key=causes.place) == rules[::-1]
    assert causes.place("StalledTraining") == causes.place("StalledTrainingRule")


@pytest.mark.parametrize("freeze", ["true", '"true"', "1"])
def test_a_frozen_backbone_of_random_numbers_is_named_first(freeze):
    """
    Before any other advice, but of a consequence; trained weights are meant to be frozen.
    """
    wrong = (broken("LossNotDecreasing", 12),)

    told = advices(*wrong, freeze=freeze, weights="none")["LossNotDecreasing"]

    assert told == f"{doubts.RANDOM}; mend it"
    assert advices(*wrong, freeze=freeze, weights="imagenet")["LossNotDecreasing"] == "mend it"
    assert doubts.of({"weights": "none"}) == ()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_null_in_a_document(value):
    """
    Not the largest number there is; read again it is no number.
    """
    document = broken("ExplodingTensor", 3, value).document()

    kept = json.loads(json.dumps(document, allow_nan=False))

    assert kept["Findings"][0]["value"] is None
    assert math.isnan(Outcome.of(kept).findings[0].value)
