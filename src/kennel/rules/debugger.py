"""
The debugger's rules by name: what each looks for, its parameters, and which of them a run asks for.

Names, parameters and defaults are AWS's ("List of Debugger built-in rules"). That they are
judged by is kennel.debugging.rules'; this table needs the standard library alone, since the client
and the local server refuse by it what cannot be judged.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kennel.errors import RuleError
from kennel.rules import configuration, parameters
from kennel.rules.configuration import Configuration
from kennel.rules.parameters import Parameter

MODES = ("", "EVAL", "TRAIN", "GLOBAL")


@dataclass(frozen=True)
class Table:
    """
    One rule, before anything is judged.

    Args:
        help: What it finds, in a sentence.
        parameters: All that may be given for it.
        needs: What has to be saved for it, in words.
    """

    help: str
    parameters: tuple[Parameter, ...]
    needs: str


# Parameters that every rule takes: AWS's evaluator reads them, whatever the rule
STEPS = (
    Parameter(configuration.START, 0, "the first step that is looked at", low=0),
    Parameter(configuration.END, -1, "the step before which looking ends; -1: none", low=-1),
)
_NAMES = Parameter("collection_names", "", "collections whose tensors are looked at, with commas")


def _regex(default: str = "") -> Parameter:
    return Parameter(
        "tensor_regex", default, "patterns of the tensors' names, with commas", is_pattern=True
    )


def _share(name: str, default: float, text: str) -> Parameter:
    return Parameter(name, default, text, low=0, high=1)


def _percent(name: str, default: float, text: str) -> Parameter:
    return Parameter(name, default, text, low=0, high=100)


def _count(name: str, default: int, text: str, low: int = 1) -> Parameter:
    return Parameter(name, default, text, low=low)


TABLES: Mapping[str, Table] = {
    "VanishingGradient": Table(
        "gradients have become so small that their layers no longer learn",
        (Parameter("threshold", 1e-7, "least mean of a gradient's absolute values", low=0),),
        "gradients",
    ),
    "ExplodingTensor": Table(
        "a tensor holds infinity or NaN",
        (_NAMES, _regex(), Parameter("only_nan", default=False, help="infinity is no finding")),
        "gradients, weights or losses",
    ),
    "PoorWeightInitialization": Table(
        "the first steps show weights that were badly drawn",
        (
            Parameter(
                "activation_inputs_regex",
                ".*relu_input",
                "pattern of the inputs of activations, upper or lower case",
                is_pattern=True,
            ),
            Parameter("threshold", 10.0, "largest ratio of variances between layers", low=1),
            Parameter(
                "distribution_range", 0.001, "least width of a gradient, 5th to 95th %", low=0
            ),
            _count("patience", 5, "steps that the loss may go without falling"),
            _count("steps", 10, "saved steps that are looked at"),
        ),
        "relu_input, gradients and losses of the first steps",
    ),
    "LossNotDecreasing": Table(
        "the loss does not fall",
        (
            _NAMES,
            _regex(),
            Parameter(
                "use_losses_collection", default=True, help="look at the collection of losses"
            ),
            _count("num_steps", 10, "steps between two looks"),
            _percent("diff_percent", 0.1, "least fall between two looks, in percent"),
            _percent("increase_threshold_percent", 5.0, "rise that is allowed, in percent"),
            Parameter("mode", "", "EVAL, TRAIN or GLOBAL; empty: the first that has losses"),
        ),
        "losses",
    ),
    "Overfit": Table(
        "the validation loss stays behind the training loss",
        (
            _regex(),
            _count("patience", 1, "evaluations for which that is allowed", low=0),
            Parameter("ratio_threshold", 0.1, "largest (validation - training) / training", low=0),
        ),
        "losses of training and of evaluations",
    ),
    "Overtraining": Table(
        "training goes on after the losses have stopped to fall",
        (
            _count("patience_train", 5, "epochs for which the training loss may not fall"),
            _count("patience_validation", 10, "evaluations for which theirs may not fall"),
            Parameter("delta", 0.01, "least fall that counts, in the loss's unit", low=0),
        ),
        "losses",
    ),
    "AllZero": Table(
        "a tensor is zero",
        (_NAMES, _regex(), _percent("threshold", 100.0, "share of zeros, in percent")),
        "weights or gradients",
    ),
    "DeadRelu": Table(
        "ReLUs have stopped to pass anything on",
        (
            _regex(".*relu_output"),
            _percent("threshold_inactivity", 1.0, "percent of inputs; a dead unit is active less"),
            _percent("threshold_layer", 50.0, "percent of a layer's units that may be dead"),
        ),
        "relu_output",
    ),
    "SaturatedActivation": Table(
        "sigmoids or tanhs are stuck where their slope is nothing",
        (
            _NAMES,
            _regex(".*tanh_input|.*sigmoid_input"),
            Parameter("threshold_tanh_min", -9.4999, "below it a tanh is saturated"),
            Parameter("threshold_tanh_max", 9.4999, "above it a tanh is saturated"),
            Parameter("threshold_sigmoid_min", -23.0, "below it a sigmoid is saturated"),
            Parameter("threshold_sigmoid_max", 16.99999, "above it a sigmoid is saturated"),
            _percent("threshold_inactivity", 1.0, "percent of inputs; a stuck unit is free less"),
            _percent("threshold_layer", 50.0, "percent of a layer's units that may be stuck"),
        ),
        "the inputs of sigmoid and tanh layers",
    ),
    "UnchangedTensor": Table(
        "a tensor no longer changes",
        (
            _NAMES,
            _regex(),
            _count("num_steps", 3, "saved steps that are compared", low=2),
            Parameter("rtol", 1e-5, "relative tolerance, as numpy.allclose has it", low=0),
            Parameter("atol", 1e-8, "absolute tolerance, as numpy.allclose has it", low=0),
            Parameter("equal_nan", default=False, help="NaN equals NaN"),
        ),
        "weights",
    ),
    "WeightUpdateRatio": Table(
        "weights change far too much or not at all",
        (
            _count("num_steps", 1, "saved steps between the weights that are compared"),
            Parameter("large_threshold", 10.0, "largest ratio of update to weight", low=0),
            Parameter("small_threshold", 1e-8, "smallest ratio of update to weight", low=0),
            Parameter("epsilon", 1e-9, "is added to the weight before dividing", low=0),
        ),
        "weights",
    ),
    "TensorVariance": Table(
        "a tensor's variance lies outside of given bounds",
        (
            _NAMES,
            _regex(),
            Parameter("max_threshold", "", "largest variance; empty: any"),
            Parameter("min_threshold", "", "smallest variance; empty: any"),
        ),
        "weights or gradients, and one of the thresholds",
    ),
    "ClassImbalance": Table(
        "some classes have far fewer pictures than others, or are nearly always missed",
        (
            Parameter("threshold_imbalance", 10.0, "largest class over smallest", low=1),
            _share("threshold_misprediction", 0.7, "share of a class that may be missed"),
            _count("samples", 500, "labels that are seen before anything is said"),
            Parameter("argmax", default=False, help="predictions hold a value per class"),
            Parameter("labels_regex", ".*labels", "the labels' tensor", is_pattern=True),
            Parameter("predictions_regex", ".*predictions", "the predictions'", is_pattern=True),
        ),
        "labels and predictions",
    ),
    "Confusion": Table(
        "classes are taken for one another",
        (
            Parameter("category_no", 0, "number of classes; 0: as many as are seen", low=0),
            Parameter("labels", "labels", "the labels' tensor"),
            Parameter("predictions", "predictions", "the predictions' tensor"),
            Parameter("labels_collection", "labels", "its collection"),
            Parameter("predictions_collection", "predictions", "its collection"),
            _share("min_diag", 0.9, "least share of a class that is recognised"),
            _share("max_off_diag", 0.1, "largest share of a class that is taken for another"),
        ),
        "labels and predictions",
    ),
    "StalledTrainingRule": Table(
        "nothing was saved for too long",
        (
            _count("threshold", 1800, "seconds"),
            Parameter("stop_training_on_fire", default=False, help="stop the training job"),
            Parameter("training_job_name_prefix", "", "of the job; whose tensors these are is it"),
        ),
        "anything",
    ),
}
ALIASES = {"StalledTraining": "StalledTrainingRule"}
# AWS's, of other frameworks, other data or several runs
ELSEWHERE = (
    "SimilarAcrossRuns",
    "CheckInputImages",
    "NLPSequenceRatio",
    "TreeDepth",
    "FeatureImportanceOverweight",
    "CreateXgboostReport",
)


def named(rule: str) -> str:
    """
    Return the name in ``TABLES`` of what a request calls *rule*.

    Raises:
        RuleError: There is no such rule.
    """
    name = ALIASES.get(rule, rule)
    if name in TABLES:
        return name
    if rule in ELSEWHERE:
        raise RuleError(
            f"rule {rule} is AWS's alone",
            expected=f"one of {', '.join(TABLES)}",
            remedy="AWS's own evaluator, or a rule of your own (source_s3_uri)",
        )
    near = difflib.get_close_matches(rule, [*TABLES, *ALIASES], n=3, cutoff=0.5)
    raise RuleError(
        f"there is no rule {rule!r}",
        expected=f"one of {', '.join(TABLES)}",
        remedy=" or ".join(near),
    )


def default(rule: str, parameter: str) -> parameters.Value:
    """Return a parameter's default."""
    return next(each.default for each in TABLES[rule].parameters if each.name == parameter)


