"""A real local server, and clients that talk to it as any program would."""

import os

import pytest

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
    """Return ``aws(service, **arguments)``, which makes boto3 clients of the server."""
    return clients_of(server.url)


@pytest.fixture(scope="session")
def clients_of_server():
    """Return ``clients_of_server(url)``, which makes such client factories for other servers."""
    return clients_of


def clients_of(url):
    import boto3

    # A session of our own: the machine's configuration and credentials stay out of it.
    session = boto3.Session("kennel-test", "kennel-test", region_name="us-east-1")

    def client(service, **arguments):
        return session.client(service, **{"endpoint_url": url, **arguments})

    return client
