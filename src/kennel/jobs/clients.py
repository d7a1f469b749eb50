"""What boto3's clients are to the type checker. They are opened in ``aws`` and nowhere else."""

from typing import Any

Client = Any  # boto3 makes the classes of its clients at run time, out of the service models
