"""What is tried next follows from the request and from the trials told."""

import json
import math
import random
import subprocess
import sys

import pytest

from kennel.tuning import parameter_ranges, ranges
from kennel.tuning.search import Search
from kennel.tuning.trials import Trial

RANGES = {
    "ContinuousParameterRanges": [
        {"Name": "lr", "MinValue": "0.001", "MaxValue": "0.1"},
        {
            "Name": "momentum",
            "MinValue": "0",
            "MaxValue": "0.99",
            "ScalingType": "ReverseLogarithmic",
        },
    ],
    "IntegerParameterRanges": [{"Name": "layers", "MinValue": "1", "MaxValue": "40"}],
    "CategoricalParameterRanges": [{"Name": "optimizer", "Values": ["sgd", "adamw"]}],
}
FEW = {
    "IntegerParameterRanges": [{"Name": "layers", "MinValue": "1", "MaxValue": "3"}],
    "CategoricalParameterRanges": [{"Name": "optimizer", "Values": ["sgd", "adamw"]}],
}
GRID = {
    "CategoricalParameterRanges": [
        {"Name": "optimizer", "Values": ["sgd", "adamw"]},
        {"Name": "batch-size", "Values": ["32", "64", "128"]},
    ]
}
NUMERIC = ["Random", "Bayesian", "Hyperband"]


def config(strategy="Bayesian", ranges_=RANGES, jobs=50, kind="Maximize", **changes):
    return {
        "Strategy": strategy,
        "HyperParameterTuningJobObjective": {"Type": kind, "MetricName": "acc"},
        "ResourceLimits": {"MaxNumberOfTrainingJobs": jobs, "MaxParallelTrainingJobs": 2},
        "ParameterRanges": ranges_,
        **changes,
    }


def search(strategy="Bayesian", ranges_=RANGES, *, parents=(), name="tune", **changes):
    return Search(
        config(strategy, ranges_, **changes), static={"epochs": "9"}, parents=parents, name=name
    )


def trial(number, values, objective=None, state="Completed", curve=()):
    return Trial(f"tune-{number:03}", values, state, objective, curve)


def accuracy(values):
    """Return what is best at lr 0.02, whatever the rest."""
    return 0.9 - 0.1 * abs(math.log10(float(values["lr"]) / 0.02))


def grown(tuning, count, objective=accuracy, trials=()):
    """Return *trials* and more of them, one after another, *count* in all."""
    trials = list(trials)
    while len(trials) < count:
        [values] = tuning.suggest(trials, 1)
        trials.append(trial(len(trials), values, objective(values)))
    return trials


@pytest.mark.parametrize("strategy", NUMERIC)
@pytest.mark.parametrize("seed", range(5))
def test_every_value_is_in_its_range(strategy, seed):
    """
    And is a text that reads back as a value of its kind.
    """
    tuning = search(strategy, RandomSeed=seed)

    tried = [one.values for one in grown(tuning, 12)]

    read = parameter_ranges.from_request(RANGES)
    assert all(
        ranges.value(each, values[each.name]) is not None for values in tried for each in read
    )
    assert all(values["layers"].isdecimal() for values in tried)
    assert all(repr(float(values["lr"])) == values["lr"] for values in tried)


@pytest.mark.parametrize("strategy", NUMERIC)
def test_the_first_trials_are_spread_over_a_wide_range(strategy):
    """
    A third of each order of magnitude has its share: the scale is logarithmic.
    """
    lrs = [float(one.values["lr"]) for one in grown(search(strategy), 40, lambda _: 0.5)]

    assert min(lrs) < 0.003
    assert max(lrs) > 0.03
    assert sum(lr < 0.01 for lr in lrs) in range(10, 31)


@pytest.mark.parametrize("strategy", NUMERIC)
def test_the_same_trials_have_the_same_suggestion(strategy):
    """
    Over a restart of the process, in whatever order they are told, however many are wanted.
    """
    trials = grown(search(strategy), 8)
    shuffled = random.Random(0).sample(trials, len(trials))  # noqa: S311 - no secret
    code = (
        "import json, sys; from kennel.tuning.search import Search; "
        "from kennel.tuning.trials import Trial; "
        "config, trials = json.load(sys.stdin); "
        "search = Search(config, static={'epochs': '9'}, name='tune'); "
        "print(json.dumps(search.suggest([Trial(*trial) for trial in trials], 3)))"
    )
    told = [(one.name, dict(one.values), one.state, one.objective) for one in shuffled]
    elsewhere = subprocess.run(  # noqa: S603 - this very interpreter
        [sys.executable, "-c", code],
        input=json.dumps([config(strategy), told]),
        capture_output=True,
        text=True,
        check=True,
    )

    here = search(strategy).suggest(trials, 3)

    assert len(here) == 3
    assert json.loads(elsewhere.stdout) == here
    assert search(strategy).suggest(trials, 1) == here[:1]


