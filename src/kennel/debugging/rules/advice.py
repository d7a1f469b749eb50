"""
What to do about a finding, with the run's own numbers where they are known.

A learning rate is not moved by a factor of ten from wherever it is: 1e-11 learns no more than 1e-12
does. It is estimated from how much the weights change, or is the optimizer's usual one.
"""

import math
from collections.abc import Iterable

from kennel.debugging.rules.judge import Setting

# Names under which trainings keep their learning rate
_LEARNING_RATE = ("lr", "learning-rate")
USUAL = {"sgd": 0.01, "adamw": 0.001, "adam": 0.001}  # learning rates by optimizer
UPDATE = 0.001  # of a weight's size in a step: the usual change
LEAST, MOST = 1e-5, 1.0  # learning rates that anybody should try
TENFOLD = 10.0
NEAR = 2.0  # a rate that is so near to the usual one is not mended by it
FEW = 16  # pictures in a batch: fewer are noise, for a BatchNorm too


def lower(run: Setting, ratio: float = math.nan) -> str:
    """
    Return a smaller learning rate to try, ``set lr=0.1 -> 0.01``; in words where it is not known.

    Args:
        run: The training's hyperparameters.
        ratio: Of a step's update to the weights, which the learning rate is proportional to.

    Returns:
        Empty where it is so small already that it cannot be to blame.
    """
    return _rate(run, ratio, is_lower=True)


def higher(run: Setting, ratio: float = math.nan) -> str:
    """Return a larger learning rate to try, as ``lower`` does a smaller one."""
    return _rate(run, ratio, is_lower=False)


def joined(parts: Iterable[str]) -> str:
    """Return pieces of advice in one line; empty ones are left out."""
    return ", ".join(part for part in parts if part)


def batch_size(run: Setting) -> int | None:
    """Return how many pictures are in a batch; None: nobody has said."""
    try:
        return int(_given(run)["batch-size"])
    except (KeyError, ValueError):
        return None


def small_batch(run: Setting) -> str:
    """Return what to do about a batch that is too small to learn from; empty: it is not."""
    size = batch_size(run)
    return f"batch-size={size} -> {FEW}" if size and size < FEW else ""


def _rate(run: Setting, ratio: float, *, is_lower: bool) -> str:
    given = _given(run)
    for name in _LEARNING_RATE:
        try:
            rate = float(given[name])
        except (KeyError, ValueError):
            continue
        wanted = _wanted(rate, ratio, USUAL.get(given.get("optimizer", "")), is_lower=is_lower)
        if (wanted < rate) == is_lower and wanted != rate:
            return f"set {name}={rate:g} -> {wanted:g}"
        return ""
    factor = UPDATE / ratio if 0 < ratio < math.inf else TENFOLD
    times = float(f"{max(factor, 1 / factor):.1g}")
    return f"take a learning rate {times:g} times {'smaller' if is_lower else 'larger'}"


def _wanted(rate: float, ratio: float, usual: float | None, *, is_lower: bool) -> float:
    """Return the rate at which weights change as they usually do, to one digit."""
    step = 1 / TENFOLD if is_lower else TENFOLD
    if 0 < ratio < math.inf:
        wanted = rate * UPDATE / ratio
    elif usual and (usual * NEAR < rate if is_lower else usual > rate * NEAR):
        wanted = usual
    else:
        wanted = rate * step
    return float(f"{min(max(wanted, LEAST), MOST):.1g}")


def _given(run: Setting) -> dict[str, str]:
    """Return hyperparameters as kennel spells them: other clients send quotes and underscores."""
    return {name.replace("_", "-"): str(text).strip().strip('"') for name, text in run.items()}
