"""AWS's words for what a repository lacks, or has already, and the pages of its lists. Pure."""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from kennel.local.wire.context import ACCOUNT_ID
from kennel.local.wire.errors import ApiError

DEFAULT_MAX_RESULTS = 100
REGISTRY = f"in the registry with id '{ACCOUNT_ID}'"

T = TypeVar("T")


def invalid(message: str) -> ApiError:
    """Return the error that ECR answers a request with that it cannot make sense of."""
    return ApiError("InvalidParameterException", message)


def no_repository(name: str, registry_id: str = ACCOUNT_ID) -> ApiError:
    """Return the error for a repository that is not there."""
    message = (
        f"The repository with name '{name}' does not exist in the registry with id '{registry_id}'"
    )
    return ApiError("RepositoryNotFoundException", message)


def repository_exists(name: str) -> ApiError:
    """Return the error for a repository that is there already."""
    message = f"The repository with name '{name}' already exists {REGISTRY}"
    return ApiError("RepositoryAlreadyExistsException", message)


def not_empty(name: str) -> ApiError:
    """Return the error for a repository whose images nobody has said to delete."""
    message = (
        f"The repository with name '{name}' {REGISTRY} cannot be deleted because it still "
        "contains images"
    )
    return ApiError("RepositoryNotEmptyException", message)


def no_policy(name: str) -> ApiError:
    """Return the error for a repository without a lifecycle policy."""
    message = f"Lifecycle policy does not exist for the repository with name '{name}' {REGISTRY}"
    return ApiError("LifecyclePolicyNotFoundException", message)


def no_image(name: str, identity: Mapping[str, str]) -> ApiError:
    """Return the error for an image that is not in the repository *name*."""
    digest, tag = identity.get("imageDigest", "null"), identity.get("imageTag", "null")
    message = (
        f"The image with imageId {{imageDigest:'{digest}', imageTag:'{tag}'}} does not exist "
        f"within the repository with name '{name}' {REGISTRY}"
    )
    return ApiError("ImageNotFoundException", message)


def too_many_tags(most: int) -> ApiError:
    """Return the error for more tags than AWS allows."""
    return ApiError("TooManyTagsException", f"A repository can have at most {most} tags.")


def page(
    items: Sequence[T], params: Mapping[str, Any], key: Callable[[T], str]
) -> tuple[list[T], str | None]:
    """
    Return what a list request asks for of *items*, and the token of the next page.

    Args:
        items: In any order.
        params: The request: maxResults, nextToken.
        key: Orders the items; no two have the same. A token is the last one shown.
    """
    last = decoded(params["nextToken"]) if "nextToken" in params else ""
    rest = [item for item in sorted(items, key=key) if key(item) > last]
    shown = rest[: params.get("maxResults", DEFAULT_MAX_RESULTS)]
    more = len(rest) > len(shown)
    return shown, base64.urlsafe_b64encode(key(shown[-1]).encode()).decode() if more else None


def decoded(token: str) -> str:
    """Return the key that a token of ours stands for."""
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise invalid(f"Invalid parameter at 'nextToken': {token}") from None
