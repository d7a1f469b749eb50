"""What an image's configuration tells, judged without an engine."""

import pytest

from kennel.checking import configuration
from kennel.checking.configuration import Image

GOOD = Image("image", "sha256:0", "amd64", "linux", 10**9, 3, ("python3", "-m", "kennel.training"))


def image(**changes):
    return Image(**{**vars(GOOD), **changes})


@pytest.mark.parametrize(
    ("architecture", "instance_type", "status"),
    [
        ("amd64", None, "pass"),
        ("amd64", "ml.m5.large", "pass"),
        ("arm64", None, "fail"),
        ("arm64", "ml.c7g.large", "pass"),
        ("arm64", "ml.m6gd.large", "pass"),
        ("amd64", "ml.c7g.large", "fail"),
        ("amd64", "ml.g5.xlarge", "pass"),
    ],
)
def test_the_architecture_is_that_of_the_instance_type(architecture, instance_type, status):
    """
    Graviton instances are arm64; the g of g5 is a family, not a processor.
    """
    found = configuration.architecture(image(architecture=architecture), instance_type)

    assert found.status == status


@pytest.mark.parametrize(
    ("entrypoint", "status"),
    [
        ((), "pass"),
        (("python3", "/train.py"), "pass"),
        (("/entry.sh",), "pass"),
        (("/bin/sh", "-c", "python3 train.py"), "fail"),
        (("bash", "-lc", "python3 train.py"), "fail"),
        (("/bin/sh", "-c", "exec python3 train.py"), "fail"),
        (("/bin/sh", "-c", 'python3 app.py "$0"'), "fail"),
        (("/bin/sh", "-c", "exec python3 app.py $0 $@"), "pass"),
        (("sh", "-c", 'cd /opt && exec ./app "$@"', "sh"), "pass"),
        (("bash", "-m", "start_with_right_hostname.sh"), "pass"),
        (("/bin/bash", "/entry.sh"), "pass"),
        (("/bin/bash", "--login", "/entry.sh"), "pass"),
    ],
)
def test_a_shell_with_a_command_is_shell_form(entrypoint, status):
    """
    A shell that runs a script gets the argument; one that runs a text must pass it on and exec.
    """
    assert configuration.entrypoint(image(entrypoint=entrypoint)).status == status


@pytest.mark.parametrize(
    ("user", "status"),
    [("", "pass"), ("root", "pass"), ("0:0", "pass"), ("1000", "fail"), ("app:app", "fail")],
)
def test_root_is_the_only_user(user, status):
    """
    SageMaker's folders belong to root.
    """
    assert configuration.user(image(user=user)).status == status


@pytest.mark.parametrize(
    ("volumes", "status"),
    [
        ((), "pass"),
        (("/data",), "pass"),
        (("/opt/ml",), "fail"),
        (("/opt/ml/model",), "fail"),
        (("/opt/mlflow",), "pass"),
    ],
)
def test_a_volume_must_not_hide_what_sagemaker_mounts(volumes, status):
    """
    At or below /opt/ml, not beside it.
    """
    assert configuration.volumes(image(volumes=volumes)).status == status


def test_an_image_above_ten_gigabytes_warns():
    """
    Only serverless endpoints have a limit.
    """
    assert configuration.size(image(size_bytes=10 * 10**9)).status == "pass"
    assert configuration.size(image(size_bytes=10 * 10**9 + 1)).status == "warn"


@pytest.mark.parametrize(
    ("changes", "programs", "parts"),
    [
        ({}, [], ["training"]),
        ({"entrypoint": ("python3", "serve.py")}, [], ["hosting"]),
        (
            {"entrypoint": (), "labels": {"org.opencontainers.image.title": "x-serve"}},
            [],
            ["hosting"],
        ),
        ({"entrypoint": ("/run",)}, ["train", "serve"], ["training", "hosting"]),
        ({"entrypoint": ("/run",)}, ["serve"], ["hosting"]),
        (
            {"labels": {"com.amazonaws.sagemaker.capabilities.accept-bind-to-port": "true"}},
            [],
            ["training", "hosting"],
        ),
        ({"entrypoint": ("/run",)}, [], []),
    ],
)
def test_the_image_tells_what_it_is_for(changes, programs, parts):
    """
    By its labels, its entry point or its programs; where nothing tells, nothing is said.
    """
    found = configuration.purpose(image(**changes), programs)

    assert sorted(found) == sorted(parts)


def test_what_an_engine_says_becomes_an_image():
    """
    Members that an engine leaves out, or null, are empty; HEALTHCHECK NONE is none.
    """
    raw = {
        "Id": "sha256:1",
        "Architecture": "amd64",
        "Os": "linux",
        "Config": {"Entrypoint": None, "Healthcheck": {"Test": ["NONE"]}, "Volumes": None},
    }

    found = Image.described("name", raw, [{"CreatedBy": "/bin/sh -c true"}])

    assert (found.entrypoint, found.volumes, found.healthcheck) == ((), (), False)
    assert found.history == ("/bin/sh -c true",)
