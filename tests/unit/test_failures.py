"""Every AWS error that people meet says what to try."""

import pytest
from botocore import exceptions
from botocore.exceptions import ClientError

from kennel.errors import JobError, LocalServerError, RegionError, SettingsError
from kennel.jobs import failures

NOT_HANDED_ON = (
    "User: arn:aws:iam::123456789012:user/me is not authorized to perform: iam:PassRole on "
    "resource: arn:aws:iam::123456789012:role/kennel"
)


def answered(code, message, operation="CreateTrainingJob"):
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        pytest.param(
            answered("AccessDeniedException", NOT_HANDED_ON),
            SettingsError,
            "iam:PassRole on that role",
            id="pass-role",
        ),
        pytest.param(
            answered("AccessDenied", "no"),
            SettingsError,
            "aws sts get-caller-identity",
            id="denied",
        ),
        pytest.param(
            answered("ValidationException", "Could not assume role arn:…"),
            SettingsError,
            "sagemaker.amazonaws.com",
            id="trust",
        ),
        pytest.param(answered("ExpiredToken", "x"), SettingsError, "aws sso login", id="expired"),
        pytest.param(
            answered("UnrecognizedClientException", "x"), SettingsError, "aws sso login", id="keys"
        ),
        pytest.param(
            answered("ResourceLimitExceeded", "limit is 0 Instances"),
            JobError,
            "Service Quotas",
            id="quota",
        ),
        pytest.param(answered("ResourceInUse", "taken"), JobError, "kennel jobs", id="name-taken"),
        pytest.param(
            answered("ResourceInUse", "taken", "CreateHyperParameterTuningJob"),
            JobError,
            "kennel tuning list",
            id="tuning-name-taken",
        ),
        pytest.param(
            answered("ThrottlingException", "Rate exceeded"),
            JobError,
            "in a minute",
            id="throttled",
        ),
        pytest.param(
            answered("ValidationException", 'Could not find endpoint "x"'),
            JobError,
            "another --endpoint",
            id="missing",
        ),
        pytest.param(
            answered("ValidationException", "Could not find model data at s3://b/m.tar.gz."),
            JobError,
            "another job (kennel jobs",
            id="no-model",
        ),
        pytest.param(
            answered("ResourceNotFound", "no such job"), JobError, "kennel jobs", id="no-job"
        ),
        pytest.param(
            answered("NotInLocalMode", "not in local mode: X"),
            JobError,
            "not in local mode",
            id="any",
        ),
        pytest.param(
            exceptions.NoCredentialsError(), SettingsError, "kennel local run", id="no-credentials"
        ),
        pytest.param(
            exceptions.ProfileNotFound(profile="x"), SettingsError, "list-profiles", id="profile"
        ),
        pytest.param(exceptions.NoRegionError(), RegionError, "KENNEL_AWS_REGION", id="region"),
        pytest.param(
            exceptions.UnauthorizedSSOTokenError(), SettingsError, "aws sso login", id="sso"
        ),
        pytest.param(
            exceptions.EndpointConnectionError(endpoint_url="http://127.0.0.1:4510/"),
            LocalServerError,
            "kennel local start",
            id="no-local-server",
        ),
        pytest.param(
            exceptions.EndpointConnectionError(endpoint_url="https://sagemaker.x.amazonaws.com/"),
            JobError,
            "check the network",
            id="no-network",
        ),
    ],
)
def test_an_error_says_what_to_try(error, kind, says):
    """
    Each has the class that callers handle, and a remedy.
    """
    explained = failures.explain(error)

    assert type(explained) is kind
    assert says in str(explained)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(
            '{"error": "not an image", "expected": "JPEG", "try": "another"}',
            "not an image\n  expected: JPEG\n  try: another",
            id="kennels",
        ),
        pytest.param("busy", "the endpoint's container answered: busy", id="text"),
        pytest.param("[1]", "the endpoint's container answered: [1]", id="json"),
    ],
)
def test_what_a_container_said_is_passed_on(body, expected):
    """
    A model error shows the container's own words, not SageMaker's wrapping.
    """
    response = {
        "Error": {"Code": "ModelError", "Message": "Received client error (400) from …"},
        "OriginalMessage": body,
    }

    explained = failures.explain(ClientError(response, "InvokeEndpoint"))

    assert str(explained) == expected


def test_a_bug_keeps_its_traceback():
    """
    Only botocore's errors are turned into ours.
    """
    with pytest.raises(KeyError), failures.explained():
        raise KeyError
