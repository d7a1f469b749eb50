"""
A Docker engine, the images that ``make build`` made, and small images made for one test.

On a machine without an engine these tests are skipped, which the summary says. Where
KENNEL_REQUIRE_ENGINE is set, as in CI, whatever is missing is a failure instead.
"""

import io
import os
import tarfile
import uuid
from pathlib import Path

import docker
import pytest

HERE = Path(__file__).parent
BASE_IMAGE = os.environ.get("KENNEL_TEST_BASE", "kennel-test-base:bookworm")
PUBLIC_BASE = "debian:bookworm-slim"
BASE_DOCKERFILE = f"""
FROM {PUBLIC_BASE}
RUN apt-get update && apt-get install -y --no-install-recommends \\
    ca-certificates python3 python3-venv
"""


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.container)


def missing(reason):
    """Skip, or fail where nothing may be missing."""
    if os.environ.get("KENNEL_REQUIRE_ENGINE"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def engine():
    """The Docker engine, as a client of docker's own SDK."""
    try:
        client = docker.from_env()
        client.ping()
    except docker.errors.DockerException as error:
        missing(f"no Docker engine answers: {error}")
    yield client
    client.close()


def build(engine, dockerfile, tag, files=()):
    """Build an image from the text of a Dockerfile and (path, text or bytes, mode) files."""
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        for path, content, mode in [("Dockerfile", dockerfile, 0o644), *files]:
            data = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(data), mode
            archive.addfile(member, io.BytesIO(data))
    context.seek(0)
    engine.images.build(fileobj=context, custom_context=True, tag=tag, rm=True)
    return tag


@pytest.fixture(scope="session")
def base_image(engine):
    """A small image with Python 3.11 and nothing of kennel."""
    try:
        engine.images.get(BASE_IMAGE)
    except docker.errors.ImageNotFound:
        try:
            build(engine, BASE_DOCKERFILE, BASE_IMAGE)
        except docker.errors.BuildError as error:
            missing(f"cannot build {BASE_IMAGE} from {PUBLIC_BASE}: {error}")
    return BASE_IMAGE


@pytest.fixture
def build_image(engine, base_image):
    """
    Build a small image for one test: ``build_image(dockerfile_lines, {path: text})``.

    The lines follow ``FROM`` the base image. Files are copied in as executables by the lines' own
    COPY. Returns the tag; the image is removed when the test ends.
    """
    tags = []

    def make(lines, files=()):
        tag = f"kennel-test-{uuid.uuid4().hex[:12]}"
        members = [(path, text, 0o755) for path, text in dict(files).items()]
        tags.append(build(engine, f"FROM {base_image}\n{lines}\n", tag, members))
        return tag

    yield make
    for tag in tags:
        engine.images.remove(tag, force=True)


def built(engine, name):
    """Return the name of an image that ``make build`` made."""
    try:
        engine.images.get(name)
    except docker.errors.ImageNotFound:
        missing(f"there is no image {name}: make build")
    return name


@pytest.fixture(scope="session")
def train_image(engine):
    """The training image."""
    return built(engine, "kennel-train:latest")


@pytest.fixture(scope="session")
def serve_image(engine):
    """The serving image, for CPUs."""
    return built(engine, "kennel-serve:latest")
