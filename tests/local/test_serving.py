"""The real server: ``python -m kennel.serving serve`` with multi-model-server behind it."""

import base64
import contextlib
import http.client
import io
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_images

from kennel.serving.scratch import is_locked
from kennel.vision import artifact, models, trained
from kennel.vision.artifact import Artifact
from kennel.vision.preprocessing import Preprocessing

pytestmark = pytest.mark.skipif(
    shutil.which("java") is None, reason="multi-model-server needs Java"
)

NAMES = ("ant", "bee", "cät", "dog", "eel", "fox", "gnu")
STARTS_WITHIN_S = 90  # 3 s on a quiet machine
COMMAND = [sys.executable, "-m", "kennel.serving", "serve"]
JPEG = {"Content-Type": "image/jpeg"}


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    """A base folder with an artifact, as the platform mounts it."""
    base = tmp_path_factory.mktemp("ml")
    torch.manual_seed(0)
    model = models.build("resnet18", len(NAMES))
    trained.save(base / "model", model, Artifact("resnet18", NAMES, Preprocessing.for_size(96)))
    trained.convert(base / "model")
    return base


@pytest.fixture(scope="module")
def jpeg():
    file = io.BytesIO()
    Image.fromarray(load_sample_images().images[1]).save(file, "JPEG")
    return file.getvalue()


def free_port():
    """Return a port below those that multi-model-server refuses, and beside the local server's."""
    for port in random.sample(range(12_000, 20_000), 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("", port))
            return port
    raise RuntimeError("no free port")


class Server:
    """One running server, and how to talk to it."""

    def __init__(self, base, temporary, **environment):
        self.port, self.temporary = free_port(), temporary
        self.log = temporary.parent / f"{self.port}.log"
        temporary.mkdir(parents=True, exist_ok=True)
        variables = {
            "SAGEMAKER_BASE_DIR": str(base),
            "SAGEMAKER_BIND_TO_PORT": str(self.port),
            "TMPDIR": str(temporary),
            **environment,
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own command
                COMMAND, env=os.environ | variables, stdout=log, stderr=subprocess.STDOUT
            )

    def send(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.headers["Content-Type"], response.read()
        finally:
            connection.close()

    def invoke(self, body, **headers):
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.send("POST", "/invocations", body, names)

    def ping(self):
        try:
            return self.send("GET", "/ping")[0]
        except OSError:
            return None

    def wait_until_ready(self):
        deadline = time.monotonic() + STARTS_WITHIN_S
        while self.ping() != 200:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)
        return self

    def processes(self):
        """Return the pids of everything that this server started, found by its environment."""
        mark = f"KENNEL_SERVING_SCRATCH={self.temporary}/".encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (folder / "environ").read_bytes():
                    found.append(int(folder.name))
            except OSError:
                pass  # ended meanwhile, or somebody else's
        return found

    def wait_until_gone(self):
        deadline = time.monotonic() + 10
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.05)
        return not self.processes()

    def end(self):
        self.process.kill()
        self.process.wait()
        assert self.wait_until_gone()


@pytest.fixture(scope="module")
def server(model_folder, tmp_path_factory):
    """One server for all tests that leave it as it was."""
    running = Server(model_folder, tmp_path_factory.mktemp("serving") / "tmp")
    try:
        yield running.wait_until_ready()
    finally:
        running.end()


@pytest.fixture
def start(model_folder, tmp_path):
    """Start servers that a test may stop, kill or break."""
    started = []

    def start(base=model_folder, temporary=None, **environment):
        started.append(Server(base, temporary or tmp_path / "tmp", **environment))
        return started[-1]

    yield start
    for running in started:
        running.end()


def slow_body():
    """Sixty-four pictures in one request."""
    file = io.BytesIO()
    Image.new("RGB", (200, 200), "red").save(file, "PNG")
    return json.dumps({"instances": [base64.b64encode(file.getvalue()).decode()] * 64}).encode()


