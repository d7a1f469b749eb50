"""Which tuning jobs there are, asked of SageMaker in no more pages than it takes."""

from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.stub import Stubber

from kennel.errors import JobError
from kennel.jobs import tunings

START = datetime(2026, 1, 2, tzinfo=UTC)
ORDER = {"SortBy": "CreationTime", "SortOrder": "Descending", "MaxResults": 100}


@pytest.fixture
def sagemaker():
    """A client whose answers are told beforehand, and whose requests are checked."""
    return boto3.client("sagemaker", "eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")  # noqa: S106 - nobody's


def tuning(number, minutes):
    name = f"kennel-tune-{number}"
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobArn": f"arn:aws:sagemaker:eu-west-1:000000000000:tuning/{name}",
        "HyperParameterTuningJobStatus": "InProgress",
        "Strategy": "Random",
        "CreationTime": START + timedelta(minutes=minutes),
        "TrainingJobStatusCounters": {},
        "ObjectiveStatusCounters": {},
    }


def training(name, minutes):
    return {
        "TrainingJobName": name,
        "TrainingJobArn": f"arn:aws:sagemaker:eu-west-1:000000000000:training-job/{name}",
        "TrainingJobStatus": "InProgress",
        "CreationTime": START + timedelta(minutes=minutes),
    }


def answering(sagemaker, jobs, searches, *, more, **which):
    """Tell what both lists answer; *more* is asked of that of training jobs alone."""
    asked = {"NameContains": "kennel-tune", **which, **ORDER}
    stub = Stubber(sagemaker)
    stub.add_response(
        "list_hyper_parameter_tuning_jobs", {"HyperParameterTuningJobSummaries": jobs}, asked
    )
    stub.add_response("list_training_jobs", {"TrainingJobSummaries": searches}, asked | more)
    return stub


def test_the_trials_of_older_tuning_jobs_are_not_listed(sagemaker):
    """
    They are called like searches inside one job, and there may be tens of thousands: what is older
    than the last tuning job that is shown is not asked for.
    """
    jobs = [tuning(2, minutes=9), tuning(1, minutes=5)]
    searches = [training("kennel-tune-2-001-0a1b2c3d", 10), training("kennel-tune-x", 7)]
    more = {"CreationTimeAfter": START + timedelta(minutes=5)}

    with answering(sagemaker, jobs, searches, more=more) as stub:
        found = tunings.newest(sagemaker, most=2)
        stub.assert_no_pending_responses()

    assert [tunings.name_of(one) for one in found] == ["kennel-tune-2", "kennel-tune-x"]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_one_that_runs_is_found_and_of_several_none_is_chosen(sagemaker, count):
    """
    A tuning job that is stopped without its name is the only one that runs.
    """
    jobs = [tuning(number, minutes=number) for number in range(count)]

    with answering(sagemaker, jobs, [], more={}, StatusEquals="InProgress"):
        if count == 1:
            assert tunings.running(sagemaker) == "kennel-tune-0"
        else:
            with pytest.raises(JobError, match=("no tuning job is", "", "several")[count]):
                tunings.running(sagemaker)
