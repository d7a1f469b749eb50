"""Which job is meant when nobody says, and what can be gone on with."""

from types import SimpleNamespace

import pytest

from kennel.cli import endpoints
from kennel.errors import JobError
from kennel.jobs import lookup


class FakeSageMaker:
    """Knows *jobs*, name → status, newest first."""

    def __init__(self, **jobs):
        self.jobs = {name.replace("_", "-"): status for name, status in jobs.items()}

    def get_paginator(self, _operation):
        return self

    def paginate(self, *, StatusEquals=None, **_which):  # noqa: N803 - boto3's own name
        summaries = [
            {"TrainingJobName": name, "TrainingJobStatus": status}
            for name, status in self.jobs.items()
            if StatusEquals in {None, status}
        ]
        return [{"TrainingJobSummaries": summaries}]

    def describe_training_job(self, TrainingJobName):  # noqa: N803 - boto3's own name
        return {
            "TrainingJobName": TrainingJobName,
            "TrainingJobStatus": self.jobs[TrainingJobName],
            "ModelArtifacts": {"S3ModelArtifacts": f"s3://b/{TrainingJobName}/model.tar.gz"},
            "FinalMetricDataList": [{"MetricName": "test_accuracy", "Value": 0.5}],
        }


def test_the_one_that_runs_is_meant_though_a_newer_has_ended():
    """
    Stopping what has ended already would leave the other running, unnoticed.
    """
    assert lookup.running(FakeSageMaker(kennel_2="Failed", kennel_1="InProgress")) == "kennel-1"


@pytest.mark.parametrize(
    ("jobs", "message"),
    [
        pytest.param({"kennel_1": "Completed"}, "no training job is running", id="none"),
        pytest.param(
            {"kennel_2": "InProgress", "kennel_1": "InProgress"}, "kennel-2, kennel-1", id="two"
        ),
    ],
)
def test_none_or_several_running_is_an_error(jobs, message):
    """
    Nothing is stopped by chance.
    """
    with pytest.raises(JobError, match=message):
        lookup.running(FakeSageMaker(**jobs))


@pytest.mark.parametrize(
    ("described", "message"),
    [
        pytest.param({"TrainingJobStatus": "InProgress"}, "is InProgress", id="running"),
        pytest.param({"TrainingJobStatus": "Stopped"}, "kept no checkpoints", id="without"),
    ],
)
def test_what_cannot_be_resumed_says_why(described, message):
    """
    A job that runs has a later checkpoint to come; one without a CheckpointConfig has none.
    """
    with pytest.raises(JobError, match=message):
        lookup.checkpoints({"TrainingJobName": "j", **described})


def test_a_deployment_says_whose_model_it_is(capsys):
    """
    The latest that completed, its accuracy, and the newer one that did not.
    """
    aws = SimpleNamespace(sagemaker=FakeSageMaker(kennel_2="Stopped", kennel_1="Completed"))

    assert endpoints.chosen(aws, None) == ("s3://b/kennel-1/model.tar.gz", "kennel-1")

    said = capsys.readouterr().err
    assert "kennel-1, test accuracy 0.5000" in said
    assert "kennel-2, is Stopped" in said
