"""What a training container finds below /opt/ml, file by file."""

import json
from pathlib import Path

from kennel.contract import ContainerPaths
from kennel.local.sagemaker.training import layout

BASE = Path("/opt/ml")
JOB = {
    "TrainingJobName": "job",
    "TrainingJobArn": "arn:aws:sagemaker:us-east-1:000000000000:training-job/job",
    "AlgorithmSpecification": {"TrainingImage": "image", "TrainingInputMode": "File"},
    "HyperParameters": {"lr": "0.1"},
    "ResourceConfig": {"InstanceType": "ml.g5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30},
    "InputDataConfig": [
        {
            "ChannelName": "train",
            "ContentType": "image/jpeg",
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/train"}},
        },
        {
            "ChannelName": "valid",
            "InputMode": "FastFile",
            "DataSource": {
                "S3DataSource": {
                    "S3DataType": "S3Prefix",
                    "S3Uri": "s3://b/valid",
                    "S3DataDistributionType": "ShardedByS3Key",
                }
            },
        },
    ],
    "Environment": {"MINE": "1"},
}


def documents(**changes):
    return layout.documents(JOB | changes, ["localhost"], BASE)


def test_hyperparameters_are_the_requests():
    """
    Every value is a string, as the request has it.
    """
    assert documents()["hyperparameters.json"] == {"lr": "0.1"}


def test_each_channel_is_described():
    """
    inputdataconfig.json tells mode and distribution of every channel, and its content type if any.
    """
    assert documents()["inputdataconfig.json"] == {
        "train": {
            "ContentType": "image/jpeg",
            "TrainingInputMode": "File",
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": "None",
        },
        "valid": {
            "TrainingInputMode": "FastFile",
            "S3DistributionType": "ShardedByS3Key",
            "RecordWrapperType": "None",
        },
    }


def test_the_hosts_are_the_runtimes():
    """
    resourceconfig.json names the hosts that the runtime can resolve, and the instance type.
    """
    config = documents()["resourceconfig.json"]

    assert config["current_host"] == "localhost"
    assert config["hosts"] == ["localhost"]
    assert config["current_instance_type"] == "ml.g5.xlarge"
    assert config["instance_groups"][0]["hosts"] == ["localhost"]


def test_checkpoints_are_where_the_request_says():
    """
    A LocalPath below /opt/ml is told as the container sees it; the default is /opt/ml/checkpoints.
    """
    s3 = {"S3Uri": "s3://b/checkpoints"}
    own = documents(CheckpointConfig={**s3, "LocalPath": "/opt/ml/mine"})
    default = documents(CheckpointConfig=s3)

    assert own["checkpointconfig.json"] == {"LocalPath": "/opt/ml/mine"}
    assert default["checkpointconfig.json"] == {"LocalPath": "/opt/ml/checkpoints"}
    assert "checkpointconfig.json" not in documents()


def test_the_hooks_configuration_is_the_requests():
    """
    debughookconfig.json is the request's part, as smdebug reads it, with the folder to save to.
    """
    hook = {"S3OutputPath": "s3://b/debug", "HookParameters": {"save_interval": "3"}}

    told = documents(DebugHookConfig=hook)["debughookconfig.json"]
    own = documents(DebugHookConfig=hook | {"LocalPath": "/opt/ml/mine"})["debughookconfig.json"]
    assert told == hook | {"LocalPath": "/opt/ml/output/tensors"}
    assert own == hook | {"LocalPath": "/opt/ml/mine"}


def test_smdebug_finds_its_configuration_where_a_process_has_it():
    """
    A process has no /opt/ml, where smdebug looks by itself; a container needs to be told nothing.
    """
    told = layout.elsewhere(Path("/scratch/ml"))

    assert told["SMDEBUG_CONFIG_FILE_PATH"] == "/scratch/ml/input/config/debughookconfig.json"
    assert layout.elsewhere(Path("/opt/ml")) == {}


def test_the_environment_names_the_job_and_reaches_this_server_only():
    """
    The request's own variables come with SageMaker's and with the local endpoint.
    """
    environment = layout.environment(JOB, region="eu-west-1", endpoint_url="http://127.0.0.1:4566")

    assert environment["TRAINING_JOB_NAME"] == "job"
    assert environment["TRAINING_JOB_ARN"] == JOB["TrainingJobArn"]
    assert environment["AWS_REGION"] == "eu-west-1"
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"
    assert environment["MINE"] == "1"


def test_an_images_own_entrypoint_gets_train():
    """
    ``docker run IMAGE train``, unless the request says otherwise.
    """
    specification = JOB["AlgorithmSpecification"]
    own = {"ContainerEntrypoint": ["python", "a.py"]}
    arguments = {"ContainerArguments": ["--fast"]}

    def command(more):
        return layout.command(JOB | {"AlgorithmSpecification": {**specification, **more}})

    assert command({}) == ((), ("train",))
    assert command(own) == (("python", "a.py"), ())
    assert command(arguments) == ((), ("--fast",))
    assert command({**own, **arguments}) == (("python", "a.py"), ("--fast",))


def test_the_folders_are_there_before_the_container_starts(tmp_path):
    """
    Configuration, model and output folders exist, and the files hold JSON.
    """
    paths = layout.write(tmp_path, documents())

    assert paths == ContainerPaths(tmp_path)
    assert paths.model.is_dir()
    assert paths.output_data.is_dir()
    assert json.loads(paths.hyperparameters.read_text()) == {"lr": "0.1"}
