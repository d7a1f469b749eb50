"""
Media types: which body has come, and which answer the client takes (RFC 9110, 8.3 and 12.5.1).
"""

from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Final, NamedTuple

from kennel.errors import RequestError
from kennel.serving.excerpt import excerpt

JSON: Final = "application/json"
CSV: Final = "text/csv"
NPY: Final = "application/x-npy"
IMAGES: Final = ("image/jpeg", "image/png", "image/webp", "application/x-image", "image/jpg")
ANSWERS: Final = (JSON, CSV, NPY)  # in order of preference, where the client has none


class _Range(NamedTuple):
    pattern: str  # type/subtype, either of them possibly *
    quality: float  # 0 to 1; 0 refuses


def essence(content_type: str) -> str:
    """Return the lower-case type/subtype of a Content-Type, without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def negotiate(accept: str, *, offers: Sequence[str] = ANSWERS) -> str:
    """
    Return the offer that an Accept header likes best.

    Args:
        accept: The header, with ranges and q-values; empty if there is none.
        offers: What we can answer with, our favourite first.

    Raises:
        RequestError: 406, it takes none of them.
    """
    ranges = list(_ranges(accept)) or [_Range("*/*", 1.0)]
    # max keeps the first of equals, so the client's order and then ours decide.
    ordered = [offer for wanted in ranges for offer in offers if _matches(wanted.pattern, offer)]
    best = max(ordered, key=lambda offer: _quality(offer, ranges), default=None)
    if best is None or _quality(best, ranges) == 0:
        raise RequestError(
            HTTPStatus.NOT_ACCEPTABLE,
            f"cannot answer with {excerpt(accept)}",
            expected=f"Accept: {', '.join(offers)}",
        )
    return best


def _ranges(accept: str) -> Iterator[_Range]:
    for item in accept.split(","):
        pattern, *parameters = (part.strip().lower() for part in item.split(";"))
        if pattern:
            yield _Range(pattern, _q(parameters))


def _q(parameters: Sequence[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0


def _matches(pattern: str, offer: str) -> bool:
    return pattern in (offer, "*/*", "*", f"{offer.partition('/')[0]}/*")


def _quality(offer: str, ranges: Sequence[_Range]) -> float:
    """Take the most specific range that matches: ``*/*, text/csv;q=0`` refuses CSV."""
    matching = [wanted for wanted in ranges if _matches(wanted.pattern, offer)]
    return max(matching, key=lambda wanted: -wanted.pattern.count("*")).quality
