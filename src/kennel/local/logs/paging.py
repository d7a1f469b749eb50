"""How much an answer holds, and the tokens that say where the next one goes on. Pure."""

import base64
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from kennel.local.logs.store import Event, Position
from kennel.local.wire.errors import ApiError

MAX_EVENT_BYTES = 2**20  # of one answer
DESCRIBED = 50  # groups or streams in an answer, unless the request says otherwise


def fitting(events: Iterable[Event], limit: int) -> tuple[list[Event], bool]:
    """Return the first events that an answer holds, at least one, and whether more follow."""
    kept: list[Event] = []
    total = 0
    for event in events:
        total += size(event)
        if len(kept) == limit or (kept and total > MAX_EVENT_BYTES):
            return kept, True
        kept.append(event)
    return kept, False


def size(event: Event) -> int:
    """Return how many bytes an event counts, as AWS counts them."""
    return len(event.message.encode()) + 26


def cut(
    items: Sequence[Any], request: dict[str, Any], order: Callable[[Any], list[Any]]
) -> tuple[list[Any], str | None]:
    """Return a page of *items* in *order*, and the token of the next."""
    descending = request.get("descending", False)
    items = sorted(items, key=order, reverse=descending)
    if token := request.get("nextToken"):
        items = following(items, parse_order(token), order, descending=descending)
    page = list(items[: request.get("limit", DESCRIBED)])
    return page, order_text(order(page[-1])) if len(page) < len(items) else None


def following(
    items: Sequence[Any], last: list[Any], order: Callable[[Any], list[Any]], *, descending: bool
) -> list[Any]:
    """Return what comes after the place *last*."""
    try:
        return [i for i in items if (order(i) < last if descending else order(i) > last)]
    except TypeError as error:  # a token of another listing
        raise invalid("The specified nextToken is invalid.") from error


def order_text(place: list[Any]) -> str:
    """Write a place in an order as a token."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


def parse_order(token: str) -> list[Any]:
    """Read a token of order_text."""
    try:
        place = json.loads(base64.urlsafe_b64decode(token))
    except ValueError as error:
        raise invalid("The specified nextToken is invalid.") from error
    if not isinstance(place, list):
        raise invalid("The specified nextToken is invalid.")
    return place


def token_text(position: Position) -> str:
    """Write a position as a token."""
    return f"{position.timestamp_ms}/{position.row}"


def parse_position(token: str) -> Position:
    """Read a token of token_text."""
    try:
        timestamp_ms, row = map(int, token.split("/"))
    except ValueError as error:
        raise invalid("The specified nextToken is invalid.") from error
    return Position(timestamp_ms, row)


def invalid(message: str) -> ApiError:
    """Return the error for parameters that do not fit together."""
    return ApiError("InvalidParameterException", message)
