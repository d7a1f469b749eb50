"""A search is judged before it begins."""

import pytest

from kennel.errors import TuningError
from kennel.tuning import configuration
from kennel.tuning.configuration import Halving

CATEGORIES = {"CategoricalParameterRanges": [{"Name": "batch-size", "Values": ["32", "64", "128"]}]}
NUMBERS = {"ContinuousParameterRanges": [{"Name": "lr", "MinValue": "0.1", "MaxValue": "0.5"}]}


def config(strategy="Bayesian", ranges=NUMBERS, **changes):
    return {
        "Strategy": strategy,
        "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "acc"},
        "ResourceLimits": {"MaxNumberOfTrainingJobs": 3, "MaxParallelTrainingJobs": 2},
        "ParameterRanges": ranges,
        **changes,
    }


def halving(**resources):
    return {"HyperbandStrategyConfig": resources}


def test_everything_is_read():
    """
    Names, direction, limits and criteria of a request arrive in one value.
    """
    read = configuration.read(
        config(
            ResourceLimits={
                "MaxNumberOfTrainingJobs": 20,
                "MaxParallelTrainingJobs": 4,
                "MaxRuntimeInSeconds": 3600,
            },
            TuningJobCompletionCriteria={
                "TargetObjectiveMetricValue": 0.9,
                "BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 5},
                "ConvergenceDetected": {"CompleteOnConvergence": "Enabled"},
            },
            TrainingJobEarlyStoppingType="Auto",
            RandomSeed=0,
        ),
        static={},
    )

    assert (read.metric, read.maximize, read.early_stopping, read.seed) == ("acc", True, True, 0)
    limits = read.limits
    assert (limits.jobs, limits.parallel, limits.runtime_s) == (20, 4, 3600)
    assert (limits.target, limits.not_improving, limits.convergence) == (0.9, 5, True)


@pytest.mark.parametrize(
    ("strategy_config", "static", "expected"),
    [
        pytest.param(halving(MinResource=2, MaxResource=9), {}, Halving(2, 9), id="given"),
        pytest.param(halving(MinResource=2), {"epochs": "27"}, Halving(2, 27), id="epochs"),
        pytest.param({}, {"n-epochs": "5"}, Halving(1, 5), id="n-epochs"),
        pytest.param({}, {"num_epochs": '"5"'}, Halving(1, 5), id="quoted-by-the-sdk"),
    ],
)
def test_hyperband_finds_its_resources_as_aws_does(strategy_config, static, expected):
    """
    MaxResource is the number of epochs among the static hyperparameters where it is not given.
    """
    read = configuration.read(config("Hyperband", StrategyConfig=strategy_config), static)

    assert read.halving == expected


@pytest.mark.parametrize(
    ("document", "static", "found"),
    [
        pytest.param(config("Genetic"), {}, "'Genetic'", id="no-such-strategy"),
        pytest.param(config(HyperParameterTuningJobObjective={}), {}, "None", id="no-objective"),
        pytest.param(config("Grid"), {}, "lr", id="a-grid-of-numbers"),
        pytest.param(
            config("Grid", CATEGORIES, ResourceLimits={"MaxNumberOfTrainingJobs": 2}),
            {},
            "MaxNumberOfTrainingJobs 2",
            id="a-grid-that-does-not-fit",
        ),
        pytest.param(config(ResourceLimits={}), {}, "no end", id="endless"),
        pytest.param(
            config(ResourceLimits={"MaxNumberOfTrainingJobs": 0}), {}, "is 0", id="no-jobs"
        ),
        pytest.param(
            config(ResourceLimits={"MaxNumberOfTrainingJobs": "3"}), {}, "'3'", id="a-text"
        ),
        pytest.param(
            config(
                TuningJobCompletionCriteria={
                    "BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 2}
                }
            ),
            {},
            "is 2",
            id="too-impatient",
        ),
        pytest.param(
            config(TuningJobCompletionCriteria={"TargetObjectiveMetricValue": "high"}),
            {},
            "'high'",
            id="a-target-in-words",
        ),
        pytest.param(config(), {"lr": "0.1"}, "lr", id="searched-and-fixed"),
        pytest.param(config("Hyperband"), {}, "MaxResource", id="hyperband-without-epochs"),
        pytest.param(
            config("Hyperband", StrategyConfig=halving(MinResource=9)),
            {"epochs": "3"},
            "MinResource 9 to MaxResource 3",
            id="hyperband-upside-down",
        ),
        pytest.param(
            config("Hyperband", StrategyConfig=halving(MaxResource=20_001)),
            {},
            "20001",
            id="hyperband-for-ever",
        ),
        pytest.param(
            config("Hyperband", TrainingJobEarlyStoppingType="Auto"),
            {"epochs": "3"},
            "Auto",
            id="hyperband-and-early-stopping",
        ),
        pytest.param(
            config(StrategyConfig=halving(MaxResource=3)), {}, "StrategyConfig", id="not-hyperband"
        ),
    ],
)
def test_an_impossible_search_is_refused(document, static, found):
    """
    The error says what was found and what would have been right.
    """
    with pytest.raises(TuningError) as error:
        configuration.read(document, static)

    assert found in error.value.problem
    assert error.value.expected or error.value.remedy


@pytest.mark.parametrize(
    ("document", "refused"),
    [
        pytest.param(config("Hyperband"), True, id="hyperband"),
        pytest.param(config(TrainingJobEarlyStoppingType="Auto"), True, id="early-stopping"),
        pytest.param(config(), False, id="neither"),
    ],
)
def test_stopping_by_curves_needs_a_metric_of_every_epoch(document, refused):
    """
    A metric that is known to be printed at the end alone stops no trial before it.
    """
    judge = [document, {"epochs": "9"}]
    configuration.read(*judge, epoch_metrics={"acc"})
    configuration.read(*judge)

    if refused:
        with pytest.raises(TuningError, match="acc, which is not printed every epoch"):
            configuration.read(*judge, epoch_metrics={"loss"})
    else:
        configuration.read(*judge, epoch_metrics={"loss"})
