"""Metrics read from log lines by the request's regular expressions. Pure."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from kennel.local.resources import Document
from kennel.local.sagemaker.names import invalid

Regexes = Mapping[str, re.Pattern[str]]


def compiled(definitions: Sequence[Mapping[str, str]]) -> Regexes:
    """
    Return a request's MetricDefinitions, compiled.

    Raises:
        ApiError: ``ValidationException``, when one is no regular expression or has no group.
    """
    return {definition["Name"]: regex(**definition) for definition in definitions}


def regex(Name: str, Regex: str) -> re.Pattern[str]:  # noqa: N803 - the request's members
    """Compile one metric's regular expression."""
    try:
        pattern = re.compile(Regex)
    except re.error as error:
        raise invalid(
            f"The regex of metric {Name!r} does not compile: {error}: {Regex!r}"
        ) from error
    if pattern.groups < 1:
        raise invalid(
            f"The regex of metric {Name!r} has no group for the number: {Regex!r}."
            f" Expected one in parentheses, e.g. {Name}=([0-9.]+)"
        )
    return pattern


def latest(
    known: Sequence[Document], regexes: Regexes, lines: Iterable[str], now: datetime
) -> list[Document]:
    """Return FinalMetricDataList: *known*, with the last value that *lines* have of each metric."""
    values = {metric["MetricName"]: metric for metric in known}
    for line in lines:
        for name, pattern in regexes.items():
            value = number(pattern, line)
            if value is not None:
                values[name] = {"MetricName": name, "Value": value, "Timestamp": now}
    return list(values.values())


def number(pattern: re.Pattern[str], line: str) -> float | None:
    """Return the finite number that the first group holds, if the line has one."""
    found = pattern.search(line)
    if found is None:
        return None
    try:
        value = float(found.group(1) or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
