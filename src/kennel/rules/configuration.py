"""
The rules that a request asks for, in AWS's words: DebugRuleConfigurations and the profiler's.

Which rules there are, and what their parameters mean, the rooms that judge say.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from kennel.errors import RuleError

# Members of RuleParameters that are not the rule's own
RULE, ACTIONS, SOURCE = "rule_to_invoke", "action_json", "source_s3_uri"
# Parameters of AWS's evaluator, not of a rule: which steps it looks at
START, END = "start_step", "end_step"
STOP_TRAINING = "stoptraining"


@dataclass(frozen=True)
class Configuration:
    """
    One rule, as it is asked for.

    Args:
        name: RuleConfigurationName, which its outcome goes by.
        rule: The rule's own name.
        parameters: What is given of its parameters, as texts.
        stops: Whether the training job is to be stopped when it finds something.
        source: Where a user's own rule is: path or S3 URI of a Python file; empty: one of ours.
        image: RuleEvaluatorImage.
    """

    name: str
    rule: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    stops: bool = False
    source: str = ""
    image: str = ""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """
        Read one member of DebugRuleConfigurations or ProfilerRuleConfigurations.

        Raises:
            RuleError: It does not say which rule, or its actions are no JSON.
        """
        name = str(document.get("RuleConfigurationName", ""))
        given = {key: str(text) for key, text in document.get("RuleParameters", {}).items()}
        actions = given.pop(ACTIONS, "")
        source = given.pop(SOURCE, "")
        rule = given.pop(RULE, "") or name
        if not rule:
            raise RuleError(
                "a rule configuration says neither its name nor its rule",
                expected=f"RuleConfigurationName, and {RULE} among its RuleParameters",
            )
        image = str(document.get("RuleEvaluatorImage", ""))
        return cls(name or rule, rule, given, stops(name or rule, actions), source, image)

    def document(self) -> dict[str, Any]:
        """Return it as a request has it."""
        own = {
            RULE: self.rule,
            **self.parameters,
            **({ACTIONS: json.dumps({"name": STOP_TRAINING})} if self.stops else {}),
            **({SOURCE: self.source} if self.source else {}),
        }
        return {
            "RuleConfigurationName": self.name,
            "RuleEvaluatorImage": self.image,
            "RuleParameters": own,
        }


def read(documents: Sequence[Mapping[str, Any]]) -> tuple[Configuration, ...]:
    """
    Read DebugRuleConfigurations or ProfilerRuleConfigurations.

    Raises:
        RuleError: One is malformed, or two have the same name.
    """
    found = tuple(Configuration.of(document) for document in documents)
    names = [configuration.name for configuration in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise RuleError(
            f"two rule configurations are called {twice!r}",
            expected="a RuleConfigurationName of its own for each",
        )
    return found


def asked(text: str, every: Sequence[str]) -> tuple[Configuration, ...]:
    """
    Read what a hyperparameter says of rules; whether there are such rules is not judged.

    Args:
        text: "all", "none", names with commas, or a request's configurations as JSON.
        every: The rules that "all" means.
    Raises:
        RuleError: It is none of these.
    """
    text = text.strip()
    if text.lower() in {"", "none"}:
        return ()
    if text.lower() == "all":
        return tuple(Configuration(name, name) for name in every)
    if not text.startswith(("[", "{")):
        names = [name.strip() for name in text.split(",")]
        return read([{"RuleConfigurationName": name} for name in names if name])
    try:
        documents = json.loads(text)
    except ValueError as error:
        raise RuleError(
            f"the rules are no JSON: {error}", expected="a request's configurations, a list"
        ) from error
    listed = documents if isinstance(documents, list) else [documents]
    if not all(isinstance(document, dict) for document in listed):
        raise RuleError(
            "a rule configuration is no object", expected='[{"RuleConfigurationName": "…"}, …]'
        )
    return read(listed)


def stops(name: str, actions: str) -> bool:
    """
    Tell whether *actions* stop the training job; e-mail and SMS are nobody's here.

    Args:
        name: Of the configuration, for the error.
        actions: action_json: an action, or a list of them; quotes may be escaped, as AWS's own
            library writes them.

    Raises:
        RuleError: It is no JSON.
    """
    if not actions.strip():
        return False
    try:
        document = json.loads(actions.replace('\\"', '"'))
    except ValueError as error:
        raise RuleError(
            f"rule {name}: {ACTIONS} is {actions!r}: {error}",
            expected='JSON, such as {"name": "stoptraining"}',
        ) from error
    listed = document if isinstance(document, list) else [document]
    names = [action.get("name", "") for action in listed if isinstance(action, dict)]
    return STOP_TRAINING in [str(action).lower() for action in names]
