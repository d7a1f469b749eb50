"""
Lifecycle policies: kept and described. Nothing expires by them in a registry of one's own.

Judged as ECR documents them ("Lifecycle policy properties in Amazon ECR"), so that a policy that
passes here is not refused there.
"""

import json
from collections.abc import Iterator
from typing import Any

from kennel.local.ecr import words
from kennel.local.ecr.repositories import Repositories
from kennel.local.resources import LOCAL, Document
from kennel.local.wire.errors import ApiError

POLICY = "lifecyclePolicyText"
TAG_STATUSES = ("tagged", "untagged", "any")
COUNT_TYPES = ("imageCountMoreThan", "sinceImagePushed")
NAMED = ("tagPrefixList", "tagPatternList")


class Lifecycle:
    """The operations of lifecycle policies."""

    def __init__(self, repositories: Repositories) -> None:
        self._repositories = repositories

    def put(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer PutLifecyclePolicy."""
        text = params[POLICY]
        check(text)
        self._repositories.change_own(params, {POLICY: text})
        return self._answer(params, text)

    def get(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer GetLifecyclePolicy."""
        return self._answer(params, self._text(params))

    def delete(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer DeleteLifecyclePolicy, with the policy that was."""
        text = self._text(params)
        self._repositories.change_own(params, {POLICY: None})
        return self._answer(params, text)

    def _text(self, params: dict[str, Any]) -> str:
        name = params["repositoryName"]
        text: str | None = self._repositories.require(params, name)[LOCAL].get(POLICY)
        if text is None:
            raise words.no_policy(name)
        return text

    def _answer(self, params: dict[str, Any], text: str) -> Document:
        repository = self._repositories.require(params, params["repositoryName"])
        return {**repository, POLICY: text}


def check(text: str) -> None:
    """
    Judge a policy.

    Raises:
        ApiError: ``InvalidParameterException``, with everything that is wrong with it.
    """
    try:
        rules = json.loads(text)["rules"]
    except (ValueError, KeyError, TypeError):
        raise refused(["the text is not a JSON object with a member 'rules'"]) from None
    if not isinstance(rules, list) or not rules or not all(isinstance(r, dict) for r in rules):
        raise refused(["'rules' is not a list of rules"])
    if found := list(problems(rules)):
        raise refused(found)


def refused(found: list[str]) -> ApiError:
    """Return ECR's error for a policy that it cannot follow."""
    why = "; ".join(found)
    return words.invalid(
        "Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: "
        f"'Lifecycle policy validation failure: {why}'"
    )


def problems(rules: list[Document]) -> Iterator[str]:
    """Yield what is wrong with a policy's rules."""
    given = [rule.get("rulePriority") for rule in rules]
    priorities = [one for one in given if isinstance(one, int) and one >= 1]
    if len(priorities) < len(given):
        yield f"rulePriority must be a whole number from 1 on: {given}"
        return
    if len(set(priorities)) < len(priorities):
        yield f"rulePriority must be unique: {priorities}"
    for rule in rules:
        yield from (f"rule {rule['rulePriority']}: {what}" for what in rule_problems(rule))
        if is_for_any(rule) and rule["rulePriority"] < max(priorities):
            yield f"rule {rule['rulePriority']}: a rule of tagStatus any must be the last"


def is_for_any(rule: Document) -> bool:
    """Say whether a rule is for every image, tagged or not."""
    selection = rule.get("selection")
    return isinstance(selection, dict) and selection.get("tagStatus") == "any"


def rule_problems(rule: Document) -> Iterator[str]:
    """Yield what is wrong with one rule by itself."""
    if rule.get("action") != {"type": "expire"}:
        yield f"action is {rule.get('action')}, and {{'type': 'expire'}} is what there is"
    selection = rule.get("selection")
    if not isinstance(selection, dict):
        yield "selection is missing"
        return
    status, counted = selection.get("tagStatus"), selection.get("countType")
    if status not in TAG_STATUSES:
        yield f"tagStatus is {status!r}, not one of {', '.join(TAG_STATUSES)}"
    if (status == "tagged") != any(selection.get(name) for name in NAMED):
        yield f"one of {' and '.join(NAMED)} goes with tagStatus tagged, and with no other"
    if counted not in COUNT_TYPES:
        yield f"countType is {counted!r}, not one of {', '.join(COUNT_TYPES)}"
    if (counted == "sinceImagePushed") != (selection.get("countUnit") == "days"):
        yield "countUnit days goes with countType sinceImagePushed, and with no other"
    number = selection.get("countNumber")
    if not isinstance(number, int) or number < 1:
        yield f"countNumber is {number!r}, not a whole number from 1 on"
