"""
What kennel asks of a Docker engine, in its own words: each method is one call of its API.

Every way in which a call can fail is an EngineError; what is not there is None, and ending what has
ended already is no error.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from http import HTTPStatus
from typing import IO, Any, cast

import docker
import requests
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.types import DeviceRequest, LogConfig, Mount, Ulimit

from kennel.engine import streams, values
from kennel.engine.values import LOOPBACK, Container, Found, Image
from kennel.errors import EngineError

CANNOT_START = {126: "not executable", 127: "no such program"}  # as shells and Docker count
DEFAULT_NETWORK = "bridge"
# In one file, whatever the engine does by default: kennel reads it from the beginning.
LOGGING = LogConfig(
    type=LogConfig.types.JSON,
    config={"max-size": "1t", "max-file": "1", "compress": "false", "mode": "blocking"},
)
CONNECT_TIMEOUT_S = 10
IMAGE_BLOCK_BYTES = 2**20
OUTPUT_BLOCK_BYTES = 2**16


class StartError(EngineError):
    """
    A container's program cannot be run.

    Args:
        exit_code: 126 where it may not, 127 where there is none.
    """

    def __init__(self, problem: str, exit_code: int) -> None:
        super().__init__(problem)
        self.exit_code = exit_code


class Engine:
    """
    A Docker engine. Safe to call from several threads.

    Args:
        version: Docker's, for people.
    """

    def __init__(self, client: docker.DockerClient, version: str) -> None:
        self.version = version
        self._client = client
        self._api = client.api

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def info(self) -> Mapping[str, Any]:
        """Return what ``docker info`` says."""
        with asking("say how it is"):
            return dict(self._api.info())

    # Images

    def image(self, name: str) -> Image | None:
        """Return an image by its name or id."""
        with asking(f"look for the image {name}"), suppress(ImageNotFound):
            return values.image(self._client.images.get(name).attrs)
        return None

    def pull(self, name: str) -> Image:
        """
        Fetch an image from its registry, as whoever the Docker configuration says.

        Raises:
            EngineError: It is not there, or may not be had.
        """
        with asking(f"pull the image {name}"):
            return values.image(self._client.images.pull(name).attrs)

    def history(self, name: str) -> list[Mapping[str, Any]]:
        """Return what made each layer of an image, the last first, as ``docker history`` does."""
        with asking(f"tell the history of the image {name}"):
            return list(self._api.history(name))  # type: ignore[no-untyped-call] # the stubs lack it

    def saved(self, name: str, *, timeout_s: float) -> Iterator[bytes]:
        """
        Yield an image with all its layers as ``docker save`` writes it: a tar, in blocks.

        Args:
            timeout_s: For each of them; the engine has a copy of all layers before the first.
        """
        api = self._api
        url = f"{api.base_url}/v{api.api_version}/images/{name}/get"
        with (
            asking(f"save the image {name}"),
            api.get(url, stream=True, timeout=(CONNECT_TIMEOUT_S, timeout_s)) as answer,
        ):
            answer.raise_for_status()
            yield from answer.iter_content(IMAGE_BLOCK_BYTES)

    # Containers

    def create(self, container: Container) -> str:
        """Make a container that has yet to be started, and return its id."""
        with asking(f"make a container of {container.image}"):
            made = self._api.create_container(**self._parts(container))
        return str(made["Id"])

    def _parts(self, container: Container) -> dict[str, Any]:
        """Return a container in the SDK's words."""
        api, port = self._api, container.port
        host = api.create_host_config(
            mounts=[
                Mount(bind.target, str(bind.source), type="bind", read_only=bind.read_only)
                for bind in container.binds
            ]
            + [
                Mount(volume.target, volume.name, read_only=volume.read_only, no_copy=True)
                for volume in container.volumes
            ],
            port_bindings=None if port is None else {port: (LOOPBACK, None)},
            network_mode=container.network,
            shm_size=container.shm_bytes,
            ulimits=[Ulimit(name=k, soft=v, hard=v) for k, v in container.ulimits.items()],
            mem_limit=container.memory_bytes,
            memswap_limit=container.memory_bytes,
            device_requests=[DeviceRequest(count=-1, capabilities=[["gpu"]])]
            if container.gpus
            else None,
            read_only=container.read_only,
            tmpfs=dict.fromkeys(container.tmpfs, ""),
            log_config=LOGGING,
            init=False,
        )
        aliases: Any = None  # the SDK's stubs take the settings of one network for those of all
        if container.network and container.hostname:
            aliases = {container.network: api.create_endpoint_config(aliases=[container.hostname])}
        return {
            "image": container.image,
            "command": list(container.arguments) or None,
            "entrypoint": list(container.entrypoint) or None,
            "name": container.name,
            "environment": dict(container.environment),
            "user": container.user,
            "hostname": container.hostname,
            "labels": dict(container.labels),
            "ports": None if port is None else [port],
            "host_config": host,
            "networking_config": aliases and api.create_networking_config(aliases),
        }

    def start(self, container: str) -> None:
        """
        Start a container that was made.

        Raises:
            StartError: Its program cannot be run.
            EngineError: Something else is in the way.
        """
        try:
            with asking("start a container"):
                self._api.start(container)
        except EngineError as error:
            found = self.find(container)
            if found and found.exit_code in CANNOT_START:
                raise StartError(error.problem, found.exit_code) from error
            raise

    def find(self, container: str) -> Found | None:
        """Return a container by its id or name."""
        with asking("describe a container"), suppress(NotFound):
            return values.found(self._api.inspect_container(container))
        return None

    def containers(self, labels: Mapping[str, str]) -> list[Found]:
        """Return every container, in whatever state, that has these labels; "" is any value."""
        with asking("list containers"):
            listed = self._api.containers(all=True, filters={"label": filters(labels)})
        found = [self.find(entry["Id"]) for entry in listed]
        return [one for one in found if one is not None]

    def wait(self, container: str, timeout_s: float) -> int | None:
        """Return a container's exit code when it ends; None after *timeout_s*, or without it."""
        with asking("wait for a container"):
            try:
                ended = self._api.wait(container, timeout=timeout_s)  # type: ignore[arg-type] # requests takes fractions
                return int(ended["StatusCode"])
            except NotFound:
                return None
            except requests.exceptions.Timeout:
                return None
            except requests.exceptions.ConnectionError as error:
                if "timed out" in str(error):  # how the SDK's adapter words a timeout on a socket
                    return None
                raise

    def signal(self, container: str, name: str) -> None:
        """Send a signal to a container's main process; SIGKILL ends every other one as well."""
        with asking(f"send {name}"):
            try:
                self._api.kill(container, name)
            except NotFound:
                pass
            except APIError as error:
                if error.status_code != HTTPStatus.CONFLICT:  # it does not run
                    raise

    def remove(self, container: str) -> None:
        """Kill a container and remove all that is its own."""
        with asking("remove a container"):
            try:
                self._api.remove_container(container, v=True, force=True)
            except NotFound:
                pass
            except APIError as error:
                if error.status_code != HTTPStatus.CONFLICT:  # somebody is just removing it
                    raise

    def output(self, container: str, *, follow: bool = False) -> Iterator[bytes]:
        """
        Yield all that a container has written, from its beginning, in whole lines.

        Both streams, in the order in which the engine got them; the same bytes at each call. A
        line longer than streams.HELD_BYTES comes in parts.

        Args:
            follow: Go on until the container has ended.
        """
        lines = streams.Lines()
        for piece in self.pieces(container, follow=follow):
            if whole := lines.feed(piece):
                yield whole
        if rest := lines.rest():
            yield rest

    def pieces(
        self, container: str, *, follow: bool = False, tail: str = "all"
    ) -> Iterator[streams.Piece]:
        """
        Yield what a container has written as the engine got it; see output.

        Args:
            tail: How many of the last pieces.

        Raises:
            EngineError: The engine cannot go on.
        """
        api = self._api
        url = f"{api.base_url}/v{api.api_version}/containers/{container}/logs"
        asked: dict[str, str | int] = {
            "stdout": 1,
            "stderr": 1,
            "timestamps": 1,
            "follow": int(follow),
            "tail": tail,
        }
        # One that is followed may be silent for as long as it runs.
        timeout = (CONNECT_TIMEOUT_S, None if follow else api.timeout)
        with asking("read a container's output"):
            answer = api.get(url, params=asked, stream=True, timeout=timeout)
            with answer:
                answer.raise_for_status()
                for piece in streams.pieces(
                    iter(partial(answer.raw.read1, OUTPUT_BLOCK_BYTES), b"")
                ):
                    if piece.stream == streams.ENGINES_OWN:
                        raise EngineError(f"the Docker engine says: {piece.data.decode()}")
                    yield piece

    def archive(self, container: str, path: str) -> Iterator[bytes] | None:
        """Return a file or folder of a container, running or not, as the blocks of a tar."""
        with asking(f"copy {path} from a container"), suppress(NotFound):
            blocks: Iterator[bytes] = self._api.get_archive(container, path)[0]
            return blocks
        return None

    def put(self, container: str, folder: str, archive: IO[bytes]) -> None:
        """
        Unpack an archive into a folder of a container, which need not run.

        Args:
            archive: A tar, plain or compressed with gzip, bzip2 or xz.
        """
        with asking(f"copy files into {folder} of a container"):
            self._api.put_archive(container, folder, cast("bytes", archive))

    def processes(self, container: str) -> dict[int, str]:
        """Return the command lines of a running container by the ids that its host has for them."""
        with asking("list the processes of a container"):
            table: Mapping[str, Any] = dict(self._api.top(container, "-eo pid,args"))
        rows = table.get("Processes") or ()
        return {int(pid): " ".join(words) for pid, *words in rows}

    # Volumes

    def make_volume(self, name: str, labels: Mapping[str, str]) -> None:
        """Make a volume."""
        with asking("make a volume"):
            self._api.create_volume(name, labels=dict(labels))

    def remove_volume(self, name: str) -> None:
        """Remove a volume that no container has."""
        with asking("remove a volume"), suppress(NotFound):
            self._api.remove_volume(name, force=True)

    # Networks

    def make_network(self, name: str, labels: Mapping[str, str]) -> None:
        """Make a private network, unless it is there."""
        with asking(f"make the network {name}"):
            try:
                self._api.create_network(
                    name, driver="bridge", labels=dict(labels), check_duplicate=True
                )
            except APIError as error:
                if error.status_code != HTTPStatus.CONFLICT:
                    raise

    def remove_network(self, name: str) -> None:
        """Remove a network that no running container is in."""
        with asking(f"remove the network {name}"), suppress(NotFound):
            self._api.remove_network(name)

    def networks(self, labels: Mapping[str, str]) -> list[str]:
        """Return the names of the networks with these labels."""
        with asking("list networks"):
            listed = self._api.networks(filters={"label": filters(labels)})
        return [network["Name"] for network in listed]

    def addresses(self, labels: Mapping[str, str]) -> set[str]:
        """Return the addresses that the containers with these labels have in their networks."""
        with asking("list containers"):
            listed = self._api.containers(filters={"label": filters(labels)})
        return {address for entry in listed for address in values.addresses(entry)}

    def gateway(self) -> str | None:
        """Return this machine's address in the default network, if there is one."""
        with asking("describe its network"), suppress(NotFound):
            return values.gateway(self._api.inspect_network(DEFAULT_NETWORK))
        return None


def filters(labels: Mapping[str, str]) -> list[str]:
    """Return labels as the engine filters by them."""
    return [f"{name}={value}" if value else name for name, value in labels.items()]


@contextmanager
def asking(what: str) -> Iterator[None]:
    """
    Ask the engine something.

    Raises:
        EngineError: It does not do it, or does not answer.
    """
    try:
        yield
    except APIError as error:
        reason = str(error.explanation or error)
        raise EngineError(f"the Docker engine cannot {what}: {reason}") from error
    except (DockerException, requests.exceptions.RequestException, OSError) as error:
        raise EngineError(
            f"the Docker engine does not answer: {error}", remedy="sudo systemctl status docker"
        ) from error
