"""
ECR by boto3: on the local server, and on moto as an oracle; and by the AWS CLI.

What is in a repository is asked from a registry: tests/container/test_push.py has one.
"""

import base64
import json
import subprocess
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

MOTO_DIFFERS = {
    "test_repositories_come_a_page_at_a_time[moto]": "moto answers all of them at once",
    "test_a_policy_that_cannot_be_followed_is_refused[moto-priority-twice]": (
        "AWS's documentation: the priority of each rule must be unique"
    ),
    "test_a_token_lets_a_docker_client_in[moto]": "moto's tokens ended in 2015",
}
UNTAGGED = {
    "rulePriority": 1,
    "selection": {
        "tagStatus": "untagged",
        "countType": "sinceImagePushed",
        "countUnit": "days",
        "countNumber": 7,
    },
    "action": {"type": "expire"},
}
ANY = {
    "rulePriority": 2,
    "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 30},
    "action": {"type": "expire"},
}


@pytest.fixture
def ecr(api):
    """A client."""
    return api("ecr")


@pytest.fixture
def name(ecr):
    """A new repository."""
    name = f"test/{uuid.uuid4().hex[:12]}"
    ecr.create_repository(repositoryName=name)
    return name


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]


def test_a_new_repository_is_described_as_it_was_asked_for(ecr):
    """
    The settings of the request, AWS's defaults for the others, and when it was made.
    """
    name = f"test-{uuid.uuid4().hex[:12]}"
    wanted = {
        "imageTagMutability": "IMMUTABLE",
        "imageScanningConfiguration": {"scanOnPush": True},
    }

    made = ecr.create_repository(repositoryName=name, **wanted)["repository"]
    (described,) = ecr.describe_repositories(repositoryNames=[name])["repositories"]

    assert made.items() >= wanted.items()
    assert described == made
    assert made["encryptionConfiguration"] == {"encryptionType": "AES256"}
    assert made["repositoryArn"].endswith(f":{made['registryId']}:repository/{name}")
    assert made["repositoryUri"].endswith(f"/{name}")
    assert abs((made["createdAt"] - datetime.now(UTC)).total_seconds()) < 60


def test_a_plain_repository_has_the_defaults_of_aws(ecr, name):
    """
    Tags that can be overwritten, no scans.
    """
    (found,) = ecr.describe_repositories(repositoryNames=[name])["repositories"]

    assert found["imageTagMutability"] == "MUTABLE"
    assert found["imageScanningConfiguration"] == {"scanOnPush": False}


def test_a_repository_is_made_once(ecr, name):
    """
    The second time is an error, in AWS's words.
    """
    error = refused(ecr.create_repository, repositoryName=name)

    assert error["Code"] == "RepositoryAlreadyExistsException"
    assert error["Message"].startswith(f"The repository with name '{name}' already exists in the")


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda e: refused(e.describe_repositories, repositoryNames=["no"]), id="desc"),
        pytest.param(lambda e: refused(e.get_lifecycle_policy, repositoryName="no"), id="policy"),
        pytest.param(lambda e: refused(e.describe_images, repositoryName="no"), id="images"),
        pytest.param(lambda e: refused(e.list_images, repositoryName="no"), id="list"),
        pytest.param(lambda e: refused(e.delete_repository, repositoryName="no"), id="delete"),
        pytest.param(
            lambda e: refused(
                e.put_image_tag_mutability, repositoryName="no", imageTagMutability="MUTABLE"
            ),
            id="mutability",
        ),
        pytest.param(
            lambda e: refused(
                e.batch_get_image, repositoryName="no", imageIds=[{"imageTag": "latest"}]
            ),
            id="get",
        ),
    ],
)
def test_a_repository_that_is_not_there_is_told(ecr, call):
    """
    With one code, whatever is asked.
    """
    error = call(ecr)

    assert error["Code"] == "RepositoryNotFoundException"
    assert error["Message"].startswith("The repository with name 'no' does not exist in the regis")


def test_a_name_that_is_none_is_refused(ecr):
    """
    Capitals are not allowed; ECR has a code of its own for what a request may not say.
    """
    error = refused(ecr.create_repository, repositoryName="Kennel")

    assert error["Code"] == "InvalidParameterException"


def test_settings_can_be_changed(ecr, name):
    """
    Whether tags can be overwritten, and whether images are scanned.
    """
    ecr.put_image_tag_mutability(repositoryName=name, imageTagMutability="IMMUTABLE")
    ecr.put_image_scanning_configuration(
        repositoryName=name, imageScanningConfiguration={"scanOnPush": True}
    )

    (found,) = ecr.describe_repositories(repositoryNames=[name])["repositories"]
    assert found["imageTagMutability"] == "IMMUTABLE"
    assert found["imageScanningConfiguration"] == {"scanOnPush": True}


