"""
ECR: what a push asks of it, and what it says is there.

Layers are moved by Docker (scripts/push_ecr.sh). Which pushed image a job takes stands in
``images``.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from kennel.errors import JobError
from kennel.jobs.clients import Client
from kennel.jobs.failures import code_of
from kennel.jobs.plan import Call
from kennel.jobs.requests import Request

KEEP_IMAGES = 100
KEEP_UNTAGGED_DAYS = 7
MISSING = {"RepositoryNotFoundException", "ImageNotFoundException"}

Answer = dict[str, Any]


@dataclass(frozen=True)
class Login:
    """What a Docker client logs in with."""

    registry: str
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Pushed:
    """
    An image that is in ECR.

    Args:
        config: Digest of its configuration, which is how most engines identify it; empty for an
            index of several images.
    """

    digest: str
    config: str


def repository(name: str) -> Request:
    """Build the ``CreateRepository`` request: tags stay, and images are scanned."""
    return {
        "repositoryName": name,
        "imageTagMutability": "IMMUTABLE",
        "imageScanningConfiguration": {"scanOnPush": True},
    }


def lifecycle(name: str) -> Request:
    """Build the ``PutLifecyclePolicy`` request: old images go, or they cost for ever."""
    untagged = {
        "tagStatus": "untagged",
        "countType": "sinceImagePushed",
        "countUnit": "days",
        "countNumber": KEEP_UNTAGGED_DAYS,
    }
    any_ = {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": KEEP_IMAGES}
    rules = [
        {"rulePriority": priority, "selection": selection, "action": {"type": "expire"}}
        for priority, selection in enumerate((untagged, any_), 1)
    ]
    return {"repositoryName": name, "lifecyclePolicyText": json.dumps({"rules": rules})}


def preparation(name: str, *, exists: bool, has_policy: bool) -> list[Call]:
    """Plan what the repository *name* lacks; one that is there keeps its settings."""
    made = [] if exists else [Call("ecr", "create_repository", repository(name))]
    kept = [] if has_policy else [Call("ecr", "put_lifecycle_policy", lifecycle(name))]
    return made + kept


def find(ecr: Client, name: str) -> Answer | None:
    """Return the repository *name* as it is described, None where there is none."""
    try:
        found: Answer = ecr.describe_repositories(repositoryNames=[name])["repositories"][0]
    except ClientError as error:
        if code_of(error) in MISSING:
            return None
        raise
    return found


def has_policy(ecr: Client, name: str) -> bool:
    """Say whether the repository *name*, which is there, has a lifecycle policy."""
    try:
        ecr.get_lifecycle_policy(repositoryName=name)
    except ClientError as error:
        if code_of(error) == "LifecyclePolicyNotFoundException":
            return False
        raise
    return True


def pushed(ecr: Client, name: str, tag: str) -> Pushed | None:
    """Return the image under a tag of a repository that is there; None where there is none."""
    answer = ecr.batch_get_image(repositoryName=name, imageIds=[{"imageTag": tag}])
    for image in answer["images"]:
        text = image["imageManifest"]
        digest = image["imageId"].get("imageDigest") or digest_of(text)
        return Pushed(digest, str(json.loads(text).get("config", {}).get("digest", "")))
    for failure in answer.get("failures", []):
        if failure["failureCode"] != "ImageNotFound":
            problem = f"{name}:{tag} cannot be asked for: {failure['failureCode']}"
            raise JobError(f"{problem}: {failure.get('failureReason', '')}")
    return None


def digest_of(manifest: str) -> str:
    """Return the digest by which a registry knows a manifest."""
    return f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"


def is_there(ecr: Client, image: str) -> bool | None:
    """
    Say whether ECR has the image ``REGISTRY/NAME@DIGEST``.

    None where it cannot be told: who may start jobs need not be allowed to read ECR.
    """
    name, _, digest = image.partition("/")[2].partition("@")
    try:
        ecr.describe_images(repositoryName=name, imageIds=[{"imageDigest": digest}])
    except ClientError as error:
        return False if code_of(error) in MISSING else None
    return True


def login(ecr: Client) -> Login:
    """Return what the registry lets a Docker client in with, for twelve hours."""
    data: Mapping[str, Any] = ecr.get_authorization_token()["authorizationData"][0]
    user, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
    return Login(data["proxyEndpoint"].rpartition("://")[2], user, password)
