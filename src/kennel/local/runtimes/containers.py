"""
A launch as a container: what ``docker run`` is told for it. Pure.

SageMaker's own ``docker run`` is not documented in full. What is known or measured, and by whom:

- no --init (developer guide, "How Amazon SageMaker Runs Your Training Image");
- an endpoint has the engine's 64 MiB of shared memory (aws/sagemaker-python-sdk issue 2801). A
  training job has much more, how much is not told (?): half of the memory here, as a tmpfs of
  Linux's own would have;
- for GPUs, unlimited locked memory and 64 MiB of stack, as NVIDIA asks of whoever runs its
  images (?);
- only the folders of /opt/ml that SageMaker fills hide those of the image: /opt/ml/code is its own.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from kennel.contract import GPU_FAMILIES, SERVING_PORT, ContainerPaths
from kennel.engine import Bind, Container, Found
from kennel.engine.values import UNENDING
from kennel.local.runtimes.protocol import Launch, State, Status

STATE_LABEL = "kennel.state"  # the folder of all launches of one server
LAUNCH_LABEL = "kennel.launch"
ROLE_LABEL = "kennel.role"
NETWORK_LABEL = "kennel.network"
GPU_LIMITS: Mapping[str, int] = MappingProxyType({"memlock": UNENDING, "stack": 64 * 2**20})
BASE = ContainerPaths().root
OUT_OF_MEMORY = "out of memory: the kernel killed it"
HOME_OF_NOBODY = "/tmp"  # noqa: S108 - where any user of a container may write


@dataclass(frozen=True)
class Machine:
    """What there is to give to a container, and whom it is to run as."""

    memory_bytes: int
    gpus: bool
    user: str | None  # "UID:GID"; None leaves it to the image


def machine(info: Mapping[str, Any], uid: int, gid: int) -> Machine:
    """
    Return what an engine says of its machine.

    Whoever started the server owns what its containers write: root's run as the image says, as
    SageMaker's do, and so do those of an engine that is not root itself, whose root is its user.
    """
    is_rootless = any("name=rootless" in option for option in info.get("SecurityOptions") or ())
    return Machine(
        memory_bytes=int(info["MemTotal"]),
        gpus="nvidia" in info.get("Runtimes", {}),
        user=None if uid == 0 or is_rootless else f"{uid}:{gid}",
    )


def container(
    launch: Launch,
    folder: Path,
    about: Machine,
    *,
    folders: Iterable[str],
    image_environment: Mapping[str, str],
) -> Container:
    """
    Return a launch as a container.

    Args:
        folder: Of all launches of this server.
        folders: Those directly below the launch's root.
        image_environment: What the image sets.
    """
    is_serving = launch.role == "serve"
    gpus = wants_gpus(launch.instance_type) and about.gpus
    return Container(
        image=launch.image,
        arguments=launch.arguments,
        entrypoint=launch.entrypoint,
        name=name(folder, launch.id),
        environment=home(about, image_environment) | dict(launch.environment),
        binds=binds(launch, folders),
        user=about.user,
        hostname=launch.hostname,
        network=None if launch.network is None else name(folder, launch.network),
        port=SERVING_PORT if is_serving else None,
        labels=labels(folder, launch),
        shm_bytes=None if is_serving else about.memory_bytes // 2,
        ulimits=GPU_LIMITS if gpus else {},
        gpus=gpus,
    )


def wants_gpus(instance_type: str) -> bool:
    """Return whether instances of this type have GPUs."""
    return instance_type.removeprefix("ml.").partition(".")[0] in GPU_FAMILIES


def home(about: Machine, image_environment: Mapping[str, str]) -> dict[str, str]:
    """Return a home that can be written, for a user whom the image does not know."""
    if about.user is None or "HOME" in image_environment:
        return {}
    return {"HOME": HOME_OF_NOBODY}


def binds(launch: Launch, folders: Iterable[str]) -> list[Bind]:
    """Return the folders of a launch as its container sees them, the outer ones first."""
    writable = [
        Bind(launch.root / folder, str(BASE / folder))
        for folder in folders
        if folder not in launch.read_only
    ]
    fixed = [
        Bind(launch.root / path, str(BASE / path), read_only=True) for path in launch.read_only
    ]
    mounted = [
        Bind(mount.source.absolute(), str(BASE / mount.target), read_only=True)
        for mount in launch.mounts
    ]
    return [*writable, *fixed, *mounted]


def name(folder: Path, what: str) -> str:
    """Return the engine's name for a launch or a network of the server with this folder."""
    digest = hashlib.sha256(str(folder).encode()).hexdigest()[:8]
    return f"kennel-{digest}-{what}"


def labels(folder: Path, launch: Launch) -> dict[str, str]:
    """Return what a launch's container is found by."""
    shared = {} if launch.network is None else {NETWORK_LABEL: name(folder, launch.network)}
    return {
        STATE_LABEL: str(folder),
        LAUNCH_LABEL: launch.id,
        ROLE_LABEL: launch.role,
        **shared,
    }


def state(found: Found | None, booted: datetime) -> State:
    """
    Return where a launch stands whose container was started.

    Args:
        found: Its container, None when that is gone.
        booted: When this machine was.
    """
    if found is None:
        return State(Status.LOST)
    if found.is_running:
        return State(Status.RUNNING)
    if found.status == "created" and not found.exit_code:
        return State(Status.ABSENT)
    # The engine says of what the machine's own end has ended that it ended when it found it so.
    if found.started and found.finished and found.started < booted <= found.finished:
        return State(Status.LOST)
    return State(Status.EXITED, found.exit_code, OUT_OF_MEMORY if found.out_of_memory else "")


def start_problem(said: str) -> str:
    """Return what matters of the engine's word on a program that cannot be run."""
    return said[said.find("exec: ") :].removesuffix(": unknown")


def missing_gpus(launch: Launch, about: Machine) -> str:
    """Say so where an instance has GPUs and this machine has none to give; else nothing."""
    if about.gpus or not wants_gpus(launch.instance_type):
        return ""
    return (
        f"{launch.id}: {launch.instance_type} has GPUs, the Docker engine of this machine none to"
        " give (it knows no runtime nvidia): the container runs without"
    )


def image_problem(image: str, registry: str | None, refusal: str) -> tuple[str, str, str]:
    """Word why there is no such image: problem, expected, remedy."""
    if registry is None:
        return (
            f"Cannot find the image {image!r}",
            "an image that this machine's Docker engine has, or one named REGISTRY/NAME",
            f"make build, or docker pull {image}",
        )
    return (
        f"Cannot pull the image {image!r}: {refusal}",
        f"an image that {registry} has and that you may pull",
        f"docker login {registry}, then docker pull {image}",
    )