@pytest.mark.parametrize("strategy", NUMERIC)
def test_another_seed_or_name_is_another_search(strategy):
    """
    The seed is RandomSeed's, and the name's where there is none.
    """
    [first] = search(strategy).suggest([], 1)

    assert search(strategy).suggest([], 1) == [first]
    assert search(strategy, name="other").suggest([], 1) != [first]
    assert search(strategy, RandomSeed=0).suggest([], 1) != [first]
    assert search(strategy, RandomSeed=0).suggest([], 1) == search(
        strategy, RandomSeed=0, name="other"
    ).suggest([], 1)


@pytest.mark.parametrize("kind", ["Maximize", "Minimize"])
def test_a_model_comes_nearer_to_the_best_than_chance(kind):
    """
    After thirty trials, in the median of five seeds, for accuracies and for losses.
    """
    sign = 1 if kind == "Maximize" else -1

    def regret(strategy, seed):
        tuning = search(strategy, RandomSeed=seed, kind=kind)
        trials = grown(tuning, 30, lambda values: sign * accuracy(values))
        return sorted(0.9 - accuracy(one.values) for one in trials[15:])[7]

    by_model, by_chance = (
        sorted(regret(strategy, seed) for seed in range(5))[2]
        for strategy in ("Bayesian", "Random")
    )

    assert by_model < by_chance / 2


def test_running_trials_are_not_suggested_again():
    """
    Beside a trial that runs, and within one answer, every suggestion is another one.
    """
    tuning = search(ranges_=FEW, jobs=6)
    running = [trial(n, v, state="InProgress") for n, v in enumerate(tuning.suggest([], 3))]

    more = tuning.suggest(running, 3)

    tried = [tuple(sorted(one.items())) for one in (*more, *(one.values for one in running))]
    assert len(set(tried)) == 6


def test_a_model_keeps_away_from_trials_that_run():
    """
    With the best region being tried already, the next trial looks elsewhere more often.
    """
    known = grown(search(), 15)
    best = search().best(known)
    beside = [trial(n, best.values, state="InProgress") for n in range(15, 25)]

    def near(trials):
        suggested = [search(RandomSeed=seed).suggest(trials, 1)[0] for seed in range(20)]
        return sum(abs(math.log10(float(v["lr"]) / 0.02)) < 0.2 for v in suggested)

    assert near([*known, *beside]) < near(known)


def test_a_model_keeps_away_from_where_trials_fail():
    """
    Rates above 0.01 fail here; the model, unlike chance, seldom tries them again.
    """

    def share_of_failures(strategy):
        tuning, trials = search(strategy), []
        for number in range(30):
            [values] = tuning.suggest(trials, 1)
            fails = float(values["lr"]) > 0.01
            trials.append(
                trial(number, values, *((None, "Failed") if fails else (0.5, "Completed")))
            )
        return sum(one.state == "Failed" for one in trials[10:])

    assert share_of_failures("Bayesian") < share_of_failures("Random") / 2


def test_a_search_where_all_fails_goes_on():
    """
    Without any objective to learn from there are new values all the same.
    """
    tuning = search()
    trials = [trial(n, v, state="Failed") for n, v in enumerate(tuning.suggest([], 12))]

    assert tuning.suggest(trials, 1)[0] not in [one.values for one in trials]


