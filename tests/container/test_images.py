"""Statements of fact about what is inside the images, and what is not."""

import json
import os
import re
import subprocess
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from kennel import source

ROOT = Path(__file__).parents[2]
LOCKS = {
    "train_image": "docker/train/requirements.txt",
    "serve_image": "docker/serve/requirements-cpu.txt",
}
if "KENNEL_GPU_IMAGE" in os.environ:  # built by make build-gpu; CI has no use for it
    LOCKS["serve_gpu_image"] = "docker/serve/requirements-gpu.txt"
COMPILERS = ("gcc", "cc", "g++", "c++", "clang", "make", "ld", "as", "javac")

# Runs inside, on the standard library alone.
LOOK = """
import json, os, shutil, ssl, sys
from importlib import metadata

def below(*folders):
    return sorted(os.path.join(at, name) for folder in folders
                  for at, _, names in os.walk(folder) for name in names)

everything = below("/etc", "/home", "/opt", "/root", "/run", "/srv", "/mnt", "/tmp", "/usr", "/var")
bundle = "/etc/ssl/certs/ca-certificates.crt"
print(json.dumps({
    "files": everything,
    "top": sorted(os.listdir("/")),
    "programs": [name for name in sys.argv[1:] if shutil.which(name)],
    "packages": {d.metadata["Name"]: d.version for d in metadata.distributions()},
    "requires": [r for d in metadata.distributions() for r in d.requires or []],
    "certificates": open(bundle).read() if os.path.exists(bundle) else "",
    "own_certificates": below("/usr/local/share/ca-certificates"),
    "debian_certificates": "".join(open(p).read() for p in below("/usr/share/ca-certificates")),
    "writable": [p for p in everything if not os.path.islink(p) and os.stat(p).st_mode & 0o022],
    "locale": [sys.getfilesystemencoding(), sys.stdout.encoding],
    "prefix": sys.prefix,
}))
"""


class Image:
    """An image's configuration, and what was found inside."""

    def __init__(self, engine, name, fixture):
        self.itself = engine.images.get(name)
        self.attrs = self.itself.attrs
        self.config = self.itself.attrs["Config"]
        self.labels = self.config["Labels"]
        self.environment = dict(entry.split("=", 1) for entry in self.config["Env"])
        self.name = name
        self.fixture = fixture
        self.lock = ROOT / LOCKS[fixture]
        self.module = "kennel.training" if fixture == "train_image" else "kennel.serving"
        self.base = self.labels["org.opencontainers.image.base.name"]
        self.inside = look(engine, name)


def look(engine, name, python="python3"):
    said = engine.containers.run(
        name, ["-c", LOOK, *COMPILERS], entrypoint=[python], network_mode="none", remove=True
    )
    return json.loads(said)


@pytest.fixture(scope="module", params=LOCKS)
def image(engine, request):
    """Each of the images."""
    return Image(engine, request.getfixturevalue(request.param), request.param)


@pytest.fixture(scope="module")
def base(engine, image):
    """What was found in the image that this one was made from."""
    return look(engine, image.base)


def test_python_is_what_is_started(image):
    """
    Exec form, no shell and no init in front: the platform's SIGTERM reaches Python itself.
    """
    assert image.config["Entrypoint"] == ["/opt/venv/bin/python3", "-m", image.module]
    assert not image.config["Cmd"]
    assert not image.config.get("Healthcheck")


def test_no_user_is_set(image):
    """
    SageMaker asks for root; any other uid works too, as other tests here say.
    """
    assert image.config["User"] == ""


