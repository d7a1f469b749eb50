"""The debugger's rules by name: AWS's, with AWS's parameters, and what a request may ask for."""

import subprocess
import sys

import pytest
import smdebug_rulesconfig

from kennel.debugging.rules import RULES
from kennel.errors import RuleError
from kennel.rules import debugger, keeping
from kennel.rules.configuration import Configuration
from kennel.rules.outcome import NO_ISSUES, Outcome
from kennel.rules.parameters import texts

MAKERS = [
    "vanishing_gradient",
    "exploding_tensor",
    "poor_weight_initialization",
    "loss_not_decreasing",
    "overfit",
    "overtraining",
    "all_zero",
    "dead_relu",
    "saturated_activation",
    "unchanged_tensor",
    "weight_update_ratio",
    "tensor_variance",
    "class_imbalance",
    "confusion",
    "stalled_training_rule",
]
# "List of Debugger built-in rules" of the SageMaker developer guide, as requests spell them
DOCUMENTED = {
    "VanishingGradient": {"threshold": "0.0000001"},
    "ExplodingTensor": {"only_nan": "False"},
    "PoorWeightInitialization": {
        "activation_inputs_regex": ".*relu_input",
        "threshold": "10.0",
        "distribution_range": "0.001",
        "patience": "5",
        "steps": "10",
    },
    "LossNotDecreasing": {
        "use_losses_collection": "True",
        "num_steps": "10",
        "diff_percent": "0.1",
        "increase_threshold_percent": "5",
    },
    "Overfit": {"start_step": "0", "patience": "1", "ratio_threshold": "0.1"},
    "Overtraining": {"patience_train": "5", "patience_validation": "10", "delta": "0.01"},
    "AllZero": {"threshold": "100"},
    "DeadRelu": {
        "tensor_regex": ".*relu_output",
        "threshold_inactivity": "1.0",
        "threshold_layer": "50.0",
    },
    "SaturatedActivation": {
        "tensor_regex": ".*tanh_input|.*sigmoid_input",
        "threshold_tanh_min": "-9.4999",
        "threshold_tanh_max": "9.4999",
        "threshold_sigmoid_min": "-23",
        "threshold_sigmoid_max": "16.99999",
        "threshold_inactivity": "1.0",
        "threshold_layer": "50.0",
    },
    "UnchangedTensor": {
        "num_steps": "3",
        "rtol": "1e-05",
        "atol": "1e-08",
        "equal_nan": "False",
    },
    "WeightUpdateRatio": {
        "large_threshold": "10.0",
        "small_threshold": "0.00000001",
        "epsilon": "0.000000001",
    },
    "TensorVariance": {},
    "ClassImbalance": {
        "threshold_imbalance": "10",
        "threshold_misprediction": "0.7",
        "samples": "500",
        "argmax": "False",
        "labels_regex": ".*labels",
        "predictions_regex": ".*predictions",
    },
    "Confusion": {
        "labels": "labels",
        "predictions": "predictions",
        "labels_collection": "labels",
        "predictions_collection": "predictions",
        "min_diag": "0.9",
        "max_off_diag": "0.1",
    },
    "StalledTrainingRule": {"threshold": "1800", "stop_training_on_fire": "False"},
}


@pytest.mark.parametrize("maker", MAKERS)
def test_a_rule_that_aws_own_package_asks_for_is_judged(maker):
    """
    By the very document that it makes.
    """
    document = getattr(smdebug_rulesconfig, maker)()["DebugRuleConfiguration"]

    configuration = Configuration.of(document)

    debugger.check([configuration])
    assert debugger.named(configuration.rule) in RULES


@pytest.mark.parametrize("rule", DOCUMENTED)
def test_defaults_are_those_that_aws_documents(rule):
    """
    To give them all is to give none.
    """
    given = debugger.values(Configuration(rule, rule, DOCUMENTED[rule]))

    assert given == debugger.values(Configuration(rule, rule))


def test_every_rule_has_a_table_and_a_judge():
    """
    And the tables that are documented are all.
    """
    assert set(RULES) == set(debugger.TABLES) == set(DOCUMENTED)
    for rule, table in debugger.TABLES.items():
        assert table.help, rule
        assert table.needs, rule
        names = [parameter.name for parameter in table.parameters]
        assert len(names) == len(set(names)), rule


def test_a_stalled_training_goes_by_both_names():
    """
    AWS's documentation has one in its title, the other in its request.
    """
    assert debugger.named("StalledTraining") == debugger.named("StalledTrainingRule")


@pytest.mark.parametrize(
    ("configuration", "told"),
    [
        pytest.param(Configuration("a", "VanishingGradients"), "VanishingGradient", id="misspelt"),
        pytest.param(Configuration("a", "CreateXgboostReport"), "AWS's alone", id="not-here"),
        pytest.param(
            Configuration("a", "Overfit", {"ratio": "1"}), "ratio_threshold", id="parameter"
        ),
        pytest.param(Configuration("a", "Overfit", {"patience": "-1"}), "at least 0", id="range"),
        pytest.param(
            Configuration("a", "LossNotDecreasing", {"mode": "TEST"}), "EVAL, TRAIN", id="mode"
        ),
        pytest.param(
            Configuration("a", "TensorVariance", {"max_threshold": "wide"}), "a number", id="bound"
        ),
    ],
)
def test_what_cannot_be_judged_is_refused(configuration, told):
    """
    With what would be right.
    """
    with pytest.raises(RuleError) as caught:
        debugger.check([configuration])

    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param("all", list(DOCUMENTED), id="all"),
        pytest.param("none", [], id="none"),
        pytest.param("Overfit, AllZero", ["Overfit", "AllZero"], id="names"),
        pytest.param(
            '[{"RuleConfigurationName": "mine", "RuleParameters":'
            ' {"rule_to_invoke": "Overfit", "patience": "3"}}]',
            ["mine"],
            id="aws",
        ),
    ],
)
def test_rules_are_asked_for_in_a_line(text, names):
    """
    As the hyperparameter has them.
    """
    assert sorted(each.name for each in debugger.asked(text)) == sorted(names)


@pytest.mark.parametrize("text", ["[1]", "[{", "Overfit,Overfit", '{"RuleParameters": {}}'])
def test_a_line_that_asks_for_nothing_sensible_is_refused(text):
    """
    Rather than judged in part.
    """
    with pytest.raises(RuleError):
        debugger.asked(text)


def test_the_client_needs_neither_numpy_nor_smdebug_to_know_the_rules():
    """
    Nor torch: it lists and checks them.
    """
    program = (
        "import sys\n"
        "for name in ('numpy', 'smdebug', 'torch'):\n"
        "    sys.modules[name] = None\n"
        "from kennel.rules import debugger, keeping\n"
        "print(len(debugger.asked('all')))\n"
    )

    done = subprocess.run(  # noqa: S603 - ours
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )

    assert int(done.stdout) == len(RULES)


def test_an_outcome_is_kept_by_any_name(tmp_path):
    """
    One with slashes or of many letters has a file of its own all the same.
    """
    names = ["../up", "a/b", ".", "x" * 256, "x" * 255 + "y", "Über Regel"]
    given = [Outcome(name, "Overfit", NO_ISSUES, texts({"patience": 1})) for name in names]

    files = keeping.write(tmp_path / "rules", given)

    assert {path.parent for path in files} == {tmp_path / "rules"}
    assert sorted(each.name for each in keeping.read(tmp_path / "rules")) == sorted(names)
