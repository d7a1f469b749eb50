"""botocore's service models, loaded when first asked for: an idle service costs no memory."""

import re
import warnings
from functools import cache
from typing import Any

from botocore.loaders import Loader
from botocore.model import ServiceModel

Shape = Any  # botocore ships no types


@cache
def service_model(name: str) -> ServiceModel:
    """Return the model of the service that botocore calls *name*, e.g. ``sagemaker``."""
    return ServiceModel(Loader().load_service_model(name, "service-2"), name)


@cache
def pattern(text: str) -> re.Pattern[str] | None:
    """Compile a model's pattern, or return None for what only Java understands (18 of 482)."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)  # Java's set operations read as a nested set
        try:
            return re.compile(text)
        except (re.error, FutureWarning):
            return None
