"""A real local server, and clients that talk to it as any program would."""

import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from moto import mock_aws

from kennel.local import daemon
from kennel.local import environment as client_environment

CLI_TIMEOUT_S = 120
CLI_VERSION = re.compile(rb"aws-cli/(\d+)\.")
DEBIANS_CLI = Path("/usr/bin/aws")


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


@pytest.fixture(scope="session")
def run_aws(server_environment):
    """Run version 1, which the development environment has; returns what it prints."""
    program = Path(sys.executable).with_name("aws")

    def run(*arguments):
        return printed([sys.executable, program, *arguments], server_environment)

    return run


@pytest.fixture(scope="session")
def run_aws_2(server, server_environment):
    """Run version 2, where the machine has one; older ones need to be told the endpoint."""
    program = version_2()
    if program is None:
        reason = "no AWS CLI version 2; on Debian 12: apt-get install awscli"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)

    def run(*arguments):
        return printed([program, "--endpoint-url", server.url, *arguments], server_environment)

    return run


def version_2():
    """Return an AWS CLI of version 2, if there is one."""
    candidates = [shutil.which("aws"), DEBIANS_CLI if DEBIANS_CLI.exists() else None]
    for program in filter(None, candidates):
        done = subprocess.run([program, "--version"], capture_output=True, check=False)  # noqa: S603
        found = CLI_VERSION.match(done.stdout)
        if found and int(found[1]) == 2:
            return program
    return None


def printed(command, environment):
    done = subprocess.run(  # noqa: S603
        command, env=environment, capture_output=True, text=True, check=False, timeout=CLI_TIMEOUT_S
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
