"""
``make push``: small images with the product's names, a registry with a password, a repository.

The registry is Debian's docker-registry, the API of ECR is the local server's, the engine is real.
"""

import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import bcrypt
import boto3
import docker
import pytest
from botocore.exceptions import ClientError

from kennel.local import daemon
from kennel.local.ecr.registry import Registry

ROOT = Path(__file__).parents[2]
KENNEL = Path(sys.executable).with_name("kennel")
REGISTRY = Path("/usr/bin/docker-registry")
PASSWORD = f"secret-{uuid.uuid4().hex}"
NAMES = ["kennel-train", "kennel-serve"]
TIMEOUT_S = 120
CONFIG = """
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder}/data}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}"}}
auth: {{htpasswd: {{realm: test, path: {folder}/htpasswd}}}}
"""


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """A registry that lets in one user with one password, over an empty folder."""
    if not REGISTRY.exists():
        reason = "no registry to push to: apt-get install -y docker-registry"
        if os.environ.get("KENNEL_REQUIRE_ENGINE"):
            pytest.fail(reason)
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("registry")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    (folder / "htpasswd").write_text(f"AWS:{hashed}\n")
    (folder / "config.yml").write_text(CONFIG.format(folder=folder, port=port))
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(  # noqa: S603
            [REGISTRY, "serve", folder / "config.yml"], stdout=log, stderr=log
        )
    wait_for(port)
    yield Registry(f"localhost:{port}", "AWS", PASSWORD)
    process.terminate()
    process.wait(timeout=TIMEOUT_S)


def wait_for(port):
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return


