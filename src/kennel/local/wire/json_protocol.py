"""
The JSON protocol: ``X-Amz-Target: SageMaker.CreateModel`` and a JSON body.

A service is a table of operations; parsing, validation, serialisation and errors are done here by
botocore's service model. HTTP itself is the server's.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from kennel.local.wire.errors import ApiError, not_in_local_mode
from kennel.local.wire.json_values import document, parse
from kennel.local.wire.models import service_model
from kennel.local.wire.validation import VALIDATION, validate

Handler = Callable[[dict[str, Any]], dict[str, Any] | None]


class JsonService:
    """
    A service of the JSON protocol.

    Args:
        name: botocore's name of it, e.g. ``logs``.
        operations: Handler of each operation, called in a worker thread with validated parameters
            (timestamps as aware datetimes, blobs as bytes, nulls left out); it answers a dictionary
            shaped like the operation's output, or raises ApiError.
        refusal: Its code for a request that its shape does not allow.
    """

    def __init__(
        self, name: str, operations: Mapping[str, Handler], *, refusal: str = VALIDATION
    ) -> None:
        self.name = name
        self.operations = operations
        self.refusal = refusal

    def call(self, operation: str, body: bytes) -> bytes:
        """
        Answer one request.

        Raises:
            ApiError: The request is malformed, invalid, refused, or not in local mode.
        """
        model = service_model(self.name)
        handler = self.operations.get(operation)
        if handler is None:
            raise self.unknown(operation)
        shapes = model.operation_model(operation)
        params = parsed(body, shapes.input_shape)
        validate(params, shapes.input_shape, refusal=self.refusal)
        return json.dumps(document(handler(params), shapes.output_shape)).encode()

    def unknown(self, operation: str) -> ApiError:
        """Return the error for an operation that AWS has and we lack, or that nobody has."""
        if operation in service_model(self.name).operation_names:
            return not_in_local_mode(f"{self.name} {operation}", self.operations)
        return ApiError("UnknownOperationException", f"{self.name} has no operation {operation!r}")


def parsed(body: bytes, shape: Any) -> dict[str, Any]:  # noqa: ANN401 - botocore ships no types
    """Return the parameters of a request body; an empty body has none."""
    try:
        document = json.loads(body or b"{}")
    except ValueError as error:
        raise ApiError("SerializationException", f"the body is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise ApiError("SerializationException", "the body is not a JSON object")
    return dict(parse(document, shape)) if shape is not None else {}
