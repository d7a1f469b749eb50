"""A tuning job is read from AWS's answers, wherever it ran."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from kennel.tuning import parameter_ranges, trials
from kennel.tuning.configuration import Halving
from kennel.tuning.ranges import Categorical, Continuous

START = datetime(2026, 1, 1, tzinfo=UTC)
ARN = "arn:aws:sagemaker:eu-west-1:123456789012:training-job/t-001"
DESCRIBED = {
    "HyperParameterTuningJobName": "tune",
    "HyperParameterTuningJobStatus": "Completed",
    "HyperParameterTuningJobConfig": {
        "Strategy": "Bayesian",
        "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
        "ResourceLimits": {"MaxNumberOfTrainingJobs": 4, "MaxParallelTrainingJobs": 2},
        "ParameterRanges": {
            "ContinuousParameterRanges": [{"Name": "lr", "MinValue": "0.1", "MaxValue": "0.5"}],
            "CategoricalParameterRanges": [{"Name": "batch-size", "Values": ["32", "64"]}],
        },
        "TrainingJobEarlyStoppingType": "Auto",
    },
    "TrainingJobDefinition": {"StaticHyperParameters": {"epochs": "3"}},
    "WarmStartConfig": {
        "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "before"}],
        "WarmStartType": "TransferLearning",
    },
    "CreationTime": START,
    "HyperParameterTuningEndTime": START + timedelta(hours=1),
}
SUMMARY = {
    "TrainingJobName": "t-001",
    "TrainingJobArn": ARN,
    "CreationTime": START,
    "TrainingStartTime": START + timedelta(minutes=1),
    "TrainingEndTime": START + timedelta(minutes=3),
    "TrainingJobStatus": "Completed",
    "TunedHyperParameters": {"lr": "0.2", "batch-size": "32"},
    "FinalHyperParameterTuningJobObjectiveMetric": {"MetricName": "loss", "Value": 0.25},
    "ObjectiveStatus": "Succeeded",
}
DESCRIPTION = {
    "TrainingJobName": "t-001",
    "TrainingJobStatus": "Completed",
    "HyperParameters": {"lr": "0.2", "batch-size": "32", "epochs": "3"},
    "FinalMetricDataList": [
        {"MetricName": "loss", "Value": 0.25, "Timestamp": START},
        {"MetricName": "acc", "Value": 0.75, "Timestamp": START},
    ],
    "CreationTime": START,
    "TrainingStartTime": START + timedelta(minutes=1),
    "TrainingEndTime": START + timedelta(minutes=3),
    "BillableTimeInSeconds": 50,
}


def in_json(document):
    return json.loads(json.dumps(document, default=datetime.isoformat))


def in_seconds(document):
    return json.loads(json.dumps(document, default=datetime.timestamp))


@pytest.mark.parametrize("form", [dict, in_json, in_seconds])
def test_a_tuning_job_is_read_from_its_description(form):
    """
    Times may be datetimes, ISO texts or seconds since 1970.
    """
    tuning = trials.from_answers(form(DESCRIBED), [])

    assert (tuning.name, tuning.status, tuning.strategy) == ("tune", "Completed", "Bayesian")
    assert (tuning.metric, tuning.maximize, tuning.early_stopping) == ("loss", False, True)
    assert tuning.ranges == (Continuous("lr", 0.1, 0.5), Categorical("batch-size", ("32", "64")))
    assert (tuning.static, tuning.parents) == ({"epochs": "3"}, ("before",))
    assert (tuning.limits.jobs, tuning.limits.parallel) == (4, 2)
    assert (tuning.started, tuning.ended) == (START, START + timedelta(hours=1))
    assert tuning.best is None


@pytest.mark.parametrize(
    ("given", "found"),
    [
        pytest.param({"MinResource": 2, "MaxResource": 18}, Halving(2, 18), id="given"),
        pytest.param({}, Halving(1, 3), id="by-the-static-epochs"),
    ],
)
def test_hyperbands_resources_are_read(given, found):
    """
    MaxResource is the static number of epochs where it is not given; others have none.
    """
    config = DESCRIBED["HyperParameterTuningJobConfig"] | {
        "Strategy": "Hyperband",
        "StrategyConfig": {"HyperbandStrategyConfig": given},
    }

    tuning = trials.from_answers(DESCRIBED | {"HyperParameterTuningJobConfig": config}, [])

    assert tuning.halving == found
    assert trials.from_answers(DESCRIBED, []).halving is None


@pytest.mark.parametrize("form", [dict, in_json, in_seconds])
@pytest.mark.parametrize(
    ("answers", "billable_s", "metrics"),
    [
        pytest.param([SUMMARY], None, {}, id="summary"),
        pytest.param([DESCRIPTION], 50, {"loss": 0.25, "acc": 0.75}, id="description"),
        pytest.param([SUMMARY, DESCRIPTION], 50, {"loss": 0.25, "acc": 0.75}, id="both"),
        pytest.param([DESCRIPTION, SUMMARY], 50, {"loss": 0.25, "acc": 0.75}, id="both-reversed"),
    ],
)
def test_a_trial_is_read_from_summary_and_description_alike(form, answers, billable_s, metrics):
    """
    Values, objective and times come from either; what only one of them has is joined.
    """
    tuning = trials.from_answers(DESCRIBED, [form(answer) for answer in answers])

    [trial] = tuning.trials
    assert trial.values == {"lr": "0.2", "batch-size": "32"}
    assert (trial.state, trial.objective, trial.seconds) == ("Completed", 0.25, 120)
    assert (trial.billable_s, trial.metrics) == (billable_s, metrics)
    assert tuning.best == trial


def test_members_that_are_null_are_as_good_as_missing():
    """
    The local server and a search in a job may write them.
    """
    nothing = dict.fromkeys(
        (
            "FinalHyperParameterTuningJobObjectiveMetric",
            "FailureReason",
            "TrainingEndTime",
            "FinalMetricDataList",
            "TrainingStartTime",
        )
    )

    [trial] = trials.from_answers(
        DESCRIBED | {"WarmStartConfig": None, "FailureReason": None},
        [SUMMARY | nothing | {"TrainingJobStatus": "Failed"}],
    ).trials

    assert (trial.state, trial.objective, trial.reason, trial.seconds) == ("Failed", None, "", None)


@pytest.mark.parametrize(
    ("status", "state", "objective"),
    [
        pytest.param("InProgress", "InProgress", None, id="running"),
        pytest.param("Stopping", "InProgress", None, id="stopping"),
        pytest.param("Stopped", "Stopped", 0.25, id="stopped"),
        pytest.param("Failed", "Failed", None, id="failed"),
    ],
)
def test_an_objective_is_that_of_a_trial_which_ended_well(status, state, objective):
    """
    The last value of a running trial is a metric, not yet its objective; a failed one has none.
    """
    answer = DESCRIPTION | {"TrainingJobStatus": status}

    [trial] = trials.from_answers(DESCRIBED, [answer]).trials

    assert (trial.state, trial.objective) == (state, objective)
    assert trial.metrics["loss"] == 0.25


def test_trials_come_in_the_order_of_their_names_with_their_curves():
    """
    Whatever the order of the answers.
    """
    answers = [SUMMARY | {"TrainingJobName": f"t-{number}"} for number in (2, 3, 1)]

    tuning = trials.from_answers(DESCRIBED, answers, {"t-2": [0.5, 0.25]})

    assert [trial.name for trial in tuning.trials] == ["t-1", "t-2", "t-3"]
    assert [trial.curve for trial in tuning.trials] == [(), (0.5, 0.25), ()]


def test_a_request_made_of_ranges_is_one_that_aws_accepts(valid_request):
    """
    By the service's own model.
    """
    read = parameter_ranges.from_request(
        DESCRIBED["HyperParameterTuningJobConfig"]["ParameterRanges"]
        | {"IntegerParameterRanges": [{"Name": "k", "MinValue": "1", "MaxValue": "9"}]}
    )
    config = DESCRIBED["HyperParameterTuningJobConfig"]

    valid_request(
        "CreateHyperParameterTuningJob",
        {
            "HyperParameterTuningJobName": "tune",
            "HyperParameterTuningJobConfig": config
            | {"ParameterRanges": parameter_ranges.to_request(read)},
        },
    )
