"""
JSON to Python and back, by shape: timestamps, blobs, and the types that JSON cannot tell apart.
"""

import base64
import binascii
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from botocore.utils import parse_timestamp

from kennel.local.wire.errors import ApiError
from kennel.local.wire.models import Shape

JSON_TYPES = {dict: "START_OBJECT", list: "START_ARRAY", str: "STRING_VALUE", bool: "BOOLEAN_VALUE"}
WANTED = {
    "structure": dict,
    "map": dict,
    "list": list,
    "string": str,
    "boolean": bool,
    "blob": str,
}


def parse(value: Any, shape: Shape) -> Any:  # noqa: ANN401 - JSON in, Python out
    """
    Turn JSON into what handlers get: datetimes, bytes, and no member that is null.

    Members that *shape* lacks stay as they are, for validation to find.

    Raises:
        ApiError: ``SerializationException``, when a value has another type than the shape.
    """
    kind = shape.type_name
    if kind in WANTED and not isinstance(value, WANTED[kind]):
        raise mismatch(value, kind)
    match kind:
        case "structure" | "map":
            return {
                name: parse(item, inner) if (inner := member(shape, name)) else item
                for name, item in value.items()
                if item is not None
            }
        case "list":
            return [parse(item, shape.member) for item in value if item is not None]
        case _:
            return scalar(value, kind)


def member(shape: Shape, name: str) -> Shape | None:
    """Return the shape of what stands under *name* in a structure or a map."""
    return shape.value if shape.type_name == "map" else shape.members.get(name)


def scalar(value: Any, kind: str) -> Any:  # noqa: ANN401
    """Parse what has no parts."""
    match kind:
        case "boolean":
            return value
        case "string":
            return text(value)
        case "blob":
            return blob(value)
        case "timestamp":
            return timestamp(value)
        case _:
            return number(value, kind)


def text(value: str) -> str:
    """Return a text that can be encoded: JSON can escape half of a character, UTF-8 cannot."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise mismatch(value, "string") from error
    return value


def number(value: Any, kind: str) -> float:  # noqa: ANN401
    """Return a finite number, whole where *kind* is."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise mismatch(value, kind)
    if kind in ("float", "double"):
        return float(value)
    if value != int(value):
        raise mismatch(value, kind)
    return int(value)


def timestamp(value: Any) -> datetime:  # noqa: ANN401
    """Return an aware datetime from epoch seconds or ISO 8601."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise mismatch(value, "timestamp")
    try:
        moment: datetime = parse_timestamp(value)
    except (ValueError, OverflowError, RuntimeError) as error:
        raise mismatch(value, "timestamp") from error
    return moment.astimezone(UTC)


def blob(value: str) -> bytes:
    """Return the bytes of a Base64 text."""
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise mismatch(value, "blob") from error


def mismatch(value: Any, kind: str) -> ApiError:  # noqa: ANN401
    """Return AWS's error for a value of the wrong type."""
    found = JSON_TYPES.get(type(value), "NUMBER_VALUE")
    return ApiError("SerializationException", f"{found} can not be converted to {kind}: {value!r}")


def serialise(value: Any, shape: Shape) -> Any:  # noqa: ANN401
    """
    Turn a handler's answer into JSON values by its output *shape*.

    What the shape lacks and what is None is dropped; datetimes become epoch seconds.
    """
    match shape.type_name:
        case "structure":
            return {
                name: serialise(value[name], member)
                for name, member in shape.members.items()
                if value.get(name) is not None
            }
        case "map":
            return {key: serialise(item, shape.value) for key, item in value.items()}
        case "list":
            return [serialise(item, shape.member) for item in value]
        case "timestamp" if isinstance(value, datetime):
            return round(value.timestamp(), 3)
        case "blob":
            return base64.b64encode(value).decode()
        case _:
            return value


def document(answer: Mapping[str, Any] | None, shape: Shape | None) -> dict[str, Any]:
    """Serialise a whole answer; an operation without output answers an empty object."""
    return {} if shape is None else dict(serialise(answer or {}, shape))
