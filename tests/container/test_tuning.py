"""Kennel's training in its image, searched by a tuning job whose trials are containers."""

import pytest

from kennel.contract import METRIC_DEFINITIONS

NAME = "tune-containers"
METRIC = "valid_loss"
TRIALS = 2
QUICK = {
    "model": "shufflenet_v2_x0_5",
    "weights": "none",
    "image-size": "32",
    "batch-size": "5",
    "epochs": "1",
    "workers": "0",
}


@pytest.fixture
def tuning_request(trainings, train_image):
    """A search for the learning rate, with all trials at a time."""
    lr = {"Name": "lr", "MinValue": "0.001", "MaxValue": "0.1"}
    return {
        "HyperParameterTuningJobName": NAME,
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": METRIC},
            "ResourceLimits": {
                "MaxNumberOfTrainingJobs": TRIALS,
                "MaxParallelTrainingJobs": TRIALS,
            },
            "ParameterRanges": {"ContinuousParameterRanges": [lr]},
        },
        "TrainingJobDefinition": {
            "RoleArn": "arn:aws:iam::000000000000:role/sagemaker",
            "AlgorithmSpecification": {
                "TrainingImage": train_image,
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": METRIC, "Regex": METRIC_DEFINITIONS[METRIC]}],
            },
            "StaticHyperParameters": QUICK,
            "InputDataConfig": [trainings.channel(one) for one in ("train", "validation", "test")],
            "OutputDataConfig": {"S3OutputPath": f"s3://{trainings.BUCKET}/output"},
            "CheckpointConfig": {"S3Uri": f"s3://{trainings.BUCKET}/tuned"},
            "ResourceConfig": {
                "InstanceType": "ml.m5.large",
                "InstanceCount": 1,
                "VolumeSizeInGB": 1,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        },
    }


@pytest.fixture
def search(trainings, tuning_request):
    """The tuning job, which is stopped at the end if it still runs."""
    sagemaker = trainings.aws("sagemaker")
    name = {"HyperParameterTuningJobName": NAME}

    def ended():
        tuning = sagemaker.describe_hyper_parameter_tuning_job(**name)
        is_over = tuning["HyperParameterTuningJobStatus"] not in ("InProgress", "Stopping")
        return is_over and tuning

    sagemaker.create_hyper_parameter_tuning_job(**tuning_request)
    yield lambda: trainings.until(ended)
    if not ended():
        sagemaker.stop_hyper_parameter_tuning_job(**name)
        trainings.until(ended)


def test_trials_are_containers_side_by_side(trainings, search):
    """
    Both run at once, each with its own checkpoints, and the lower loss of the two is the best.
    """
    running = trainings.until(lambda: len(found := trainings.containers()) == TRIALS and found)
    tuning = search()
    trials = trainings.aws("sagemaker").list_training_jobs_for_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=NAME
    )["TrainingJobSummaries"]
    objectives = {
        one["TrainingJobName"]: one["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
        for one in trials
    }
    checkpoints = trainings.aws("s3").list_objects_v2(
        Bucket=trainings.BUCKET, Prefix="tuned/", Delimiter="/"
    )["CommonPrefixes"]

    assert len({container.id for container in running}) == TRIALS
    assert tuning["TrainingJobStatusCounters"]["Completed"] == TRIALS, tuning.get("FailureReason")
    assert tuning["BestTrainingJob"]["TrainingJobName"] == min(objectives, key=objectives.get)
    assert [one["Prefix"] for one in checkpoints] == [f"tuned/{name}/" for name in objectives]
    assert trainings.containers() == []
