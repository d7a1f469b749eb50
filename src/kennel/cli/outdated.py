"""
Whether a container would run other code than this tree has.

The local server takes an image as the engine has it, and nobody has to build it again after a
change: so whoever starts a job is told. Without containers it is the tree's own code that runs.
"""

import os
from collections.abc import Mapping
from contextlib import closing

from kennel import source
from kennel.errors import EngineError, LocalServerError
from kennel.jobs.images import SERVE, SERVE_GPU, TRAIN
from kennel.local import daemon
from kennel.settings import Settings

REVISION = "org.opencontainers.image.revision"


def note(settings: Settings, image: str | None) -> str | None:
    """Return what to say of *image* before a job takes it; None where there is nothing to say."""
    here = source.digest()
    if image is None or here is None or not is_ours(image) or not runs_containers(settings):
        return None
    labels = labels_of(image)
    return None if labels is None else worded(image, labels, here)


def is_ours(image: str) -> bool:
    """Say whether it is one of the images that ``make build`` makes, also one that was pushed."""
    name = image.partition("@")[0].rpartition("/")[2].partition(":")[0]
    return name in (TRAIN, SERVE, SERVE_GPU)


def worded(image: str, labels: Mapping[str, str], here: str) -> str | None:
    """
    Compare the code in an image with that of this tree.

    Args:
        labels: Of the image.
        here: The digest of this tree.
    """
    if labels.get(source.LABEL) == here:
        return None
    name, at, _ = image.partition("@")
    return (
        f"note: {name} was not built from this tree's code: it is of commit "
        f"{labels.get(REVISION, 'unknown')}\n"
        f"  try: {'git commit, then make build push LOCAL=1' if at else 'make build'}"
    )


def runs_containers(settings: Settings) -> bool:
    """Say whether it is the local server that is asked, and has an engine to run containers."""
    url = os.environ.get("AWS_ENDPOINT_URL")
    if url is None:
        return False
    try:
        server = daemon.status(settings.local.state)
    except LocalServerError:
        return False
    return server.address is not None and server.address.url == url and server.engine is not None


def labels_of(image: str) -> Mapping[str, str] | None:
    """Return the labels of an image, None where the engine does not have it."""
    from kennel import engine  # noqa: PLC0415 - slow to import, and AWS needs none

    try:
        with closing(engine.connect()) as client:
            found = client.image(image)
    except EngineError:
        return None
    return None if found is None else found.labels
