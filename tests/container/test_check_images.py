"""
``kennel check`` on a small image that keeps SageMaker's contract, and on images that each break it
in one way.

The program of them all is check_image/program.py. What is judged without running an image is in
tests/unit/test_checking_*.py.
"""

import io
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kennel.checking.check import Options, Told, check
from kennel.checking.cuda import Host
from kennel.checking.limits import Limits
from kennel.checking.sandbox import LABEL
from kennel.engine import connect

PROGRAMS = {"program.py": (Path(__file__).parent / "check_image" / "program.py").read_text()}
GOOD = """
COPY program.py /opt/program.py
ENTRYPOINT ["python3", "/opt/program.py"]
LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true
LABEL kennel.check.hyperparameters='{"epochs": "2"}'
"""
# SageMaker's own limits would make the tests of what never ends long.
LIMITS = Limits(
    run=20,
    startup=3,
    stop_training=1.5,
    stop_serving=2.5,
    ping=0.7,
    connect=2,
    invocation=5,
    first_output=2,
    settle=0.2,
    patience=1.5,
    layers=0,  # not read: the tests of what is in files say so
)


BROKEN = {  # what takes longest first
    "serve-ping": {"serve-ping": "fail"},
    "train-hyperparameters": {"train-hyperparameters": "fail"},
    "train-exit-code": {"train-exit-code": "fail"},
    "train-model": {"train-model": "fail"},
    "train-failure-exit": {"train-failure-exit": "fail"},
    "train-failure-file": {"train-failure-file": "fail"},
    "train-failure-late": {"train-failure-file": "fail"},
    "train-failure-traceback": {"train-failure-file": "warn"},
    "train-stop": {"train-stop": "fail"},
    "train-any-uid": {"train-any-uid": "warn"},
    "train-read-only-root": {"train-read-only-root": "warn"},
    "serve-ready": {"serve-ready": "fail"},
    "serve-not-ready": {"serve-not-ready": "fail"},
    "serve-bad-body": {"serve-bad-body": "warn"},
    "serve-traceback": {"serve-bad-body": "warn"},
    "serve-content-type": {"serve-content-type": "warn"},
    "serve-big-body": {"serve-big-body": "warn"},
    "serve-model-read-only": {"serve-model-read-only": "fail"},
    "serve-stop": {"serve-stop": "fail"},
    "serve-in-flight": {"serve-in-flight": "fail"},
    "serve-port": {"serve-port": "fail"},
    "serve-port-range": {"serve-port-range": "warn"},
    "serve-any-uid": {"serve-any-uid": "warn"},
    "serve-read-only-root": {"serve-read-only-root": "warn"},
    "serve-batch": {"serve-batch": "fail"},
}
RUNS = {  # name -> arguments of checked
    "good": {"limits": Limits(settle=0.2), "train": True, "serve": True},
    "without-python": {"base": "FROM scratch\nCOPY program.py /opt/", "train": True, "serve": True},
    "without-port-label": {
        "base": GOOD.replace("accept-bind-to-port", "something-else"),
        "serve": True,
        "model": True,
    },
    "without-model": {"serve": True},
    "without-model-503": {"lines": "ENV BROKEN=serve-without-model", "serve": True},
    **{
        name: {
            "lines": f"ENV BROKEN={name}",
            **({"train": True} if name.startswith("train") else {"serve": True, "model": True}),
        }
        for name in BROKEN
    },
}
AT_ONCE = 6  # they wait for containers more than they compute


@pytest.fixture(scope="module")
def checked(engine, build_shared_image):
    """Return the function that builds an image from GOOD and more, checks it and reports."""
    connection = connect()
    names = []

    def run(lines="", *, files=None, base=GOOD, limits=LIMITS, **options):
        names.append(build_shared_image(f"{base}\n{lines}", {**PROGRAMS, **(files or {})}))
        told = Told(say=lambda _: None, found=lambda _: None)
        return check(connection, names[-1], Options(**options), told, limits)

    yield run
    ours = {engine.images.get(name).id for name in names}
    left = [one for one in connection.containers({LABEL: ""}) if one.image_id in ours]
    connection.close()
    assert left == []


@pytest.fixture(scope="module")
def reports(request, checked, model):
    """Return the function that waits for one of RUNS; those that are asked for run side by side."""
    asked = {item.callspec.params.get("run") for item in request.session.items if on_us(item)}

    def run(arguments):
        return checked(**{**arguments, "model": model} if "model" in arguments else arguments)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        begun = {name: pool.submit(run, RUNS[name]) for name in RUNS if name in asked}
        yield lambda name: begun[name].result(timeout=300)


