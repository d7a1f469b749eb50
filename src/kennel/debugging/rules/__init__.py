"""
The debugger's rules over a trial of saved tensors, by AWS's names.

  judge           what judges a rule, step by step, and what a step says
  tensors         which tensors a rule looks at
  single          VanishingGradient, ExplodingTensor, AllZero, TensorVariance
  changes         UnchangedTensor, WeightUpdateRatio
  activations     DeadRelu, SaturatedActivation
  initialisation  PoorWeightInitialization
  passes          losses by evaluation, and by what was trained between two
  losses          LossNotDecreasing
  fitting         Overfit, Overtraining
  pairs           labels with their predictions
  classes         ClassImbalance
  confusion       Confusion
  stalled         StalledTrainingRule

Names, parameters and defaults are in kennel.rules.debugger, which needs no numpy.
"""

from collections.abc import Callable, Mapping
from functools import partial

from kennel.debugging.rules.activations import DeadRelu, saturated, unsaturable
from kennel.debugging.rules.changes import Unchanged, UpdateRatio
from kennel.debugging.rules.classes import Imbalance
from kennel.debugging.rules.confusion import Confusion
from kennel.debugging.rules.fitting import Overfit, Overtraining
from kennel.debugging.rules.initialisation import PoorInitialisation
from kennel.debugging.rules.judge import Each, Judge, Setting, Values
from kennel.debugging.rules.losses import NotDecreasing
from kennel.debugging.rules.single import all_zero, exploding, unbounded, vanishing, variance
from kennel.debugging.rules.stalled import Stalled

RULES: Mapping[str, Callable[[Values, Setting], Judge]] = {
    "VanishingGradient": partial(Each, vanishing),
    "ExplodingTensor": partial(Each, exploding),
    "PoorWeightInitialization": PoorInitialisation,
    "LossNotDecreasing": NotDecreasing,
    "Overfit": Overfit,
    "Overtraining": Overtraining,
    "AllZero": partial(Each, all_zero),
    "DeadRelu": DeadRelu,
    "SaturatedActivation": partial(Each, saturated, lacking=unsaturable),
    "UnchangedTensor": Unchanged,
    "WeightUpdateRatio": UpdateRatio,
    "TensorVariance": partial(Each, variance, lacking=unbounded),
    "ClassImbalance": Imbalance,
    "Confusion": Confusion,
    "StalledTrainingRule": Stalled,
}
