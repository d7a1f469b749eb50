"""
A Docker engine, the images that ``make build`` made, and small images made for one test.

On a machine without an engine these tests are skipped, which the summary says. Where
KENNEL_REQUIRE_ENGINE is set, as in CI, whatever is missing is a failure instead.
"""

import gc
import http.client
import io
import json
import os
import tarfile
import time
import uuid
import warnings
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import boto3
import docker
import numpy as np
import pytest
import requests
from PIL import Image

from kennel.contract import TRAINING_LOG_GROUP, ContainerPaths
from kennel.local import daemon, layout
from kennel.local.runtimes import containers

HERE = Path(__file__).parent
REQUIRED = bool(os.environ.get("KENNEL_REQUIRE_ENGINE"))
BASE_IMAGE = os.environ.get("KENNEL_TEST_BASE", "kennel-test-base:bookworm")
PUBLIC_BASE = "debian:bookworm-slim"
BASE_DOCKERFILE = f"""
FROM {PUBLIC_BASE}
RUN apt-get update && apt-get install -y --no-install-recommends \\
    ca-certificates python3 python3-venv
"""


def pytest_collection_modifyitems(items):
    """Mark what needs an engine; where none answers, skip it with one line for each file."""
    needing = [item for item in items if HERE in item.path.parents]
    for item in needing:
        item.add_marker(pytest.mark.container)
    if not needing or REQUIRED:
        return
    client, reason = connected()
    if client is not None:
        client.close()
        return
    for item in needing:
        if "engine" in item.fixturenames:
            item.add_marker(pytest.mark.skip(reason=f"no Docker engine answers: {reason}"))


def missing(reason):
    """Skip, or fail where nothing may be missing."""
    if REQUIRED:
        pytest.fail(reason)
    pytest.skip(reason)