def on_us(item):
    return item.path == Path(__file__) and hasattr(item, "callspec")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model.tar.gz for the small image."""
    return archived(tmp_path_factory.mktemp("model") / "model.tar.gz", {"model.txt": "24"})


def archived(path, files):
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


def complaints(report):
    """What failed or warns, by id."""
    found = {finding.check.id: str(finding.status) for finding in report.findings}
    return {name: status for name, status in found.items() if status in ("fail", "warn")}


def evidence(report, name):
    return next(f.evidence for f in report.findings if f.check.id == name)


@pytest.mark.parametrize("run", BROKEN)
def test_an_image_that_breaks_one_promise_fails_that_check_alone(reports, run):
    """
    Each check finds what it is for, and nothing else complains.
    """
    assert complaints(reports(run)) == BROKEN[run]


@pytest.mark.parametrize("run", ["good"])
def test_an_image_that_keeps_the_contract_passes(reports, run):
    """
    Every check passes, and the model that was trained is served; only multi-model is not claimed.
    """
    report = reports(run)

    assert complaints(report) == {}
    assert [f.check.id for f in report.of("skip")] == ["serve-multi-model"]
    assert report.ok


SHELL = """
COPY program.py /opt/program.py
ENTRYPOINT python3 /opt/program.py train
"""
KEY = "-----BEGIN RSA PRIVATE KEY-----\n" + "M" * 64 + "\n-----END RSA PRIVATE KEY-----\n"
CUDA = "nvidia_cuda_runtime_cu12-12.8.90.dist-info/METADATA"


@pytest.mark.parametrize(
    ("found", "base", "lines"),
    [
        ({"entrypoint": "fail"}, SHELL, ""),
        (
            {"init": "warn"},
            GOOD,
            'ENTRYPOINT ["/usr/bin/tini", "--", "python3", "/opt/program.py"]',
        ),
        ({"user": "fail"}, GOOD, "USER nobody"),
        ({"volumes": "fail"}, GOOD, "VOLUME /opt/ml/model"),
        ({"healthcheck": "warn"}, GOOD, "HEALTHCHECK CMD true"),
        ({"credentials": "fail"}, GOOD, "ENV DATABASE_PASSWORD=hunter2"),
        ({"credentials": "fail"}, GOOD, "ARG API_TOKEN=abc123\nRUN true"),
        ({}, GOOD, "ENV TOKENIZERS_PARALLELISM=false GPG_KEY=A035C8C19219"),
    ],
)
def test_what_the_configuration_tells_needs_no_run(checked, found, base, lines):
    """
    Entry point, user, volumes, health check and environment are judged without running the image.
    """
    assert complaints(checked(lines, base=base, run=False)) == found


def test_a_credential_that_a_later_layer_deletes_is_found(checked):
    """
    A layer keeps what the next one removes; the evidence names the file and not the secret.
    """
    report = checked(
        "COPY key /root/.ssh/id_rsa\nRUN rm /root/.ssh/id_rsa",
        files={"key": KEY},
        limits=Limits(),
        run=False,
    )

    assert complaints(report) == {"credentials": "fail"}
    assert evidence(report, "credentials") == "a private key in /root/.ssh/id_rsa"


def test_cuda_is_found_in_the_files(checked):
    """
    The runtime's metadata tells the version, and the instance type's driver is compared with it.
    """
    report = checked(
        f"FROM scratch\nCOPY metadata /opt/site-packages/{CUDA}",
        files={"metadata": "Name: nvidia-cuda-runtime-cu12"},
        base="",
        limits=Limits(),
        run=False,
        host=Host("ml.g5.xlarge"),
    )

    assert complaints(report) == {"cuda": "warn"}
    assert "CUDA 12.8 (nvidia-cuda-runtime) needs driver 525" in evidence(report, "cuda")


@pytest.mark.parametrize("run", ["without-python"])
def test_an_image_without_a_program_is_judged_as_well(reports, run):
    """
    What cannot start is a failure of the start; the rest is skipped, and nothing hangs.
    """
    report = reports(run)

    assert {"train-start": "fail", "serve-start": "fail"}.items() <= complaints(report).items()
    assert "not found" in evidence(report, "train-start")


@pytest.mark.parametrize("run", ["without-port-label"])
def test_a_port_label_that_is_missing_warns(reports, run):
    """
    Without the label SageMaker names no port, and so nobody tries one.
    """
    report = reports(run)

    assert complaints(report) == {"serve-port-label": "warn"}
    assert "without the label" in evidence(report, "serve-port")


@pytest.mark.parametrize("run", ["without-model", "without-model-503"])
def test_what_needs_a_model_is_skipped_without_one(reports, run):
    """
    Whether it ends or answers 503, an image that lacks a model has not failed: the report says so.
    """
    report = reports(run)

    assert complaints(report) == {}
    assert "--model model.tar.gz" in evidence(report, "serve-invocation")
