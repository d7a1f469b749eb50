"""Requests say what the user means, and AWS would accept them."""

import dataclasses

import pytest

from kennel import contract
from kennel.errors import HyperparameterError
from kennel.jobs import requests
from kennel.jobs.requests import Instances, TrainingJob, Variant

ROLE = "arn:aws:iam::123456789012:role/kennel"
JOB = TrainingJob(
    image="123456789012.dkr.ecr.eu-west-1.amazonaws.com/train@sha256:" + "0" * 64,
    role=ROLE,
    channels={"train": "s3://bucket/data/train/", "valid": "s3://bucket/data/valid/"},
    output="s3://bucket/jobs",
    instances=Instances("ml.g5.xlarge"),
    hyperparameters={"epochs": 3, "lr": 1e-3, "freeze": True},
    tags={"model": "resnet18"},
)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="plain"),
        pytest.param({"max_wait_s": 172800}, id="spot"),
        pytest.param({"checkpoints": "s3://bucket/checkpoints/job"}, id="checkpoints"),
        pytest.param({"environment": {"NCCL_DEBUG": "INFO"}}, id="environment"),
        pytest.param({"instances": Instances("ml.g5.xlarge", 2, 100, 600)}, id="warm-and-many"),
    ],
)
def test_a_training_job_is_a_valid_create_training_job(valid_request, changes):
    """
    Whatever a training job asks for, AWS accepts the request.
    """
    job = dataclasses.replace(JOB, **changes)

    valid_request("CreateTrainingJob", requests.training_job(job, name="kennel-1"))


def test_hyperparameters_are_strings_as_json_writes_them():
    """
    SageMaker takes only strings: 3 becomes "3" and True "true".
    """
    request = requests.training_job(JOB, name="kennel-1")

    assert request["HyperParameters"] == {"epochs": "3", "lr": "0.001", "freeze": "true"}


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({f"h{n}": 1 for n in range(contract.MAX_HYPERPARAMETERS + 1)}, id="too-many"),
        pytest.param({"h" * 257: 1}, id="long-name"),
        pytest.param({"h": "x" * 2501}, id="long-value"),
    ],
)
def test_what_sagemaker_would_refuse_is_refused_here(values):
    """
    The limits of CreateTrainingJob are judged before anything is uploaded.
    """
    with pytest.raises(HyperparameterError, match="at most"):
        requests.hyperparameters(values)


def test_spot_is_asked_for_by_a_time_to_wait():
    """
    A job that may wait is a Spot job; one that may not is on demand.
    """
    spot = requests.training_job(dataclasses.replace(JOB, max_wait_s=7200), name="kennel-1")
    demand = requests.training_job(JOB, name="kennel-1")

    assert spot["EnableManagedSpotTraining"] is True
    assert spot["StoppingCondition"]["MaxWaitTimeInSeconds"] == 7200
    assert "EnableManagedSpotTraining" not in demand


def test_a_resumed_job_is_the_other_with_its_checkpoints(valid_request):
    """
    All that the other's request said holds, but its name and what is changed.
    """
    job = dataclasses.replace(JOB, checkpoints="s3://bucket/checkpoints/kennel-1", max_wait_s=99999)
    before = requests.training_job(job, name="kennel-1")
    described = {
        **before,
        "OutputDataConfig": {**before["OutputDataConfig"], "KmsKeyId": ""},
        "TrainingJobStatus": "Stopped",
        "ModelArtifacts": {"S3ModelArtifacts": "s3://bucket/model.tar.gz"},
    }

    request = requests.resumed(described, name="kennel-2", changed={"epochs": "9"})

    valid_request("CreateTrainingJob", request)
    differing = {key for key in before | request if before.get(key) != request.get(key)}
    assert differing == {"TrainingJobName", "HyperParameters", "Tags"}
    assert request["HyperParameters"] == {**before["HyperParameters"], "epochs": "9"}


