"""How much a hyperparameter matters is told from what its trials came to."""

import math
import random
from dataclasses import replace

import pytest

from kennel.errors import TuningError
from kennel.tuning.importances import importances
from kennel.tuning.limits import Limits
from kennel.tuning.ranges import Categorical, Continuous, Integer
from kennel.tuning.trials import Trial, Tuning

RANGES = (
    Continuous("lr", 0.001, 0.1),
    Continuous("momentum", 0.1, 0.9, "ReverseLogarithmic"),
    Integer("layers", 1, 5),
    Categorical("optimizer", ("sgd", "adamw")),
)


def tuning(trials):
    return Tuning("t", "Completed", "acc", True, "Random", RANGES, {}, Limits(), tuple(trials))  # noqa: FBT003 - a field of the value


def drawn(count, state="Completed", objective=None):
    draw = random.Random(count)  # noqa: S311 - no secret
    for number in range(count):
        lr = 10 ** draw.uniform(-3, -1)
        values = {
            "lr": repr(lr),
            "momentum": repr(draw.uniform(0.1, 0.9)),
            "layers": str(draw.randint(1, 5)),
            "optimizer": draw.choice(("sgd", "adamw")),
        }
        accuracy = 0.9 - 0.1 * (math.log10(lr) + 2) ** 2 + draw.gauss(0, 0.002)
        yield Trial(f"t-{number}", values, state, accuracy if objective is None else objective)


def alike(count):
    """Yield trials with the same values, which came to different objectives all the same."""
    trials = list(drawn(count))
    return [replace(trial, values=trials[0].values) for trial in trials]


def test_the_hyperparameter_that_matters_comes_first():
    """
    Shares sum to 1, the same each time.
    """
    known = tuning(drawn(30))

    shares = importances(known)

    assert next(iter(shares)) == "lr"
    assert shares["lr"] > 0.5
    assert set(shares) == {each.name for each in RANGES}
    assert sum(shares.values()) == pytest.approx(1)
    assert importances(known) == shares


def test_trials_that_were_stopped_or_failed_say_nothing():
    """
    Their objectives are of fewer epochs, or of nothing.
    """
    whole = list(drawn(12))
    others = [*drawn(20, "Stopped", 0.123), *drawn(25, "Failed")]
    others = [Trial(f"x-{n}", one.values, one.state, one.objective) for n, one in enumerate(others)]

    assert importances(tuning([*whole, *others])) == importances(tuning(whole))


@pytest.mark.parametrize(
    ("trials", "found"),
    [
        pytest.param(drawn(4), "4 trials", id="too-few"),
        pytest.param(drawn(9, "Failed"), "no trial has an objective", id="none"),
        pytest.param(drawn(9, objective=0.5), "same acc, 0.5", id="all-the-same"),
        pytest.param(
            [replace(t, objective=t.objective * 1e300) for t in drawn(9)],
            "beyond comparing",
            id="huge",
        ),
        pytest.param(alike(9), "9 trials had the same values", id="the-same-values"),
        pytest.param(
            [replace(trial, values={}) for trial in drawn(9)],
            "9 trials had the same values",
            id="no-values",
        ),
    ],
)
def test_nothing_is_told_from_too_little(trials, found):
    """
    The error says what there is.
    """
    with pytest.raises(TuningError) as error:
        importances(tuning(trials))

    assert found in error.value.problem
