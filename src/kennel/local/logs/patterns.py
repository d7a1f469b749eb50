"""
Filter patterns of CloudWatch Logs for text: terms, ``"phrases"``, ``?either``, ``-without``.

As AWS documents it, terms are matched with their case, and ``?`` terms are ignored beside others.
Patterns over JSON (``{ … }``), columns (``[ … ]``) and regular expressions (``%…%``) are not here.
"""

import re
from collections.abc import Callable

from kennel.local.wire.errors import NOT_IN_LOCAL_MODE, ApiError

TERM = re.compile(r'\s*([?-]?)(?:"((?:[^"\\]|\\.)*)"|([^\s"]+))')
STRUCTURED = ("{", "[", "%")

Matcher = Callable[[str], bool]


def matcher(pattern: str) -> Matcher:
    """
    Return what says whether a message matches *pattern*; an empty pattern matches all.

    Raises:
        ApiError: ``InvalidParameterException``, or the pattern is of a kind not in local mode.
    """
    pattern = pattern.strip()
    if pattern.startswith(STRUCTURED):
        message = f"the filter pattern {pattern!r} is not in local mode: use terms and phrases"
        raise ApiError(NOT_IN_LOCAL_MODE, message)
    terms = parse(pattern)
    wanted = [text for sign, text in terms if sign == ""]
    unwanted = [text for sign, text in terms if sign == "-"]
    either = [] if wanted or unwanted else [text for sign, text in terms if sign == "?"]
    return lambda message: (
        all(text in message for text in wanted)
        and not any(text in message for text in unwanted)
        and (not either or any(text in message for text in either))
    )


def parse(pattern: str) -> list[tuple[str, str]]:
    """Return the (sign, text) of each term; the sign is "", "?" or "-"."""
    terms, position = [], 0
    while position < len(pattern):
        found = TERM.match(pattern, position)
        if found is None:
            raise ApiError("InvalidParameterException", f"Invalid filter pattern: {pattern!r}")
        sign, phrase, word = found.groups()
        terms.append((sign, word if phrase is None else re.sub(r"\\(.)", r"\1", phrase)))
        position = found.end()
    return terms
