"""STS by boto3: on the local server, and on moto as an oracle."""

import pytest
from botocore.exceptions import ClientError


def test_the_caller_has_an_account(api):
    """
    Twelve digits, the same as in the ARN.
    """
    identity = api("sts").get_caller_identity()

    assert len(identity["Account"]) == 12
    assert f"::{identity['Account']}:" in identity["Arn"]
    assert identity["UserId"]


def test_the_local_account_is_all_zeros(aws):
    """
    No account of AWS has it, so that nothing local is taken for real.
    """
    assert aws("sts").get_caller_identity()["Account"] == "000000000000"


def test_other_calls_are_said_not_to_be_there(aws):
    """
    In the query protocol.
    """
    with pytest.raises(ClientError, match="sts GetSessionToken is not in local mode"):
        aws("sts").get_session_token()
