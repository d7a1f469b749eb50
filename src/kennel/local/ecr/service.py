"""The operations of ECR as a table, and the token that a registry's clients log in with."""

from datetime import UTC, datetime, timedelta
from typing import Any

from kennel.local.ecr.images import Images
from kennel.local.ecr.lifecycle import Lifecycle
from kennel.local.ecr.registry import Registry
from kennel.local.ecr.repositories import Repositories
from kennel.local.resources import Resources
from kennel.local.wire.json_protocol import JsonService

TARGET = "AmazonEC2ContainerRegistry_V20150921"  # before the dot of X-Amz-Target
TOKEN_LIFETIME = timedelta(hours=12)  # AWS's; a password of one's own does not end


def service(resources: Resources, registry: Registry) -> JsonService:
    """Return the API over *registry*."""
    repositories = Repositories(resources, registry)
    images = Images(repositories, registry)
    lifecycle = Lifecycle(repositories)

    def authorization_token(_: dict[str, Any]) -> dict[str, Any]:
        data = {
            "authorizationToken": registry.token,
            "expiresAt": datetime.now(UTC) + TOKEN_LIFETIME,
            "proxyEndpoint": f"http://{registry.host}",
        }
        return {"authorizationData": [data]}

    operations = {
        "CreateRepository": repositories.create,
        "DescribeRepositories": repositories.describe,
        "DeleteRepository": repositories.delete,
        "PutImageTagMutability": repositories.put_mutability,
        "PutImageScanningConfiguration": repositories.put_scanning,
        "TagResource": repositories.tag,
        "UntagResource": repositories.untag,
        "ListTagsForResource": repositories.list_tags,
        "PutLifecyclePolicy": lifecycle.put,
        "GetLifecyclePolicy": lifecycle.get,
        "DeleteLifecyclePolicy": lifecycle.delete,
        "DescribeImages": images.describe,
        "ListImages": images.list_identities,
        "BatchGetImage": images.batch_get,
        "GetAuthorizationToken": authorization_token,
    }
    return JsonService("ecr", operations, refusal="InvalidParameterException")
