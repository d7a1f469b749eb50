"""
Start a variant's container: its model unpacked, its folder laid out, its health asked for.

A model is unpacked once for each content, however many endpoints serve it; each container has a
folder of its own with links to the read-only files. When to start and when to stop is driver's.
"""

import hashlib
import http.client
import shutil
import socket
import threading
from http import HTTPStatus
from pathlib import Path

from kennel.contract import PING_TIMEOUT_S, ContainerPaths
from kennel.errors import KennelError
from kennel.local.runtimes.protocol import Launch
from kennel.local.s3 import mounts
from kennel.local.s3.tree import link
from kennel.local.sagemaker import archive, s3_uri
from kennel.local.sagemaker.hosting.fleet import Variant
from kennel.local.sagemaker.platform import Platform
from kennel.local.sagemaker.training.layout import local_aws

CONNECT_TIMEOUT_S = 0.25  # SageMaker's own
MODEL_FILE = "model-folder"  # in a launch's folder: the unpacked model that it uses


class Launcher:
    """Starts containers of endpoints, and keeps the models that they share."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.launches = platform.folder / "endpoints"
        self.models = platform.folder / "models"
        self._lock = threading.Lock()  # no model goes between its unpacking and its use

    def start(self, variant: Variant, region: str) -> None:
        """
        Start a variant's container, in place of one that it may have.

        Raises:
            KennelError, ApiError: The model data has gone, or is no archive.
        """
        folder = self.launches / variant.launch_id
        shutil.rmtree(folder, ignore_errors=True)
        paths = ContainerPaths(folder / "ml")
        paths.root.mkdir(parents=True)
        with self._lock:
            self._provide_model(variant, folder)
        url = self.platform.runtime.server_url(variant.image, self.platform.endpoint_url)
        self.platform.runtime.start(
            Launch(
                id=variant.launch_id,
                image=variant.image,
                role="serve",
                root=paths.root,
                arguments=("serve",),
                environment=local_aws(region, url) | variant.environment,
                instance_type=variant.instance_type,
                read_only=(paths.model.name,),
            )
        )

    def _provide_model(self, variant: Variant, folder: Path) -> None:
        """Make the model folder of a launch: files that others may share, folders of its own."""
        target = ContainerPaths(folder / "ml").model
        if not variant.model_uri:
            target.mkdir()
        elif variant.is_archive:
            model = self._unpacked(variant, folder)
            shutil.copytree(model, target, symlinks=True, copy_function=link_file)
        else:
            mounts.link_all(self.platform.objects, *s3_uri.split(variant.model_uri), target)

    def _unpacked(self, variant: Variant, folder: Path) -> Path:
        """Return the folder with a variant's model, which other launches may have, too."""
        bucket, key = s3_uri.split(variant.model_uri)
        stored = self.platform.objects.head(bucket, key)
        content = f"{stored.etag} {stored.size} {stored.stamp_ns}"
        model = self.models / hashlib.sha256(content.encode()).hexdigest()[:16]
        (folder / MODEL_FILE).write_text(model.name)
        if not model.exists():
            archive.unpack(self.platform.objects.path(bucket, key), model)
        return model

    def remove(self, launch_id: str) -> None:
        """Remove a launch, and the models that no launch uses any more."""
        self.platform.runtime.remove(launch_id)
        with self._lock:
            shutil.rmtree(self.launches / launch_id, ignore_errors=True)
            used = {file.read_text() for file in self.launches.glob(f"*/{MODEL_FILE}")}
            for model in self.models.glob("*"):
                if model.name not in used:
                    shutil.rmtree(model, ignore_errors=True)

    def is_healthy(self, launch_id: str) -> bool:
        """Return whether the container answers GET /ping with 200, as quickly as it must."""
        try:
            return ping(self.platform.runtime.address(launch_id))
        except KennelError:  # it has just ended
            return False


def link_file(source: str, target: str) -> None:
    """Give a file a second name."""
    link(Path(source), Path(target))


def ping(address: tuple[str, int]) -> bool:
    """Return whether a server answers GET /ping with 200 in the time that SageMaker gives it."""
    connection = http.client.HTTPConnection(*address, timeout=PING_TIMEOUT_S)
    try:
        connection.sock = socket.create_connection(address, CONNECT_TIMEOUT_S)
        connection.sock.settimeout(PING_TIMEOUT_S)
        connection.request("GET", "/ping")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
