"""
The environment in which boto3 and the AWS CLI talk to the local server, and to nothing else.

Pure. What would lead them elsewhere is covered too: profiles, endpoints for single services,
proxies, and the address where EC2 keeps its credentials.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from kennel.local.wire.context import DEFAULT_REGION

KEY = "kennel-local"  # any would do; this one is told from a real one at a glance
LOCAL_HOSTS = ("127.0.0.1", "localhost", ".localhost")

UNSET = (
    "AWS_PROFILE",  # a profile that the empty configuration lacks is an error
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CA_BUNDLE",
)
SERVICE_ENDPOINT = "AWS_ENDPOINT_URL_"  # followed by a service; it would win over AWS_ENDPOINT_URL


def variables(endpoint_url: str, environ: Mapping[str, str]) -> dict[str, str]:
    """
    Return what to set, on top of *environ*, to use the server at *endpoint_url*.

    The region stays the caller's where it has one.
    """
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or DEFAULT_REGION
    direct = no_proxy(environ, *filter(None, [urlsplit(endpoint_url).hostname]))
    return {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_USE_FIPS_ENDPOINT": "false",
        "AWS_USE_DUALSTACK_ENDPOINT": "false",
        "NO_PROXY": direct,
        "no_proxy": direct,
    }


def unset(environ: Mapping[str, str]) -> list[str]:
    """Return the names to remove from *environ*, which would lead clients elsewhere."""
    return sorted(name for name in environ if name in UNSET or name.startswith(SERVICE_ENDPOINT))


def applied(endpoint_url: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Return *environ* changed for the server at *endpoint_url*."""
    removed = set(unset(environ))
    kept = {name: value for name, value in environ.items() if name not in removed}
    return {**kept, **variables(endpoint_url, environ)}


def no_proxy(environ: Mapping[str, str], *hosts: str) -> str:
    """Return NO_PROXY, extended by this machine and by other *hosts*."""
    before = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    named = [host.strip() for host in before.split(",") if host.strip()]
    return ",".join(dict.fromkeys([*named, *LOCAL_HOSTS, *hosts]))
