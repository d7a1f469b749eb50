"""
What a service raises to answer with an AWS error.

How an error looks on the wire depends on the caller's protocol: see responses.
"""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

NOT_IN_LOCAL_MODE = "NotInLocalMode"


class ApiError(Exception):
    """
    An answer that boto3 turns into a ClientError.

    Args:
        code: AWS's error code, e.g. ``ResourceNotFoundException``.
        message: AWS's words, as ``ClientError`` shows them.
        status: HTTP status.
        fields: Further members of the error's shape, e.g. ``{"BucketName": …}``.
        headers: Further headers of the answer.
    """

    def __init__(
        self,
        code: str,
        message: str,
        status: int = HTTPStatus.BAD_REQUEST,
        *,
        fields: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code, message, status)
        self.code = code
        self.message = message
        self.status = int(status)
        self.fields = dict(fields or {})
        self.headers = dict(headers or {})

    def __str__(self) -> str:
        """Say the code, then the message."""
        return f"{self.code}: {self.message}"


def not_in_local_mode(what: str, supported: Iterable[str]) -> ApiError:
    """
    Return the error for a call that AWS has and the local server lacks.

    Args:
        what: The call, e.g. ``sagemaker CreateAutoMLJob``.
        supported: What may be called instead.
    """
    known = ", ".join(sorted(supported))
    return ApiError(NOT_IN_LOCAL_MODE, f"{what} is not in local mode, which has: {known}")
