"""A search is what the settings say, and AWS would accept it."""

import dataclasses
import json
from datetime import UTC, datetime

import pytest

from kennel import contract, settings
from kennel.errors import KennelError, TuningError
from kennel.jobs import compose, naming, requests, tuning
from kennel.settings import Images, Range, Settings, Train, Tune
from kennel.tuning import ranges
from kennel.tuning.trials import from_answers

KINDS = {"lr": "number", "batch-size": "integer", "momentum": "number", "epochs": "integer"}
ROLE = "arn:aws:iam::123456789012:role/kennel"
NOW = {"now": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "token": "ab12"}
MANY = Range(values=tuple(map(str, range(30))))


def wanted(train=None, **tune):
    return Settings(
        aws=settings.Aws(role=ROLE),
        images=Images(train="123456789012.dkr.ecr.eu-west-1.amazonaws.com/t:1"),
        train=train or Train(hyperparameters={"epochs": "5", "lr": "0.5"}),
        tune=Tune(**tune),
    )


def request_of(found, **options):
    search = tuning.search(found, KINDS)
    job = compose.training_job(found, name="n", bucket="b", channels={"train": "s3://b/train/"})
    job = dataclasses.replace(job, hyperparameters=search.static)
    return requests.tuning_job(job, name="kennel-tune-1", config=search.config, **options)


@pytest.mark.parametrize(
    ("train", "tune"),
    [
        pytest.param({}, {}, id="defaults"),
        pytest.param({"spot": True}, {"strategy": "Random", "seed": 3}, id="spot"),
        pytest.param({"keep_alive_s": 600}, {"early_stopping": True}, id="warm-pool"),
        pytest.param({}, {"target": 0.9, "patience": 5, "convergence": True}, id="criteria"),
        pytest.param({}, {"max_runtime_s": 7200, "objective": "valid_loss"}, id="limits"),
        pytest.param({}, {"strategy": "Hyperband"}, id="hyperband"),
        pytest.param(
            {}, {"strategy": "Grid", "ranges": {"lr": Range(values=("0.1", "0.2"))}}, id="grid"
        ),
    ],
)
def test_a_tuning_job_is_a_valid_create_hyper_parameter_tuning_job(valid_request, train, tune):
    """
    Whatever the settings ask for, AWS accepts the request, and it reads back as what was meant.
    """
    request = request_of(wanted(Train(hyperparameters={"epochs": "5"}, **train), **tune))

    valid_request("CreateHyperParameterTuningJob", request)
    described = request | {"HyperParameterTuningJobStatus": "InProgress"}
    assert from_answers(described, []).strategy == tune.get("strategy", "Bayesian")


def test_earlier_tuning_jobs_are_started_from(valid_request):
    """
    With the type that says how they are alike.
    """
    request = request_of(
        wanted(), parents=["kennel-tune-0"], warm_start="IdenticalDataAndAlgorithm"
    )

    valid_request("CreateHyperParameterTuningJob", request)
    assert request["WarmStartConfig"] == {
        "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "kennel-tune-0"}],
        "WarmStartType": "IdenticalDataAndAlgorithm",
    }


def test_what_is_searched_is_not_static():
    """
    A hyperparameter of the settings that has a range loses its value; the others are shared.
    """
    search = tuning.search(wanted(), KINDS)

    assert search.static == {"epochs": "5"}
    assert {each.name for each in search.ranges} == {"lr", "batch-size", "momentum"}


def test_the_kind_of_a_range_is_that_of_its_hyperparameter():
    """
    1 to 9 are whole numbers for batch-size and any for lr.
    """
    found = wanted(ranges={"lr": Range("1", "9"), "batch-size": Range("1", "9")})

    assert tuning.search(found, KINDS).ranges == (
        ranges.Continuous("lr", 1.0, 9.0),
        ranges.Integer("batch-size", 1, 9),
    )


