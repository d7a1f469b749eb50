"""The local server with containers: jobs and endpoints, and whatever is killed under them."""

import json
import os
import re
import shutil
import signal
import time
from itertools import count

import boto3
import pytest
from botocore.exceptions import ClientError

from kennel.contract import ENDPOINT_LOG_GROUP, TRAINING_LOG_GROUP
from kennel.engine import connection
from kennel.errors import LocalServerError
from kennel.local import daemon, layout
from kennel.local.runtimes import containers

WAIT_S = 60
BUCKET = "docker-server"
ROLE = "arn:aws:iam::000000000000:role/sagemaker"
NUMBERS = count(1)
SERVER = '''#!/usr/bin/python3 -u
"""A container in a few lines: says who it is, and dies when told to."""
import http.server, json, os, signal, socket, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(b"")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if body == b"die":
            os._exit(9)
        if body == b"write":
            open("/opt/ml/model/weights", "a")
        model = open("/opt/ml/model/weights").read()
        self.answer(json.dumps({"started": STARTED, "model": model}).encode())

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

STARTED = os.urandom(8).hex()
print("serving", sys.argv[1:])
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
'''
SLOW = """
import os, time
print("acc=0.5", flush=True)
while not os.path.exists("/opt/ml/model/go"):
    time.sleep(.02)
print("acc=0.75", flush=True)
"""
REACHES = """
import json, os, urllib.request

def ask(path, target=None, host=None):
    headers = {"Authorization": "AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/sagemaker/"
               "aws4_request, SignedHeaders=host, Signature=0", "X-Amz-Target": target}
    request = urllib.request.Request(os.environ["AWS_ENDPOINT_URL"] + path)
    if host:
        request.add_header("Host", host)
    if target:
        request = urllib.request.Request(os.environ["AWS_ENDPOINT_URL"], b"{}", headers)
    try:
        return urllib.request.urlopen(request, timeout=10).read().decode()
    except urllib.error.HTTPError as error:
        return "AccessDenied" if "AccessDenied" in error.read().decode() else error

print(ask("/docker-server/stored"))
print(ask("/", "SageMaker.CreateTrainingJob"))
print(ask("/", "SageMaker.StopTrainingJob"))
print(ask("/docker-server/stored", host="evil.example"))
print("TrainingJobSummaries" in ask("/", "SageMaker.ListTrainingJobs"))
"""


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def server(engine, state):
    """A server of this test's own, which it may kill; nothing of it may be left behind."""
    address = daemon.start(state, 0, "docker")
    yield address
    if state.exists():
        daemon.stop(state, everything=True)
        for found in left_behind(engine, state):  # a next server would have gone on with them
            found.remove(**({"force": True} if hasattr(found, "image") else {}))


@pytest.fixture
def aws(server):
    """Return ``aws(service)``, a client of the server."""
    session = boto3.Session("kennel-test", "kennel-test", region_name="us-east-1")
    clients = {
        service: session.client(service, endpoint_url=server.url)
        for service in ("s3", "sagemaker", "sagemaker-runtime", "logs")
    }
    clients["s3"].create_bucket(Bucket=BUCKET)
    return clients.__getitem__


@pytest.fixture
def kill(server, state):
    """End the server as a crash does; return what starts it anew, at the same address."""

    def end():
        os.kill(daemon.status(state).pid, signal.SIGKILL)
        until(lambda: not daemon.is_running(state))
        return lambda: daemon.start(state, server.port, "docker")

    return end