def check(configurations: Sequence[Configuration]) -> None:
    """
    Require that each of *configurations* can be judged; a user's own rule is taken at its word.

    Raises:
        RuleError: A rule or a parameter is unknown, malformed or out of its range.
    """
    for asked_for in configurations:
        if not asked_for.source:
            values(asked_for)


def values(asked_for: Configuration) -> dict[str, parameters.Value]:
    """
    Return every parameter of a configuration of one of our rules, the evaluator's own too.

    Raises:
        RuleError: The rule or a parameter is unknown, malformed or out of its range.
    """
    name = named(asked_for.rule)
    found = parameters.read(name, (*TABLES[name].parameters, *STEPS), asked_for.parameters)
    if name == "LossNotDecreasing" and str(found["mode"]).upper() not in MODES:
        raise RuleError(f"rule {name}: mode is {found['mode']!r}", expected="EVAL, TRAIN or GLOBAL")
    if name == "TensorVariance":
        for bound in ("max_threshold", "min_threshold"):
            _require_number(name, bound, str(found[bound]))
    return found


def asked(text: str) -> tuple[Configuration, ...]:
    """
    Return the rules that the hyperparameter debug-rules asks for.

    Args:
        text: "all", "none", names with commas, or DebugRuleConfigurations as JSON.
    Raises:
        RuleError: It is none of these, or asks for what cannot be judged.
    """
    found = configuration.asked(text, tuple(TABLES))
    check(found)
    return found


def _require_number(rule: str, name: str, text: str) -> None:
    try:
        _ = float(text) if text.strip() else 0.0
    except ValueError:
        raise RuleError(
            f"rule {rule}: {name} is {text!r}", expected="a number, or nothing: no bound"
        ) from None
