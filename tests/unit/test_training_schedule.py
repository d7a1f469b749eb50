"""Learning rates and optimizers."""

import pytest
import torch
from torch import nn

from kennel.errors import HyperparameterError
from kennel.training import schedule
from kennel.training.hyperparameters import OPTIMIZERS, SCHEDULERS

STEPS = 100


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_schedule_stays_within_its_bounds(name):
    """
    Every schedule that a request may name multiplies with something in (0, 1], and reaches 1.
    """
    factors = [schedule.factor(name, step, STEPS) for step in range(STEPS)]

    assert all(0 < factor <= 1 for factor in factors)
    assert max(factors) == pytest.approx(1.0, abs=1e-9)


def test_cosine_falls_from_one_to_nearly_nothing():
    """
    Half way it is a half.
    """
    factors = [schedule.factor("cosine", step, STEPS) for step in (0, 50, 99)]

    assert factors == [1.0, pytest.approx(0.5), pytest.approx(0.0, abs=1e-3)]


def test_step_falls_to_a_tenth_every_third():
    """
    Two falls in a run.
    """
    factors = [schedule.factor("step", step, 9) for step in range(9)]

    assert factors == pytest.approx([1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01])


def test_onecycle_is_torchs_own_curve():
    """
    The pure function gives what torch's OneCycleLR gives step by step.
    """
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=1.0, total_steps=STEPS, final_div_factor=1e4, cycle_momentum=False
    )
    for step in range(STEPS - 1):
        assert schedule.factor("onecycle", step, STEPS) == pytest.approx(
            theirs.get_last_lr()[0], abs=0.03
        )
        optimizer.step()
        theirs.step()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_holds_what_is_to_be_trained(name):
    """
    Frozen parameters are not even seen: weight decay would move them.
    """
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].requires_grad_(requires_grad=False)
    optimizer = schedule.optimizer(name, model.parameters(), lr=0.1, momentum=0.9, decay=0.1)

    held = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    assert {id(parameter) for parameter in held} == {id(p) for p in model[1].parameters()}


def test_unknown_names_are_errors():
    """
    The functions do not rely on the table of hyperparameters.
    """
    with pytest.raises(HyperparameterError, match="no scheduler 'linear'"):
        schedule.factor("linear", 0, 1)
    with pytest.raises(HyperparameterError, match="no optimizer 'lion'"):
        schedule.optimizer("lion", [], lr=0.1, momentum=0, decay=0)
