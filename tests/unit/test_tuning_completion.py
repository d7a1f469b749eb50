"""When a tuning job is done follows from its limits and its trials."""

from datetime import UTC, datetime, timedelta

import pytest

from kennel.tuning import completion
from kennel.tuning.limits import Limits
from kennel.tuning.trials import Trial

START = datetime(2026, 1, 1, tzinfo=UTC)


def ended(*objectives):
    """Return trials that ended one after another, those without an objective as failures."""
    return [
        Trial(
            f"t-{number:03}",
            {},
            "Failed" if objective is None else "Completed",
            objective,
            reason="out of memory" if objective is None else "",
            ended=START + timedelta(minutes=number),
        )
        for number, objective in enumerate(objectives)
    ]


def reason(trials, limits, elapsed_s=0.0, *, maximize=True):
    return completion.reason(trials, limits, elapsed_s, maximize=maximize)


def test_a_tuning_job_ends_with_its_time():
    """
    At MaxRuntimeInSeconds, and not before.
    """
    limits = Limits(runtime_s=120)

    assert reason([], limits, 119.9) is None
    assert "MaxRuntimeInSeconds" in reason([], limits, 120)


@pytest.mark.parametrize(
    ("maximize", "objectives", "met"),
    [
        pytest.param(True, (0.5, 0.9), True, id="high-enough"),
        pytest.param(True, (0.5, 0.89), False, id="not-high-enough"),
        pytest.param(False, (1.5, 0.9), True, id="low-enough"),
        pytest.param(False, (1.5, 0.91), False, id="not-low-enough"),
        pytest.param(True, (float("inf"),), False, id="not-a-figure"),
    ],
)
def test_a_tuning_job_ends_when_its_target_is_reached(maximize, objectives, met):
    """
    TargetObjectiveMetricValue counts in the direction of the objective.
    """
    said = reason(ended(*objectives), Limits(target=0.9), maximize=maximize)

    assert bool(said) == met


@pytest.mark.parametrize(
    ("maximize", "objectives", "stale"),
    [
        pytest.param(True, (), 0, id="none"),
        pytest.param(True, (0.5,), 0, id="the-first"),
        pytest.param(True, (0.5, 0.6, 0.7), 0, id="better-and-better"),
        pytest.param(True, (0.5, 0.504, 0.3), 2, id="less-than-one-percent"),
        pytest.param(True, (0.5, 0.3, 0.6, 0.2), 1, id="since-the-best"),
        pytest.param(True, (0.5, None, 0.4), 1, id="failures-are-none"),
        pytest.param(True, (0.5, 0.503, 0.506), 2, id="creeping"),
        pytest.param(False, (0.5, 0.499, 0.6), 2, id="minimize"),
        pytest.param(False, (0.5, 0.4), 0, id="minimize-better"),
    ],
)
def test_a_trial_improves_from_one_percent_on(maximize, objectives, stale):
    """
    AWS counts the training jobs that were not better by 1 % than the best before them.
    """
    assert completion.not_improving(ended(*objectives), maximize=maximize) == stale


def test_trials_count_in_the_order_of_their_ends():
    """
    A slow first trial that ends last with the best objective is an improvement.
    """
    slow, quick, other = ended(0.9, 0.5, 0.5)
    late = Trial("t-000", {}, "Completed", slow.objective, ended=START + timedelta(hours=1))

    assert completion.not_improving([late, quick, other], maximize=True) == 0


def test_a_tuning_job_ends_when_nothing_improves():
    """
    At MaxNumberOfTrainingJobsNotImproving in a row.
    """
    limits = Limits(not_improving=3)

    assert reason(ended(0.5, 0.4, 0.4), limits) is None
    assert "3 training jobs" in reason(ended(0.5, 0.4, 0.4, 0.4), limits)


def test_a_search_has_converged_when_half_of_its_trials_brought_nothing():
    """
    And ten of them at least.
    """
    limits = Limits(convergence=True)

    assert reason(ended(0.5, *[0.4] * 9), limits) is None
    assert "converged" in reason(ended(0.5, *[0.4] * 10), limits)
    assert reason(ended(*[0.4] * 15, 0.5, *[0.4] * 12), limits) is None


@pytest.mark.parametrize(
    ("objectives", "running", "expected"),
    [
        pytest.param([None] * 4, 0, False, id="four-failures"),
        pytest.param([None] * 5, 0, True, id="five-failures"),
        pytest.param([None] * 5, 1, True, id="while-one-runs"),
        pytest.param([None] * 9 + [0.5], 0, False, id="not-when-one-succeeded"),
        pytest.param([], 0, False, id="none-yet"),
    ],
)
def test_five_in_vain_are_enough(objectives, running, expected):
    """
    Then nothing more is started; what runs may still succeed.
    """
    still = [Trial(f"u-{number}", {}) for number in range(running)]

    assert completion.is_hopeless([*ended(*objectives), *still]) is expected


def test_trials_in_vain_are_told_by_the_first_that_failed():
    """
    The first that ended so; one that only said nothing is named when none failed.
    """
    failures = ended(None, None, None)
    quiet = Trial("t-999", {}, "Completed", ended=START)

    assert completion.in_vain([quiet, *reversed(failures)]) == (
        "No training job succeeded after 4 attempts. The first that failed, t-000: out of memory"
    )
    assert completion.in_vain([quiet]).endswith("t-999: it emitted no objective metric")
