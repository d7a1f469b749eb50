"""Statements of fact about the serving image, through docker run and a model in /opt/ml alone."""

import json
import time

import pytest

from kennel.contract import PING_TIMEOUT_S, SERVING_STOP_GRACE_S

ANYONE = "12345:12345"
LOOPBACK = ("127.0.0.1", None)  # docker chooses the port
LISTENING = """
import json
from pathlib import Path

rows = [line.split() for name in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
found = [row[1].split(":") for row in rows if row[3] == "0A"]
print(json.dumps([int(port, 16) for address, port in found if address != "0B00007F"]))
"""  # docker's own resolver listens on 127.0.0.11


@pytest.fixture(scope="module")
def model(trained):
    """The artifact that the training image made, as it is unpacked below /opt/ml."""
    return {f"model/{path}": data for path, data in trained.files("/opt/ml/model").items()}


@pytest.fixture(scope="module")
def serve(started, serve_image, model):
    """Return ``serve(**options)``: the serving image with that model, and ready."""

    def serve(inside=8080, **options):
        container = started(
            serve_image, "serve", files=model, ports={f"{inside}/tcp": LOOPBACK}, **options
        )
        container.wait_until_ready(inside=inside)
        return container

    return serve


@pytest.fixture(scope="module")
def served(serve):
    """A container that serves as SageMaker starts it."""
    return serve()


@pytest.fixture
def picture(pictures):
    return pictures["input/data/test/light/0.png"]


def test_it_answers_a_ping(served):
    """
    200 within two seconds, when it can serve.
    """
    assert served.request("/ping", timeout=PING_TIMEOUT_S)[0] == 200


@pytest.mark.parametrize("shade", ["dark", "light"])
def test_it_classifies_a_picture(served, pictures, shade):
    """
    What the training image learned, the serving image knows.
    """
    status, body = served.request("/invocations", pictures[f"input/data/test/{shade}/0.png"])

    assert status == 200
    assert json.loads(body)["predictions"][0][0]["class"] == shade


def test_a_bad_request_is_the_clients_mistake(served):
    """
    400, a reason, and no traceback.
    """
    status, body = served.request("/invocations", b"no picture")

    assert status == 400
    assert json.loads(body)["error"]


def test_only_its_port_is_open(served):
    """
    multi-model-server's management API, which could load other models, is not on the network.
    """
    found = served.itself.exec_run(["python3", "-c", LISTENING]).output

    assert set(json.loads(found)) == {8080}


def test_it_is_python_that_is_started(served):
    """
    PID 1 is Python: no shell and no init stands before it.
    """
    assert served.itself.top()["Processes"][0][-1] == (
        "/opt/venv/bin/python3 -m kennel.serving serve"
    )


def test_sigterm_ends_it_as_asked(serve, picture, model):
    """
    Within the grace, with exit code 0; and the model folder is as it was.
    """
    container = serve()
    container.request("/invocations", picture)
    before = time.monotonic()

    container.itself.stop(timeout=SERVING_STOP_GRACE_S)

    assert container.wait() == 0, container.logs()
    assert time.monotonic() - before < SERVING_STOP_GRACE_S / 2
    left = container.files("/opt/ml")
    assert left == model


def test_any_uid_serves_with_a_root_that_is_read_only(serve, picture):
    """
    It writes below /tmp, and nowhere else; and executes nothing there, as Docker's tmpfs forbids.
    """
    container = serve(
        user=ANYONE,
        read_only=True,
        tmpfs={"/tmp": ""},  # noqa: S108 - of the container
        cap_drop=["ALL"],
    )

    assert container.request("/invocations", picture)[0] == 200


def test_it_computes_on_the_cpus_that_it_may_use(serve):
    """
    Half a one is one worker, beside the process that holds the model, on a machine of any size.
    """
    container = serve(nano_cpus=500_000_000)

    commands = [row[-1] for row in container.itself.top(ps_args="-eo pid,args")["Processes"]]
    assert sum("model_service_worker.py" in command for command in commands) == 2


def test_it_takes_the_port_it_is_given(serve, picture):
    """
    SAGEMAKER_BIND_TO_PORT is its only port, and so inside SAGEMAKER_SAFE_PORT_RANGE.
    """
    port = 25_001
    variables = {"SAGEMAKER_BIND_TO_PORT": str(port), "SAGEMAKER_SAFE_PORT_RANGE": "25000-25999"}

    container = serve(inside=port, environment=variables)

    assert container.request("/invocations", picture, inside=port)[0] == 200
    found = container.itself.exec_run(["python3", "-c", LISTENING]).output
    assert set(json.loads(found)) == {port}


def test_a_port_it_cannot_have_is_refused(started, serve_image, model):
    """
    multi-model-server keeps ports in 16 signed bits: above 32766 it ends and says so.
    """
    container = started(
        serve_image, "serve", files=model, environment={"SAGEMAKER_BIND_TO_PORT": "40000"}
    )

    assert container.wait() == 1
    assert "up to 32766" in container.logs()


def test_without_a_model_it_ends_with_the_reason(started, serve_image):
    """
    An endpoint that can never be ready fails at once instead of at its timeout.
    """
    container = started(serve_image, "serve")

    assert container.wait() == 1
    assert "no artifact in /opt/ml/model" in container.logs()


def test_another_argument_is_wrong_usage(started, serve_image):
    """
    The platform's word is ``serve``.
    """
    container = started(serve_image, "train")

    assert container.wait() == 2
    assert "usage: " in container.logs()
