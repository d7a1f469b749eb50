"""Trials are stopped by their curves: the median rule, and Hyperband's halving."""

import random

import optuna
import pytest
from optuna.pruners import HyperbandPruner

from kennel.tuning import search_hyperband
from kennel.tuning.configuration import Halving
from kennel.tuning.search import Search
from kennel.tuning.search_space import STUDY
from kennel.tuning.stopping import by_median
from kennel.tuning.trials import Trial

RANGES = {"ContinuousParameterRanges": [{"Name": "lr", "MinValue": "0.1", "MaxValue": "0.5"}]}


def search(strategy="Random", kind="Maximize", static=None, **changes):
    config = {
        "Strategy": strategy,
        "HyperParameterTuningJobObjective": {"Type": kind, "MetricName": "acc"},
        "ResourceLimits": {"MaxNumberOfTrainingJobs": 50, "MaxParallelTrainingJobs": 2},
        "ParameterRanges": RANGES,
        **changes,
    }
    return Search(config, static=static or {})


def done(number, *curve):
    return Trial(f"t-{number:03}", {"lr": "0.2"}, "Completed", curve[-1], curve)


def running(number, *curve):
    return Trial(f"t-{number:03}", {"lr": "0.2"}, curve=curve)


# Running averages after two epochs: 0.3, 0.5, 0.7
OTHERS = [done(0, 0.2, 0.4, 0.9), done(1, 0.4, 0.6, 0.9), done(2, 0.6, 0.8, 0.9)]


@pytest.mark.parametrize(
    ("curve", "maximize", "stopped"),
    [
        pytest.param((0.4, 0.49), True, True, id="below-the-median"),
        pytest.param((0.4, 0.51), True, False, id="above-the-median"),
        pytest.param((0.9, 0.49), True, True, id="by-its-last-value"),
        pytest.param((0.4, 0.51), False, True, id="minimize-above"),
        pytest.param((0.4, 0.49), False, False, id="minimize-below"),
        pytest.param((0.4, float("nan")), True, True, id="not-a-number"),
        pytest.param((), True, False, id="no-epoch-yet"),
        pytest.param((0.1, 0.1, 0.1, 0.1), True, False, id="further-than-all-others"),
    ],
)
def test_the_median_rule_is_as_aws_documents_it(curve, maximize, stopped):
    """
    The last value against the median of the others' running averages up to the same epoch.
    """
    trial = running(9, *curve)

    assert by_median([*OTHERS, trial], trial, maximize=maximize) is stopped


def test_the_median_of_two_stops_nobody():
    """
    Nor does that of trials which still run.
    """
    trial = running(9, 0.1)

    assert not by_median([*OTHERS[:2], trial], trial, maximize=True)
    assert not by_median([*OTHERS[:2], running(3, 0.9), trial], trial, maximize=True)
    assert by_median([*OTHERS, trial], trial, maximize=True)


def test_early_stopping_is_off_until_it_is_asked_for():
    """
    TrainingJobEarlyStoppingType Auto stops what Off lets run.
    """
    trials = [*OTHERS, running(9, 0.1)]

    assert search(TrainingJobEarlyStoppingType="Auto").should_stop(trials, "t-009")
    assert not search().should_stop(trials, "t-009")


def test_a_trial_at_its_last_epoch_is_left_to_end():
    """
    It has a model to save, and nothing is gained by stopping it.
    """
    trials = [*OTHERS, running(9, 0.1, 0.1)]
    auto = {"TrainingJobEarlyStoppingType": "Auto"}

    assert search(static={"epochs": "3"}, **auto).should_stop(trials, "t-009")
    assert not search(static={"epochs": "2"}, **auto).should_stop(trials, "t-009")


def stopped_after(tuning, curves):
    """Run trials one after another; return after how many epochs each was stopped, by name."""
    trials, stopped = [], {}
    for number, curve in enumerate(curves):
        name = f"t-{number:03}"
        for epoch in range(1, len(curve) + 1):
            if tuning.should_stop([*trials, running(number, *curve[:epoch])], name):
                stopped[name] = epoch
                break
        trials.append(Trial(name, {"lr": "0.2"}, "Stopped", curve[epoch - 1], curve[:epoch]))
    return stopped