@pytest.mark.parametrize("text", ["lr = 0.1", 'lr = "0.1"', "lr = [0.1]", "lr = [0.1, 0.1]"])
def test_one_value_is_no_range(tmp_path, text):
    """
    However it is written; it is what --set is for.
    """
    file = tmp_path / "kennel.toml"
    file.write_text(f"[tune.ranges]\n{text}\n")

    with pytest.raises(TuningError, match=r"(?s)one value, 0\.1, is no range.*--set lr=0\.1"):
        tuning.search(settings.load({}, file=file), KINDS)


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [
        pytest.param({}, {"MinResource": 1, "MaxResource": 5}, id="of-the-hyperparameter"),
        pytest.param(
            {"epochs": Range("2", "8")}, {"MinResource": 2, "MaxResource": 8}, id="of-the-range"
        ),
    ],
)
def test_hyperband_shares_out_epochs(epochs, expected):
    """
    They are no range of the search then: every trial may come to the most.
    """
    found = wanted(strategy="Hyperband", ranges={"lr": Range("0.1", "1"), **epochs})

    search = tuning.search(found, KINDS)

    assert search.config["StrategyConfig"] == {"HyperbandStrategyConfig": expected}
    assert search.static["epochs"] == str(expected["MaxResource"])
    assert [each.name for each in search.ranges] == ["lr"]


def test_a_grid_has_as_many_trials_as_combinations():
    """
    AWS asks for that very number; no more run at a time than there are.
    """
    values = {"lr": Range(values=("1", "2")), "batch-size": Range(values=("1", "2", "4"))}
    found = wanted(strategy="Grid", parallel=9, ranges=values)

    limits = tuning.search(found, KINDS).config["ResourceLimits"]

    assert limits == {"MaxNumberOfTrainingJobs": 6, "MaxParallelTrainingJobs": 6}


@pytest.mark.parametrize(
    ("tune", "message"),
    [
        pytest.param({"strategy": "Grid"}, "Grid", id="grid-of-numbers"),
        pytest.param({"strategy": "Hyperband", "early_stopping": True}, "Hyperband", id="both"),
        pytest.param({"objective": "lr"}, "Maximize", id="no-direction"),
        pytest.param({"ranges": {}}, "nothing to search", id="no-range"),
        pytest.param({"ranges": {"lr": Range("1", "0.1")}}, "lr", id="upside-down"),
        pytest.param({"ranges": {"batch-size": Range("1.5", "3")}}, "whole", id="half-a-picture"),
        pytest.param(
            {
                "strategy": "Grid",
                "ranges": {"lr": MANY, "momentum": MANY},
            },
            "900 combinations",
            id="too-large-a-grid",
        ),
    ],
)
def test_an_impossible_search_is_refused(tune, message):
    """
    Before anything is uploaded, with what would be right.
    """
    with pytest.raises(KennelError, match=message):
        tuning.search(wanted(**tune), KINDS)


def test_hyperband_needs_to_know_how_many_epochs():
    """
    Neither a range of them nor a number.
    """
    found = wanted(Train(), strategy="Hyperband", ranges={"lr": Range("0.1", "1")})

    with pytest.raises(KennelError, match=r"(?s)epochs is not set.*epochs = \{"):
        tuning.search(found, KINDS)


def test_a_search_in_one_job_is_a_hyperparameter(valid_request):
    """
    The very document of the tuning job's request, as text; a longer one than fits is refused.
    """
    search = tuning.search(wanted(), KINDS)

    values = tuning.in_job(search)

    assert json.loads(values[contract.SEARCH_HYPERPARAMETER]) == search.config
    job = compose.training_job(wanted(), name="n", bucket="b", channels={"train": "s3://b/t/"})
    job = dataclasses.replace(job, hyperparameters=values)
    valid_request("CreateTrainingJob", requests.training_job(job, name="kennel-tune-1"))

    many = Range(values=tuple("x" * 100 + str(number) for number in range(30)))
    with pytest.raises(KennelError, match="without --in-job"):
        tuning.in_job(tuning.search(wanted(ranges={"model": many}), {}))


def test_names_of_tuning_jobs_are_short_and_known_again():
    """
    AWS takes 32 characters; a trial's name is the job's with a number and eight more.
    """
    name = naming.tuning_job(None, **NOW)

    assert len(name) <= contract.TUNING_NAME_CHARS
    assert naming.is_tuning_job(name)
    assert naming.is_trial(f"{name}-001-1a2b3c4d")
    assert not naming.is_tuning_job(f"{name}-001-1a2b3c4d")
    assert not naming.is_trial(naming.job(None, "resnet18", **NOW))
    assert naming.is_tuning_job(naming.tuning_job("wolves", **NOW))
    with pytest.raises(KennelError, match="32 characters"):
        naming.tuning_job("w" * 33, **NOW)
