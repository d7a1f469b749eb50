"""
A request judged by its shape, in the words that AWS uses for it.

Stricter than AWS in one thing: a member that the shape lacks is an error, since a typing mistake
that is dropped silently helps nobody. What spans several members is the services' own to check.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from kennel.local.wire.errors import ApiError
from kennel.local.wire.models import Shape, pattern

VALIDATION = "ValidationException"
PATTERN_CHARS = 65536  # longer text is not matched against a pattern, only measured

Finding = tuple[str, Any, str]  # where, the value found, the constraint it breaks


def validate(
    params: Any,  # noqa: ANN401 - whatever the client sent
    shape: Shape | None,
    *,
    refusal: str = VALIDATION,
) -> None:
    """
    Check parsed *params* against an input *shape* of botocore's service model.

    Raises:
        ApiError: With the code *refusal*, naming every finding.
    """
    findings = list(structure(params, shape, "")) if shape is not None else []
    if findings:
        raise ApiError(refusal, report(findings))


def report(findings: Sequence[Finding]) -> str:
    """Word *findings* as AWS does."""
    plural = "s" if len(findings) > 1 else ""
    details = "; ".join(
        f"Value {shown(value)} at '{where}' failed to satisfy constraint: {constraint}"
        for where, value, constraint in findings
    )
    return f"{len(findings)} validation error{plural} detected: {details}"


def shown(value: Any) -> str:  # noqa: ANN401
    """Write a value as AWS's Java does: ``null``, ``'text'``, ``'[a, b]'``, ``'{k=v}'``."""
    return "null" if value is None else f"'{plain(value)}'"


def plain(value: Any) -> str:  # noqa: ANN401
    """Write a value without quotes."""
    match value:
        case dict():
            return "{" + ", ".join(f"{k}={plain(v)}" for k, v in value.items()) + "}"
        case list():
            return "[" + ", ".join(plain(v) for v in value) + "]"
        case bool():
            return str(value).lower()
        case _:
            return str(value)


def check(value: Any, shape: Shape, where: str) -> Iterator[Finding]:  # noqa: ANN401
    """Find what is wrong with *value*, whose type is known to fit *shape*."""
    match shape.type_name:
        case "structure":
            yield from structure(value, shape, where)
        case "list":
            yield from ((where, value, c) for c in length(value, shape))
            for number, item in enumerate(value, 1):
                yield from check(item, shape.member, f"{where}.{number}.member")
        case "map":
            yield from mapping(value, shape, where)
        case _:
            yield from ((where, value, constraint) for constraint in scalar(value, shape))


def structure(value: dict[str, Any], shape: Shape, where: str) -> Iterator[Finding]:
    """Find the members that are missing, unknown or wrong."""
    for name in shape.required_members:
        if name not in value:
            yield joined(where, name), None, "Member must not be null"
    for name, item in value.items():
        if name in shape.members:
            yield from check(item, shape.members[name], joined(where, name))
        else:
            known = ", ".join(shape.members)
            yield joined(where, name), item, f"Member must be one of: {known}"


def mapping(value: dict[str, Any], shape: Shape, where: str) -> Iterator[Finding]:
    """Find what is wrong with a map; AWS shows the whole map, not the entry."""
    yield from ((where, value, constraint) for constraint in length(value, shape))
    for key, item in value.items():
        if broken := list(scalar(key, shape.key)):
            yield where, value, f"Map keys must satisfy constraint: [{', '.join(broken)}]"
        if shape.value.type_name in ("structure", "list", "map"):
            yield from check(item, shape.value, f"{where}.{key}.member")
        elif broken := list(scalar(item, shape.value)):
            yield where, value, f"Map value must satisfy constraint: [{', '.join(broken)}]"


def scalar(value: Any, shape: Shape) -> Iterator[str]:  # noqa: ANN401
    """Yield the constraints that a text or a number breaks."""
    if shape.type_name in ("integer", "long", "float", "double"):
        yield from size(value, shape, "Member must have value")
    elif shape.type_name == "string":
        yield from length(value, shape)
        if shape.enum and value not in shape.enum:
            yield f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"
        yield from unmatched(value, shape)


def unmatched(value: str, shape: Shape) -> Iterator[str]:
    """Yield the pattern that *value* does not match as a whole."""
    text = shape.metadata.get("pattern")
    compiled = pattern(text) if text and len(value) <= PATTERN_CHARS else None
    if compiled and not compiled.fullmatch(value):
        yield f"Member must satisfy regular expression pattern: {text}"


def length(value: Any, shape: Shape) -> Iterator[str]:  # noqa: ANN401
    """Yield the limits that a text, list or map breaks by its length."""
    return size(len(value), shape, "Member must have length")


def size(value: float, shape: Shape, words: str) -> Iterator[str]:
    """Yield the limits that a number breaks."""
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if most is not None and value > most:
        yield f"{words} less than or equal to {most}"
    if least is not None and value < least:
        yield f"{words} greater than or equal to {least}"


def joined(where: str, name: str) -> str:
    """Extend a path; AWS starts each name with a small letter."""
    name = name[:1].lower() + name[1:]
    return f"{where}.{name}" if where else name