def test_the_labels_say_which_commit_it_is(image):
    """
    The revision is a tag of the image and a commit of this repository, the version the package's.
    """
    revision = image.labels["org.opencontainers.image.revision"]
    commit = re.fullmatch(r"([0-9a-f]{12})(-dirty)?", revision)[1]
    known = subprocess.run(  # noqa: S603 - git
        ["git", "cat-file", "-t", commit],  # noqa: S607 - whichever git it is
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert f"{image.name.split(':')[0]}:{revision}" in image.itself.tags
    assert known.stdout.strip() == "commit"
    assert image.labels["org.opencontainers.image.version"] == metadata.version("kennel")
    assert re.fullmatch("[0-9a-f]{12}", image.labels[source.LABEL])
    assert image.labels["org.opencontainers.image.licenses"] == "Apache-2.0"


def test_its_packages_are_the_pinned_ones(image):
    """
    All of the lock, at its versions, and kennel; nothing else.
    """
    pins = dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", image.lock.read_text(), re.MULTILINE))
    found = {canonicalize_name(name): v for name, v in image.inside["packages"].items()}

    assert found == pins | {"kennel": metadata.version("kennel")}
    assert image.inside["prefix"] == "/opt/venv"


def test_its_packages_fit_together(image):
    """
    What each of them requires is there, as ``pip check`` would say.
    """
    found = {canonicalize_name(name): v for name, v in image.inside["packages"].items()}
    wanted = [Requirement(text) for text in image.inside["requires"]]

    unmet = [
        str(each)
        for each in wanted
        if (each.marker is None or each.marker.evaluate({"extra": ""}))
        and not each.specifier.contains(
            found.get(canonicalize_name(each.name), "0.dev0"), prereleases=True
        )
    ]
    assert unmet == []


def test_no_compiler_is_inside(image):
    """
    What was compiled was compiled in another stage.
    """
    assert image.inside["programs"] == []


def test_no_cache_and_no_secret_is_inside(image, base):
    """
    The layers on top of the base have no package lists, caches, credentials or settings of pip.
    """
    added = set(image.inside["files"]) - set(base["files"])

    forbidden = re.compile(
        r"^/var/lib/apt/lists/|^/var/cache/apt/.|^/root/|^/home/|^/tmp/|^/run/|^/srv/|^/mnt/"
        r"|/\.?pip\.conf$|/\.cache/|/\.netrc$|/\.aws/|/\.docker/|/\.git/|/\.ssh/|/\.env$"
        r"|\.whl$|/id_rsa|/\.pypirc$"
    )
    assert [path for path in added if forbidden.search(path)] == []
    assert image.inside["top"] == base["top"]


def test_it_trusts_debians_certificates_alone(image):
    """
    Those that the build was given to reach an index are not inside.
    """
    given = set(re.findall(r"-----BEGIN.*?END", image.inside["certificates"], re.DOTALL))
    debians = set(re.findall(r"-----BEGIN.*?END", image.inside["debian_certificates"], re.DOTALL))

    assert len(given) > 100
    assert given <= debians
    assert image.inside["own_certificates"] == []


def test_its_history_tells_no_secret(image):
    """
    Neither an index nor a certificate was passed as a build argument.
    """
    commands = " ".join(layer["CreatedBy"] or "" for layer in image.itself.history())

    assert not re.search(r"https?://|index-url|BEGIN CERTIFICATE|password|token", commands)


def test_only_root_may_change_its_programs(image, base):
    """
    No file that came on top of the base can be written by every uid.
    """
    assert set(image.inside["writable"]) <= set(base["writable"])


def test_its_text_is_utf8(image):
    """
    Class names have any letters, and logs have them too.
    """
    assert image.inside["locale"] == ["utf-8", "utf-8"]


def test_the_engines_gpu_support_is_asked_for(image):
    """
    Where there is torch of CUDA; without it the image for CPUs has nothing to do with GPUs.
    """
    asked = {k: v for k, v in image.environment.items() if k.startswith("NVIDIA_")}
    wanted = {"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "compute,utility"}

    assert asked == ({} if image.fixture == "serve_image" else wanted)


def test_a_cpu_is_served_without_cuda_in_little_space(engine, serve_image):
    """
    No torch, no library of NVIDIA's, and at most 1.5 GB.
    """
    image = Image(engine, serve_image, "serve_image")

    assert image.attrs["Size"] <= 1.5e9
    heavy = re.compile(
        r"site-packages/(torch|nvidia|triton)/|/lib(cu(da|dnn|blas|fft|rand)|nccl|nv)[^/]*\.so"
    )
    assert [path for path in image.inside["files"] if heavy.search(path)] == []


def test_serving_can_be_given_a_port(engine, serve_image):
    """
    SageMaker reads from the labels that SAGEMAKER_BIND_TO_PORT is honoured; one model is served.
    """
    labels = engine.images.get(serve_image).labels

    name = "com.amazonaws.sagemaker.capabilities."
    assert {k: v for k, v in labels.items() if k.startswith(name)} == {
        f"{name}accept-bind-to-port": "true"
    }
