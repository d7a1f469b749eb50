"""What CreateHyperParameterTuningJob refuses, in AWS's words where known; no job is left."""

import pytest
from botocore.exceptions import ClientError


def tuning_config(request):
    return request["HyperParameterTuningJobConfig"]


def definition(request):
    return request["TrainingJobDefinition"]


def integer(low, high):
    return {"IntegerParameterRanges": [{"Name": "lr", "MinValue": low, "MaxValue": high}]}


def continuous(low, high, **more):
    lr = {"Name": "lr", "MinValue": low, "MaxValue": high, **more}
    return {"ContinuousParameterRanges": [lr]}


def unknown_metric(request):
    tuning_config(request)["HyperParameterTuningJobObjective"]["MetricName"] = "f1"


def no_metrics(request):
    del definition(request)["AlgorithmSpecification"]["MetricDefinitions"]


def broken_regex(request):
    specification = definition(request)["AlgorithmSpecification"]
    specification["MetricDefinitions"][0]["Regex"] = "acc=(["


def static_and_tuned(request):
    definition(request)["StaticHyperParameters"] = {"lr": "0.1"}


def reserved_name(request):
    definition(request)["StaticHyperParameters"] = {"_tuning_objective_metric": "acc"}


def too_many_hyperparameters(request):
    definition(request)["StaticHyperParameters"] = {f"h{number}": "1" for number in range(99)}


def more_parallel_than_jobs(request):
    limits = {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 3}
    tuning_config(request)["ResourceLimits"] = limits


def random_within(ranges, jobs=None):
    def change(request):
        tuning_config(request).update(Strategy="Random", ParameterRanges=ranges)
        if jobs is not None:
            tuning_config(request)["ResourceLimits"]["MaxNumberOfTrainingJobs"] = jobs

    return change


def no_bucket(request):
    definition(request)["OutputDataConfig"] = {"S3OutputPath": "s3://no-such-bucket/output"}


def no_input(request):
    bucket = definition(request)["OutputDataConfig"]["S3OutputPath"].removesuffix("/output")
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"{bucket}/nothing"}}
    definition(request)["InputDataConfig"] = [{"ChannelName": "train", "DataSource": source}]


def no_instances(request):
    del definition(request)["ResourceConfig"]


def no_definition(request):
    del request["TrainingJobDefinition"]


def several_definitions(request):
    request["TrainingJobDefinitions"] = [request.pop("TrainingJobDefinition")]


def autotune(request):
    request["Autotune"] = {"Mode": "Enabled"}


def no_ranges(request):
    del tuning_config(request)["ParameterRanges"]


def objective_of_its_own(request):
    objective = {"Type": "Maximize", "MetricName": "acc"}
    definition(request)["TuningObjective"] = objective


def unknown_parent(request):
    parent = {"HyperParameterTuningJobName": "no-such-job"}
    request["WarmStartConfig"] = {
        "ParentHyperParameterTuningJobs": [parent],
        "WarmStartType": "TransferLearning",
    }


def long_name(request):
    request["HyperParameterTuningJobName"] = "n" * 33


def grid_of_numbers(request):
    tuning_config(request)["ParameterRanges"] = continuous("0.1", "0.5")


