"""
A registry on this machine, asked over its HTTP API (``distribution``'s, version 2).

Plain HTTP and basic authentication, which is what Docker speaks with a registry on localhost. What
the API of ECR makes of the answers stands in ``images``.
"""

import base64
import http.client
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from kennel.local.wire.errors import ApiError

HOST_VARIABLE = "KENNEL_LOCAL_REGISTRY"
USER_VARIABLE = "KENNEL_LOCAL_REGISTRY_USER"
PASSWORD_VARIABLE = "KENNEL_LOCAL_REGISTRY_PASSWORD"  # noqa: S105 - the name of a variable
TIMEOUT_S = 10
MANIFEST_TYPES = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
)
NEXT = re.compile(r'<([^>]+)>;\s*rel="?next"?')


@dataclass(frozen=True)
class Manifest:
    """What an image consists of, as the registry holds it."""

    digest: str
    media_type: str
    text: str

    @property
    def size_bytes(self) -> int | None:
        """The size of its layers, compressed; None for an index of several images."""
        layers = json.loads(self.text).get("layers")
        return None if layers is None else sum(layer["size"] for layer in layers)


@dataclass(frozen=True)
class Answer:
    """What the registry has answered."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


@dataclass(frozen=True)
class Registry:
    """
    Where pushed images go, and who may push.

    Args:
        host: With its port, as it stands before the name of an image.
        user: ECR's own user is always AWS.
    """

    host: str = "localhost:5000"
    user: str = "AWS"
    password: str = field(default="kennel-local", repr=False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Registry":
        """Return the registry that ``variables`` has described."""
        names = {"host": HOST_VARIABLE, "user": USER_VARIABLE, "password": PASSWORD_VARIABLE}
        return cls(**{key: environment[name] for key, name in names.items() if name in environment})

    def variables(self) -> dict[str, str]:
        """Return the environment that describes this registry to the server."""
        return {
            HOST_VARIABLE: self.host,
            USER_VARIABLE: self.user,
            PASSWORD_VARIABLE: self.password,
        }

    @property
    def token(self) -> str:
        """User and password as ECR and HTTP's basic authentication write them."""
        return base64.b64encode(f"{self.user}:{self.password}".encode()).decode()

    def tags(self, name: str) -> list[str]:
        """Return the tags of a repository; none where nothing was pushed yet."""
        path, found = f"/v2/{name}/tags/list", list[str]()
        while path:
            answer = self._ask("GET", path)
            if answer.status == HTTPStatus.NOT_FOUND:
                return found
            found += self._tags_in(answer)
            following = NEXT.search(answer.headers.get("link", ""))
            path = following[1] if following else ""
        return found

    def digest(self, name: str, reference: str) -> str | None:
        """Return the digest of a tag or of a digest, None where there is no such image."""
        answer = self._ask("HEAD", f"/v2/{name}/manifests/{reference}")
        return None if answer.status == HTTPStatus.NOT_FOUND else self._digest_in(answer)

    def manifest(self, name: str, reference: str) -> Manifest | None:
        """Return the manifest under a tag or digest, None where there is no such image."""
        answer = self._ask("GET", f"/v2/{name}/manifests/{reference}")
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        kind = answer.headers["content-type"]
        return Manifest(self._digest_in(answer), kind, answer.body.decode())

    def delete(self, name: str, digest: str) -> None:
        """Delete an image with all its tags."""
        self._ask("DELETE", f"/v2/{name}/manifests/{digest}")

    def _tags_in(self, answer: Answer) -> list[str]:
        try:
            return list(json.loads(answer.body)["tags"] or ())
        except (ValueError, KeyError, TypeError) as error:
            raise self._foreign(answer) from error

    def _digest_in(self, answer: Answer) -> str:
        digest = answer.headers["docker-content-digest"]
        if digest is None:
            raise self._foreign(answer)
        return digest

    def _foreign(self, answer: Answer) -> ApiError:
        return self._unusable(
            f"is another program: it answered {excerpt(answer.body)!r}. Name a registry's address "
            "as registry in kennel.toml's [local]"
        )

    def _ask(self, method: str, path: str) -> Answer:
        headers = {"Accept": ", ".join(MANIFEST_TYPES), "Authorization": f"Basic {self.token}"}
        connection = http.client.HTTPConnection(self.host, timeout=TIMEOUT_S)
        try:
            connection.request(method, path, headers=headers)
            response = connection.getresponse()
            answer = Answer(response.status, response.headers, response.read())
        except (OSError, http.client.HTTPException) as error:
            raise self._unusable(
                f"does not answer: {error}. Start one there, or name another as registry in "
                "kennel.toml's [local]"
            ) from error
        finally:
            connection.close()
        return self._judged(answer, f"{method} {path}")

    def _judged(self, answer: Answer, what: str) -> Answer:
        """Return the answer, unless it is none that the API of ECR has a word for."""
        match answer.status:
            case HTTPStatus.OK | HTTPStatus.ACCEPTED | HTTPStatus.NOT_FOUND:
                return answer
            case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
                raise self._unusable(
                    f"refuses user {self.user!r} and the password: set {USER_VARIABLE} and "
                    f"{PASSWORD_VARIABLE}, and start the local server again"
                )
            case HTTPStatus.METHOD_NOT_ALLOWED:
                raise self._unusable(
                    "deletes no images: allow it in the registry's own configuration "
                    "(storage: delete: enabled: true)"
                )
        raise self._unusable(f"answered {what} with {answer.status}: {excerpt(answer.body)}")

    def _unusable(self, why: str) -> ApiError:
        # Status 400, not ECR's 500, which clients would ask again and again.
        return ApiError("ServerException", f"the registry at {self.host} {why}")


def excerpt(body: bytes) -> str:
    """Return the start of an answer, for a message."""
    return body[:200].decode(errors="replace").strip()
