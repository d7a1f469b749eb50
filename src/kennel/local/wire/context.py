"""
Who is calling, for the length of one request: the region, and the ARNs that follow from it.

The server sets the region from the signature's credential scope; handlers run in worker threads,
which inherit it. Outside a request it is the default region.
"""

from contextvars import ContextVar

ACCOUNT_ID = "000000000000"
DEFAULT_REGION = "us-east-1"

REGION: ContextVar[str] = ContextVar("region", default=DEFAULT_REGION)


def region() -> str:
    """Return the region that the request being answered was signed for."""
    return REGION.get()


def arn(service: str, resource: str) -> str:
    """Return an ARN in the caller's region, e.g. ``arn("logs", "log-group:x")``."""
    return f"arn:aws:{service}:{region()}:{ACCOUNT_ID}:{resource}"