def archive(files, mode=0o777):
    """Return a tar archive of path → text or bytes, open to every uid."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            for parent in list(Path(path).parents)[-2::-1]:
                folder = tarfile.TarInfo(str(parent))
                folder.type, folder.mode = tarfile.DIRTYPE, mode
                tar.addfile(folder)
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(data), mode
            tar.addfile(member, io.BytesIO(data))
    return packed.getvalue()


@dataclass
class Container:
    """A container of one test; /opt/ml is a volume of its own, so nothing of it is on the host."""

    itself: docker.models.containers.Container

    def wait(self, timeout=120):
        """Return the exit code; a container that does not end is a failure."""
        try:
            return self.itself.wait(timeout=timeout)["StatusCode"]
        except requests.exceptions.RequestException:
            pytest.fail(f"still running after {timeout} s:\n{self.logs()}")

    def logs(self):
        return self.itself.logs().decode()

    def wait_for(self, words, timeout=120):
        """Return when the log has these words."""
        deadline = time.monotonic() + timeout
        while words not in (said := self.logs()):
            self.itself.reload()
            if self.itself.status == "exited" or time.monotonic() > deadline:
                pytest.fail(f"no {words!r} within {timeout} s:\n{said}")
            time.sleep(0.1)

    def files(self, folder):
        """Return path → bytes of every file below *folder*; a file has the path "."."""
        try:
            parts, _ = self.itself.get_archive(folder)
        except docker.errors.NotFound:
            return {}
        with tarfile.open(fileobj=io.BytesIO(b"".join(parts))) as tar:
            return {
                str(Path(*Path(member.name).parts[1:])): tar.extractfile(member).read()
                for member in tar
                if member.isfile()
            }

    def request(self, path, body=None, content_type="image/png", *, inside=8080, timeout=60):
        """Send a request to the port *inside*, which is published; return its status and body."""
        self.itself.reload()
        ports = self.itself.ports.get(f"{inside}/tcp")
        if not ports:
            pytest.fail(f"it has ended, or does not publish {inside}:\n{self.logs()}")
        port = int(ports[0]["HostPort"])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
        with closing(connection):
            headers = {"Content-Type": content_type} if body else {}
            connection.request("POST" if body else "GET", path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def wait_until_ready(self, *, inside=8080, timeout=120):
        """Return when a ping is answered with 200."""
        deadline = time.monotonic() + timeout
        while True:
            with suppress(OSError, http.client.HTTPException):
                if self.request("/ping", inside=inside, timeout=2)[0] == HTTPStatus.OK:
                    return
            self.itself.reload()
            if self.itself.status == "exited" or time.monotonic() > deadline:
                pytest.fail(f"not ready within {timeout} s:\n{self.logs()}")
            time.sleep(0.1)


@pytest.fixture(scope="session")
def started(engine):
    """
    Start containers: ``started(image, *arguments, files={path: content}, **options)``.

    The files go below /opt/ml; the options are docker's own (``user``, ``read_only``, …). The
    containers are removed after the session.
    """
    containers = []

    def start(image, *arguments, files=(), **options):
        itself = engine.containers.create(
            image, list(arguments), volumes=["/opt/ml"], detach=True, **options
        )
        containers.append(itself)
        itself.put_archive("/opt/ml", archive(dict(files)))
        itself.start()
        return Container(itself)

    yield start
    for container in containers:
        container.remove(force=True, v=True)


@pytest.fixture(scope="session")
def pictures():
    """Noisy pictures of two classes: path below /opt/ml → PNG."""
    noise = np.random.default_rng(0)
    found = {}
    for split, count in [("train", 12), ("validation", 6), ("test", 4)]:
        for shade, name in enumerate(["dark", "light"]):
            for number in range(count):
                pixels = noise.integers(0, 90, (36, 36, 3)) + 150 * shade
                packed = io.BytesIO()
                Image.fromarray(pixels.astype(np.uint8)).save(packed, "PNG")
                found[f"input/data/{split}/{name}/{number}.png"] = packed.getvalue()
    return found


QUICK = {
    "model": "shufflenet_v2_x0_5",
    "weights": "none",
    "image-size": "32",
    "batch-size": "5",
    "lr": "0.02",
    "augment": "flip",
    "epochs": "12",
    "workers": "0",
}


@pytest.fixture(scope="session")
def job(pictures):
    """Return ``job(**hyperparameters)``: what SageMaker puts below /opt/ml for a training job."""

    def job(**changes):
        hosts = {"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "eth0"}
        chosen = QUICK | {name.replace("_", "-"): value for name, value in changes.items()}
        paths, root = ContainerPaths(), ContainerPaths.root
        channels = {Path(path).parts[2]: {"TrainingInputMode": "File"} for path in pictures}
        documents = {
            paths.hyperparameters: chosen,
            paths.input_data_config: channels,
            paths.resource_config: hosts,
        }
        texts = {str(p.relative_to(root)): json.dumps(d) for p, d in documents.items()}
        return pictures | texts | {"model/.keep": "", "output/data/.keep": ""}

    return job


@pytest.fixture(scope="session")
def trained(started, train_image, job):
    """A training job that ran to its end in the training image, as SageMaker starts it."""
    container = started(train_image, "train", files=job(), hostname="algo-1")
    code = container.wait()
    assert code == 0, container.logs()
    return container


@pytest.fixture(scope="session")
def engine():
    """The Docker engine, as a client of docker's own SDK."""
    client, reason = connected()
    if client is None:
        missing(f"no Docker engine answers: {reason}")
    yield client
    client.close()


def connected():
    """Return a client of the engine, or None and why none answers."""
    # The SDK leaves a socket that it could not connect to the garbage collector, which warns of it.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            client = docker.from_env()
            client.ping()
        except docker.errors.DockerException as error:
            reason = str(error)
        else:
            return client, None
        gc.collect()
    return None, reason


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
    with building(engine, base_image) as make:
        yield make


@pytest.fixture(scope="module")
def build_shared_image(engine, base_image):
    """Build as ``build_image`` does, for all tests of a module, and from several threads."""
    with building(engine, base_image) as make:
        yield make


@contextmanager
def building(engine, base_image):
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


