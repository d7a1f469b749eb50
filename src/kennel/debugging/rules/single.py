"""Rules about one tensor at a step: VanishingGradient, ExplodingTensor, AllZero, TensorVariance."""

import math

from kennel.debugging.about import About
from kennel.debugging.reading import Trial
from kennel.debugging.rules import tensors
from kennel.debugging.rules.advice import higher, joined, lower
from kennel.debugging.rules.judge import Setting, Step, Values, Verdict
from kennel.debugging.rules.passes import loss_at
from kennel.rules.outcome import Finding

# That show a NaN or an infinity of the tensor; a variance of one number is NaN by itself
_TELLING = ("abs_max", "l2", "abs_mean", "l1", "max", "min", "mean", "sum")


def vanishing(trial: Trial, step: Step, values: Values, run: Setting) -> Verdict:
    """
    Find gradients of weights whose mean of absolute values lies below ``threshold``.

    Of a loss below 1 the threshold is that share: a batch that is all right leaves nothing to
    learn, and gradients as small as its loss.
    """
    names = tensors.weights(trial, trial.names("gradients"))
    found = _numbers(trial, step, names, "abs_mean")
    loss = loss_at(trial, step.number)
    threshold = values["threshold"] * (1.0 if loss is None else min(1.0, abs(loss)))
    layers = (
        "put BatchNorm between the layers or ReLU instead of sigmoid and tanh, add skip connections"
    )
    advice = joined([layers, higher(run) and f"where every layer is as small: {higher(run)}"])
    return Verdict(
        len(found),
        tuple(
            Finding(
                name,
                f"mean |gradient| is {value:.3g}, below {threshold:g}: the layer no longer learns",
                advice,
                value,
                threshold,
                step.training,
            )
            for name, value in found.items()
            if value < threshold
        ),
    )


def exploding(trial: Trial, step: Step, values: Values, run: Setting) -> Verdict:
    """Find tensors that hold NaN, or infinity too unless ``only_nan``."""
    judged, findings = 0, []
    for name in tensors.asked(trial, values):
        value = _telling(trial, name, step.number)
        if value is None:
            continue
        judged += 1
        if math.isnan(value) or (math.isinf(value) and not values["only_nan"]):
            findings.append(_exploded(name, value, step, run))
    return Verdict(judged, tuple(findings))


def all_zero(trial: Trial, step: Step, values: Values, _: Setting) -> Verdict:
    """Find tensors of which at least ``threshold`` percent are zero."""
    names = tensors.asked(trial, values, "weights", "gradients")
    if not tensors.is_named(values):
        names = tensors.weights(trial, names)
    threshold = values["threshold"]
    shares = {name: _zeros(trial, name, step.number, threshold) for name in names}
    found = {name: share for name, share in shares.items() if share is not None}
    return Verdict(
        len(found),
        tuple(
            Finding(
                name,
                f"{share:.3g} % of its values are zero",
                "see that the layer is reached by the loss and not detached, and that it was not"
                " filled with zeros; a gradient of zeros behind ReLUs: a smaller learning rate",
                share,
                threshold,
                step.training,
            )
            for name, share in found.items()
            if share >= threshold
        ),
    )


def variance(trial: Trial, step: Step, values: Values, run: Setting) -> Verdict:
    """Find tensors whose variance lies outside of ``min_threshold`` … ``max_threshold``."""
    low, high = (_bound(values[name]) for name in ("min_threshold", "max_threshold"))
    if low is None and high is None:
        return Verdict()
    names = tensors.asked(trial, values, "weights", "gradients")
    if not tensors.is_named(values):
        names = tensors.weights(trial, names)
    found = _numbers(trial, step, names, "variance")
    findings = []
    for name, value in found.items():
        if high is not None and value > high:
            advice = joined([lower(run), "weight decay, or smaller first weights"])
            problem = f"variance is {value:.3g}, above {high:g}"
            findings.append(Finding(name, problem, advice, value, high, step.training))
        elif low is not None and value < low:
            advice = "draw the first weights wider (Kaiming, Xavier), or use BatchNorm"
            problem = f"variance is {value:.3g}, below {low:g}"
            findings.append(Finding(name, problem, advice, value, low, step.training))
    return Verdict(len(found), tuple(findings))


def unbounded(values: Values, _: About) -> str:
    """Say that no bound was given."""
    given = (_bound(values[name]) for name in ("min_threshold", "max_threshold"))
    return "no threshold is set" if all(bound is None for bound in given) else ""


def _numbers(trial: Trial, step: Step, names: tuple[str, ...], statistic: str) -> dict[str, float]:
    found = ((name, trial.reduction(name, step.number, statistic)) for name in names)
    return {name: value for name, value in found if value is not None}


def _telling(trial: Trial, name: str, step: int) -> float | None:
    for statistic in _TELLING:
        value = trial.reduction(name, step, statistic)
        if value is not None:
            return value
    return None


def _exploded(name: str, value: float, step: Step, run: Setting) -> Finding:
    what = "NaN" if math.isnan(value) else "infinity"
    advice = joined(
        [
            lower(run),
            "clip the gradients",
            "look for pictures that are not normalised, and for divisions and logarithms of zero",
        ]
    )
    return Finding(name, f"holds {what} at {step}", advice, value, 0.0, step.training)


def _zeros(trial: Trial, name: str, step: int, threshold: float) -> float | None:
    """Return the percentage of zeros; of a tensor without its values only all or "not all"."""
    value = trial.value(name, step)
    if value is not None:
        return 100 * float((value == 0).mean()) if value.size else None
    largest = trial.reduction(name, step, "abs_max")
    if largest is None:
        largest = trial.reduction(name, step, "l2")
    if largest is None or (largest != 0 and threshold < 100):  # noqa: PLR2004 - percent
        return None
    return 100.0 if largest == 0 else 0.0


def _bound(text: str) -> float | None:
    return float(text) if str(text).strip() else None
