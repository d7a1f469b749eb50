"""Tuning jobs search for real, by training jobs of the server, and are described as AWS does."""

import json
import re
import time
from functools import partial

import pytest
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator

PAUSED = {"pause": "0.05", "epochs": "1000"}  # a trial that runs until it is stopped


@pytest.fixture
def fits(sagemaker):
    """Check an answer against AWS's own service model: members, types, and what is required."""

    def check(operation, answer):
        shape = sagemaker.meta.service_model.operation_model(operation).output_shape
        given = {member: value for member, value in answer.items() if member != "ResponseMetadata"}
        report = ParamValidator().validate(given, shape)
        assert not report.has_errors(), report.generate_report()

    return check


def lr_of(summary):
    return summary["TunedHyperParameters"]["lr"]


def objective(summary):
    return summary["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]


def test_a_tuning_job_tries_the_grid_and_names_the_best(tune):
    """
    Every value is tried once, and BestTrainingJob is the one with the best objective.
    """
    name = tune("0.1", "0.3", "0.5")
    tuning = tune.ended(name)

    assert tuning["HyperParameterTuningJobStatus"] == "Completed"
    assert sorted(map(lr_of, tune.trials(name))) == ["0.1", "0.3", "0.5"]
    assert lr_of(tuning["BestTrainingJob"]) == "0.3"
    assert objective(tuning["BestTrainingJob"]) == pytest.approx(0.9)
    assert "OverallBestTrainingJob" not in tuning


def test_counters_and_times_add_up(tune):
    """
    All training jobs are counted, by their status and by their objective's.
    """
    tuning = tune.ended(tune("0.1", "0.3", "0.5", static={"fails-above": "0.4"}))

    counted = tuning["TrainingJobStatusCounters"]
    assert counted == {
        "Completed": 2,
        "InProgress": 0,
        "RetryableError": 0,
        "NonRetryableError": 1,
        "Stopped": 0,
    }
    assert tuning["ObjectiveStatusCounters"] == {"Succeeded": 2, "Pending": 0, "Failed": 1}
    lasted = tuning["HyperParameterTuningEndTime"] - tuning["CreationTime"]
    assert tuning["ConsumedResources"]["RuntimeInSeconds"] == round(lasted.total_seconds())


def test_describe_answers_the_request(tune, tuning_request):
    """
    Both parts of the request come back as they were sent.
    """
    request = tuning_request("0.3", static={"epochs": "2"})
    tuning = tune.ended(tune(request=request))

    for part in ("HyperParameterTuningJobConfig", "TrainingJobDefinition"):
        assert tuning[part] == request[part]


def test_trials_are_training_jobs(tune, sagemaker, s3, bucket):
    """
    Each has AWS's kind of name, the static and the tuned hyperparameters, and its own artifact.
    """
    name = tune("0.2", "0.3", static={"epochs": "2"})
    arn = tune.ended(name)["HyperParameterTuningJobArn"]

    for number, summary in enumerate(tune.trials(name), 1):
        job = sagemaker.describe_training_job(TrainingJobName=summary["TrainingJobName"])
        assert re.fullmatch(rf"{name}-{number:03d}-[0-9a-f]{{8}}", summary["TrainingJobName"])
        assert job["TuningJobArn"] == arn
        assert job["HyperParameters"] == {
            "epochs": "2",
            "lr": lr_of(summary),
            "_tuning_objective_metric": "acc",
        }
        key = job["ModelArtifacts"]["S3ModelArtifacts"].partition(f"{bucket}/")[2]
        assert s3.head_object(Bucket=bucket, Key=key)["ContentLength"] > 0
        assert job["FinalMetricDataList"][0]["Value"] == pytest.approx(objective(summary))


def test_trials_run_side_by_side_and_no_more_than_asked(tune, until, tmp_path):
    """
    MaxParallelTrainingJobs run at once; the next starts when one has ended.
    """
    gate = tmp_path / "gate"
    name = tune("0.1", "0.2", "0.3", static={"gate": str(gate)}, MaxParallelTrainingJobs=2)

    until(lambda: len(tune.trials(name, StatusEquals="InProgress")) == 2)
    until(lambda: all("TrainingStartTime" in one for one in tune.trials(name)))
    time.sleep(0.5)  # the server looks again meanwhile, and may start no third
    gate.touch()
    tune.ended(name)
    *first, last = tune.trials(name)
    assert len(first) == 2
    assert last["CreationTime"] >= min(one["TrainingEndTime"] for one in first)


def test_the_search_goes_on_after_a_failure(tune):
    """
    A training job that fails counts, shows its reason, and the others are tried all the same.
    """
    name = tune("0.9", "0.3", static={"fails-above": "0.5"}, MaxParallelTrainingJobs=1)
    tuning = tune.ended(name)
    failed = [one for one in tune.trials(name) if one["TrainingJobStatus"] == "Failed"]

    assert tuning["HyperParameterTuningJobStatus"] == "Completed"
    assert lr_of(tuning["BestTrainingJob"]) == "0.3"
    assert [one["ObjectiveStatus"] for one in failed] == ["Failed"]
    assert failed[0]["FailureReason"] == "AlgorithmError: lr 0.9 is too high, exit code: 1"


def test_a_tuning_job_fails_when_five_training_jobs_did(tune):
    """
    It gives up as AWS does, and says what was wrong with the first.
    """
    lrs = [f"0.{digit}" for digit in range(1, 9)]
    name = tune(*lrs, static={"fails-above": "0"}, MaxParallelTrainingJobs=1)
    tuning = tune.ended(name)
    first = tune.trials(name)[0]

    assert tuning["HyperParameterTuningJobStatus"] == "Failed"
    assert len(tune.trials(name)) == 5
    assert "BestTrainingJob" not in tuning
    assert tuning["FailureReason"] == (
        f"No training job succeeded after 5 attempts. The first that failed,"
        f" {first['TrainingJobName']}: AlgorithmError: lr {lr_of(first)} is too high, exit code: 1"
    )


def test_a_tuning_job_fails_when_nothing_prints_the_objective(tune, tuning_request):
    """
    Training jobs that complete without it are of no use, and the reason names the regex.
    """
    request = tuning_request("0.1", "0.3")
    specification = request["TrainingJobDefinition"]["AlgorithmSpecification"]
    specification["MetricDefinitions"] = [{"Name": "acc", "Regex": "accuracy: ([0-9.]+)"}]
    tuning = tune.ended(tune(request=request))

    assert tuning["HyperParameterTuningJobStatus"] == "Failed"
    assert tuning["TrainingJobStatusCounters"]["Completed"] == 2
    assert tuning["FailureReason"].startswith("No objective metrics found after running 2 training")
    assert "'accuracy: ([0-9.]+)'" in tuning["FailureReason"]


def test_stop_ends_the_training_jobs_too(tune, sagemaker, printed, until):
    """
    Those that run are stopped, with the objective that they had; no more are started.
    """
    name = tune("0.1", "0.2", "0.3", static=PAUSED)
    running = until(lambda: len(tune.trials(name)) == 2 and tune.trials(name))
    for summary in running:
        printed(summary["TrainingJobName"], "acc=")
    sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    tuning = tune.ended(name)

    assert tuning["HyperParameterTuningJobStatus"] == "Stopped"
    assert [one["TrainingJobStatus"] for one in tune.trials(name)] == ["Stopped", "Stopped"]
    assert tuning["ObjectiveStatusCounters"]["Succeeded"] == 2
    assert "FailureReason" not in tuning


def test_a_tuning_job_whose_bucket_goes_fails_and_says_so(tune, s3, bucket, printed, tmp_path):
    """
    What cannot be started any more ends the tuning job; nothing waits for ever.
    """
    gate = tmp_path / "gate"
    name = tune("0.1", "0.3", static={"gate": str(gate)}, MaxParallelTrainingJobs=1)
    printed(tune.first_trial(name), "acc=")
    s3.delete_bucket(Bucket=bucket)
    gate.touch()
    tuning = tune.ended(name)

    assert tuning["HyperParameterTuningJobStatus"] == "Failed"
    assert "ClientError" in tuning["FailureReason"]
    assert bucket in tuning["FailureReason"]
    assert tuning["TrainingJobStatusCounters"]["NonRetryableError"] == 1


def test_what_has_ended_cannot_be_stopped(tune, sagemaker):
    """
    Stop names the status, as it does of training jobs.
    """
    name = tune("0.3")
    tune.ended(name)

    with pytest.raises(ClientError, match=r"the hyperparameter tuning job is in status Completed"):
        sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)