@pytest.fixture(scope="session")
def serve_gpu_image(engine):
    """The serving image for GPUs, as KENNEL_GPU_IMAGE names it."""
    return built(engine, os.environ["KENNEL_GPU_IMAGE"])


class Trainings:
    """
    Jobs of kennel's training image on a local server, whose bucket has the pictures.

    Args:
        engine: The Docker engine.
        image: The training image.
        state: The server's folder.
        pictures: Path below ``/opt/ml`` → body.
    """

    BUCKET = "trainings"
    PATIENCE_S = 180  # far above what anything here takes, on a busy machine too

    def __init__(self, engine, image, state, pictures):
        self.engine, self.image, self.state = engine, image, state
        self.names = []
        self.url = daemon.start(state, 0, "docker").url
        self.session = boto3.Session("kennel-test", "kennel-test", region_name="us-east-1")
        self.aws("s3").create_bucket(Bucket=self.BUCKET)
        for path, body in pictures.items():
            key = path.removeprefix("input/data/")
            self.aws("s3").put_object(Bucket=self.BUCKET, Key=key, Body=body)

    def aws(self, service):
        """Return a client of the server."""
        return self.session.client(service, endpoint_url=self.url)

    def start(self, name, hyperparameters, *, hosts=1, **more):
        """Start a job; *more* is of its request."""
        self.names.append(name)
        request = {
            "TrainingJobName": name,
            "RoleArn": "arn:aws:iam::000000000000:role/sagemaker",
            "AlgorithmSpecification": {"TrainingImage": self.image, "TrainingInputMode": "File"},
            "HyperParameters": hyperparameters,
            "InputDataConfig": [self.channel(name) for name in ("train", "validation", "test")],
            "OutputDataConfig": {"S3OutputPath": f"s3://{self.BUCKET}/output"},
            "ResourceConfig": {
                "InstanceType": "ml.m5.large",
                "InstanceCount": hosts,
                "VolumeSizeInGB": 1,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        }
        self.aws("sagemaker").create_training_job(**request | more)

    def channel(self, split):
        """Return the channel of a split."""
        source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{self.BUCKET}/{split}/"}
        return {"ChannelName": split, "DataSource": {"S3DataSource": source}}

    def until(self, fact):
        """Wait until *fact* returns something true, and return that."""
        deadline = time.monotonic() + self.PATIENCE_S
        while not (found := fact()):
            assert time.monotonic() < deadline, "it never came to be"
            time.sleep(0.05)
        return found

    def ended(self, name):
        """Wait until a job has ended, and return its description."""
        sagemaker = self.aws("sagemaker")

        def look():
            job = sagemaker.describe_training_job(TrainingJobName=name)
            return job if job["TrainingJobStatus"] not in ("InProgress", "Stopping") else None

        return self.until(look)

    def log(self, name, streams=""):
        """Return what a job has said so far, in the streams whose names begin so."""
        logs = self.aws("logs")
        try:
            events = logs.filter_log_events(
                logGroupName=TRAINING_LOG_GROUP, logStreamNamePrefix=f"{name}/{streams}"
            )["events"]
        except logs.exceptions.ResourceNotFoundException:
            return ""
        return "\n".join(event["message"] for event in events)

    def containers(self):
        """Return the server's containers."""
        mine = {"label": f"{containers.STATE_LABEL}={self.state / layout.RUNTIME}"}
        return self.engine.containers.list(all=True, filters=mine)

    def close(self):
        """Stop every job, then the server, and leave nothing in the engine."""
        sagemaker = self.aws("sagemaker")
        for name in self.names:
            with suppress(sagemaker.exceptions.ClientError):  # it has ended
                sagemaker.stop_training_job(TrainingJobName=name)
            self.ended(name)
        daemon.stop(self.state, everything=True)
        for left in self.containers():
            left.remove(force=True)


@pytest.fixture(scope="module")
def trainings(engine, train_image, pictures, tmp_path_factory):
    """Kennel's training in containers: see Trainings."""
    found = Trainings(engine, train_image, tmp_path_factory.mktemp("trainings") / "s", pictures)
    yield found
    found.close()
