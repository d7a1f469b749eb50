"""
The query protocol: ``Action=GetCallerIdentity`` in a form, XML in the answer. STS speaks it.
"""

from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from kennel.local.wire.calls import Call, Reply
from kennel.local.wire.errors import ApiError, not_in_local_mode
from kennel.local.wire.models import service_model
from kennel.local.wire.replies import request_id, xml_reply

Handler = Callable[[Mapping[str, str]], Mapping[str, str]]


class QueryService:
    """
    A service of the query protocol.

    Args:
        name: botocore's name of it, e.g. ``sts``.
        operations: Handler of each operation; it gets the form and answers texts by name.
    """

    def __init__(self, name: str, operations: Mapping[str, Handler]) -> None:
        self.name = name
        self.operations = operations

    def call(self, call: Call, body: bytes) -> Reply:
        """
        Answer one request.

        Raises:
            ApiError: There is no such operation, or not in local mode.
        """
        form = {**call.query, **dict(parse_qsl(body.decode("latin-1")))}
        operation = form.get("Action", "")
        handler = self.operations.get(operation)
        if handler is None:
            raise self.unknown(operation)
        namespace = service_model(self.name).metadata["xmlNamespace"]
        members = "".join(f"<{k}>{escape(v)}</{k}>" for k, v in handler(form).items())
        return xml_reply(
            f'<{operation}Response xmlns="{namespace}">'
            f"<{operation}Result>{members}</{operation}Result>"
            f"<ResponseMetadata><RequestId>{request_id()}</RequestId></ResponseMetadata>"
            f"</{operation}Response>",
            headers={"content-type": "text/xml"},
        )

    def unknown(self, operation: str) -> ApiError:
        """Return the error for an operation that AWS has and we lack, or that nobody has."""
        if operation in service_model(self.name).operation_names:
            return not_in_local_mode(f"{self.name} {operation}", self.operations)
        message = f"Could not find operation {operation}"
        return ApiError("InvalidAction", message)
