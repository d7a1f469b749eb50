"""
Which of several broken rules is the cause: one fault breaks many, and the rest follow from it.

A training whose learning rate is far too high has NaN, gradients of nothing, dead layers and
classes that are all taken for one: what to do about these by themselves would be wrong. So rules
have an order, and findings that come of another rule's say so instead.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from kennel.rules.debugger import ALIASES
from kennel.rules.outcome import Finding, Outcome

# What breaks tensors, what keeps weights from learning, what the losses and the classes then show
TENSORS = ("ExplodingTensor", "StalledTrainingRule")
WEIGHTS = (
    *("WeightUpdateRatio", "UnchangedTensor", "VanishingGradient", "PoorWeightInitialization"),
    *("DeadRelu", "SaturatedActivation", "AllZero", "TensorVariance"),
)
LOSSES = ("LossNotDecreasing", "Overfit", "Overtraining")
CLASSES = ("ClassImbalance", "Confusion")
ORDER = (*TENSORS, *WEIGHTS, *LOSSES, *CLASSES)
BEYOND = 900.0  # percent: a loss ten times as high as the one before has left all measure


@dataclass(frozen=True)
class Cause:
    """
    A broken rule that breaks others.

    Args:
        rule: Its configuration's name, as findings say it.
        breaks: The rules that it may break.
        since: The training step at which it was first found.
    """

    rule: str
    breaks: tuple[str, ...]
    since: int

    def explains(self, rule: str, finding: Finding) -> bool:
        """Tell whether a finding of *rule* comes of this: not what was there before it."""
        name = ALIASES.get(rule, rule)
        if name not in self.breaks:
            return False
        step = self.since if finding.step is None else finding.step
        return step > self.since or (step == self.since and name in (*LOSSES, *CLASSES))


def place(rule: str) -> int:
    """Return a rule's place, causes first; those that nobody knows stand last."""
    name = ALIASES.get(rule, rule)
    return ORDER.index(name) if name in ORDER else len(ORDER)


def found(outcomes: Sequence[Outcome]) -> tuple[Cause, ...]:
    """Return the causes among *outcomes*, the first of which explains most."""
    broken = {place(outcome.rule): outcome for outcome in outcomes if outcome.is_violated}
    ordered = [broken[at] for at in sorted(broken)]
    return tuple(cause for cause in (_torn(ordered), _still(ordered)) if cause)


def told(
    rule: str, finding: Finding, causes: Sequence[Cause], doubts: Sequence[str] = ()
) -> Finding:
    """
    Return a finding with the advice to mend its cause first, where it has one.

    Args:
        rule: What has found it.
        finding: As that rule says it.
        causes: As ``found`` returns them.
        doubts: Of the run's hyperparameters: what is to be mended before anything else.
    """
    cause = next((each for each in causes if each.explains(rule, finding)), None)
    if cause is None:
        return replace(finding, advice="; ".join(filter(None, (*doubts, finding.advice))))
    advice = f"a consequence of {cause.rule}: mend that first"
    return replace(finding, advice=advice, settings={})


def explained(outcomes: Sequence[Outcome], doubts: Sequence[str] = ()) -> tuple[Outcome, ...]:
    """Return *outcomes* in their order, findings that come of another rule's said to."""
    causes = found(outcomes)
    return tuple(
        replace(
            each,
            findings=tuple(told(each.rule, one, causes, doubts) for one in each.findings),
        )
        for each in outcomes
    )


def _torn(ordered: Sequence[Outcome]) -> Cause | None:
    """Return what tore the training apart: NaN, updates far too large, a loss beyond measure."""
    signs = [(each, one) for each in ordered for one in each.findings if _tears(each, one)]
    if not signs:
        return None
    rule = signs[0][0]
    others = tuple(name for name in ORDER[2:] if name not in (rule.rule, "WeightUpdateRatio"))
    return Cause(rule.name, others, min(one.step or 0 for _, one in signs))


def _tears(outcome: Outcome, finding: Finding) -> bool:
    is_above = math.isnan(finding.value) or finding.value > finding.threshold
    return (
        outcome.rule == "ExplodingTensor"
        or (outcome.rule == "WeightUpdateRatio" and is_above)
        or (outcome.rule == "LossNotDecreasing" and not finding.value <= BEYOND)
    )


def _still(ordered: Sequence[Outcome]) -> Cause | None:
    """Return what keeps weights where they are: losses and classes show no more than that."""
    for outcome in ordered:
        if outcome.rule in ("UnchangedTensor", "WeightUpdateRatio") and any(
            one.value < one.threshold for one in outcome.findings
        ):
            return Cause(outcome.name, (*LOSSES, *CLASSES), 0)
    return None
