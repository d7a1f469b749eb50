"""
The optimizer, and the learning rate of every step as a pure function of the step.

A schedule without a state needs nothing in a checkpoint, and a run that is given more epochs when
it resumes follows the new curve from there.
"""

import math
from collections.abc import Iterable

import torch
from torch import nn

from kennel.errors import HyperparameterError

STEP_EVERY = 1 / 3  # of the run; each time the rate falls to a tenth
WARM_UP = 0.3  # onecycle: share of the run until the rate is at its highest
START, END = 1 / 25, 1e-4  # onecycle: rates at both ends (arXiv 1708.07120, torch's defaults)


def optimizer(
    name: str, parameters: Iterable[nn.Parameter], *, lr: float, momentum: float, decay: float
) -> torch.optim.Optimizer:
    """
    Return the optimizer over the parameters that are to be trained.

    Raises:
        HyperparameterError: There is no such optimizer.
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    match name:
        case "sgd":
            return torch.optim.SGD(trained, lr=lr, momentum=momentum, weight_decay=decay)
        case "adamw":
            return torch.optim.AdamW(trained, lr=lr, weight_decay=decay)
        case _:
            raise HyperparameterError(f"there is no optimizer {name!r}", expected="sgd or adamw")


def factor(name: str, step: int, steps: int) -> float:
    """
    Return what the learning rate is multiplied with.

    Args:
        name: none, cosine, step or onecycle.
        step: Steps already taken, 0 to *steps* - 1.
        steps: Steps of the whole run.

    Raises:
        HyperparameterError: There is no such schedule.
    """
    done = step / steps
    match name:
        case "none":
            return 1.0
        case "cosine":
            return _cosine(done, 1.0, 0.0)
        case "step":
            return 0.1 ** int(done / STEP_EVERY)
        case "onecycle" if done < WARM_UP:
            return _cosine(done / WARM_UP, START, 1.0)
        case "onecycle":
            return _cosine((done - WARM_UP) / (1 - WARM_UP), 1.0, START * END)
        case _:
            raise HyperparameterError(
                f"there is no scheduler {name!r}", expected="none, cosine, step or onecycle"
            )


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Let the next step use *lr*."""
    for group in optimizer.param_groups:
        group["lr"] = lr


def _cosine(done: float, first: float, last: float) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * done)) / 2
