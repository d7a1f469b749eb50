"""
A real local server, and clients that talk to it as any program would.

And the training image's entry point, started as SageMaker starts it.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from functools import cache
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from moto import mock_aws

from kennel.contract import ContainerPaths
from kennel.local import daemon
from kennel.local import environment as client_environment

CLI_TIMEOUT_S = 120
ENTRY_TIMEOUT_S = 150  # far above what any training here takes, on a busy machine too
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


@pytest.fixture(scope="module")
def entry():
    """The training image's entry point; what of it still lives in the end is killed."""
    entry = Entry()
    yield entry
    for process in entry.started:
        if process.poll() is None:  # the number of one that has ended may be another's by now
            entry.kill(process)
            process.wait()
            process.stdout.close()


class Entry:
    """Starts the training image's entry point as SageMaker starts it, under a scratch /opt/ml."""

    def __init__(self):
        self.started = []

    def lay_out(
        self, root, hyperparameters, dataset=None, hosts=("localhost",), current=None, **channels
    ):
        """Make /opt/ml as the platform does, a channel of each folder in *dataset*, and others."""
        paths = ContainerPaths(root)
        channels |= {folder.name: folder for folder in sorted(dataset.iterdir() if dataset else ())}
        for folder in (paths.config, paths.data, paths.model, paths.output_data):
            folder.mkdir(parents=True)
        for name, folder in channels.items():
            paths.channel(name).symlink_to(folder)
        resources = {"current_host": current or hosts[0], "hosts": list(hosts)}
        paths.hyperparameters.write_text(json.dumps(hyperparameters))
        paths.input_data_config.write_text(json.dumps({name: {} for name in channels}))
        paths.resource_config.write_text(json.dumps(resources | {"network_interface_name": "lo"}))
        return paths

    def start(self, paths, **environment):
        """Start it in a process group of its own, with more variables in its environment."""
        process = subprocess.Popen(
            [sys.executable, "-m", "kennel.training", "train"],
            env=os.environ
            | {
                "SAGEMAKER_BASE_DIR": str(paths.root),
                "TRAINING_JOB_NAME": "clothes",
                "OMP_NUM_THREADS": "1",
                "AWS_DEFAULT_REGION": "us-east-1",
            }
            | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def run(self, paths, **environment):
        """Start it and wait for its end; return the exit code and the output."""
        return self.finish(self.start(paths, **environment))

    def finish(self, process):
        """Wait for the end, and return the exit code and the rest of the output."""
        alarm = threading.Timer(ENTRY_TIMEOUT_S, self.kill, [process])
        alarm.start()
        with process.stdout:  # not communicate(), which forgets what is read already, behind a line
            output = process.stdout.read()
        code = process.wait()
        alarm.cancel()
        self.kill(process)
        return code, output

    def kill(self, process):
        """End it, and whatever it has left behind."""
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    def wait_for(self, process, words):
        """Read the output until a line has these words."""
        seen = []
        for line in process.stdout:
            seen.append(line)
            if words in line:
                return
        raise AssertionError(f"ended without {words!r}:\n{''.join(seen)}")