@pytest.fixture
def submit(aws, base_image):
    """Start a job that runs a script, and return its name."""

    def start(script="pass", entrypoint=None, **algorithm):
        name = f"job-{next(NUMBERS)}"
        aws("s3").put_object(Bucket=BUCKET, Key=f"{name}/main.py", Body=script.encode())
        source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{name}/"}
        aws("sagemaker").create_training_job(
            TrainingJobName=name,
            RoleArn=ROLE,
            AlgorithmSpecification={
                "TrainingImage": base_image,
                "TrainingInputMode": "File",
                "ContainerEntrypoint": entrypoint or ["python3", "/opt/ml/input/data/code/main.py"],
                "MetricDefinitions": [{"Name": "acc", "Regex": "acc=([0-9.]+)"}],
                **algorithm,
            },
            InputDataConfig=[{"ChannelName": "code", "DataSource": {"S3DataSource": source}}],
            OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/output"},
            ResourceConfig={
                "InstanceType": "ml.m5.large",
                "InstanceCount": 1,
                "VolumeSizeInGB": 1,
            },
            StoppingCondition={"MaxRuntimeInSeconds": 120},
        )
        return name

    return start


@pytest.fixture
def finished(aws):
    """Wait for the end of a job and return its description."""

    def wait(name):
        def ended():
            job = aws("sagemaker").describe_training_job(TrainingJobName=name)
            return job if job["TrainingJobStatus"] not in ("InProgress", "Stopping") else None

        return until(ended)

    return wait


@pytest.fixture
def lines(aws):
    """Return the lines of a job's log, or of an endpoint's."""

    def of(group, prefix):
        try:
            found = aws("logs").filter_log_events(logGroupName=group, logStreamNamePrefix=prefix)
        except ClientError:
            return []
        return [event["message"] for event in found["events"]]

    return of


@pytest.fixture
def go(state):
    """Let the slow job of this name end."""
    return lambda name: next((state / layout.SCRATCH / name).rglob("model")).joinpath("go").touch()


@pytest.fixture
def running(submit, lines):
    """A job that has said its first line and runs on until it may go."""
    name = submit(SLOW)
    until(lambda: lines(TRAINING_LOG_GROUP, name))
    return name


@pytest.fixture
def ended(engine, state, go):
    """Let the slow job of this name end, and wait until its container has."""

    def wait(name):
        go(name)
        mine = {"name": containers.name(state / layout.RUNTIME, f"train-{name}")}
        until(lambda: not engine.containers.list(filters=mine, ignore_removed=True))

    return wait


@pytest.fixture
def deploy(aws, build_image):
    """Create an endpoint of some instances, wait until it has settled, and return its name."""
    image = build_image(
        'COPY serve /serve\nRUN mkdir -p /opt/ml/model\nENTRYPOINT ["/serve"]', {"serve": SERVER}
    )
    sagemaker = aws("sagemaker")
    aws("s3").put_object(Bucket=BUCKET, Key="model/weights", Body=b"learnt")
    source = {
        "S3Uri": f"s3://{BUCKET}/model/",
        "S3DataType": "S3Prefix",
        "CompressionType": "None",
    }

    def create(instances=1):
        name = f"endpoint-{next(NUMBERS)}"
        sagemaker.create_model(
            ModelName=name,
            ExecutionRoleArn=ROLE,
            PrimaryContainer={"Image": image, "ModelDataSource": {"S3DataSource": source}},
        )
        sagemaker.create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[
                {
                    "VariantName": "main",
                    "ModelName": name,
                    "InstanceType": "ml.m5.large",
                    "InitialInstanceCount": instances,
                }
            ],
        )
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
        settled(name)
        return name

    def settled(name):
        status = ("InService", "Failed")
        found = until(
            lambda: (
                (e := sagemaker.describe_endpoint(EndpointName=name))["EndpointStatus"] in status
                and e
            )
        )
        assert found["EndpointStatus"] == "InService", found["FailureReason"]

    create.settled = settled
    yield create
    for endpoint in sagemaker.list_endpoints()["Endpoints"]:
        if endpoint["EndpointStatus"] != "Deleting":
            sagemaker.delete_endpoint(EndpointName=endpoint["EndpointName"])
    until(lambda: not sagemaker.list_endpoints()["Endpoints"])


@pytest.fixture
def ask(aws):
    """Invoke an endpoint and return what its container says of itself; None while it cannot."""
    runtime = aws("sagemaker-runtime")

    def invoke(name, body=b"who"):
        try:
            answer = runtime.invoke_endpoint(EndpointName=name, Body=body)
        except ClientError:
            return None
        return json.loads(answer["Body"].read())

    return invoke