def test_a_good_enough_objective_ends_the_tuning_job(tune):
    """
    When TargetObjectiveMetricValue is reached, what still runs is stopped.
    """
    criteria = {"TuningJobCompletionCriteria": {"TargetObjectiveMetricValue": 0.85}}
    name = tune("0.3", "0.3001", "0.1", static={"epochs": "2"}, config=criteria)
    tuning = tune.ended(name)

    assert tuning["HyperParameterTuningJobStatus"] == "Completed"
    assert objective(tuning["BestTrainingJob"]) >= 0.85


def test_a_poor_trial_is_stopped_early(tune):
    """
    TrainingJobEarlyStoppingType Auto stops it while it trains; its last objective counts.
    """
    static = {"epochs": "200", "pause": "0.1", "pauses-above": "0.8"}
    early = {"TrainingJobEarlyStoppingType": "Auto"}
    lrs = ("0.3", "0.31", "0.29", "0.9")
    name = tune(*lrs, static=static, config=early, MaxParallelTrainingJobs=1)
    tuning = tune.ended(name)

    (stopped,) = tune.trials(name, StatusEquals="Stopped")
    assert lr_of(stopped) == "0.9"
    assert objective(stopped) < 0.5
    assert tuning["HyperParameterTuningJobStatus"] == "Completed"
    assert tuning["ObjectiveStatusCounters"]["Succeeded"] == 4


