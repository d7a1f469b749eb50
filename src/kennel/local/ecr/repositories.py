"""
The operations of repositories: made, described, changed, deleted.

What is in them stands in ``images``, their lifecycle policies in ``lifecycle``.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from kennel.local.ecr import words
from kennel.local.ecr.registry import Registry
from kennel.local.resources import LOCAL, Document, Resources
from kennel.local.wire.context import ACCOUNT_ID, arn

KIND = "ecr-repository"
MAX_TAGS = 50
MUTABILITY = ("imageTagMutability", "imageTagMutabilityExclusionFilters")
SCANNING = ("imageScanningConfiguration",)


class Repositories:
    """The repositories of the one account, whatever the region, over *registry*."""

    def __init__(self, resources: Resources, registry: Registry) -> None:
        self._resources = resources
        self._registry = registry

    def create(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer CreateRepository."""
        name = params["repositoryName"]
        own_registry(params, name)
        repository = {
            "imageTagMutability": "MUTABLE",
            "imageScanningConfiguration": {"scanOnPush": False},
            "encryptionConfiguration": {"encryptionType": "AES256"},
            **{member: value for member, value in params.items() if member != "tags"},
            "repositoryArn": arn("ecr", f"repository/{name}"),
            "registryId": ACCOUNT_ID,
            "repositoryUri": f"{self._registry.host}/{name}",
            "createdAt": datetime.now(UTC),
            LOCAL: {"tags": as_mapping(params.get("tags", []))},
        }
        if not self._resources.add(KIND, name, repository):
            raise words.repository_exists(name)
        return {"repository": repository}

    def describe(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer DescribeRepositories: those that are named, or all, a page at a time."""
        if names := params.get("repositoryNames"):
            return {"repositories": [self.require(params, name) for name in names]}
        everything = [self._here(found) for found in self._resources.all(KIND)]
        shown, token = words.page(everything, params, lambda item: str(item["repositoryName"]))
        return {"repositories": shown, "nextToken": token}

    def delete(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer DeleteRepository; with force its images are deleted from the registry first."""
        name = params["repositoryName"]
        repository = self.require(params, name)
        if tags := self._registry.tags(name):
            if not params.get("force"):
                raise words.not_empty(name)
            digests = {self._registry.digest(name, tag) for tag in tags}
            for digest in filter(None, digests):
                self._registry.delete(name, digest)
        if not self._resources.remove(KIND, name):
            raise words.no_repository(name)
        return {"repository": repository}

    def put_mutability(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer PutImageTagMutability."""
        return self._put(params, MUTABILITY)

    def put_scanning(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer PutImageScanningConfiguration; nothing is scanned here."""
        return self._put(params, SCANNING)

    def list_tags(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer ListTagsForResource."""
        tags = self._by_arn(params)[LOCAL]["tags"]
        return {"tags": [{"Key": key, "Value": value} for key, value in sorted(tags.items())]}

    def tag(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer TagResource."""
        return self._retag(params, as_mapping(params["tags"]), ())

    def untag(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer UntagResource; a key that is not there is no error."""
        return self._retag(params, {}, params["tagKeys"])

    def require(self, params: Mapping[str, Any], name: str) -> Document:
        """
        Return a repository's document.

        Raises:
            ApiError: ``RepositoryNotFoundException``.
        """
        own_registry(params, name)
        found = self._resources.find(KIND, name)
        if found is None:
            raise words.no_repository(name)
        return self._here(found)

    def change_own(self, params: Mapping[str, Any], own: Document) -> None:
        """Change what only the server knows of the repository that *params* name."""
        self._change(params, lambda document: {**document, LOCAL: {**document[LOCAL], **own}})

    def _here(self, repository: Document) -> Document:
        """Return a document with today's registry in it, which the next start may change."""
        name = repository["repositoryName"]
        return {**repository, "repositoryUri": f"{self._registry.host}/{name}"}

    def _put(self, params: dict[str, Any], members: tuple[str, ...]) -> dict[str, Any]:
        def changed(document: Document) -> Document:
            kept = {key: value for key, value in document.items() if key not in members}
            return kept | {member: params[member] for member in members if member in params}

        return self._change(params, changed)

    def _change(
        self, params: Mapping[str, Any], change: Callable[[Document], Document]
    ) -> Document:
        name = params["repositoryName"]
        self.require(params, name)
        changed = self._resources.change(KIND, name, change)
        if changed is None:  # deleted since
            raise words.no_repository(name)
        return changed

    def _by_arn(self, params: Mapping[str, Any]) -> Document:
        start, _, name = params["resourceArn"].partition(":repository/")
        if not start.startswith("arn:") or not name:
            raise words.invalid(f"Invalid parameter at 'resourceArn': {params['resourceArn']}")
        return self.require({}, name)

    def _retag(
        self, params: dict[str, Any], added: Mapping[str, str], removed: tuple[str, ...]
    ) -> dict[str, Any]:
        name = self._by_arn(params)["repositoryName"]

        def changed(document: Document) -> Document:
            tags = {**document[LOCAL]["tags"], **added}
            kept = {key: value for key, value in tags.items() if key not in removed}
            check_count(kept)
            return {**document, LOCAL: {**document[LOCAL], "tags": kept}}

        self._change({"repositoryName": name}, changed)
        return {}


def own_registry(params: Mapping[str, Any], name: str) -> None:
    """Refuse another account's registry: there is one account here."""
    if params.get("registryId", ACCOUNT_ID) != ACCOUNT_ID:
        raise words.no_repository(name, params["registryId"])


def as_mapping(tags: list[dict[str, str]]) -> dict[str, str]:
    """Return tags by key; InvalidTagParameterException for too many of them."""
    found = {tag["Key"]: tag["Value"] for tag in tags}
    check_count(found)
    return found


def check_count(tags: Mapping[str, str]) -> None:
    """Raise ApiError if these are more tags than AWS allows."""
    if len(tags) > MAX_TAGS:
        raise words.too_many_tags(MAX_TAGS)
