"""Amazon CloudWatch Logs: ``Logs`` is what writes and reads them, ``operations`` its API."""

from kennel.local.logs.store import Logs

__all__ = ["Logs"]