def test_hyperband_gives_only_some_trials_all_epochs(tune):
    """
    Successive halving stops poor ones at its rungs; MaxResource is the epochs that are static.
    """
    lr = {"Name": "lr", "MinValue": "0.1", "MaxValue": "0.9"}
    config = {
        "Strategy": "Hyperband",
        "RandomSeed": 1,
        "ParameterRanges": {"ContinuousParameterRanges": [lr]},
    }
    static = {"epochs": "9", "pause": "0.05"}
    name = tune(static=static, config=config, MaxNumberOfTrainingJobs=8)
    counted = tune.ended(name)["TrainingJobStatusCounters"]

    assert counted["Stopped"] > 0
    assert counted["Completed"] > 0
    assert counted["Stopped"] + counted["Completed"] == 8


def test_a_training_job_that_was_stopped_counts_with_what_it_had(tune, sagemaker, printed):
    """
    StopTrainingJob ends one trial; the tuning job goes on with its last objective.
    """
    name = tune("0.3", static=PAUSED)
    trial = tune.first_trial(name)
    printed(trial, "acc=")
    sagemaker.stop_training_job(TrainingJobName=trial)
    tuning = tune.ended(name)

    assert tuning["HyperParameterTuningJobStatus"] == "Completed"
    assert tuning["BestTrainingJob"]["TrainingJobStatus"] == "Stopped"
    assert objective(tuning["BestTrainingJob"]) >= 0.9