@pytest.mark.parametrize("kind", ["Maximize", "Minimize"])
def test_hyperband_gives_most_epochs_to_the_best(kind):
    """
    Of forty trials most are stopped, at rungs only, and the best of all is not.
    """
    sign = 1 if kind == "Maximize" else -1
    levels = [(37 * number) % 40 for number in range(40)]
    curves = [tuple(sign * level * epoch / 9 for epoch in range(1, 10)) for level in levels]

    stopped = stopped_after(search("Hyperband", kind, {"epochs": "9"}), curves)

    best = f"t-{levels.index(39):03}"
    assert best not in stopped
    assert 15 < len(stopped) < 38
    assert set(stopped.values()) == {1, 3}


def test_hyperband_stops_nobody_below_min_resource():
    """
    The first rung of a bracket is MinResource or later.
    """
    tuning = search(
        "Hyperband",
        StrategyConfig={"HyperbandStrategyConfig": {"MinResource": 3}},
        static={"epochs": "27"},
    )
    curves = [tuple(float(-number) for _ in range(27)) for number in range(20)]

    stopped = stopped_after(tuning, curves)

    assert stopped
    assert set(stopped.values()) <= {3, 9}


def test_hyperband_ends_a_trial_at_max_resource():
    """
    A training job that would go on is stopped there, the best one too.
    """
    nine = {"StrategyConfig": {"HyperbandStrategyConfig": {"MaxResource": 9}}}
    tuning = search("Hyperband", **nine)

    assert not tuning.should_stop([running(0, *[0.9] * 8)], "t-000")
    assert tuning.should_stop([running(0, *[0.9] * 9)], "t-000")


def test_hyperband_decides_though_a_rung_was_missed():
    """
    Whoever looks only every few epochs is told the same of the last rung that was passed.
    """
    tuning = search("Hyperband", static={"epochs": "9"})
    curves = [(float(-number),) * 8 for number in range(12)]
    trials = [Trial(f"t-{n:03}", {}, "Stopped", c[0], c) for n, c in enumerate(curves)]

    at_rung, later = (
        [
            tuning.should_stop(
                [*trials[:place], running(place, *curves[place][:epochs])], f"t-{place:03}", 0
            )
            for place in range(12)
        ]
        for epochs in (3, 5)
    )

    assert any(at_rung)
    assert at_rung == later


def test_hyperband_judges_a_rung_once():
    """
    By what was known when it was reached: who was the best there goes on, whoever comes after it.
    """
    tuning = search("Hyperband", static={"epochs": "9"})
    for place in range(12):
        name, low = f"t-{place:03}", (0.5,) * 8
        before = [running(place, *low[:epochs]) for epochs in range(1, 9)]
        others = [
            Trial(f"t-{n:03}", {}, "Completed", 0.9, (0.9,) * 9) for n in range(60) if n != place
        ]
        at_rungs = [tuning.should_stop([one], name) for one in before]
        later = [
            tuning.should_stop([*others, one], name)
            for one in before
            if len(one.curve) not in (1, 3)
        ]

        assert not any(at_rungs)
        assert not any(later)
        assert not tuning.should_stop([*others, before[-1]], name, seen=3)
    assert tuning.should_stop([*others, before[-1]], name, seen=0)


def by_optuna(curves, place, halving, direction):
    """Show Optuna's own pruner all curves up to where the one at *place* is; return its word."""
    study = optuna.create_study(
        study_name=STUDY,
        direction=direction,
        pruner=HyperbandPruner(halving.low, halving.high, search_hyperband.REDUCTION),
    )
    trials = [study.ask() for _ in curves]
    verdict = False
    for each in [*(other for other in range(len(curves)) if other != place), place]:
        for epoch in (halving.low * 3**rung for rung in range(4)):
            if epoch <= min(len(curves[each]), len(curves[place])):
                trials[each].report(curves[each][epoch - 1], epoch)
                verdict = trials[each].should_prune()
    return verdict


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
@pytest.mark.parametrize("halving", [Halving(1, 9), Halving(1, 30), Halving(3, 27), Halving(5, 5)])
def test_hyperband_is_as_optunas_pruner_has_it(halving, direction):
    """
    Whatever the bracket and the rung, and with values that are not numbers.
    """
    draw = random.Random(f"{halving} {direction}")  # noqa: S311 - no secret
    lengths = [halving.low * 3**rung for rung in range(4) if halving.low * 3**rung <= halving.high]
    curves = [
        tuple(draw.choice((draw.random(), draw.random(), float("nan"))) for _ in range(length))
        for length in draw.choices(lengths, k=30)
    ]
    maximize = direction == "maximize"
    places = range(0, len(curves), 2)

    found = [search_hyperband.should_stop(curves, n, halving, maximize=maximize) for n in places]

    assert found == [by_optuna(curves, place, halving, direction) for place in places]
    assert set(found) == {True, False}