def test_a_job_like_another_begins_anew(valid_request):
    """
    With the other's data, image and machines; not with its checkpoints, from which it would go on,
    nor with features, which may be others with what is changed.
    """
    channels = {**JOB.channels, "features": "s3://bucket/checkpoints/kennel-0/features"}
    job = dataclasses.replace(
        JOB, channels=channels, checkpoints="s3://bucket/checkpoints/kennel-0"
    )
    described = {**requests.training_job(job, name="kennel-1"), "TrainingJobStatus": "Completed"}

    request = requests.like(described, name="kennel-2", changed={"workers": "1"})

    valid_request("CreateTrainingJob", request)
    assert request["CheckpointConfig"] == {"S3Uri": "s3://bucket/checkpoints/kennel-2"}
    assert [one["ChannelName"] for one in request["InputDataConfig"]] == list(JOB.channels)
    assert request["HyperParameters"] == {**described["HyperParameters"], "workers": "1"}
    for member in ("AlgorithmSpecification", "ResourceConfig", "RoleArn", "StoppingCondition"):
        assert request[member] == described[member]


def test_metrics_are_the_contracts():
    """
    SageMaker reads out of the log what the training room prints, by the regexes of the contract.
    """
    request = requests.training_job(JOB, name="kennel-1")

    defined = {
        m["Name"]: m["Regex"] for m in request["AlgorithmSpecification"]["MetricDefinitions"]
    }
    assert defined == contract.METRIC_DEFINITIONS


def test_a_job_without_extras_asks_for_none():
    """
    No environment, checkpoints or warm pool: no such members in the request.
    """
    request = requests.training_job(JOB, name="kennel-1")

    assert request.keys().isdisjoint({"Environment", "CheckpointConfig"})
    assert "KeepAlivePeriodInSeconds" not in request["ResourceConfig"]


def test_a_deployment_is_three_valid_requests(valid_request):
    """
    Model, endpoint config and endpoint, and the update of one that is there.
    """
    marks = {"endpoint": "kennel"}
    variant = Variant("ml.m5.large", startup_timeout_s=900)
    model = requests.model("v1", image="i:1", role=ROLE, artifact="s3://b/m.tar.gz", marks=marks)

    valid_request("CreateModel", model)
    config = requests.endpoint_config("v1", model="v1", variant=variant, marks=marks)
    valid_request("CreateEndpointConfig", config)
    valid_request("CreateEndpoint", requests.endpoint("e", config="v1", marks=marks))
    valid_request("UpdateEndpoint", requests.endpoint_update("e", config="v1"))
    valid_request("DeleteObjects", requests.object_deletion("b", keys=["a"]), service="s3")


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        pytest.param(Variant("ml.m5.large"), None, id="cpu"),
        pytest.param(Variant("ml.g4dn.xlarge"), requests.CUDA_12_AMI, id="old-driver"),
        pytest.param(Variant("ml.g6.xlarge"), None, id="new-driver"),
        pytest.param(
            Variant("ml.g5.xlarge", ami_version="al2-ami-sagemaker-inference-gpu-2-1"),
            "al2-ami-sagemaker-inference-gpu-2-1",
            id="as-set",
        ),
    ],
)
def test_a_gpu_host_gets_a_driver_that_runs_cuda_12(valid_request, variant, expected):
    """
    g4dn, g5 and p4d start on driver 470 unless told otherwise, and the endpoint would hang.
    """
    request = requests.endpoint_config("v1", model="v1", variant=variant, marks={})

    (production,) = request["ProductionVariants"]
    assert production.get("InferenceAmiVersion") == expected
    valid_request("CreateEndpointConfig", request)


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        pytest.param("us-east-1", {"Bucket": "b-1"}, id="us-east-1"),
        pytest.param(
            "eu-west-1",
            {"Bucket": "b-1", "CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"}},
            id="elsewhere",
        ),
    ],
)
def test_a_bucket_names_its_region_except_the_first(valid_request, region, expected):
    """
    CreateBucket refuses us-east-1 as a location and needs every other.
    """
    request = requests.bucket("b-1", region=region)

    assert request == expected
    valid_request("CreateBucket", request, service="s3")


def test_an_invocation_is_valid(valid_request):
    """
    A picture goes as it is, and the number of classes in the one header that may carry it.
    """
    request = requests.invocation("kennel", body=b"x", content_type="image/png", top=3)

    valid_request("InvokeEndpoint", request, service="sagemaker-runtime")
    assert request["CustomAttributes"] == "top_k=3"