def test_the_answer_is_what_training_would_say(server, model_folder, jpeg):
    """
    Through HTTP, Java and a fork, the probabilities are the model's own, to 1e-4.
    """
    status, content_type, body = server.invoke(
        jpeg, Content_Type="image/jpeg", Accept="application/x-npy"
    )

    model, described = trained.load(model_folder / "model")
    with torch.inference_mode():
        picture = described.preprocessing.read(jpeg)
        images = torch.from_numpy(described.preprocessing(picture)[None])
        expected = model(images).softmax(1).numpy()
    assert (status, content_type) == (200, "application/x-npy")
    assert np.abs(np.load(io.BytesIO(body)) - expected).max() < 1e-4
    assert "by openvino, loaded in" in server.log.read_text()


def test_torch_serves_the_same_where_it_is_chosen(start, server, jpeg):
    """
    By the variable; on a GPU it is the default.
    """
    chosen = start(KENNEL_SERVING_BACKEND="torch").wait_until_ready()

    (ours, theirs) = (
        np.load(io.BytesIO(one.invoke(jpeg, **JPEG, Accept="application/x-npy")[2]))
        for one in (chosen, server)
    )
    assert np.abs(ours - theirs).max() < 1e-4
    assert "by torch, loaded in" in chosen.log.read_text()


@pytest.fixture
def without_torch(tmp_path):
    """The environment of a Python in which torch is not installed."""
    folder = tmp_path / "without-torch"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "import sys; sys.modules['torch'] = sys.modules['torchvision'] = None"
    )
    return {"PYTHONPATH": str(folder)}


def test_a_cpu_is_served_where_torch_is_not_installed(start, server, without_torch, jpeg):
    """
    The same answers, from the whole server.
    """
    bare = start(**without_torch).wait_until_ready()

    assert bare.invoke(jpeg, **JPEG) == server.invoke(jpeg, **JPEG)


def test_json_names_the_most_probable_classes(server, jpeg):
    """
    Five by default, as many as the custom attributes ask for otherwise.
    """
    status, content_type, body = server.invoke(jpeg, Content_Type="image/jpeg")
    _, _, three = server.invoke(
        jpeg, Content_Type="image/jpeg", X_Amzn_SageMaker_Custom_Attributes="top_k=3"
    )

    (ranking,) = json.loads(body)["predictions"]
    assert (status, content_type) == (200, "application/json")
    assert len(ranking) == 5
    assert all(NAMES[entry["label"]] == entry["class"] for entry in ranking)
    assert [entry["probability"] for entry in ranking] == sorted(
        (entry["probability"] for entry in ranking), reverse=True
    )
    assert json.loads(three)["predictions"] == [ranking[:3]]


def test_csv_is_answered_to_who_asks_for_it(server, jpeg):
    """
    A line for each picture.
    """
    status, content_type, body = server.invoke(jpeg, Content_Type="image/jpeg", Accept="text/csv")

    assert (status, content_type) == (200, "text/csv")
    assert len(body.decode().strip().split(",")) == 10


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        pytest.param(b"no picture", JPEG, 400, id="no-picture"),
        pytest.param(b"", JPEG, 400, id="empty"),
        pytest.param(
            b"{", {"Content-Type": "application/json; charset=utf-8"}, 400, id="torn-json"
        ),
        pytest.param(b"\x93NUMPY", {"Content-Type": "application/x-npy"}, 400, id="torn-npy"),
        pytest.param(b"x", JPEG | {"Accept": "image/png"}, 406, id="accept"),
        pytest.param(b"\0" * (25 * 2**20 + 1), JPEG, 413, id="too-large"),
        pytest.param(b"a,b", {"Content-Type": "text/csv"}, 415, id="content-type"),
        pytest.param(b"a=b", {"Content-Type": "application/x-www-form-urlencoded"}, 415, id="form"),
        pytest.param(b"a,b", {}, 415, id="no-content-type"),
    ],
)
def test_a_clients_mistake_is_a_short_json_error_and_the_server_goes_on(
    server, jpeg, body, headers, status
):
    """
    Never a traceback, never a 500; the next request is answered.
    """
    answer = server.send("POST", "/invocations", body, headers)

    assert answer[:2] == (status, "application/json")
    assert json.loads(answer[2])["error"]
    assert len(answer[2]) < 400
    assert server.invoke(jpeg, Content_Type="image/jpeg")[0] == 200


