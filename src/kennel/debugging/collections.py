"""
What can be saved by name: collections of tensors, and how much of each.

A collection is smdebug's, with AWS's CollectionParameters. Beside tensors and their reductions
there are small tensors of our own, for what the rules need and no reduction says:

  update/NAME                   l2 norm of what the optimizer changed of a weight in this step
  percentiles/gradient/NAME     5th and 95th percentile of a gradient, (2,)
  active/NAME_output_I          share of the batch's positions at which a ReLU's unit is not 0,
                                (units,)
  variance/NAME_input_I         variance of what a ReLU is given
  labels, predictions           classes of a batch, (N,) int64
  epoch/KEY                     number, train_loss, train_accuracy, valid_loss, valid_accuracy

How often is decided in hook_config.py, and saving is hook.py's. Needs the standard library alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

UPDATES, PERCENTILES, ACTIVITY, INPUTS = "update/", "percentiles/", "active/", "variance/"
EPOCHS = "epoch/"
LABELS, PREDICTIONS = "labels", "predictions"
OWN = (UPDATES, PERCENTILES, ACTIVITY, INPUTS, EPOCHS)

# Names of collections that hold tensors of our own
WEIGHT_UPDATES, GRADIENT_PERCENTILES = "weight_updates", "gradient_percentiles"
RELU_ACTIVITY, RELU_INPUTS, EPOCH_FIGURES = "relu_activity", "relu_inputs", "epochs"

OF_WEIGHTS = "mean,variance,l2_norm,abs_max"
OF_GRADIENTS = "variance,l2_norm,abs_mean,abs_max"
OF_ACTIVATIONS = "mean,variance,min,max"

EVERY, OFTEN, EARLY = "every interval", "often", "the first intervals"


@dataclass(frozen=True)
class Part:
    """
    One collection as AWS's CollectionConfigurations has it, without its intervals.

    Args:
        name: CollectionName.
        pattern: What its tensors' names match; empty: smdebug knows.
        reductions: What is saved instead of the tensor; empty: the tensor itself.
        pace: When it is saved in training.
        evaluated: Whether it is saved in evaluations as well.
    """

    name: str
    pattern: str = ""
    reductions: str = ""
    pace: str = EVERY
    evaluated: bool = False


# What debug-collections may name -> what is then saved
COLLECTIONS: Mapping[str, tuple[Part, ...]] = MappingProxyType(
    {
        "losses": (
            Part("losses", pace=OFTEN, evaluated=True),
            Part(EPOCH_FIGURES, f"^{EPOCHS}", evaluated=True),
        ),
        "weights": (
            Part("weights", reductions=OF_WEIGHTS),
            Part(WEIGHT_UPDATES, f"^{UPDATES}"),
        ),
        "biases": (Part("biases", reductions=OF_WEIGHTS),),
        "gradients": (
            Part("gradients", reductions=OF_GRADIENTS),
            Part(GRADIENT_PERCENTILES, f"^{PERCENTILES}", pace=EARLY),
        ),
        "relu_output": (
            Part(RELU_ACTIVITY, f"^{ACTIVITY}"),
            Part(RELU_INPUTS, f"^{INPUTS}", pace=EARLY),
        ),
        "labels": (Part("labels", f"^{LABELS}$", pace=OFTEN, evaluated=True),),
        "predictions": (Part("predictions", f"^{PREDICTIONS}$", pace=OFTEN, evaluated=True),),
        "inputs": (Part("inputs", r"^(?!.*[Ll]oss).*_input_\d+$", OF_ACTIVATIONS),),
        "outputs": (Part("outputs", r"^(?!.*[Ll]oss).*_output_\d+$", OF_ACTIVATIONS),),
    }
)
DEFAULT = ("losses", "weights", "biases", "gradients", "relu_output", "labels", "predictions")
