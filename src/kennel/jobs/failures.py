"""
What an AWS error means for the user, and what to try.

Pure: a botocore error in, one of ours out. ``explained`` is where commands catch them.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)

from kennel.errors import JobError, KennelError, LocalServerError, RegionError, SettingsError

LOOPBACK = {"127.0.0.1", "localhost", "::1"}
MAKE_ROLE = (
    "make a role that sagemaker.amazonaws.com may assume, with AmazonSageMakerFullAccess and "
    "access to the bucket (IAM console: Roles, Create role, AWS service, SageMaker), and put its "
    "ARN into [aws] role of kennel.toml or into KENNEL_AWS_ROLE"
)
DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403", "Forbidden"}
_OLD, _UNKNOWN = "the credentials have expired", "AWS does not know the credentials"
CREDENTIALS = {
    "ExpiredToken": _OLD,
    "ExpiredTokenException": _OLD,
    "RequestExpired": _OLD,
    "InvalidAccessKeyId": _UNKNOWN,
    "InvalidClientTokenId": _UNKNOWN,
    "InvalidSignatureException": _UNKNOWN,
    "SignatureDoesNotMatch": _UNKNOWN,
    "UnrecognizedClientException": _UNKNOWN,
}
THROTTLED = {
    "RequestLimitExceeded",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}
QUOTA = (
    "a quota above 0 for this instance type, for this use, in this region",
    "the Service Quotas console (Amazon SageMaker), or another instance_type in kennel.toml",
)
TUNING_QUOTA = (
    "what the account's quotas allow: of instances, of trials in all and at a time",
    "fewer at a time (--parallel), fewer in all (--max-jobs), or the Service Quotas console",
)
WITHOUT_AWS = "or without AWS: make … LOCAL=1, or kennel local run -- kennel …"
LOGIN = "aws sso login, or new access keys for the profile in use (aws sts get-caller-identity)"


@contextmanager
def explained() -> Iterator[None]:
    """Turn botocore's errors into ours, with a remedy."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise explain(error) from error


def explain(error: ClientError | BotoCoreError) -> KennelError:
    """Return the error that says what is wrong and what to try."""
    if isinstance(error, ClientError):
        return _answered(error)
    return _unanswered(error)


def code_of(error: ClientError) -> str:
    """Return AWS's code, e.g. ``ValidationException``."""
    return str(error.response.get("Error", {}).get("Code", "unknown"))


def message_of(error: ClientError) -> str:
    """Return AWS's text."""
    return str(error.response.get("Error", {}).get("Message", error))


def is_missing(error: ClientError) -> bool:
    """Say whether AWS answered that a thing does not exist, in any of the ways it has for that."""
    if code_of(error) in {"404", "NoSuchKey", "NoSuchBucket", "NotFound"}:
        return True
    if code_of(error) in {"ResourceNotFound", "ResourceNotFoundException"}:
        return True
    said = message_of(error).lower()
    return code_of(error) in {"ValidationException", "ValidationError"} and (
        "could not find" in said or "not found" in said or "does not exist" in said
    )


def _answered(error: ClientError) -> KennelError:
    code, message, operation = code_of(error), message_of(error), error.operation_name
    if code in DENIED or "is not authorized to perform" in message:
        return _denied(operation, message)
    if "could not assume role" in message.lower():
        return SettingsError(f"{operation}: {message}", remedy=MAKE_ROLE)
    if code in CREDENTIALS:
        return SettingsError(f"{operation}: {CREDENTIALS[code]}", remedy=LOGIN)
    if code == "ModelError":
        return _said(error.response.get("OriginalMessage") or message)
    expected, remedy = _advice(error)
    return JobError(f"{operation}: {code}: {message}", expected=expected, remedy=remedy)


def _said(body: str) -> KennelError:
    """Return what a container has answered: in the words of kennel.serving, if they are its."""
    try:
        said = json.loads(body)
        problem = str(said["error"])
    except (ValueError, TypeError, KeyError):
        return JobError(f"the endpoint's container answered: {body}")
    parts = {"expected": said.get("expected"), "remedy": said.get("try")}
    return JobError(problem, **{name: str(text) for name, text in parts.items() if text})


def _advice(error: ClientError) -> tuple[str, str]:
    """Return what was expected and what to try."""
    code = code_of(error)
    if code == "ResourceLimitExceeded":
        return TUNING_QUOTA if "HyperParameterTuning" in error.operation_name else QUOTA
    if code == "ResourceInUse":
        lists = "tuning list" if "HyperParameterTuning" in error.operation_name else "jobs"
        return "a name that is not taken", f"another --name; kennel {lists} lists those that are"
    if code in THROTTLED:
        return "fewer requests at a time", "the same again in a minute"
    if is_missing(error):
        return "", _where_it_may_be(message_of(error).lower())
    return "", ""


def _where_it_may_be(said: str) -> str:
    if "model data" in said:
        return "another job (kennel jobs lists them), or the s3:// address of a model.tar.gz"
    if "endpoint" in said:
        return "kennel deploy, or another --endpoint"
    return "kennel jobs, and the region and the names in kennel.toml"


def _denied(operation: str, message: str) -> KennelError:
    if "iam:PassRole" in message:
        return SettingsError(
            f"{operation}: you may not hand the role to SageMaker: {message}",
            expected="iam:PassRole on that role in the policy of the user who starts the job",
            remedy=f"let an administrator add it; or, if the role is a wrong one, {MAKE_ROLE}",
        )
    return SettingsError(
        f"{operation}: access denied: {message}",
        expected=f"credentials that may call {operation}",
        remedy="aws sts get-caller-identity shows whose credentials these are",
    )


def _unanswered(error: BotoCoreError) -> KennelError:
    match error:
        case NoCredentialsError() | PartialCredentialsError():
            remedy = f"aws configure, or aws sso login; {WITHOUT_AWS}"
        case SSOError() | TokenRetrievalError():
            remedy = "aws sso login"
        case ProfileNotFound():
            remedy = "aws configure list-profiles, and AWS_PROFILE"
        case NoRegionError():
            return no_region()
        case ParamValidationError():
            remedy = "the values in kennel.toml and on the command line"
        case _:
            return _no_connection(error)
    return SettingsError(str(error), remedy=remedy)


def _no_connection(error: BotoCoreError) -> KennelError:
    url = str(getattr(error, "kwargs", {}).get("endpoint_url", ""))
    if urlsplit(url).hostname in LOOPBACK:
        return LocalServerError(
            f"nothing answers at {url}", remedy="kennel local start (kennel local status)"
        )
    return JobError(
        f"AWS cannot be reached: {error}", remedy="check the network, and the region in kennel.toml"
    )


def no_region() -> RegionError:
    """Return what to say where no region is known."""
    return RegionError(
        "no AWS region is set",
        expected="the region that your bucket, images and quotas are in, e.g. eu-west-1",
        remedy=f"[aws] region in kennel.toml, or KENNEL_AWS_REGION, or AWS_REGION; {WITHOUT_AWS}",
    )