def until(fact):
    deadline = time.monotonic() + WAIT_S
    while not (found := fact()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def left_behind(engine, state):
    mine = {"label": f"{containers.STATE_LABEL}={state / layout.RUNTIME}"}
    return [
        *engine.containers.list(all=True, filters=mine, ignore_removed=True),
        *engine.networks.list(filters=mine),
    ]


class TestJob:
    """A training job in a container."""

    def test_leaves_its_log_and_nothing_else(self, submit, finished, lines, engine, state):
        """
        Its lines once, its metrics; and neither container nor network nor folder.
        """
        name = submit("print('acc=0.5'); print('acc=0.75')")
        job = finished(name)

        assert job["TrainingJobStatus"] == "Completed"
        assert lines(TRAINING_LOG_GROUP, name) == ["acc=0.5", "acc=0.75"]
        assert job["FinalMetricDataList"][0]["Value"] == 0.75
        assert left_behind(engine, state) == []

    def test_reaches_the_server_but_for_changes(self, submit, finished, lines, aws):
        """
        The objects, and what is described, by its address alone; nothing that starts or ends.
        """
        aws("s3").put_object(Bucket=BUCKET, Key="stored", Body=b"an object")
        name = submit(REACHES)

        assert finished(name)["TrainingJobStatus"] == "Completed"
        assert lines(TRAINING_LOG_GROUP, name) == [
            *("an object", "AccessDenied", "AccessDenied", "AccessDenied", "True")
        ]

    def test_alone_reaches_the_server(self, server, running, engine, base_image, go):
        """
        Another container of this machine, in the same network as endpoints', is refused.
        """
        gateway = connection.connect().gateway()
        ask = (
            "import urllib.request, urllib.error\n"
            f"try: urllib.request.urlopen('http://{gateway}:{server.port}/{BUCKET}', timeout=10)\n"
            "except urllib.error.HTTPError as error: print(error.code)"
        )

        said = engine.containers.run(base_image, ["python3", "-c", ask], remove=True)
        go(running)  # it would wait for SIGKILL

        assert said == b"403\n"

    @pytest.mark.parametrize(
        ("algorithm", "reason"),
        [
            pytest.param({"entrypoint": ["nope"]}, r'exec: "nope": .*exit code: 127', id="program"),
            pytest.param({"TrainingImage": "nope"}, "Cannot find the image 'nope'", id="image"),
        ],
    )
    def test_that_cannot_start_says_why(self, submit, finished, algorithm, reason):
        """
        In its FailureReason, at once.
        """
        job = finished(submit(**algorithm))

        assert job["TrainingJobStatus"] == "Failed"
        assert re.search(reason, job["FailureReason"])

    def test_that_was_killed_for_its_memory_says_so(self, submit, finished, engine, state, go):
        """
        Exit code 137 alone could be anybody's kill.
        """
        name = submit(f"{SLOW}\ndata = [b'x' * 10**6 * (i + 1) for i in range(99)]")
        id_ = containers.name(state / layout.RUNTIME, f"train-{name}")
        until(lambda: engine.containers.list(filters={"name": id_}))
        engine.containers.get(id_).update(mem_limit="32m", memswap_limit="32m")
        go(name)

        assert finished(name)["FailureReason"].endswith(
            "exit code: 137 (out of memory: the kernel killed it)"
        )

    def test_goes_on_when_the_server_is_killed(self, kill, running, finished, lines, go):
        """
        The next server finds the container, and every line is there once.
        """
        kill()()
        go(running)

        assert finished(running)["TrainingJobStatus"] == "Completed"
        assert lines(TRAINING_LOG_GROUP, running) == ["acc=0.5", "acc=0.75"]

    def test_ends_while_the_server_is_dead(self, kill, running, finished, lines, ended):
        """
        The engine keeps what it said and how it ended.
        """
        restart = kill()
        ended(running)
        restart()

        assert finished(running)["TrainingJobStatus"] == "Completed"
        assert lines(TRAINING_LOG_GROUP, running) == ["acc=0.5", "acc=0.75"]

    def test_is_stopped_without_a_server(self, server, submit, finished, lines, state):
        """
        ``stop --all`` ends containers as well, and the next server tells that they were stopped.
        """
        handled = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
        name = submit(handled + SLOW)
        until(lambda: lines(TRAINING_LOG_GROUP, name))
        daemon.stop(state)
        assert daemon.status(state).training_jobs == 1
        daemon.stop(state, everything=True)
        assert daemon.status(state).training_jobs == 0
        daemon.start(state, server.port, "docker")

        assert finished(name)["TrainingJobStatus"] == "Stopped"

    @pytest.mark.usefixtures("running")
    def test_ends_with_its_state(self, state, engine):
        """
        Whoever deletes the folder of a server that runs ends all that it started.
        """
        assert left_behind(engine, state)
        shutil.rmtree(state)

        until(lambda: not left_behind(engine, state))


class TestEndpoint:
    """An endpoint of containers."""

    def test_has_a_container_for_each_instance(self, deploy, ask, aws, engine, state):
        """
        They share the requests, as many as are asked for, now and later; none is left in the end.
        """
        name = deploy(instances=2)
        first = until(lambda: len(seen := {ask(name)["started"] for _ in range(20)}) == 2 and seen)

        for wanted in (3, 1):
            aws("sagemaker").update_endpoint_weights_and_capacities(
                EndpointName=name,
                DesiredWeightsAndCapacities=[
                    {"VariantName": "main", "DesiredInstanceCount": wanted}
                ],
            )
            deploy.settled(name)
            until(lambda wanted=wanted: len(left_behind(engine, state)) == wanted)
        assert ask(name)["started"] in first
        aws("sagemaker").delete_endpoint(EndpointName=name)
        until(lambda: not left_behind(engine, state))

    def test_starts_a_container_again(self, deploy, ask, engine, state):
        """
        One that ends, or that somebody kills; its log says so.
        """
        name = deploy()
        first = ask(name)["started"]
        ask(name, b"die")
        second = until(lambda: ask(name))["started"]
        left_behind(engine, state)[0].kill()
        third = until(lambda: (now := ask(name)) and now["started"] != second and now)["started"]

        assert len({first, second, third}) == 3

    def test_turns_to_its_other_container(self, deploy, ask, engine, state):
        """
        While one is gone, and until it is up again, no request fails.
        """
        name = deploy(instances=2)
        seen = until(lambda: len(both := {ask(name)["started"] for _ in range(20)}) == 2 and both)
        left_behind(engine, state)[0].remove(force=True)

        until(lambda: seen.add(ask(name)["started"]) or len(seen) == 3)

    def test_is_found_by_the_next_server(self, deploy, ask, kill):
        """
        The same container answers.
        """
        name = deploy()
        before = ask(name)
        kill()()

        assert until(lambda: ask(name)) == before

    def test_cannot_change_its_model(self, deploy, ask, aws, lines):
        """
        Its files are links that other endpoints and the bucket share.
        """
        name = deploy()

        assert ask(name)["model"] == "learnt"
        assert ask(name, b"write") is None
        until(lambda: any("Read-only" in x for x in lines(f"{ENDPOINT_LOG_GROUP}/{name}", "main")))
        assert aws("s3").get_object(Bucket=BUCKET, Key="model/weights")["Body"].read() == b"learnt"


class TestServer:
    """A server and its engine."""

    def test_says_which_engine_it_has(self, server, state):
        """
        The runtime that was asked for, and Docker's version.
        """
        assert server.port
        found = daemon.status(state)

        assert (found.runtime, found.engine.split()[0]) == ("docker", "Docker")

    def test_needs_one_if_it_is_asked_for(self, state, monkeypatch):
        """
        It does not start without.
        """
        monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")

        with pytest.raises(LocalServerError, match="no Docker engine answers at unix:///nowhere"):
            daemon.start(state, 0, "docker")
