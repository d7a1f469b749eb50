"""
What a client sent, short enough to be sent back: an error must not be as long as its request.
"""

import reprlib
from typing import Final

_CHARS: Final = 60

_EXCERPT: Final = reprlib.Repr()
_EXCERPT.maxstring = _EXCERPT.maxlong = _EXCERPT.maxother = _CHARS
_EXCERPT.maxlevel = 1


def excerpt(value: object) -> str:
    """Return the repr of *value*, of strings and containers only the beginning."""
    return _EXCERPT.repr(value)