def test_requests_at_once_are_all_answered(server, jpeg):
    """
    More clients than workers wait for their turn.
    """
    with ThreadPoolExecutor(12) as clients:
        answers = list(clients.map(lambda _: server.invoke(jpeg, **JPEG), range(24)))

    assert {status for status, _, _ in answers} == {200}
    assert len({body for _, _, body in answers}) == 1


@pytest.mark.parametrize(("method", "path"), [("GET", "/models"), ("DELETE", "/models/model")])
def test_models_cannot_be_managed_from_outside(server, method, path):
    """
    The port of the platform has no management API.
    """
    assert server.send(method, path)[0] in (404, 405)
    assert server.ping() == 200


def test_a_worker_that_dies_is_replaced(server, jpeg):
    """
    Killed workers cost at most the requests that they had.
    """
    forks = forks_of(server)
    assert forks
    for pid in forks:
        os.kill(pid, signal.SIGKILL)

    deadline = time.monotonic() + 30
    while server.invoke(jpeg, **JPEG)[0] != 200:
        assert time.monotonic() < deadline
    assert server.process.poll() is None


def test_a_worker_that_cannot_start_the_model_is_not_asked(start, model_folder, tmp_path, jpeg):
    """
    The others answer all; when there is none the server ends with the reason, and hangs nobody.
    """
    shutil.copytree(model_folder, tmp_path / "ml")
    begun = start(base=tmp_path / "ml", SAGEMAKER_MODEL_SERVER_WORKERS="2").wait_until_ready()
    first, second = forks_of(begun, count=2)
    (tmp_path / "ml" / "model" / "model.bin").unlink()

    os.kill(first, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while "a worker cannot start the model: OpenVINO" not in begun.log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    statuses = {begun.invoke(jpeg, **JPEG)[0] for _ in range(8)}
    os.kill(second, signal.SIGKILL)

    assert statuses == {200}
    assert begun.process.wait(60) == 1
    assert "kennel: OpenVINO" in begun.log.read_text()


def forks_of(server, count=1):
    """Return the pids of the workers, once there are *count*."""
    deadline = time.monotonic() + 30
    while True:
        pids = server.processes()
        workers = [pid for pid in pids if parent(pid) in pids and "python" in name(pid)]
        forks = [pid for pid in workers if parent(pid) in workers]
        if len(forks) >= count:
            return forks
        assert time.monotonic() < deadline
        time.sleep(0.05)


def parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def name(pid):
    return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode()


def test_a_true_ping_at_the_start_and_nothing_left_after_a_kill(start, jpeg):
    """
    The first 200 means it: the very next request is answered. And even SIGKILL, which nobody can
    handle, leaves no Java and no worker behind.
    """
    begun = start()

    begun.wait_until_ready()

    assert begun.invoke(jpeg, **JPEG)[0] == 200
    assert len(begun.processes()) >= 4

    begun.process.kill()

    assert begun.wait_until_gone()


def test_a_stop_finishes_what_is_in_flight_and_leaves_nothing(start, server, tmp_path):
    """
    On SIGTERM; beside another server, and under a TMPDIR too long for the names of sockets.
    """
    begun = start(temporary=tmp_path / ("long" * 20) / ("longer" * 12)).wait_until_ready()
    answers = []
    client = threading.Thread(
        target=lambda: answers.append(begun.invoke(slow_body(), Content_Type="application/json"))
    )
    (busy,) = begun.temporary.glob("serve-*/busy")

    client.start()
    deadline = time.monotonic() + 30
    while not is_locked(busy):
        assert time.monotonic() < deadline
    begun.process.terminate()
    client.join()

    assert begun.process.wait(30) == 0
    assert answers[0][0] == 200
    assert len(json.loads(answers[0][2])["predictions"]) == 64
    assert begun.wait_until_gone()
    assert list(begun.temporary.iterdir()) == []
    assert server.ping() == 200


def test_the_end_of_the_process_that_holds_the_model_ends_the_server(start):
    """
    Without it dead workers could not be replaced: the platform starts the container anew. Its
    workers end with it, whether or not the server is there to end them.
    """
    begun = start().wait_until_ready()
    forks = forks_of(begun)
    pids = begun.processes()
    (java,) = [pid for pid in pids if parent(pid) == begun.process.pid]
    (holder,) = [pid for pid in pids if parent(pid) == java]

    begun.process.send_signal(signal.SIGSTOP)
    os.kill(holder, signal.SIGKILL)

    deadline = time.monotonic() + 10
    while set(forks) & set(begun.processes()):
        assert time.monotonic() < deadline
    begun.process.send_signal(signal.SIGCONT)
    assert begun.process.wait(30) == 1
    assert "holds the model was killed" in begun.log.read_text()


def tear(folder):
    (folder / artifact.WEIGHTS_FILE).write_bytes(b"torn")


def tear_converted(folder):
    trained.convert(folder)
    os.truncate(folder / "model.bin", 5000)


def remove(folder):
    shutil.rmtree(folder)


def diverge(folder):
    weights = torch.load(folder / artifact.WEIGHTS_FILE, weights_only=True)
    for tensor in weights.values():
        tensor.fill_(torch.nan)
    torch.save(weights, folder / artifact.WEIGHTS_FILE)


def assert_ends_without_a_ping(begun, says):
    """See a server end soon, for one reason, with a status other than 0."""
    pings = []
    deadline = time.monotonic() + STARTS_WITHIN_S
    while begun.process.poll() is None and time.monotonic() < deadline:
        pings.append(begun.ping())
        time.sleep(0.02)

    log = begun.log.read_text()
    assert set(pings) == {None}
    assert begun.process.returncode == 1
    (line,) = [line for line in log.splitlines() if line.startswith("kennel: ")]
    assert says in line
    assert "Traceback" not in log


@pytest.fixture
def small_artifact(tmp_path):
    """The base folder of an artifact for torch alone."""
    described = Artifact("squeezenet1_1", ("a", "b"), Preprocessing.for_size(64))
    trained.save(tmp_path / "ml" / "model", models.build("squeezenet1_1", 2), described)
    return tmp_path / "ml"


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        pytest.param(tear, "cannot read the weights", id="torn-weights"),
        pytest.param(tear_converted, "model.bin is torn", id="torn-openvino-weights"),
        pytest.param(remove, "no artifact in", id="no-artifact"),
        pytest.param(diverge, "the model answers NaN or infinity", id="answers-nan"),
    ],
)
def test_a_model_that_cannot_be_served_is_said_and_ends_the_server(
    start, small_artifact, damage, says
):
    """
    Soon, with the reason in the log and a status other than 0; no ping was ever answered.
    """
    damage(small_artifact / "model")

    assert_ends_without_a_ping(start(base=small_artifact), says)