def test_each_trial_has_checkpoints_of_its_own(tune, printed, s3, bucket):
    """
    Below the tuning job's S3Uri each has its folder, so none goes on from another's.
    """
    checkpoints = {"CheckpointConfig": {"S3Uri": f"s3://{bucket}/checkpoints"}}
    name = tune("0.1", "0.3", definition=checkpoints, MaxParallelTrainingJobs=1)
    tune.ended(name)
    names = [one["TrainingJobName"] for one in tune.trials(name)]

    listed = s3.list_objects_v2(Bucket=bucket, Prefix="checkpoints/")["Contents"]
    assert [one["Key"] for one in listed] == [f"checkpoints/{each}/epoch" for each in names]
    assert all("has-checkpoint=False" in printed(each, "told=")[0] for each in names)


def test_a_trial_on_spot_goes_on_after_an_interruption(tune, printed, interrupt, on_spot, tmp_path):
    """
    It is interrupted as any job on Spot, finds its own checkpoint, and its objective counts.
    """
    gate = tmp_path / "gate"
    name = tune("0.3", static={"gate": str(gate)}, definition=on_spot())
    trial = tune.first_trial(name)
    printed(trial, "acc=")
    interrupt(trial)
    printed(trial, "has-checkpoint=True")
    gate.touch()

    assert tune.ended(name)["ObjectiveStatusCounters"]["Succeeded"] == 1


def test_trials_have_the_tuning_jobs_tags(tune, sagemaker, tuning_request):
    """
    AWS adds the tags of a tuning job to all training jobs that it launches.
    """
    tags = [{"Key": "team", "Value": "vision"}]
    name = tune(request=tuning_request("0.3") | {"Tags": tags})
    arns = [tune.ended(name)["HyperParameterTuningJobArn"], tune.trials(name)[0]["TrainingJobArn"]]

    assert [sagemaker.list_tags(ResourceArn=arn)["Tags"] for arn in arns] == [tags, tags]


def test_environment_and_retries_reach_the_trials(tune, sagemaker):
    """
    What a definition shares with CreateTrainingJob is in every training job's request.
    """
    shared = {"Environment": {"MINE": "1"}, "RetryStrategy": {"MaximumRetryAttempts": 2}}
    name = tune("0.3", definition=shared)
    tune.ended(name)
    job = sagemaker.describe_training_job(TrainingJobName=tune.trials(name)[0]["TrainingJobName"])

    assert {member: job[member] for member in shared} == shared


class TestLists:
    """The lists, as AWS sorts, filters and pages them."""

    @pytest.fixture
    def name(self, tune):
        """A tuning job with a failure among its trials."""
        name = tune("0.1", "0.3", "0.5", "0.9", static={"fails-above": "0.6"})
        tune.ended(name)
        return name

    @pytest.mark.parametrize(
        ("order", "expected"),
        [
            pytest.param("Ascending", [0.7, 0.7, 0.9], id="ascending"),
            pytest.param("Descending", [0.9, 0.7, 0.7], id="descending"),
        ],
    )
    def test_trials_are_sorted_by_their_objective(self, tune, name, order, expected):
        """
        Those without one are left out then.
        """
        found = tune.trials(name, SortBy="FinalObjectiveMetricValue", SortOrder=order)

        assert list(map(objective, found)) == pytest.approx(expected)

    def test_trials_are_filtered_by_status(self, tune, name):
        """
        StatusEquals is the training job's.
        """
        assert [lr_of(one) for one in tune.trials(name, StatusEquals="Failed")] == ["0.9"]

    def test_trials_are_paged(self, tune, name, sagemaker):
        """
        A page at a time, the same trials come once each, by name.
        """
        paginator = sagemaker.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job")
        pages = list(
            paginator.paginate(
                HyperParameterTuningJobName=name,
                SortBy="FinalObjectiveMetricValue",
                PaginationConfig={"PageSize": 2},
            )
        )

        by_objective = tune.trials(name, SortBy="FinalObjectiveMetricValue")
        assert [len(page["TrainingJobSummaries"]) for page in pages] == [2, 1]
        assert [one for page in pages for one in page["TrainingJobSummaries"]] == by_objective

    def test_tuning_jobs_are_listed_with_their_counters(self, name, sagemaker):
        """
        A summary has the strategy, the limits and the counters.
        """
        (found,) = sagemaker.list_hyper_parameter_tuning_jobs(NameContains=name)[
            "HyperParameterTuningJobSummaries"
        ]

        assert found["Strategy"] == "Grid"
        assert found["ResourceLimits"] == {"MaxParallelTrainingJobs": 2}
        assert found["TrainingJobStatusCounters"]["Completed"] == 3
        assert found["ObjectiveStatusCounters"] == {"Succeeded": 3, "Pending": 0, "Failed": 1}

    def test_tuning_jobs_are_filtered_by_status(self, name, sagemaker):
        """
        StatusEquals is the tuning job's.
        """
        listed = partial(sagemaker.list_hyper_parameter_tuning_jobs, NameContains=name)

        assert len(listed(StatusEquals="Completed")["HyperParameterTuningJobSummaries"]) == 1
        assert listed(StatusEquals="Failed")["HyperParameterTuningJobSummaries"] == []


