"""What a rule is asked for by, and what it leaves: names, parameters, outcomes."""

import json

import pytest
from smdebug_rulesconfig import ActionList, StopTraining

from kennel.errors import RuleError
from kennel.rules.configuration import Configuration, read, stops
from kennel.rules.outcome import ISSUES, Finding, Outcome
from kennel.rules.parameters import Parameter, texts
from kennel.rules.parameters import read as read_parameters

TABLE = (
    Parameter("threshold", 1e-7, "of the mean", low=0),
    Parameter("patience", 5, "steps", low=1),
    Parameter("only_nan", default=False, help="not infinities"),
    Parameter("tensor_regex", "", "which tensors", is_pattern=True),
)


def test_what_is_not_given_is_the_default():
    """
    And what is given is of the parameter's own type.
    """
    read = read_parameters("R", TABLE, {"patience": "10.0", "only_nan": "True"})

    assert read == {"threshold": 1e-7, "patience": 10, "only_nan": True, "tensor_regex": ""}
    assert read_parameters("R", TABLE, texts(read)) == read


@pytest.mark.parametrize(
    ("given", "told"),
    [
        pytest.param({"treshold": "1"}, "try: threshold", id="misspelt"),
        pytest.param({"patience": "0"}, "at least 1", id="out-of-range"),
        pytest.param({"patience": "2.5"}, "a whole number", id="no-whole-number"),
        pytest.param({"threshold": "nan"}, "a number", id="not-finite"),
        pytest.param({"only_nan": "perhaps"}, "true or false", id="no-flag"),
        pytest.param({"tensor_regex": "("}, "a regular expression", id="no-pattern"),
    ],
)
def test_a_wrong_parameter_is_told(given, told):
    """
    With the value found, and what it could have been.
    """
    with pytest.raises(RuleError) as caught:
        read_parameters("R", TABLE, given)

    assert told in str(caught.value)
    assert next(iter(given)) in str(caught.value)


def test_an_outcome_comes_back_from_its_document():
    """
    By way of JSON, and with AWS's members beside ours.
    """
    found = Finding("conv1.weight", "too small", "raise lr", 1e-9, 1e-7, step=3, cost_s=1.5)
    outcome = Outcome("mine", "VanishingGradient", ISSUES, {"threshold": "1e-07"}, 7, 2, (found,))

    kept = json.loads(json.dumps(outcome.document()))

    assert Outcome.of(kept) == outcome
    assert kept["RuleTriggered"] == kept["Violations"] == 2
    assert kept["RuleParameters"] == "threshold:1e-07"


def test_a_document_of_aws_is_an_outcome():
    """
    It has neither findings nor a status.
    """
    outcome = Outcome.of({"Violations": 4, "Datapoints": 9, "RuleParameters": "threshold:70\n"})

    assert (outcome.status, outcome.violations, outcome.datapoints) == (ISSUES, 4, 9)
    assert outcome.parameters == {"threshold": "70"}


def test_a_configuration_says_what_its_request_says():
    """
    And goes back to it.
    """
    document = {
        "RuleConfigurationName": "quick",
        "RuleEvaluatorImage": "rules:1",
        "RuleParameters": {"rule_to_invoke": "Overfit", "patience": "3"},
    }

    (configuration,) = read([document])

    assert configuration == Configuration("quick", "Overfit", {"patience": "3"}, image="rules:1")
    assert configuration.document() == document


def test_two_rules_of_one_name_are_refused():
    """
    Their outcomes could not be told apart.
    """
    with pytest.raises(RuleError, match="two rule configurations are called 'Overfit'"):
        read([{"RuleConfigurationName": "Overfit"}] * 2)


def test_the_stop_action_of_aws_own_library_is_understood():
    """
    It writes JSON with escaped quotes; alone or in a list.
    """
    assert stops("r", StopTraining("job").serialize())
    assert stops("r", ActionList(StopTraining("job")).serialize())
    assert not stops("r", "")
    assert not stops("r", '{"name": "email", "endpoint": "a@example.org"}')


def test_an_action_that_is_no_json_is_refused():
    """
    Rather than a job that is never stopped.
    """
    with pytest.raises(RuleError, match="action_json"):
        stops("r", "{stop}")
