"""A real local server, and clients that talk to it as any program would."""

import os
from functools import cache

import boto3
import pytest
from botocore.config import Config
from moto import mock_aws

from kennel.local import daemon
from kennel.local import environment as client_environment


@pytest.fixture(scope="session")
def state(tmp_path_factory):
    """The state folder of the session's server."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="session")
def server(state):
    """A local server in a process of its own, on a free port; its address."""
    address = daemon.start(state, 0)
    yield address
    daemon.stop(state)


@pytest.fixture(scope="session")
def server_environment(server):
    """The environment of a program that uses the server, and nothing else of AWS."""
    return client_environment.applied(server.url, os.environ)


@pytest.fixture(scope="session")
def aws(server):
    """Return ``aws(service, region=None, **config)``, which makes boto3 clients of the server."""
    return clients_of(server.url)


@pytest.fixture(scope="session")
def clients_of_server():
    """Return ``clients_of_server(url)``, which makes such client factories for other servers."""
    return clients_of


@pytest.fixture(params=["local", pytest.param("moto", marks=pytest.mark.oracle)])
def api(request):
    """
    Client factories of the local server and of moto: what both answer alike is likely AWS's answer.

    Where moto differs from AWS's documentation, the module's MOTO_DIFFERS says so: test → reason.
    """
    if request.param == "local":
        return request.getfixturevalue("aws")
    if reason := getattr(request.module, "MOTO_DIFFERS", {}).get(request.node.name):
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
    return request.getfixturevalue("moto_clients")


@pytest.fixture(scope="module")
def moto_clients():
    """Client factories of moto, in this process; what goes to the local server still gets there."""
    with mock_aws():
        yield clients_of(None)


def clients_of(url):
    # Keys and region of our own: the machine's credentials stay out of it.
    session = boto3.Session("kennel-test", "kennel-test", region_name="us-east-1")

    @cache
    def client(service, region=None, **config):
        options = Config(**config) if config else None
        return session.client(service, region, endpoint_url=url, config=options)

    return client