class TestDeletion:
    """What is left when parts of a tuning job are deleted."""

    def test_a_tuning_job_goes_without_its_training_jobs(self, tune, sagemaker):
        """
        As AWS has it, only the entry of the tuning job is deleted.
        """
        name = tune("0.3")
        tune.ended(name)
        job = tune.trials(name)[0]["TrainingJobName"]
        sagemaker.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)

        with pytest.raises(sagemaker.exceptions.ResourceNotFound):
            tune.trials(name)
        assert sagemaker.describe_training_job(TrainingJobName=job)

    def test_one_that_runs_is_not_deleted(self, tune, sagemaker):
        """
        It has to be stopped first.
        """
        name = tune("0.3", static=PAUSED)

        with pytest.raises(sagemaker.exceptions.ResourceInUse, match="InProgress: stop it first"):
            sagemaker.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)

    def test_a_training_job_that_is_deleted_is_still_known(self, tune, sagemaker):
        """
        What it found is the tuning job's.
        """
        name = tune("0.1", "0.3")
        before = tune.ended(name)
        for one in tune.trials(name):
            sagemaker.delete_training_job(TrainingJobName=one["TrainingJobName"])
        after = tune.ended(name)

        assert after["BestTrainingJob"] == before["BestTrainingJob"]
        assert len(tune.trials(name)) == 2


def warm_start(*parents, kind="IdenticalDataAndAlgorithm"):
    parents = [{"HyperParameterTuningJobName": parent} for parent in parents]
    return {"WarmStartConfig": {"ParentHyperParameterTuningJobs": parents, "WarmStartType": kind}}


