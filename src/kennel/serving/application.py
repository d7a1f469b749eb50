"""
One request to one response: the only place that maps errors to statuses.

No server here: kennel.serving.handler calls this for multi-model-server, and so could any other.
"""

import json
import logging
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import numpy as np

from kennel import contract
from kennel.errors import KennelError, RequestError
from kennel.serving import media
from kennel.serving.classifier import Classifier
from kennel.serving.decoding import decode, top_k_of
from kennel.serving.encoding import DEFAULT_TOP_K, encode

log = logging.getLogger(__name__)
INTERNAL_ERROR: Final = "internal error: the endpoint's log says more"


@dataclass(frozen=True)
class Request:
    """What the platform lets through of an invocation."""

    body: bytes
    content_type: str = ""
    accept: str = ""
    custom_attributes: str = ""  # X-Amzn-SageMaker-Custom-Attributes, e.g. top_k=3


@dataclass(frozen=True)
class Response:
    """What goes back."""

    status: HTTPStatus
    content_type: str
    body: bytes


def respond(
    classifier: Classifier, request: Request, *, max_bytes: int = contract.INVOCATION_BODY_BYTES
) -> Response:
    """Answer an invocation. A client's mistake is a 4xx that says what to send; a bug is logged."""
    try:
        return _predictions(classifier, request, max_bytes)
    except RequestError as error:
        return _refusal(error.status, error)
    except Exception:
        log.exception("a request failed")
        return _refusal(HTTPStatus.INTERNAL_SERVER_ERROR, KennelError(INTERNAL_ERROR))


def _predictions(classifier: Classifier, request: Request, max_bytes: int) -> Response:
    if len(request.body) > max_bytes:
        raise RequestError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the body has {len(request.body)} bytes",
            expected=f"at most {max_bytes}",
            remedy="a smaller picture",
        )
    accept = media.negotiate(request.accept)
    header_top_k = top_k_of(_attributes(request.custom_attributes).get("top_k"))
    decoded = decode(request.body, request.content_type, classifier.artifact.preprocessing)
    probabilities = classifier.probabilities(decoded.images)
    if not np.isfinite(probabilities).all():
        raise KennelError("the model answers NaN or infinity")
    top_k = decoded.top_k or header_top_k or DEFAULT_TOP_K
    body = encode(probabilities, accept, classifier.artifact.class_names, top_k)
    return Response(HTTPStatus.OK, accept, body)


def _attributes(header: str) -> dict[str, str]:
    """Read ``name=value`` pairs between commas or semicolons; others may use the header as well."""
    pairs = (item.partition("=") for item in header.replace(";", ",").split(","))
    return {name.strip().lower(): value.strip() for name, sign, value in pairs if sign}


def _refusal(status: HTTPStatus, error: KennelError) -> Response:
    parts = {"error": error.problem, "expected": error.expected, "try": error.remedy}
    body = json.dumps({name: text for name, text in parts.items() if text}, ensure_ascii=False)
    return Response(status, media.JSON, body.encode())