def hyperband_without_resource(request):
    random_within(continuous("0.1", "0.5"), jobs=3)(request)
    tuning_config(request)["Strategy"] = "Hyperband"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(
            unknown_metric,
            "A metric is required for this hyperparameter tuning job objective",
            id="unknown-metric",
        ),
        pytest.param(no_metrics, "'acc' is none of them (none)", id="no-metrics"),
        pytest.param(broken_regex, "The regex of metric 'acc' does not compile", id="broken-regex"),
        pytest.param(static_and_tuned, "lr", id="static-and-tuned"),
        pytest.param(reserved_name, "_tuning_objective_metric is reserved", id="reserved-name"),
        pytest.param(
            too_many_hyperparameters,
            "would have 101 hyperparameters",
            id="too-many-hyperparameters",
        ),
        pytest.param(
            more_parallel_than_jobs,
            "MaxParallelTrainingJobs (3) cannot be greater than",
            id="more-parallel-than-jobs",
        ),
        pytest.param(random_within(continuous("0.5", "0.1"), jobs=3), "lr", id="empty-range"),
        pytest.param(random_within(continuous("low", "0.1"), jobs=3), "low", id="no-number"),
        pytest.param(
            random_within(continuous("0", "0.1", ScalingType="Logarithmic"), jobs=3),
            "Logarithmic",
            id="no-logarithm-of-zero",
        ),
        pytest.param(
            random_within(integer("1", "3"), jobs=10),
            "[3] must be equal or greater than the value of MaxNumberOfJobs, [10]",
            id="too-few-combinations",
        ),
        pytest.param(
            random_within(continuous("0.1", "0.5")), "MaxNumberOfTrainingJobs", id="no-end"
        ),
        pytest.param(grid_of_numbers, "Grid", id="grid-of-numbers"),
        pytest.param(hyperband_without_resource, "MaxResource", id="hyperband-without-resource"),
        pytest.param(
            no_bucket, "The bucket of 's3://no-such-bucket/output' does not exist", id="no-bucket"
        ),
        pytest.param(no_input, "No S3 objects found under S3 URL", id="no-input"),
        pytest.param(
            no_instances,
            "Value null at 'resourceConfig' failed to satisfy constraint",
            id="no-instances",
        ),
        pytest.param(
            no_definition, "Value null at 'trainingJobDefinition' failed", id="no-definition"
        ),
        pytest.param(
            several_definitions,
            "TrainingJobDefinitions is not in local mode",
            id="several-definitions",
        ),
        pytest.param(autotune, "Autotune is not in local mode", id="autotune"),
        pytest.param(
            no_ranges,
            "Value null at 'hyperParameterTuningJobConfig.parameterRanges' failed",
            id="no-ranges",
        ),
        pytest.param(
            objective_of_its_own,
            "TuningObjective is for a list of TrainingJobDefinitions",
            id="objective-elsewhere",
        ),
        pytest.param(
            unknown_parent,
            'Could not find hyperparameter tuning job "arn:aws:sagemaker:us-east-1:',
            id="unknown-parent",
        ),
        pytest.param(long_name, "Member must have length less than or equal to 32", id="long-name"),
    ],
)
def test_impossible_requests_are_refused(sagemaker, tuning_request, change, words):
    """
    The error says what is wrong, and there is no tuning job afterwards.
    """
    request = tuning_request("0.1", "0.3")
    change(request)

    with pytest.raises(ClientError) as caught:
        sagemaker.create_hyper_parameter_tuning_job(**request)

    error, name = caught.value.response["Error"], request["HyperParameterTuningJobName"]
    assert error["Code"] == "ValidationException"
    assert words in error["Message"]
    assert not sagemaker.list_hyper_parameter_tuning_jobs(NameContains=name)[
        "HyperParameterTuningJobSummaries"
    ]


def limited(**limits):
    def change(request):
        random_within(continuous("0.1", "0.5"))(request)
        tuning_config(request)["ResourceLimits"] = limits

    return change


def large_grid(request):
    names = ("lr", "momentum")
    values = [str(number) for number in range(28)]
    ranges = [{"Name": name, "Values": values} for name in names]
    tuning_config(request)["ParameterRanges"] = {"CategoricalParameterRanges": ranges}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(
            limited(MaxNumberOfTrainingJobs=751, MaxParallelTrainingJobs=1),
            "MaxNumberOfTrainingJobs: 751 training jobs are asked for, and 750",
            id="jobs",
        ),
        pytest.param(
            limited(MaxNumberOfTrainingJobs=200, MaxParallelTrainingJobs=101),
            "MaxParallelTrainingJobs: 101 training jobs are asked for, and 100",
            id="parallel",
        ),
        pytest.param(large_grid, "784 training jobs are asked for", id="grid"),
    ],
)
def test_no_more_is_searched_than_aws_has_quotas_for(sagemaker, tuning_request, change, words):
    """
    Each training job that waits is a thread of the server, too.
    """
    request = tuning_request("0.1")
    change(request)

    with pytest.raises(sagemaker.exceptions.ResourceLimitExceeded) as caught:
        sagemaker.create_hyper_parameter_tuning_job(**request)
    assert words in caught.value.response["Error"]["Message"]


@pytest.fixture
def code_of():
    """Return the error code of a call."""

    def code(call, **params):
        with pytest.raises(ClientError) as caught:
            call(**params)
        return caught.value.response["Error"]["Code"]

    return code


def test_errors_about_names_have_awss_codes(api, tuning_request, code_of, until):
    """
    A name is taken once; what is not there is ResourceNotFound.
    """
    client = api("sagemaker")
    request = tuning_request("0.3")
    name = {"HyperParameterTuningJobName": request["HyperParameterTuningJobName"]}
    assert code_of(client.describe_hyper_parameter_tuning_job, **name) == "ResourceNotFound"
    client.create_hyper_parameter_tuning_job(**request)

    assert code_of(client.create_hyper_parameter_tuning_job, **request) == "ResourceInUse"
    described = client.describe_hyper_parameter_tuning_job
    until(lambda: described(**name)["HyperParameterTuningJobStatus"] == "Completed")
    client.delete_hyper_parameter_tuning_job(**name)
    assert code_of(described, **name) == "ResourceNotFound"
    assert code_of(client.delete_hyper_parameter_tuning_job, **name) == "ResourceNotFound"
