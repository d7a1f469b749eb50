"""
Judge the answers of a server that is ready: pings, connections, good and bad requests. Pure.

What it does on SIGTERM is in ``stopping``; what it does before it is ready in ``hosting``.
"""

import json
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

from kennel import contract
from kennel.checking.findings import Finding, failed, passed, skipped, warned
from kennel.checking.limits import Limits
from kennel.checking.probe import Answer

_TRACEBACK: Final = re.compile(
    rb'Traceback \(most recent call last\)|\bFile "[^"]+", line \d|^\s+at [\w.$]+\(', re.MULTILINE
)
_SERVER: Final = 500
MISSING: Final = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)
MAX_PAYLOAD_MB: Final = 100  # of a batch transform, times its concurrency
_TRANSFORM: Final = {"MaxConcurrentTransforms": int, "BatchStrategy": str, "MaxPayloadInMB": int}


def is_success(answer: Answer) -> bool:
    """Return whether the status is 2xx."""
    return answer.status is not None and answer.status < HTTPStatus.MULTIPLE_CHOICES


def is_taken(answer: Answer) -> bool:
    """Return whether the server could deal with it: 2xx, or 4xx for the client's mistake."""
    return answer.status is not None and answer.status < _SERVER


def is_served(answer: Answer) -> bool:
    """Return whether there is somebody who deals with invocations."""
    return is_taken(answer) and answer.status not in MISSING


def pings(answers: Sequence[Answer], limits: Limits) -> Finding:
    """Judge how quickly /ping answers, alone and beside invocations."""
    bad = [str(answer) for answer in answers if answer.status != HTTPStatus.OK]
    slowest = max(answer.connect_s + answer.seconds for answer in answers)
    told = f"slowest of {len(answers)}: {1000 * slowest:.0f} ms, half of them beside invocations"
    if bad:
        return failed(
            "serve-ping", f"{len(bad)} of {len(answers)} failed once it was ready: {bad[0]}"
        )
    if slowest > limits.ping:
        return failed("serve-ping", told, slowest_ms=round(1000 * slowest, 1))
    return passed("serve-ping", told, slowest_ms=round(1000 * slowest, 1))


def connections(answers: Sequence[Answer], limits: Limits) -> Finding:
    """Judge how quickly connections were accepted."""
    slowest = max(answer.connect_s for answer in answers)
    told = f"slowest of {len(answers)}: {1000 * slowest:.1f} ms"
    judged = failed if slowest > limits.connect else passed
    return judged("serve-connect", told, slowest_ms=round(1000 * slowest, 2))


def invocation(
    answer: Answer, *, what: str, is_given: bool, is_multi_model: bool = False
) -> Finding:
    """
    Judge the answer to a request that should be answered.

    Args:
        what: It was, for people.
        is_given: The user has given it, so that the image must know it.
        is_multi_model: It may answer POST /models/NAME/invoke alone.
    """
    told = f"{answer} to {what} after {answer.seconds:.2f} s"
    if is_success(answer):
        return passed("serve-invocation", told, seconds=round(answer.seconds, 3))
    if answer.status is None:
        return failed("serve-invocation", f"{what}: {answer}")
    if answer.status in MISSING and not is_multi_model:
        return failed("serve-invocation", f"{answer} to POST /invocations")
    if not is_given:
        return skipped("serve-invocation", f"{told}: --request FILE gives one that it takes")
    return failed("serve-invocation", f"{told}: {excerpt(answer.body)}")


def bad_body(answer: Answer) -> Finding:
    """Judge the answer to a body that is no picture, nor anything else."""
    told = f"{answer} to 64 random bytes"
    if not is_taken(answer):
        return warned("serve-bad-body", told)
    if _TRACEBACK.search(answer.body):
        return warned("serve-bad-body", f"{told}, with a traceback in the answer")
    if is_success(answer):
        return skipped("serve-bad-body", f"{told}: it seems to take any body")
    return passed("serve-bad-body", f"{told}: {excerpt(answer.body)}")


def content_type(answer: Answer) -> Finding:
    """Judge the answer to a Content-Type that nobody has."""
    told = f"{answer} to application/x-kennel-check"
    if answer.status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE:
        return passed("serve-content-type", told)
    return warned("serve-content-type", told)


def big_bodies(answers: Sequence[tuple[int, Answer]], usual: Answer) -> Finding:
    """
    Judge the answers to large bodies.

    Args:
        answers: (MB, answer).
        usual: The answer to the same request as it is.
    """
    told = ", ".join(f"{answer} to {size} MB" for size, answer in answers)
    if not is_taken(usual):
        return skipped("serve-big-body", f"{told}, and {usual} to a small one as well")
    judged = passed if all(_is_big_taken(answer) for _, answer in answers) else warned
    return judged("serve-big-body", told)


def _is_big_taken(answer: Answer) -> bool:
    return is_taken(answer) and answer.status != HTTPStatus.REQUEST_ENTITY_TOO_LARGE


def batch(answer: Answer) -> Finding:
    """Judge the answer to GET /execution-parameters."""
    if not is_taken(answer):
        return warned("serve-batch", f"{answer}: 404 says that there is none")
    if not is_success(answer):
        return passed("serve-batch", f"{answer}: SageMaker's defaults hold")
    document = _json(answer.body)
    if not isinstance(document, dict):
        return warned("serve-batch", f"no JSON object: {excerpt(answer.body)}")
    wrong = [
        f"{name} is {document[name]!r}"
        for name, kind in _TRANSFORM.items()
        if name in document and not isinstance(document[name], kind)
    ]
    if wrong:
        return failed("serve-batch", ", ".join(wrong))
    product = document.get("MaxConcurrentTransforms", 1) * document.get("MaxPayloadInMB", 6)
    told = ", ".join(f"{name} {document[name]}" for name in _TRANSFORM if name in document)
    if product > MAX_PAYLOAD_MB:
        return failed("serve-batch", f"{told}: {product} MB at once")
    return passed("serve-batch", told or "an empty object")


def multi_model(answer: Answer | None) -> Finding:
    """
    Judge the answer to GET /models.

    Args:
        answer: None: the image does not say that it can hold several models.
    """
    if answer is None:
        return skipped("serve-multi-model", f"it has no label {contract.MULTI_MODELS_LABEL}=true")
    judged = passed if is_success(answer) else failed
    return judged("serve-multi-model", f"GET /models: {answer}")


def excerpt(body: bytes) -> str:
    """Return the beginning of a body, on one line."""
    text = " ".join(body[:200].decode(errors="replace").split())
    return text if len(text) <= 80 else f"{text[:79]}…"  # noqa: PLR2004 - a line of a terminal


def _json(body: bytes) -> Any:  # noqa: ANN401 - whatever JSON can be
    try:
        return json.loads(body)
    except ValueError:
        return None
