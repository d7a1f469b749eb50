"""
Find the Docker engine of this machine and make sure that it can be used.

Of this machine: a container's folders are bind mounts, so an engine elsewhere would see others.
"""

import os
import socket
from collections.abc import Mapping

import docker
from docker.errors import DockerException

from kennel.engine.client import Engine
from kennel.errors import EngineError

HOST_VARIABLE = "DOCKER_HOST"
SCHEME = "unix://"
SOCKET = f"{SCHEME}/var/run/docker.sock"
OLDEST = (1, 41)  # of the API: Docker 20.10
TIMEOUT_S = 60
KNOCK_TIMEOUT_S = 10


def connect(environment: Mapping[str, str] = os.environ, timeout_s: float = TIMEOUT_S) -> Engine:
    """
    Return the engine of this machine.

    Args:
        environment: Where DOCKER_HOST may name another socket than Docker's own.
        timeout_s: How long any answer may take.

    Raises:
        EngineError: None answers, it may not be used, it is too old, or on another machine.
    """
    address = environment.get(HOST_VARIABLE) or SOCKET
    if not address.startswith(SCHEME):
        raise EngineError(
            f"{HOST_VARIABLE} is {address!r}, which may be another machine's engine",
            expected=f"{SCHEME}PATH: containers are given folders of this machine",
            remedy=f"unset {HOST_VARIABLE}",
        )
    try:
        knock(address.removeprefix(SCHEME))
        client = docker.DockerClient(base_url=address, timeout=int(timeout_s))
        version = client.version()
    except (DockerException, OSError) as error:
        raise unreachable(address, error) from error
    check_version(version["ApiVersion"], version["Version"])
    return Engine(client, version["Version"])


def knock(path: str) -> None:
    """
    Connect to a socket and let it go: what the system says is clearer than what the SDK does.

    Raises:
        OSError: Nobody listens there, or not to us.
    """
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(KNOCK_TIMEOUT_S)
        probe.connect(path)


def unreachable(address: str, error: Exception) -> EngineError:
    """Word why no engine answers."""
    if isinstance(error, PermissionError):
        return EngineError(
            f"no permission to use the Docker engine at {address}",
            expected="a member of the group docker, or root",
            remedy="sudo usermod -aG docker $USER, then log in again",
        )
    why = error.strerror if isinstance(error, OSError) and error.strerror else error
    return EngineError(
        f"no Docker engine answers at {address}: {why}",
        remedy="sudo systemctl start docker, after apt install docker.io where there is none",
    )


def check_version(api: str, version: str) -> None:
    """
    Ask for an engine that has all we use.

    Raises:
        EngineError: It is older.
    """
    if tuple(int(part) for part in api.split(".")) < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        raise EngineError(
            f"the Docker engine is {version}, with API {api}",
            expected=f"20.10 or newer, with API {wanted}",
            remedy="install a newer docker.io or docker-ce",
        )
