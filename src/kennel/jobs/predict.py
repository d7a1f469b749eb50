"""
Ask an endpoint about pictures: the request, and what its answer says.

What an endpoint accepts and answers is decided in kennel.serving; this is its client.
"""

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from kennel import contract
from kennel.errors import DataError, JobError, KennelError
from kennel.jobs import requests
from kennel.jobs.clients import Client
from kennel.jobs.failures import code_of, explain
from kennel.jobs.requests import Request

AT_ONCE = 8
ANY_IMAGE = "application/x-image"
CONTENT_TYPES = {
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
}


@dataclass(frozen=True)
class Guess:
    """One class and how probable the endpoint finds it."""

    class_name: str
    probability: float


@dataclass(frozen=True)
class Prediction:
    """What came back for one picture: guesses, the likeliest first, or what went wrong."""

    path: Path
    guesses: tuple[Guess, ...] = ()
    error: KennelError | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able document."""
        if self.error:
            return {"image": str(self.path), "error": self.error.problem}
        ranked = [{"class": g.class_name, "probability": g.probability} for g in self.guesses]
        return {"image": str(self.path), "predictions": ranked}


def request(endpoint: str, path: Path, *, top: int) -> Request:
    """Build the ``InvokeEndpoint`` request for the picture at *path*; DataError if it cannot go."""
    try:
        body = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    if len(body) > contract.INVOCATION_BODY_BYTES:
        raise DataError(
            f"{path} has {len(body)} bytes",
            expected=f"at most {contract.INVOCATION_BODY_BYTES}, which is what an endpoint takes",
        )
    kind = CONTENT_TYPES.get(path.suffix.lower(), ANY_IMAGE)
    return requests.invocation(endpoint, body=body, content_type=kind, top=top)


def guesses(body: bytes) -> tuple[Guess, ...]:
    """Read the answer to one picture; JobError where it is not what kennel.serving answers."""
    try:
        (ranked,) = json.loads(body)["predictions"]
        return tuple(Guess(str(g["class"]), float(g["probability"])) for g in ranked)
    except (ValueError, KeyError, TypeError) as error:
        raise JobError(
            f"the endpoint answered {body[:80]!r}",
            expected='{"predictions": [[{"class": …, "probability": …}]]}, as kennel serves',
            remedy="kennel deploy, to put a model of kennel's behind this endpoint",
        ) from error


def predict(runtime: Client, endpoint: str, path: Path, *, top: int) -> Prediction:
    """
    Ask about one picture. What is wrong with this picture is returned, so that others go on.

    Raises:
        ClientError: The endpoint, the credentials or the network is at fault: so it is for all.
    """
    try:
        answer = runtime.invoke_endpoint(**request(endpoint, path, top=top))
        return Prediction(path, guesses(answer["Body"].read()))
    except ClientError as error:
        if code_of(error) != "ModelError":
            raise
        return Prediction(path, error=explain(error))
    except DataError as error:
        return Prediction(path, error=error)


def predict_all(
    runtime: Client, endpoint: str, paths: Iterable[Path], *, top: int
) -> Iterator[Prediction]:
    """Ask about every picture, several at a time; yield what comes back in the order of *paths*."""
    pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="predict")
    try:
        yield from pool.map(lambda path: predict(runtime, endpoint, path, top=top), paths)
    finally:
        pool.shutdown(cancel_futures=True)