class TestWarmStart:
    """A tuning job that starts from what others have found."""

    @pytest.fixture
    def parent(self, tune):
        name = tune("0.3", "0.1")
        tune.ended(name)
        return name

    def test_compares_with_its_parents_best(self, tune, tuning_request, parent):
        """
        OverallBestTrainingJob may be a parent's; it says whose.
        """
        tuning = tune.ended(tune(request=tuning_request("0.5", "0.2") | warm_start(parent)))

        assert lr_of(tuning["BestTrainingJob"]) == "0.2"
        assert lr_of(tuning["OverallBestTrainingJob"]) == "0.3"
        assert tuning["OverallBestTrainingJob"]["TuningJobName"] == parent

    def test_does_not_need_its_parent_any_more(self, tune, sagemaker, parent, tmp_path):
        """
        What it learned at the start stays its own when the parent is deleted.
        """
        gate = tmp_path / "gate"
        start = warm_start(parent, kind="TransferLearning")
        request = tune.build("0.5", "0.2", static={"gate": str(gate)}) | start
        name = tune(request=request)
        sagemaker.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName=parent)
        gate.touch()

        assert tune.ended(name)["HyperParameterTuningJobStatus"] == "Completed"

    def test_needs_a_parent_that_has_ended(self, tune, tuning_request, sagemaker):
        """
        One that runs is no starting point.
        """
        running = tune("0.3", static=PAUSED)
        request = tuning_request("0.3", static=PAUSED) | warm_start(running)

        with pytest.raises(ClientError, match="InProgress: a warm start needs one that is"):
            sagemaker.create_hyper_parameter_tuning_job(**request)

    def test_needs_the_same_hyperparameters(self, tuning_request, sagemaker, parent):
        """
        AWS compares the names of all of them, static and tuned.
        """
        request = tuning_request("0.3", static={"epochs": "2"}) | warm_start(parent)

        with pytest.raises(ClientError, match=r"The set of tunable plus static .*: epochs\."):
            sagemaker.create_hyper_parameter_tuning_job(**request)

    def test_needs_the_same_objective(self, tuning_request, sagemaker, parent):
        """
        Maximize and Minimize are not the same either.
        """
        request = tuning_request("0.3") | warm_start(parent)
        config = request["HyperParameterTuningJobConfig"]
        config["HyperParameterTuningJobObjective"] = {"Type": "Minimize", "MetricName": "acc"}

        with pytest.raises(ClientError, match=f"Minimize acc, but Maximize acc in {parent}"):
            sagemaker.create_hyper_parameter_tuning_job(**request)

    def test_needs_the_same_image(self, tuning_request, sagemaker, parent):
        """
        Another algorithm would have other results.
        """
        request = tuning_request("0.3") | warm_start(parent)
        request["TrainingJobDefinition"]["AlgorithmSpecification"]["TrainingImage"] = "other"

        with pytest.raises(ClientError, match="The training image must be the same"):
            sagemaker.create_hyper_parameter_tuning_job(**request)

    def test_may_transfer_to_others(self, tune, tuning_request, parent):
        """
        TransferLearning asks for no likeness, and compares nothing.
        """
        start = warm_start(parent, kind="TransferLearning")
        tuning = tune.ended(tune(request=tuning_request("0.2", static={"epochs": "2"}) | start))

        assert tuning["HyperParameterTuningJobStatus"] == "Completed"
        assert "OverallBestTrainingJob" not in tuning


def test_a_random_search_fills_its_budget(tune):
    """
    As many training jobs as asked for, each with a number from the range.
    """
    lr = {"Name": "lr", "MinValue": "0.1", "MaxValue": "0.5"}
    config = {"Strategy": "Random", "ParameterRanges": {"ContinuousParameterRanges": [lr]}}
    name = tune(config=config, MaxNumberOfTrainingJobs=5)
    tune.ended(name)

    values = {float(lr_of(one)) for one in tune.trials(name)}
    assert len(values) == 5
    assert all(0.1 <= value <= 0.5 for value in values)


def test_answers_fit_awss_output_shapes(tune, fits):
    """
    Members, types, enumerations and what is required: botocore's model of the answers judges.
    """
    name = tune("0.3", "0.9", static={"fails-above": "0.5"})
    described, listed = tune.ended(name), tune.trials(name)

    fits("DescribeHyperParameterTuningJob", described)
    fits("ListTrainingJobsForHyperParameterTuningJob", {"TrainingJobSummaries": listed})


def test_the_log_has_what_the_trial_was_told(tune, printed):
    """
    Every value is a text, as a container of AWS finds it.
    """
    name = tune("0.3", static={"epochs": "2"})
    tune.ended(name)
    line = printed(tune.trials(name)[0]["TrainingJobName"], "told=")[0]

    told = json.loads(line.partition("told=")[2].rpartition(" has-checkpoint")[0])
    assert told == {"lr": "0.3", "epochs": "2", "_tuning_objective_metric": "acc"}
