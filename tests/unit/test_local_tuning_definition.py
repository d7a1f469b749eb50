"""A trial's CreateTrainingJob request follows from its tuning job's."""

import pytest

from kennel.local.sagemaker.tuning import definition

ROLE = "arn:aws:iam::000000000000:role/sagemaker"
RESOURCES = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10}


def tuning(**changes):
    return {
        "HyperParameterTuningJobName": "tune",
        "HyperParameterTuningJobConfig": {
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"}
        },
        "TrainingJobDefinition": {
            "AlgorithmSpecification": {
                "TrainingImage": "image",
                "TrainingInputMode": "File",
                "MetricDefinitions": [
                    {"Name": "acc", "Regex": "acc=(.*)"},
                    {"Name": "loss", "Regex": "loss=(.*)"},
                ],
            },
            "StaticHyperParameters": {"epochs": "3"},
            "RoleArn": ROLE,
            "OutputDataConfig": {"S3OutputPath": "s3://bucket/output"},
            "ResourceConfig": RESOURCES,
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
            **changes,
        },
    }


def test_a_trials_request_is_one_that_aws_takes(valid_request):
    """
    It is the definition's, with static and tuned hyperparameters and the objective's name.
    """
    name = definition.trial_name("t" * 32, 1, "0123abcd")
    tags = [{"Key": "team", "Value": "vision"}]
    environment = {"Environment": {"MINE": "1"}, "RetryStrategy": {"MaximumRetryAttempts": 2}}
    request = definition.request(tuning(**environment), name, {"lr": "0.1"}, tags)

    valid_request("create_training_job", request)
    assert request["HyperParameters"] == {
        "epochs": "3",
        "lr": "0.1",
        "_tuning_objective_metric": "loss",
    }
    assert request["Tags"] == tags
    assert {member: request[member] for member in environment} == environment


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        pytest.param(7, "tune-007-0123abcd", id="three-digits"),
        pytest.param(1000, "tune-1000-0123abcd", id="more-when-needed"),
    ],
)
def test_a_trials_name_has_its_number(number, expected):
    """
    AWS's names sort in the order of their creation, up to 999 trials.
    """
    assert definition.trial_name("tune", number, "0123abcd") == expected


@pytest.mark.parametrize("uri", ["s3://bucket/checkpoints", "s3://bucket/checkpoints/"])
def test_checkpoints_are_below_the_tuning_jobs(uri):
    """
    A folder for each trial, and the LocalPath that was asked for.
    """
    asked = tuning(CheckpointConfig={"S3Uri": uri, "LocalPath": "/opt/ml/mine"})
    request = definition.request(asked, "tune-001-0123abcd", {})

    assert request["CheckpointConfig"] == {
        "S3Uri": "s3://bucket/checkpoints/tune-001-0123abcd",
        "LocalPath": "/opt/ml/mine",
    }


def test_without_checkpoints_there_are_none():
    """
    Nor are there tags or anything else that the tuning job lacks.
    """
    request = definition.request(tuning(), "tune-001-0123abcd", {})

    assert not {"CheckpointConfig", "Tags", "Environment", "VpcConfig"} & request.keys()


@pytest.mark.parametrize(
    "flexible",
    [
        pytest.param(
            {
                "AllocationStrategy": "Prioritized",
                "InstanceConfigs": [RESOURCES, {**RESOURCES, "InstanceType": "ml.m5.xlarge"}],
            },
            id="the-first-of-several",
        ),
        pytest.param(RESOURCES, id="the-only-one"),
    ],
)
def test_of_flexible_instances_the_first_is_taken(valid_request, flexible):
    """
    HyperParameterTuningResourceConfig may name several types; here all of them are this machine.
    """
    asked = tuning(HyperParameterTuningResourceConfig=flexible)
    del asked["TrainingJobDefinition"]["ResourceConfig"]
    request = definition.request(asked, "tune-001-0123abcd", {})

    valid_request("create_training_job", request)
    assert request["ResourceConfig"] == RESOURCES


def test_the_objective_has_the_regex_of_its_metric():
    """
    Whichever metrics there are beside it.
    """
    assert definition.regex(tuning()) == "loss=(.*)"
