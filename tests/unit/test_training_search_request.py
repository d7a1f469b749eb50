"""A search is judged before anything slow begins."""

import json

import pytest

from kennel.contract import SEARCH_HYPERPARAMETER
from kennel.errors import HyperparameterError, KennelError, TuningError
from kennel.training.hyperparameters import parse
from kennel.training.search import request

LR = {"Name": "lr", "MinValue": "0.001", "MaxValue": "0.1"}
SEARCH = {
    "Strategy": "Random",
    "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "valid_accuracy"},
    "ResourceLimits": {"MaxNumberOfTrainingJobs": 4, "MaxParallelTrainingJobs": 1},
    "ParameterRanges": {"ContinuousParameterRanges": [LR]},
}


def read(document=SEARCH, **static):
    return request.read(static | {SEARCH_HYPERPARAMETER: json.dumps(document)})


def objective(name):
    return SEARCH | {"HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": name}}


def ranges(**kinds):
    return SEARCH | {"ParameterRanges": kinds}


def test_a_job_without_the_hyperparameter_is_a_single_training():
    """
    None is not a search.
    """
    assert request.read({"lr": "0.1"}) is None


def test_static_hyperparameters_and_those_of_a_trial_make_one_training():
    """
    Names of sagemaker-training's own are left out; spelling is the table's.
    """
    wanted = read(batch_size="64", sagemaker_region='"eu-west-1"')

    assert wanted.static == {"batch-size": "64"}
    chosen = wanted.chosen({"lr": "0.02"})
    assert (chosen.batch_size, chosen.lr) == (64, 0.02)


def test_a_search_is_no_unknown_hyperparameter():
    """
    The check that every training begins with lets it pass.
    """
    assert parse({"lr": "0.1", SEARCH_HYPERPARAMETER: "{}"}).lr == 0.1


def test_text_within_json_is_read_as_the_sagemaker_sdk_sends_it():
    """
    It quotes every value once more.
    """
    quoted = json.dumps(json.dumps(SEARCH))

    assert request.read({SEARCH_HYPERPARAMETER: quoted}).document == SEARCH


@pytest.mark.parametrize(
    ("document", "error", "words"),
    [
        pytest.param(objective("test_accuracy"), TuningError, "on the test set", id="test"),
        pytest.param(objective("f1"), TuningError, "'f1', which this", id="unknown-metric"),
        pytest.param([1], TuningError, "is list", id="no-object"),
        pytest.param(
            ranges(ContinuousParameterRanges=[LR | {"MaxValue": "1000"}]),
            HyperparameterError,
            "range lr: hyperparameter lr is '1000.0'",
            id="beyond-the-hyperparameter",
        ),
        pytest.param(
            ranges(ContinuousParameterRanges=[LR | {"Name": "learning-rate"}]),
            HyperparameterError,
            "range learning-rate: unknown hyperparameter",
            id="unknown-hyperparameter",
        ),
        pytest.param(
            ranges(
                IntegerParameterRanges=[LR | {"Name": "seed", "MinValue": "1", "MaxValue": "9"}]
            ),
            TuningError,
            "range seed: trials that differ in it cannot be compared",
            id="luck",
        ),
        pytest.param(
            SEARCH | {"ResourceLimits": {}}, TuningError, "has no end", id="without-an-end"
        ),
    ],
)
def test_what_cannot_be_searched_is_refused(document, error, words):
    """
    With what is wrong, and what was expected.
    """
    with pytest.raises(error, match=words) as caught:
        read(document)
    assert caught.value.expected


def test_text_that_is_no_json_is_refused():
    """
    The place is named.
    """
    with pytest.raises(KennelError, match=r"kennel-tuning is not JSON: .*char 1"):
        request.read({SEARCH_HYPERPARAMETER: "{lr"})


def test_a_hyperparameter_is_static_or_searched():
    """
    Not both, whatever the spelling.
    """
    with pytest.raises(TuningError, match="lr"):
        read(lr="0.1")
