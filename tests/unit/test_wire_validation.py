"""Requests are judged by AWS's own service model, in AWS's own words."""

import pytest

from kennel.local.wire.errors import ApiError
from kennel.local.wire.models import pattern, service_model
from kennel.local.wire.validation import validate

CHANNEL = {
    "ChannelName": "train",
    "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/train"}},
}
JOB = {
    "TrainingJobName": "job",
    "RoleArn": "arn:aws:iam::000000000000:role/sagemaker",
    "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
    "InputDataConfig": [CHANNEL],
}


def judged(request, operation="CreateTrainingJob", service="sagemaker"):
    shape = service_model(service).operation_model(operation).input_shape
    with pytest.raises(ApiError) as caught:
        validate(request, shape)
    assert caught.value.code == "ValidationException"
    return caught.value.message


def test_a_valid_request_passes():
    """
    What AWS's model allows is not refused.
    """
    validate(JOB, service_model("sagemaker").operation_model("CreateTrainingJob").input_shape)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(
            {"TrainingJobName": "my_job"},
            "Value 'my_job' at 'trainingJobName' failed to satisfy constraint: Member must satisfy"
            " regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}",
            id="pattern",
        ),
        pytest.param(
            {"RoleArn": JOB["RoleArn"] + "x" * 2049},
            "Member must have length less than or equal to 2048",
            id="longest",
        ),
        pytest.param(
            {"InputDataConfig": [{**CHANNEL, "CompressionType": "zip"}]},
            "Value 'zip' at 'inputDataConfig.1.member.compressionType' failed to satisfy"
            " constraint: Member must satisfy enum value set: [None, Gzip]",
            id="enum in a list",
        ),
        pytest.param(
            {"OutputDataConfig": {}},
            "Value null at 'outputDataConfig.s3OutputPath' failed to satisfy constraint:"
            " Member must not be null",
            id="missing",
        ),
        pytest.param(
            {"HyperParameters": {"lr": "1" * 2501}},
            "at 'hyperParameters' failed to satisfy constraint: Map value must satisfy constraint:"
            " [Member must have length less than or equal to 2500]",
            id="map value",
        ),
        pytest.param(
            {"HyperParameters": {"k" * 257: "1"}},
            "Map keys must satisfy constraint: [Member must have length less than or equal to 256]",
            id="map key",
        ),
        pytest.param(
            {"HyperParameters": {str(i): "1" for i in range(101)}},
            "Member must have length less than or equal to 100",
            id="map size",
        ),
        pytest.param(
            {"RetryStrategy": {"MaximumRetryAttempts": 31}},
            "Value '31' at 'retryStrategy.maximumRetryAttempts' failed to satisfy constraint:"
            " Member must have value less than or equal to 30",
            id="largest number",
        ),
        pytest.param({"Colour": "red"}, "Value 'red' at 'colour' failed", id="unknown member"),
    ],
)
def test_each_broken_constraint_is_named_as_aws_names_it(change, expected):
    """
    One error: the value found, where it stands, the constraint.
    """
    message = judged({**JOB, **change})

    assert message.startswith("1 validation error detected: ")
    assert expected in message


def test_every_finding_is_reported_at_once():
    """
    Two mistakes are two findings in one answer.
    """
    message = judged({**JOB, "TrainingJobName": "a_b", "RoleArn": "arn"})

    assert message.startswith("3 validation errors detected: ")  # the role is short and no ARN
    assert "trainingJobName" in message
    assert "roleArn" in message


def test_a_pattern_holds_for_the_whole_text():
    """
    A name that starts well and ends in a line break is refused.
    """
    assert "regular expression" in judged({**JOB, "TrainingJobName": "job\n"})


def test_what_only_java_understands_is_skipped():
    """
    Most patterns compile; one with Java's Unicode classes is no reason to refuse anything.
    """
    model = service_model("sagemaker")
    texts = {
        shape.metadata["pattern"]
        for shape in map(model.shape_for, model.shape_names)
        if "pattern" in shape.metadata
    }

    assert pattern(r"[\p{L}]*") is None
    assert sum(pattern(text) is None for text in texts) < len(texts) / 20
