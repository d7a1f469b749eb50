"""The environment of a client of the local server leads it there, whatever it was before."""

import boto3
import pytest

from kennel.local.environment import applied, no_proxy, unset

URL = "http://127.0.0.1:4510"
HOSTILE = {
    "AWS_PROFILE": "production",
    "AWS_ENDPOINT_URL_S3": "https://s3.example.com",
    "AWS_SESSION_TOKEN": "real",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    "AWS_USE_FIPS_ENDPOINT": "true",
    "AWS_ACCESS_KEY_ID": "real",
    "AWS_SECRET_ACCESS_KEY": "real",
    "AWS_REGION": "eu-west-1",
    "HTTP_PROXY": "http://proxy:1",
    "NO_PROXY": "intranet",
}


@pytest.mark.parametrize("service", ["s3", "sagemaker", "sagemaker-runtime", "sts", "logs"])
def test_boto3_goes_to_the_local_server_whatever_was_set(service, monkeypatch, tmp_path):
    """
    Profiles, single endpoints, FIPS, proxies and real keys do not get in the way.
    """
    config = tmp_path / "config"
    config.write_text(
        "[default]\nregion=eu-west-3\nignore_configured_endpoint_urls=true\nmax_attempts=7\n"
    )
    changed = applied(URL, {**HOSTILE, "AWS_CONFIG_FILE": str(config)})
    for name in HOSTILE:
        monkeypatch.delenv(name, raising=False)
    for name, value in changed.items():
        monkeypatch.setenv(name, value)

    client = boto3.Session().client(service)

    assert client.meta.endpoint_url == URL
    assert client.meta.region_name == "eu-west-1"
    assert "7" not in str(client.meta.config.retries)  # the machine's own configuration
    credentials = boto3.Session().get_credentials()
    assert (credentials.access_key, credentials.token) == ("kennel-local", None)


def test_what_to_remove_is_named():
    """
    For shells: what cannot be overridden must be unset.
    """
    assert unset(HOSTILE) == ["AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "AWS_SESSION_TOKEN"]


def test_other_hosts_keep_going_around_the_proxy():
    """
    NO_PROXY is extended, not replaced, and only once.
    """
    first = no_proxy({"NO_PROXY": "intranet"})

    assert first == "intranet,127.0.0.1,localhost,.localhost"
    assert no_proxy({"no_proxy": first}) == first