def test_a_grid_is_every_combination_once():
    """
    In order, whether or not trials failed, and then there is nothing left.
    """
    tuning = Search(
        {**config("Grid", GRID), "ResourceLimits": {"MaxParallelTrainingJobs": 2}}, static={}
    )

    first = tuning.suggest([], 4)
    trials = [trial(number, values, 0.5) for number, values in enumerate(first)]
    rest = tuning.suggest(trials, 4)

    assert len(first) == 4
    assert first[:2] == [
        {"optimizer": "sgd", "batch-size": "32"},
        {"optimizer": "sgd", "batch-size": "64"},
    ]
    assert len(rest) == 2
    assert len({tuple(sorted(one.items())) for one in (*first, *rest)}) == 6
    trials += [trial(4, rest[0], state="Failed"), trial(5, rest[1], 0.5)]
    assert tuning.suggest(trials, 1) == []
    assert "all 6 combinations" in tuning.is_complete(trials, 0)


@pytest.mark.parametrize("strategy", ["Random", "Bayesian"])
def test_a_search_of_few_combinations_ends_with_them(strategy):
    """
    The same values again would come to the same.
    """
    tuning = search(strategy, FEW)

    suggested = tuning.suggest([], 10)
    trials = [trial(number, values, 0.5) for number, values in enumerate(suggested)]

    assert len({tuple(sorted(one.items())) for one in suggested}) == len(suggested) == 6
    assert "all 6 combinations" in tuning.is_complete(trials, 0)


def test_no_more_is_suggested_than_there_may_be_jobs():
    """
    MaxNumberOfTrainingJobs bounds the answer, and ends the job once nothing runs any more.
    """
    tuning = search(jobs=3)
    values = tuning.suggest([], 5)
    trials = [trial(number, one, 0.5) for number, one in enumerate(values)]

    assert len(values) == 3
    assert tuning.suggest(trials, 1) == []
    assert tuning.is_complete(trials[:2], 0) is None
    assert tuning.is_complete([*trials[:2], trial(2, values[2], state="InProgress")], 0) is None
    assert "all 3 training jobs" in tuning.is_complete(trials, 0)


def test_a_warm_start_begins_where_its_parents_were_best():
    """
    The first suggestion is the model's, and near the best of what they came to.
    """
    parents = grown(search(name="parent"), 25)

    def first(**warm):
        [values] = search(**warm).suggest([], 1)
        return abs(math.log10(float(values["lr"]) / 0.02))

    warm = sorted(first(parents=parents, name=f"n{i}") for i in range(9))[4]
    cold = sorted(first(name=f"n{i}") for i in range(9))[4]

    assert warm < cold / 2


def test_parents_outside_the_new_ranges_are_left_out_and_said():
    """
    So are those without an objective; what is left is learnt from.
    """
    inside, outside = (
        {"lr": lr, "momentum": "0.5", "layers": "2", "optimizer": "sgd"} for lr in ("0.01", "0.5")
    )
    lacking = {"lr": "0.01"}
    parents = [
        trial(0, inside, 0.9),
        trial(1, outside, 0.9),
        trial(2, lacking, 0.9),
        trial(3, inside, state="Failed"),
    ]

    tuning = search(parents=parents)

    assert tuning.notes == (
        "2 of 4 earlier trials are left out: their values are not all in the ranges",
        "1 of 4 earlier trials are left out: they have no objective",
    )
    assert len(tuning.suggest([], 2)) == 2


def test_the_best_is_by_direction_and_of_ended_trials_only():
    """
    A failed, running or diverged trial is never the best.
    """
    trials = [
        trial(0, {}, 0.5),
        trial(1, {}, 0.7),
        trial(2, {}, 0.9, "Failed"),
        trial(3, {}, 0.9, "InProgress"),
        trial(4, {}, float("nan")),
        trial(5, {}, 0.7, "Stopped"),
    ]

    assert search().best(trials).name == "tune-001"
    assert search(kind="Minimize").best(trials).name == "tune-000"
    assert search().best([]) is None


def test_stopped_trials_do_not_mislead_the_model():
    """
    A trial that was stopped after an epoch with a low value ranks below those that ran to the end.
    """
    good = {"lr": "0.02", "momentum": "0.5", "layers": "2", "optimizer": "sgd"}
    bad = good | {"lr": "0.001"}
    trials = [trial(n, good | {"layers": str(n + 1)}, 0.1) for n in range(6)]
    trials += [trial(n, bad | {"layers": str(n)}, 0.9, "Stopped", (0.9,)) for n in range(6, 12)]

    lrs = [float(search(RandomSeed=s).suggest(trials, 1)[0]["lr"]) for s in range(15)]

    assert sorted(lrs)[7] > 0.005
