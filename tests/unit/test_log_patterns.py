"""Filter patterns of CloudWatch Logs, as AWS documents them."""

import pytest

from kennel.local.logs.patterns import matcher
from kennel.local.wire.errors import ApiError

LINE = "[ERROR 400] BAD REQUEST: no such class"


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("", True),
        ("ERROR", True),
        ("error", False),
        ("ERROR REQUEST", True),
        ("ERROR GOOD", False),
        ('"BAD REQUEST"', True),
        ('"REQUEST BAD"', False),
        ("?GOOD ?BAD", True),
        ("?GOOD ?FINE", False),
        ("ERROR -BAD", False),
        ("ERROR -GOOD", True),
        ('-"BAD REQUEST"', False),
        ("ERROR ?GOOD", True),
        ('"REQUEST:"', True),
    ],
)
def test_terms(pattern, matches):
    """
    All the terms, one of the ?terms, none of the -terms; ?terms do not count beside others.
    """
    assert matcher(pattern)(LINE) is matches


def test_a_phrase_may_have_quotes_in_it():
    """
    A backslash takes their meaning away.
    """
    assert matcher(r'"say \"no\""')('say "no"')


@pytest.mark.parametrize("pattern", ["{ $.level = 1 }", "[ip, user]", "%a+%"])
def test_other_kinds_of_pattern_are_said_not_to_be_there(pattern):
    """
    Rather than match nothing, or everything.
    """
    with pytest.raises(ApiError, match="NotInLocalMode"):
        matcher(pattern)


def test_an_unclosed_quote_is_an_invalid_parameter():
    """
    As on AWS.
    """
    with pytest.raises(ApiError, match="InvalidParameterException"):
        matcher('"never ends')
