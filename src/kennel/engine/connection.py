"""
Find the Docker engine of this machine and make sure that it can be used.

Of this machine: a container's folders are bind mounts, so an engine elsewhere would see others.
"""

import os
from collections.abc import Mapping

import docker
from docker.errors import DockerException

from kennel.engine.client import Engine
from kennel.errors import EngineError

HOST_VARIABLE = "DOCKER_HOST"
SOCKET = "unix:///var/run/docker.sock"
OLDEST = (1, 41)  # of the API: Docker 20.10
TIMEOUT_S = 60


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
    if not address.startswith("unix://"):
        raise EngineError(
            f"{HOST_VARIABLE} is {address!r}, which may be another machine's engine",
            expected="unix://PATH: containers are given folders of this machine",
            remedy=f"unset {HOST_VARIABLE}",
        )
    try:
        client = docker.DockerClient(base_url=address, timeout=int(timeout_s))
        version = client.version()
    except DockerException as error:
        raise unreachable(address, error) from error
    check_version(version["ApiVersion"], version["Version"])
    return Engine(client, version["Version"])


def unreachable(address: str, error: BaseException) -> EngineError:
    """Word why no engine answers."""
    if "Permission denied" in str(error):
        return EngineError(
            f"no permission to use the Docker engine at {address}",
            expected="a member of the group docker, or root",
            remedy="sudo usermod -aG docker $USER, then log in again",
        )
    return EngineError(
        f"no Docker engine answers at {address}: {innermost(error)}",
        remedy="sudo systemctl start docker, after apt install docker.io where there is none",
    )


def innermost(error: BaseException) -> str:
    """Return what the operating system said, without the layers around it."""
    for word in ("No such file or directory", "Connection refused", "timed out"):
        if word in str(error):
            return word
    return str(error)


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