@dataclass
class Workplace:
    """A clone with a commit of its own, images of that commit, and who is asked."""

    folder: Path
    engine: docker.DockerClient
    registry: Registry
    images: list[str] = field(default_factory=list)

    @property
    def environment(self):
        """As of a user's shell: the local server of this folder, nothing of AWS, a home."""
        others = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "KENNEL_"))}
        return {
            **others,
            **self.registry.variables(),
            "KENNEL": str(KENNEL),
            "KENNEL_LOCAL_STATE": str(self.folder / "state"),
            "KENNEL_LOCAL_PORT": "0",
            "DOCKER": "/usr/bin/docker" if Path("/usr/bin/docker").exists() else "docker",
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
        }

    def kennel(self, *arguments, **changes):
        return self.run([KENNEL, "local", "run", "--", KENNEL, *arguments], **changes)

    def push(self, *arguments, **changes):
        script = "scripts/push_ecr.sh"
        return self.run([KENNEL, "local", "run", "--", script, *arguments], **changes)

    def run(self, command, **changes):
        return subprocess.run(  # noqa: S603
            command,
            cwd=self.folder / "clone",
            env=self.environment | changes,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )

    def git(self, *arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        return self.run(["git", *identity, *arguments]).stdout.strip()

    def commit(self):
        """Make a commit, and return how its images are tagged."""
        self.git("commit", "--allow-empty", "--message", uuid.uuid4().hex)
        return self.git("rev-parse", "--short=12", "HEAD")

    def build(self, name, tag, revision=None):
        """Make an image of one small file that says which commit it was built from."""
        content = uuid.uuid4().bytes
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            member = tarfile.TarInfo("file")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        label = f"LABEL org.opencontainers.image.revision={revision or tag}"
        self.engine.api.import_image_from_data(
            packed.getvalue(), repository=name, tag=tag, changes=[label]
        )
        self.images += [f"{name}:{tag}", f"{self.registry.host}/{name}:{tag}"]
        return self.engine.images.get(f"{name}:{tag}")

    def left(self):
        """Return the files that a push has left in the home and in the folder of temporary ones."""
        return [p for name in ("home", "tmp") for p in (self.folder / name).rglob("*")]

    def remove(self):
        daemon.stop(self.folder / "state")
        digests = [
            digest
            for image in self.engine.api.images()
            for digest in image["RepoDigests"] or []
            if digest.startswith(f"{self.registry.host}/")
        ]
        for image in [*self.images, *digests]:
            with suppress(docker.errors.ImageNotFound):
                self.engine.images.remove(image, force=True)


@pytest.fixture(scope="module")
def place(tmp_path_factory, engine, registry):
    """A clone with the script and one commit, and a local server."""
    folder = tmp_path_factory.mktemp("push")
    for name in ("clone/scripts", "home", "tmp"):
        (folder / name).mkdir(parents=True)
    shutil.copy2(ROOT / "scripts" / "push_ecr.sh", folder / "clone" / "scripts")
    place = Workplace(folder, engine, registry)
    place.git("init", "--quiet")
    place.git("add", "scripts")
    yield place
    place.remove()


@dataclass
class Push:
    """What a first push did."""

    tag: str
    ids: dict[str, str]
    done: subprocess.CompletedProcess

    @property
    def uris(self):
        """The images with their digests, as they were printed."""
        return dict(zip(NAMES, self.done.stdout.split(), strict=True))


@pytest.fixture(scope="module")
def pushed(place):
    """A first push, of images built for it."""
    tag = place.commit()
    ids = {name: place.build(name, tag).id for name in NAMES}
    done = place.push()
    assert done.returncode == 0, done.stderr
    return Push(tag, ids, done)


def test_what_is_pushed_is_in_the_registry(pushed, registry):
    """
    Under the commit, by the digest that was printed and with what was built.
    """
    for name in NAMES:
        manifest = registry.manifest(name, pushed.tag)

        assert pushed.uris[name] == f"{registry.host}/{name}@{manifest.digest}"
        assert json.loads(manifest.text)["config"]["digest"] == pushed.ids[name]


def test_the_repositories_are_made_as_a_product_needs_them(place, pushed, registry):
    """
    A tag stays what it is, images are scanned, and old ones expire.
    """
    assert pushed.tag
    client = boto(place, "ecr")
    found = client.describe_repositories(repositoryNames=NAMES)["repositories"]

    assert [one["imageTagMutability"] for one in found] == ["IMMUTABLE"] * 2
    assert [one["imageScanningConfiguration"]["scanOnPush"] for one in found] == [True] * 2
    assert [one["repositoryUri"] for one in found] == [f"{registry.host}/{n}" for n in NAMES]
    for name in NAMES:
        policy = json.loads(client.get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"])
        assert [rule["selection"]["tagStatus"] for rule in policy["rules"]] == ["untagged", "any"]


def boto(place, service):
    url = daemon.status(place.folder / "state").address.url
    return boto3.Session("k", "k", region_name="us-east-1").client(service, endpoint_url=url)


def test_what_is_pulled_back_is_what_was_built(engine, pushed, registry):
    """
    Removed from the engine and pulled by its digest, it is the same image.
    """
    name = NAMES[0]
    engine.images.remove(f"{name}:{pushed.tag}")
    engine.images.remove(f"{registry.host}/{name}:{pushed.tag}")
    with pytest.raises(docker.errors.ImageNotFound):
        engine.images.get(pushed.ids[name])

    found = engine.images.pull(
        pushed.uris[name], auth_config={"username": registry.user, "password": registry.password}
    )

    assert found.id == pushed.ids[name]
    assert found.attrs["RepoDigests"] == [pushed.uris[name]]
    found.tag(name, pushed.tag)  # for the tests that push again
    found.tag(f"{registry.host}/{name}", pushed.tag)


def test_a_second_push_changes_nothing(place, pushed, registry):
    """
    It says so, and prints the same digests.
    """
    before = snapshot(registry)

    done = place.push()

    assert done.returncode == 0, done.stderr
    assert done.stdout == pushed.done.stdout
    assert f"nothing to push: ECR has the images of commit {pushed.tag}" in done.stderr
    assert snapshot(registry) == before


def snapshot(registry):
    return {n: {tag: registry.digest(n, tag) for tag in registry.tags(n)} for n in NAMES}


def test_the_engine_knows_what_was_pushed_by_its_digest(engine, pushed):
    """
    A job that names the image by its digest finds it without a pull.
    """
    for name, uri in pushed.uris.items():
        assert engine.images.get(uri).id == pushed.ids[name]


def test_train_and_deploy_take_what_was_pushed(place, pushed):
    """
    ``kennel images`` says which and why, and their requests name it by its digest.
    """
    s3 = boto(place, "s3")
    s3.create_bucket(Bucket="pets")
    s3.put_object(Bucket="pets", Key="train/cat/1.jpg", Body=b"cat")

    told = json.loads(place.kennel("images", "--json").stdout)
    trained = place.kennel("train", "--dry-run", "--data", "s3://pets")
    deployed = place.kennel("deploy", "--dry-run", "s3://pets/model.tar.gz")

    assert [told[name]["image"] for name in ("train", "deploy")] == list(pushed.uris.values())
    assert f"from commit {pushed.tag}" in told["train"]["reason"]
    jobs = {call["operation"]: call["request"] for call in lines(trained)}
    models = {call["operation"]: call["request"] for call in lines(deployed)}
    job, model = jobs["create_training_job"], models["create_model"]
    assert job["AlgorithmSpecification"]["TrainingImage"] == pushed.uris["kennel-train"]
    assert model["PrimaryContainer"]["Image"] == pushed.uris["kennel-serve"]
    assert f"train image {pushed.uris['kennel-train']}\n  pushed " in trained.stderr


def lines(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_an_image_of_the_settings_wins_over_one_that_was_pushed(place, pushed):
    """
    And is said to be of the settings.
    """
    told = json.loads(place.kennel("images", "--json", KENNEL_IMAGES_TRAIN="mine:1").stdout)

    assert told["train"]["image"] == "mine:1"
    assert told["train"]["reason"].startswith("set as [images] train")
    assert told["deploy"]["image"] == pushed.uris["kennel-serve"]


def test_no_credential_is_left(place, pushed):
    """
    Neither in the user's Docker configuration nor in a temporary folder, nor in what was printed.
    """
    assert place.left() == []
    assert PASSWORD not in pushed.done.stdout + pushed.done.stderr


def test_a_commit_that_was_built_again_is_not_pushed_again(place, registry):
    """
    Its tag is taken, which ECR would refuse and a plain registry would not: the first image stays.
    """
    tag = place.commit()
    first = {name: place.build(name, tag).id for name in NAMES}
    assert place.push().returncode == 0
    before = snapshot(registry)
    place.build(NAMES[0], tag)

    done = place.push()

    assert done.returncode == 0, done.stderr
    assert f"{NAMES[0]}:{tag} is in ECR already, built another time" in done.stderr
    assert snapshot(registry) == before
    assert place.engine.images.get(done.stdout.split()[0]).id == first[NAMES[0]]


def test_a_push_that_broke_off_is_finished_by_the_next(place, registry):
    """
    With one image there already the other is pushed, and both are recorded.
    """
    tag = place.commit()
    for name in NAMES:
        place.build(name, tag)
    image = place.engine.images.get(f"{NAMES[0]}:{tag}")
    image.tag(f"{registry.host}/{NAMES[0]}", tag)
    secret = {"username": registry.user, "password": registry.password}
    place.engine.images.push(f"{registry.host}/{NAMES[0]}", tag, auth_config=secret)

    done = place.push()

    assert done.returncode == 0, done.stderr
    assert f"{NAMES[0]}:{tag} is in ECR already" in done.stderr
    assert [registry.digest(name, tag) for name in NAMES] == [
        uri.partition("@")[2] for uri in done.stdout.split()
    ]


def test_a_dry_run_shows_the_requests_and_sends_none(place, registry):
    """
    Nothing is pushed, whatever is built.
    """
    tag = place.commit()
    for name in NAMES:
        place.build(name, tag)

    done = place.push("--dry-run")

    assert done.returncode == 0, done.stderr
    assert f"not pushed: {NAMES[1]}:{tag}" in done.stderr
    assert [registry.digest(name, tag) for name in NAMES] == [None, None]


def test_the_api_of_ecr_describes_what_is_in_the_registry(place, pushed, registry):
    """
    Digest, tags and size of an image; its manifest letter by letter; its absence in AWS's words.
    """
    ecr, name = boto(place, "ecr"), NAMES[1]
    manifest = registry.manifest(name, pushed.tag)

    (detail,) = ecr.describe_images(repositoryName=name, imageIds=[{"imageTag": pushed.tag}])[
        "imageDetails"
    ]
    listed = ecr.list_images(repositoryName=name)["imageIds"]
    asked = [{"imageDigest": manifest.digest}, {"imageTag": "absent"}]
    got = ecr.batch_get_image(repositoryName=name, imageIds=asked)
    with pytest.raises(ClientError) as caught:
        ecr.describe_images(repositoryName=name, imageIds=[{"imageTag": "absent"}])

    assert (detail["imageDigest"], detail["imageTags"]) == (manifest.digest, [pushed.tag])
    assert detail["imageSizeInBytes"] == manifest.size_bytes > 0
    assert {"imageTag": pushed.tag, "imageDigest": manifest.digest} in listed
    assert [one["imageManifest"] for one in got["images"]] == [manifest.text]
    assert [one["failureCode"] for one in got["failures"]] == ["ImageNotFound"]
    assert caught.value.response["Error"]["Code"] == "ImageNotFoundException"
    assert "imageTag:'absent'} does not exist within" in caught.value.response["Error"]["Message"]


def test_images_come_a_page_at_a_time(place, registry):
    """
    Each once, the tags of one image with it; those without a tag a registry cannot list.
    """
    ecr, name = boto(place, "ecr"), f"paged-{uuid.uuid4().hex[:12]}"
    ecr.create_repository(repositoryName=name)
    secret = {"username": registry.user, "password": registry.password}
    for tag in ("one", "two", "three"):
        place.build(name, tag).tag(f"{registry.host}/{name}", tag)
    place.engine.images.get(f"{name}:one").tag(f"{registry.host}/{name}", "uno")
    place.images.append(f"{registry.host}/{name}:uno")
    for tag in ("one", "two", "three", "uno"):
        place.engine.images.push(f"{registry.host}/{name}", tag, auth_config=secret)

    pages = [
        page["imageDetails"]
        for page in ecr.get_paginator("describe_images").paginate(
            repositoryName=name, PaginationConfig={"PageSize": 2}
        )
    ]
    untagged = ecr.list_images(repositoryName=name, filter={"tagStatus": "UNTAGGED"})["imageIds"]

    assert [len(page) for page in pages] == [2, 1]
    tags = sorted(tuple(one["imageTags"]) for page in pages for one in page)
    assert tags == [("one", "uno"), ("three",), ("two",)]
    assert untagged == []


def test_a_repository_with_images_is_deleted_by_force_only(place, registry):
    """
    And then its images are gone from the registry.
    """
    ecr, name = boto(place, "ecr"), f"gone-{uuid.uuid4().hex[:12]}"
    ecr.create_repository(repositoryName=name)
    place.build(name, "one").tag(f"{registry.host}/{name}", "one")
    secret = {"username": registry.user, "password": registry.password}
    place.engine.images.push(f"{registry.host}/{name}", "one", auth_config=secret)

    with pytest.raises(ClientError) as caught:
        ecr.delete_repository(repositoryName=name)
    there = registry.digest(name, "one")
    ecr.delete_repository(repositoryName=name, force=True)

    assert caught.value.response["Error"]["Code"] == "RepositoryNotEmptyException"
    assert there
    assert registry.digest(name, "one") is None


@pytest.fixture
def refused(place):
    """Push, and return the lines of the error, which changes nothing."""

    def refused(**changes):
        before = snapshot(place.registry)
        done = place.push(**changes)
        assert done.returncode == 1
        assert done.stdout == ""
        assert snapshot(place.registry) == before
        problem, *_, remedy = done.stderr[done.stderr.index("error: ") :].strip().splitlines()
        assert remedy.startswith("  try: ")
        return problem

    return refused


def test_a_dirty_tree_is_refused(place, refused, pushed):
    """
    With a file that is in the way, and before anything else is asked.
    """
    assert pushed.tag
    stray = place.folder / "clone" / "stray.txt"
    stray.write_text("not committed")
    try:
        problem = refused()
    finally:
        stray.unlink()

    assert problem.endswith("that no commit has, in 1 files, e.g. stray.txt")


def test_images_that_were_not_built_are_refused(place, refused, pushed):
    """
    The tag that is missing is named.
    """
    assert pushed.tag
    tag = place.commit()

    assert refused().startswith(f"error: there is no image kennel-train of commit {tag}")


def test_images_of_another_commit_are_refused(place, refused, pushed):
    """
    What their label says is compared with the commit, whatever their tag is.
    """
    tag = place.commit()
    for name in NAMES:
        place.build(name, tag, revision=pushed.tag)

    assert refused() == (
        f"error: image kennel-train:{tag} says it was built from '{pushed.tag}', "
        f"and this commit is {tag}"
    )


def test_an_engine_that_does_not_answer_is_told(refused):
    """
    Before anything is asked of AWS.
    """
    assert "no Docker engine answers: " in refused(DOCKER_HOST="tcp://127.0.0.1:1")


def test_a_push_without_kennel_is_told_how_to_get_it(place):
    """
    Before anything is asked or made.
    """
    done = place.push(KENNEL="no-kennel")

    assert done.returncode == 1
    assert done.stderr.endswith("error: there is no no-kennel\n  try: make setup\n")


def test_a_push_without_credentials_is_told_how_to_get_some(place):
    """
    Of AWS's, which is not reached without any.
    """
    tag = place.commit()
    for name in NAMES:
        place.build(name, tag)
    nowhere = {
        "AWS_REGION": "eu-west-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }

    done = place.run(["scripts/push_ecr.sh"], **nowhere)

    assert done.returncode == 1
    assert "error: Unable to locate credentials" in done.stderr
    assert re.search(r"try: aws configure", done.stderr)


@pytest.mark.parametrize(
    ("program", "said"),
    [
        pytest.param("/nowhere/docker", "error: /nowhere/docker is not installed", id="missing"),
        pytest.param("false", "error: docker cannot log in to localhost:", id="refused"),
    ],
)
def test_a_login_that_fails_is_told(place, program, said):
    """
    ``kennel images login`` serves a push by hand as well.
    """
    done = place.kennel("images", "login", DOCKER=program)

    assert done.returncode == 1
    assert said in done.stderr
    assert "  try: " in done.stderr


def test_a_wrong_password_is_told(tmp_path_factory, engine, registry, place):
    """
    Neither a repository's images nor a record come of it.
    """
    other = Workplace(
        tmp_path_factory.mktemp("wrong"), engine, Registry(registry.host, "AWS", "wrong")
    )
    for name in ("home", "tmp"):
        (other.folder / name).mkdir()
    shutil.copytree(place.folder / "clone", other.folder / "clone")
    tag = other.commit()
    for name in NAMES:
        other.build(name, tag)
    try:
        done = other.push()
    finally:
        other.remove()

    assert done.returncode == 1
    assert "refuses user 'AWS' and the password" in done.stderr
    assert not (other.folder / "state" / "images.json").exists()
    assert other.left() == []


def test_an_image_that_is_gone_is_told_before_a_job_starts(place, pushed):
    """
    A lifecycle policy, or somebody, has deleted it: make push again.
    """
    assert pushed.tag
    record = place.folder / "state" / "images.json"
    before = record.read_text()
    gone = re.sub("sha256:[0-9a-f]{64}", f"sha256:{'0' * 64}", before)
    record.write_text(gone)
    try:
        done = place.kennel("train", "--dry-run", "--data", "s3://bucket/data")
    finally:
        record.write_text(before)

    assert done.returncode == 1
    assert "ECR does not have the train image any more" in done.stderr
    assert "try: make push again" in done.stderr
