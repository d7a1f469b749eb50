"""
The operations of images, answered by what the registry says: nothing is noted here, or invented.

A registry does not tell when an image was pushed, nor which of its images have no tag: a
description has no ``imagePushedAt``, and a list has the tagged ones.
"""

from collections.abc import Mapping
from typing import Any

from kennel.local.ecr import words
from kennel.local.ecr.registry import Manifest, Registry
from kennel.local.ecr.repositories import Repositories
from kennel.local.resources import Document
from kennel.local.wire.context import ACCOUNT_ID

Identity = Mapping[str, str]  # imageTag, imageDigest or both


class Images:
    """What is in the repositories."""

    def __init__(self, repositories: Repositories, registry: Registry) -> None:
        self._repositories = repositories
        self._registry = registry

    def describe(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer DescribeImages: the images that are named, or all, a page at a time."""
        name = self._repository(params)
        tags = self._tags_by_digest(name)
        if wanted := params.get("imageIds"):
            manifests = [self._require(name, identity) for identity in wanted]
            return {"imageDetails": [detail(name, m, tags.get(m.digest, [])) for m in manifests]}
        if wants_untagged(params):
            return {"imageDetails": []}
        shown, token = words.page(list(tags), params, str)
        found = (self._registry.manifest(name, digest) for digest in shown)
        details = [detail(name, manifest, tags[manifest.digest]) for manifest in found if manifest]
        return {"imageDetails": details, "nextToken": token}

    def list_identities(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer ListImages: a digest for each tag."""
        name = self._repository(params)
        if wants_untagged(params):
            return {"imageIds": []}
        pairs = [(t, digest) for digest, tags in self._tags_by_digest(name).items() for t in tags]
        shown, token = words.page(pairs, params, lambda pair: pair[0])
        found = [{"imageTag": tag, "imageDigest": digest} for tag, digest in shown]
        return {"imageIds": found, "nextToken": token}

    def batch_get(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer BatchGetImage: manifests as they were pushed, and what is not there."""
        name = self._repository(params)
        images, failures = list[Document](), list[Document]()
        for identity in params["imageIds"]:
            manifest = self._registry.manifest(name, reference(identity))
            if manifest is None:
                failures.append(failure(identity, "ImageNotFound", "Requested image not found"))
            elif identity.get("imageDigest", manifest.digest) != manifest.digest:
                why = "The tag names another digest"
                failures.append(failure(identity, "ImageTagDoesNotMatchDigest", why))
            else:
                images.append(image(name, identity, manifest))
        return {"images": images, "failures": failures}

    def _repository(self, params: Mapping[str, Any]) -> str:
        """Return the name of the repository that is asked about, which must be there."""
        name: str = params["repositoryName"]
        self._repositories.require(params, name)
        return name

    def _require(self, name: str, identity: Identity) -> Manifest:
        manifest = self._registry.manifest(name, reference(identity))
        if manifest is None or identity.get("imageDigest", manifest.digest) != manifest.digest:
            raise words.no_image(name, identity)
        return manifest

    def _tags_by_digest(self, name: str) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for tag in sorted(self._registry.tags(name)):
            if digest := self._registry.digest(name, tag):
                found.setdefault(digest, []).append(tag)
        return found


def reference(identity: Identity) -> str:
    """Return the tag, else the digest, that names an image; a mismatch of both is the caller's."""
    found = identity.get("imageTag") or identity.get("imageDigest")
    if not found:
        raise words.invalid("Invalid parameter at 'imageIds': neither imageTag nor imageDigest")
    return found


def wants_untagged(params: Mapping[str, Any]) -> bool:
    """Say whether a list is to have the untagged images only, which a registry cannot tell."""
    return bool(params.get("filter", {}).get("tagStatus") == "UNTAGGED")


def detail(name: str, manifest: Manifest, tags: list[str]) -> Document:
    """Return an image as DescribeImages shows it."""
    return {
        "registryId": ACCOUNT_ID,
        "repositoryName": name,
        "imageDigest": manifest.digest,
        "imageTags": tags or None,
        "imageSizeInBytes": manifest.size_bytes,
        "imageManifestMediaType": manifest.media_type,
    }


def image(name: str, identity: Identity, manifest: Manifest) -> Document:
    """Return an image as BatchGetImage shows it."""
    return {
        "registryId": ACCOUNT_ID,
        "repositoryName": name,
        "imageId": {**identity, "imageDigest": manifest.digest},
        "imageManifest": manifest.text,
        "imageManifestMediaType": manifest.media_type,
    }


def failure(identity: Identity, code: str, reason: str) -> Document:
    """Return what BatchGetImage says of an image that it does not have."""
    return {"imageId": dict(identity), "failureCode": code, "failureReason": reason}
