"""What is told to an engine, and what it tells: values. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any

LOOPBACK = "127.0.0.1"
UNENDING = -1  # of an ulimit


@dataclass(frozen=True)
class Bind:
    """A file or folder of this machine in a container; it must be there already."""

    source: Path
    target: str  # absolute
    read_only: bool = False


@dataclass(frozen=True)
class Volume:
    """A volume of the engine in a container; what the image has at its place stays hidden."""

    name: str
    target: str  # absolute
    read_only: bool = False


@dataclass(frozen=True)
class Container:
    """One container, as ``docker run`` would be told; without --init, --rm and a terminal."""

    image: str
    arguments: Sequence[str] = ()  # what follows the image on the command line
    entrypoint: Sequence[str] = ()  # in place of the image's own
    name: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    binds: Sequence[Bind] = ()
    volumes: Sequence[Volume] = ()
    user: str | None = None  # "UID:GID"; else the image's own
    hostname: str | None = None
    network: str | None = None  # in which it is known by its hostname; else the engine's default
    port: int | None = None  # published on a free port of 127.0.0.1
    labels: Mapping[str, str] = field(default_factory=dict)
    shm_bytes: int | None = None  # else the engine's 64 MiB
    ulimits: Mapping[str, int] = field(
        default_factory=dict
    )  # soft and hard alike; UNENDING for none
    memory_bytes: int | None = None
    gpus: bool = False  # all of them
    read_only: bool = False  # its root file system
    tmpfs: Sequence[str] = ()


@dataclass(frozen=True)
class Image:
    """An image that the engine has."""

    id: str
    entrypoint: tuple[str, ...] | None  # as it was declared: a shell form has /bin/sh in it
    arguments: tuple[str, ...]  # CMD
    environment: Mapping[str, str]
    labels: Mapping[str, str]
    user: str
    size_bytes: int
    architecture: str
    raw: Mapping[str, Any]  # all that ``docker image inspect`` says


@dataclass(frozen=True)
class Found:
    """A container that the engine has, and how it is."""

    id: str
    name: str
    image_id: str
    labels: Mapping[str, str]
    status: str  # created, running, paused, restarting, removing, exited, dead
    exit_code: int
    out_of_memory: bool  # the kernel has killed one of its processes for that
    error: str  # why it could not be started
    started: datetime | None
    finished: datetime | None
    port: int | None  # of 127.0.0.1, where one is published
    raw: Mapping[str, Any]  # all that ``docker inspect`` says

    @property
    def is_running(self) -> bool:
        """Whether its main process lives; a paused one does."""
        return self.status in ("running", "paused", "restarting", "removing")


def image(raw: Mapping[str, Any]) -> Image:
    """Return an image from what the engine says of it."""
    config = raw.get("Config") or {}
    entrypoint = config.get("Entrypoint")
    return Image(
        id=raw["Id"],
        entrypoint=None if entrypoint is None else tuple(entrypoint),
        arguments=tuple(config.get("Cmd") or ()),
        environment=dict(pair.partition("=")[::2] for pair in config.get("Env") or ()),
        labels=config.get("Labels") or {},
        user=config.get("User") or "",
        size_bytes=raw.get("Size", 0),
        architecture=raw.get("Architecture", ""),
        raw=raw,
    )


def found(raw: Mapping[str, Any]) -> Found:
    """Return a container from what the engine says of it."""
    state = raw["State"]
    ports = (raw.get("NetworkSettings") or {}).get("Ports") or {}
    published = [binding for bindings in ports.values() for binding in bindings or ()]
    return Found(
        id=raw["Id"],
        name=raw["Name"].removeprefix("/"),
        image_id=raw["Image"],
        labels=raw["Config"].get("Labels") or {},
        status=state["Status"],
        exit_code=state["ExitCode"],
        out_of_memory=bool(state.get("OOMKilled")),
        error=state.get("Error", ""),
        started=moment(state.get("StartedAt", "")),
        finished=moment(state.get("FinishedAt", "")),
        port=int(published[0]["HostPort"]) if published else None,
        raw=raw,
    )


def moment(text: str) -> datetime | None:
    """Return a time of the engine's, which writes nanoseconds; None for its year 1, never."""
    if not text or text.startswith("0001-"):
        return None
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{whole}.{fraction[:6]:0<6}+00:00")


def registry(name: str) -> str | None:
    """Return the registry that an image's name begins with; None where it names none."""
    first, slash, _ = name.partition("/")
    return first if slash and ("." in first or ":" in first or first == "localhost") else None


def gateway(network: Mapping[str, Any]) -> str | None:
    """
    Return this machine's address in one of the engine's networks.

    An engine that was told nothing about its default network takes the subnet's first address.
    """
    for config in (network.get("IPAM") or {}).get("Config") or ():
        if config.get("Gateway"):
            return str(config["Gateway"]).partition("/")[0]
        if config.get("Subnet"):
            return str(next(ip_network(config["Subnet"], strict=False).hosts()))
    return None


def addresses(listed: Mapping[str, Any]) -> list[str]:
    """Return the IPv4 addresses of a container, as the engine lists it."""
    networks = (listed.get("NetworkSettings") or {}).get("Networks") or {}
    return [network["IPAddress"] for network in networks.values() if network.get("IPAddress")]