def test_a_lifecycle_policy_is_kept_until_it_is_deleted(ecr, name):
    """
    Letter by letter.
    """
    text = json.dumps({"rules": [UNTAGGED, ANY]})

    put = ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=text)
    got = ecr.get_lifecycle_policy(repositoryName=name)
    ecr.delete_lifecycle_policy(repositoryName=name)
    error = refused(ecr.get_lifecycle_policy, repositoryName=name)

    assert put["lifecyclePolicyText"] == got["lifecyclePolicyText"] == text
    assert got["repositoryName"] == name
    assert error["Code"] == "LifecyclePolicyNotFoundException"


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param([UNTAGGED, UNTAGGED], id="priority-twice"),
        pytest.param([{**UNTAGGED, "action": {"type": "keep"}}], id="no-such-action"),
    ],
)
def test_a_policy_that_cannot_be_followed_is_refused(ecr, name, rules):
    """
    And the repository stays without one.
    """
    text = json.dumps({"rules": rules})

    error = refused(ecr.put_lifecycle_policy, repositoryName=name, lifecyclePolicyText=text)

    assert error["Code"] == "InvalidParameterException"
    error = refused(ecr.get_lifecycle_policy, repositoryName=name)
    assert error["Code"] == "LifecyclePolicyNotFoundException"


def test_tags_of_a_repository_come_and_go(ecr):
    """
    With the request, and later.
    """
    name = f"test-{uuid.uuid4().hex[:12]}"
    tags = [{"Key": "team", "Value": "vision"}]
    arn = ecr.create_repository(repositoryName=name, tags=tags)["repository"]["repositoryArn"]

    ecr.tag_resource(resourceArn=arn, tags=[{"Key": "stage", "Value": "test"}])
    both = ecr.list_tags_for_resource(resourceArn=arn)["tags"]
    ecr.untag_resource(resourceArn=arn, tagKeys=["team"])
    one = ecr.list_tags_for_resource(resourceArn=arn)["tags"]

    assert {tag["Key"]: tag["Value"] for tag in both} == {"team": "vision", "stage": "test"}
    assert one == [{"Key": "stage", "Value": "test"}]


def test_repositories_come_a_page_at_a_time(ecr):
    """
    Each once, whatever the size of the pages.
    """
    names = {f"page-{uuid.uuid4().hex[:12]}" for _ in range(5)}
    for name in names:
        ecr.create_repository(repositoryName=name)

    first = ecr.describe_repositories(maxResults=2)
    pages = ecr.get_paginator("describe_repositories").paginate(PaginationConfig={"PageSize": 2})
    found = [one["repositoryName"] for page in pages for one in page["repositories"]]

    assert len(first["repositories"]) == 2
    assert [found.count(name) for name in names] == [1] * 5


def test_a_token_lets_a_docker_client_in(ecr):
    """
    The user AWS and a password, for hours.
    """
    (data,) = ecr.get_authorization_token()["authorizationData"]

    user, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
    assert user == "AWS"
    assert password
    assert data["expiresAt"] > datetime.now(UTC)


def test_the_registry_is_on_this_machine(aws):
    """
    A push never leaves it: neither by the token's address nor by a repository's.
    """
    ecr = aws("ecr", region="eu-west-1")
    made = ecr.create_repository(repositoryName=f"here-{uuid.uuid4().hex[:12]}")["repository"]
    (data,) = ecr.get_authorization_token()["authorizationData"]

    assert made["repositoryUri"].startswith("localhost:5000/")
    assert data["proxyEndpoint"] == "http://localhost:5000"
    assert made["repositoryArn"].startswith("arn:aws:ecr:eu-west-1:000000000000:")


def test_another_accounts_registry_is_not_here(aws):
    """
    The error names its number.
    """
    ecr = aws("ecr")
    name = f"mine-{uuid.uuid4().hex[:12]}"
    ecr.create_repository(repositoryName=name)

    error = refused(ecr.describe_repositories, registryId="123456789012", repositoryNames=[name])

    assert error["Code"] == "RepositoryNotFoundException"
    assert error["Message"].endswith("the registry with id '123456789012'")


def test_the_aws_cli_makes_a_repository_and_gets_a_password(server_environment):
    """
    The commands that AWS's documentation gives for a push.
    """
    name = f"cli-{uuid.uuid4().hex[:12]}"

    def run(*arguments):
        command = [sys.executable, Path(sys.executable).with_name("aws"), "ecr", *arguments]
        return subprocess.run(  # noqa: S603
            command, env=server_environment, capture_output=True, text=True, check=True, timeout=120
        ).stdout

    made = json.loads(run("create-repository", "--repository-name", name))
    login = run("get-login-password").strip()

    assert made["repository"]["repositoryUri"] == f"localhost:5000/{name}"
    assert login == "kennel-local"