def test_an_artifact_for_torch_alone_is_refused_where_torch_is_not(
    start, small_artifact, without_torch
):
    """
    With what is missing, and what to do.
    """
    begun = start(base=small_artifact, **without_torch)

    assert_ends_without_a_ping(begun, "the artifact has no OpenVINO model")
    assert "the gpu variant of the image, which has torch" in begun.log.read_text()


def test_a_missing_java_is_one_clear_line(start, tmp_path):
    """
    Before anything long starts.
    """
    begun = start(PATH=str(tmp_path), JAVA_HOME="")

    assert begun.process.wait(60) == 1
    assert begun.log.read_text() == (
        "kennel: Java is not installed: multi-model-server needs it\n"
        "  expected: java on the PATH, or JAVA_HOME\n"
        "  try: apt-get install openjdk-17-jre-headless\n"
    )


def test_a_taken_port_is_one_clear_line(start, server):
    """
    The port is named.
    """
    begun = start(SAGEMAKER_BIND_TO_PORT=str(server.port))

    assert begun.process.wait(60) == 1
    assert f"cannot listen on port {server.port}" in begun.log.read_text()


def test_it_listens_where_it_is_told(start, server):
    """
    Everywhere in a container; on this machine alone as a process of local mode.
    """
    inside = start(KENNEL_BIND_ADDRESS="127.0.0.1").wait_until_ready()

    with socket.create_connection(("127.0.0.2", server.port), timeout=5):
        pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", inside.port), timeout=5)


def test_a_wrong_command_is_told_the_right_one():
    """
    Exit status 2, and the usage.
    """
    done = subprocess.run(  # noqa: S603 - our own command
        [*COMMAND[:-1], "train"], capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == 2
    assert done.stderr == "usage: python -m kennel.serving serve\n"
