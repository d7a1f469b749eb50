"""AWS STS: who is calling. In local mode everybody is the root of the same account."""

from collections.abc import Mapping

from kennel.local.wire.context import ACCOUNT_ID
from kennel.local.wire.query_protocol import QueryService


def service() -> QueryService:
    """Return the API."""
    return QueryService("sts", {"GetCallerIdentity": get_caller_identity})


def get_caller_identity(_: Mapping[str, str]) -> Mapping[str, str]:
    """Return the account."""
    return {
        "Arn": f"arn:aws:iam::{ACCOUNT_ID}:root",
        "UserId": ACCOUNT_ID,
        "Account": ACCOUNT_ID,
    }
