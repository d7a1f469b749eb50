"""Lifecycle policies are judged as ECR documents them."""

import json

import pytest

from kennel.jobs import registry
from kennel.local.ecr.lifecycle import check
from kennel.local.wire.errors import ApiError


def rule(priority=1, *, action="expire", **selection):
    chosen = {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 5}
    kept = {name: value for name, value in (chosen | selection).items() if value is not None}
    return {"rulePriority": priority, "selection": kept, "action": {"type": action}}


def text(*rules):
    return json.dumps({"rules": rules})


@pytest.mark.parametrize(
    "policy",
    [
        pytest.param(registry.lifecycle("x")["lifecyclePolicyText"], id="kennels-own"),
        pytest.param(text(rule(tagStatus="tagged", tagPrefixList=["v"])), id="prefix"),
        pytest.param(text(rule(tagStatus="tagged", tagPatternList=["v*"])), id="pattern"),
        pytest.param(text(rule(2), rule(1, tagStatus="untagged")), id="any-order"),
    ],
)
def test_a_policy_that_ecr_takes_is_taken(policy):
    """
    The one that make push sends among them.
    """
    check(policy)


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        pytest.param("{", "not a JSON object with a member 'rules'", id="no-json"),
        pytest.param("[]", "not a JSON object with a member 'rules'", id="no-object"),
        pytest.param('{"rules": []}', "not a list of rules", id="no-rules"),
        pytest.param('{"rules": [1]}', "not a list of rules", id="no-objects"),
        pytest.param(text(rule(0)), "a whole number from 1 on: [0]", id="priority"),
        pytest.param(text(rule(), rule()), "must be unique: [1, 1]", id="priorities"),
        pytest.param(
            text(rule(1), rule(2, tagStatus="untagged")), "any must be the last", id="any-first"
        ),
        pytest.param(text(rule(action="keep")), "{'type': 'expire'} is what there is", id="action"),
        pytest.param(text({"rulePriority": 1}), "selection is missing", id="selection"),
        pytest.param(text(rule(tagStatus="old")), "tagStatus is 'old'", id="status"),
        pytest.param(text(rule(tagStatus="tagged")), "goes with tagStatus tagged", id="no-tags"),
        pytest.param(text(rule(tagPrefixList=["v"])), "goes with tagStatus tagged", id="tags"),
        pytest.param(text(rule(countType="age")), "countType is 'age'", id="count-type"),
        pytest.param(
            text(rule(countType="sinceImagePushed")), "countUnit days goes with", id="no-unit"
        ),
        pytest.param(text(rule(countUnit="days")), "countUnit days goes with", id="unit"),
        pytest.param(text(rule(countNumber=0)), "countNumber is 0", id="number"),
        pytest.param(text(rule(countNumber=None)), "countNumber is None", id="no-number"),
    ],
)
def test_a_policy_that_ecr_refuses_is_refused(policy, said):
    """
    With ECR's code, and what is wrong with which rule.
    """
    with pytest.raises(ApiError) as caught:
        check(policy)

    assert caught.value.code == "InvalidParameterException"
    assert said in caught.value.message
