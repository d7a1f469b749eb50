"""Training jobs of several hosts, as containers of a small image on a network of their own."""

import io
import json
import os
import shutil
import signal
import tarfile
import time
from contextlib import suppress
from itertools import count

import boto3
import pytest

from kennel.contract import TRAINING_LOG_GROUP
from kennel.local import daemon, layout, rehearsal
from kennel.local.database import Database
from kennel.local.resources import LOCAL, Resources
from kennel.local.runtimes import containers
from kennel.local.sagemaker.names import TRAINING_JOB

PATIENCE_S = 90  # far above what anything here takes, on a busy machine too
NUMBERS = count(1)
BUCKET = "multi-host"
# What every script begins with; `others` meets the other hosts, over the network.
COMMON = """
import json, os, pathlib, signal, socket, sys, time
ml = pathlib.Path("/opt/ml")
config = json.loads((ml / "input/config/resourceconfig.json").read_text())
host, hosts = config["current_host"], config["hosts"]
number = hosts.index(host) + 1

def saying(word, code=0):
    def say(*_):
        print(word, flush=True)
        sys.exit(code)
    return say

def meet():
    if number > 1:
        deadline = time.monotonic() + 60
        while True:
            try:
                with socket.create_connection((hosts[0], 5000), 5) as there:
                    return there.sendall(host.encode())
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
    with socket.create_server(("", 5000)) as server:
        server.settimeout(60)
        met = {server.accept()[0].recv(99).decode() for _ in hosts[1:]}
        assert met == set(hosts[1:]), met

signal.signal(signal.SIGTERM, saying("heard"))
"""
WRITES = """
for folder in ("model", "output/data", "checkpoints"):
    (ml / folder / host).write_text(host)
    (ml / folder / "both").write_text(host)
(ml / "model/folder").mkdir()
(ml / "model/folder" / host).write_text(host)
got = sorted(path.name for path in (ml / "input/data/train").iterdir())
meet()
print(json.dumps({"config": config, "got": got}), flush=True)
print(f"number={number}", flush=True)
"""
FAILS = """
meet()
print("met", flush=True)
if number == 2:
    (ml / "output/failure").write_text("DataError: nothing to learn")
    sys.exit(3)
time.sleep(600)
"""
WAITS = """
meet()
print("met", flush=True)
time.sleep(600)
"""
LIVES = """
mine = ml / "checkpoints" / host
def save(*_):
    mine.with_suffix(".partial").write_text("saved")
    mine.with_suffix(".partial").rename(mine)
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
print("found", sorted(path.name for path in mine.parent.iterdir()), flush=True)
meet()
print("met", flush=True)
if not mine.exists():
    time.sleep(600)
"""
# What a link means in the container, it does not mean on this machine; one would write there.
LINKS = """
(ml / "model/weights").write_text("weights")
(ml / "model/best").symlink_to("/opt/ml/model/weights")
(ml / "model/through-the-root").symlink_to("../../../opt/ml/model/weights")
(ml / "model/out").symlink_to("/etc/hostname")
(ml / "model/up").symlink_to("../" * 40 + "etc/hostname")
(ml / "checkpoints/one").write_text("one")
(ml / "checkpoints/last").symlink_to("/opt/ml/checkpoints/one")
(ml / "checkpoints/out").symlink_to("/etc/hostname")
(ml / "output/data/data").write_text("data")
(ml / "output/.output.tar.gz").symlink_to(os.environ["ELSEWHERE"])
(ml / "output/failure").symlink_to("/etc/hostname")
time.sleep(2)
sys.exit(int(os.environ["CODE"]))
"""


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("multi-host") / "state"


@pytest.fixture(scope="module")
def server(engine, state):
    """A local server whose jobs are containers; it must leave nothing behind."""
    address = daemon.start(state, 0, "docker")
    yield address
    daemon.stop(state, everything=True)
    left = left_behind(engine, state)
    for found in left:
        found.remove(**({"force": True} if hasattr(found, "image") else {}))
    assert left == []


@pytest.fixture(scope="module")
def aws(server):
    """Return ``aws(service)``, a client of the server."""
    session = boto3.Session("kennel-test", "kennel-test", region_name="us-east-1")
    clients = {s: session.client(s, endpoint_url=server.url) for s in ("s3", "sagemaker", "logs")}
    clients["s3"].create_bucket(Bucket=BUCKET)
    for number in range(4):
        clients["s3"].put_object(Bucket=BUCKET, Key=f"train/{number}", Body=b"content")
    return clients.__getitem__


@pytest.fixture(scope="module")
def submit(aws, base_image):
    """Start a job of two hosts that run a script; it is stopped in the end."""
    names = []

    def start(script, *channels, **changes):
        names.append(f"job-{next(NUMBERS)}")
        key = f"code/{names[-1]}/main.py"
        aws("s3").put_object(Bucket=BUCKET, Key=key, Body=(COMMON + script).encode())
        request = {
            "TrainingJobName": names[-1],
            "RoleArn": "arn:aws:iam::000000000000:role/sagemaker",
            "AlgorithmSpecification": {
                "TrainingImage": base_image,
                "TrainingInputMode": "File",
                "ContainerEntrypoint": ["python3", "/opt/ml/input/data/code/main.py"],
                "MetricDefinitions": [{"Name": "number", "Regex": "number=([0-9]+)"}],
            },
            "InputDataConfig": [channel("code", f"code/{names[-1]}/"), *channels],
            "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/output"},
            "CheckpointConfig": {"S3Uri": f"s3://{BUCKET}/checkpoints/{names[-1]}"},
            "ResourceConfig": TWO,
            "StoppingCondition": {"MaxRuntimeInSeconds": 300},
        }
        aws("sagemaker").create_training_job(**request | changes)
        return names[-1]

    yield start
    for name in names:
        with suppress(aws("sagemaker").exceptions.ClientError):  # it has ended
            aws("sagemaker").stop_training_job(TrainingJobName=name)
            ending(aws, name)


ONE = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}
TWO = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1}
SPOT = {
    "EnableManagedSpotTraining": True,
    "StoppingCondition": {"MaxRuntimeInSeconds": 300, "MaxWaitTimeInSeconds": 600},
}
GROUPS = [
    {"InstanceGroupName": "readers", "InstanceType": "ml.m5.large", "InstanceCount": 1},
    {"InstanceGroupName": "others", "InstanceType": "ml.c5.xlarge", "InstanceCount": 1},
]


def channel(name, prefix, **source):
    s3 = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{prefix}", **source}
    return {"ChannelName": name, "DataSource": {"S3DataSource": s3}}


def until(fact):
    deadline = time.monotonic() + PATIENCE_S
    while not (found := fact()):
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.05)
    return found


def ending(aws, name):
    """Wait for the end of a job and return its description."""

    def ended():
        job = aws("sagemaker").describe_training_job(TrainingJobName=name)
        return job if job["TrainingJobStatus"] not in ("InProgress", "Stopping") else None

    return until(ended)


def said(aws, name):
    """Return the lines of a job's hosts: ``algo-N`` → lines."""
    found = {}
    with suppress(aws("logs").exceptions.ResourceNotFoundException):
        events = aws("logs").filter_log_events(
            logGroupName=TRAINING_LOG_GROUP, logStreamNamePrefix=f"{name}/"
        )["events"]
        for event in events:
            host = event["logStreamName"].partition("/")[2].rpartition("-")[0]
            found.setdefault(host, []).append(event["message"])
    return found


def heard_from_both(aws, name, word):
    """Wait until both hosts have said a word."""
    until(lambda: [word in lines for lines in said(aws, name).values()] == [True, True])


def archive_of(aws, uri):
    """Return what an archive in S3 holds: name → text."""
    key = uri.removeprefix(f"s3://{BUCKET}/")
    body = aws("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        return {m.name: tar.extractfile(m).read().decode() for m in tar if not m.isdir()}


def container(engine, state, name, host=1):
    """Return the container of a job's host."""
    launch = f"train-{name}" if host == 1 else f"train-{name}.algo-{host}"
    return engine.containers.get(containers.name(state / layout.RUNTIME, launch))


def left_behind(engine, state):
    """Return what the engine still has of the jobs of a server."""
    mine = {"label": f"{containers.STATE_LABEL}={state / layout.RUNTIME}"}
    return [*engine.containers.list(all=True, filters=mine), *engine.networks.list(filters=mine)]


@pytest.fixture(scope="module")
def done(aws, submit):
    """A job of two hosts that has completed; its prefix train is sharded, its groups differ."""
    shared = channel("train", "train/", S3DataDistributionType="ShardedByS3Key")
    groups = {"InstanceGroups": GROUPS, "VolumeSizeInGB": 1}
    name = submit(WRITES, shared, ResourceConfig=groups)
    return ending(aws, name)


@pytest.fixture(scope="module")
def told(aws, done):
    """What each host of that job has found: ``algo-N`` → its own words."""
    lines = said(aws, done["TrainingJobName"])
    return {host: json.loads(words[0]) for host, words in lines.items()}


def test_hosts_meet_by_name(done):
    """
    Each host is a container of its own that reaches the others by the names in resourceconfig.
    """
    assert done["TrainingJobStatus"] == "Completed", done.get("FailureReason")


def test_each_host_knows_itself(told):
    """
    resourceconfig.json has the same hosts for all, and the host, its type and its group for each.
    """
    configs = {host: words["config"] for host, words in told.items()}

    assert {host: config["current_host"] for host, config in configs.items()} == {
        "algo-1": "algo-1",
        "algo-2": "algo-2",
    }
    assert configs["algo-1"]["hosts"] == configs["algo-2"]["hosts"] == ["algo-1", "algo-2"]
    assert configs["algo-1"]["current_group_name"] == "readers"
    assert configs["algo-2"]["current_group_name"] == "others"
    assert configs["algo-2"]["current_instance_type"] == "ml.c5.xlarge"
    assert [group["hosts"] for group in configs["algo-1"]["instance_groups"]] == [
        ["algo-1"],
        ["algo-2"],
    ]


def test_a_sharded_channel_is_shared_out(told):
    """
    ShardedByS3Key: each object is on one host.
    """
    assert told["algo-1"]["got"] == ["0", "2"]
    assert told["algo-2"]["got"] == ["1", "3"]


def test_metrics_are_read_from_every_host(done):
    """
    The last value counts, whichever host said it.
    """
    (metric,) = done["FinalMetricDataList"]

    assert metric["Value"] in (1, 2)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param(
            "model.tar.gz",
            {"folder/algo-1": "algo-1", "folder/algo-2": "algo-2"},
            id="model",
        ),
        pytest.param("output.tar.gz", {}, id="output"),
    ],
)
def test_what_the_hosts_leave_is_stored_as_one(aws, done, name, expected):
    """
    As AWS documents it; of files with the same name the first host's is stored.
    """
    uri = f"s3://{BUCKET}/output/{done['TrainingJobName']}/output/{name}"

    assert archive_of(aws, uri) == expected | {
        "algo-1": "algo-1",
        "algo-2": "algo-2",
        "both": "algo-1",
    }


def test_the_checkpoints_of_all_hosts_land_under_one_prefix(aws, done):
    """
    Every host's folder is synced with the same place in S3.
    """
    prefix = f"checkpoints/{done['TrainingJobName']}/"
    found = aws("s3").list_objects_v2(Bucket=BUCKET, Prefix=prefix)["Contents"]

    assert {item["Key"].removeprefix(prefix) for item in found} == {"algo-1", "algo-2", "both"}


def test_nothing_is_left_of_a_job(engine, state, done):
    """
    Its containers and its network go with it, and so do its folders.
    """
    mine = [found for found in left_behind(engine, state) if done["TrainingJobName"] in found.name]

    assert mine == []
    assert not (state / layout.SCRATCH / done["TrainingJobName"]).exists()


def test_links_lead_where_they_do_in_the_container(aws, submit, tmp_path):
    """
    Below /opt/ml; what leads out of it is left out, for it would be a file of this machine.
    """
    elsewhere = tmp_path / "elsewhere"
    name = submit(LINKS, ResourceConfig=ONE, Environment={"ELSEWHERE": str(elsewhere), "CODE": "0"})

    job = ending(aws, name)

    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    uri = job["ModelArtifacts"]["S3ModelArtifacts"]
    weights = ("best", "through-the-root", "weights")
    assert archive_of(aws, uri) == dict.fromkeys(weights, "weights")
    assert archive_of(aws, uri.replace("model.tar", "output.tar")) == {"data": "data"}
    prefix = f"checkpoints/{name}/"
    found = aws("s3").list_objects_v2(Bucket=BUCKET, Prefix=prefix)["Contents"]
    assert [item["Key"].removeprefix(prefix) for item in found] == ["last", "one"]
    assert not elsewhere.exists()


def test_a_failure_file_that_leads_elsewhere_is_not_read(aws, submit, tmp_path):
    """
    A reason is what the container wrote, not a file of this machine.
    """
    elsewhere = str(tmp_path / "elsewhere")
    name = submit(LINKS, ResourceConfig=ONE, Environment={"ELSEWHERE": elsewhere, "CODE": "3"})

    assert "no failure file was written" in ending(aws, name)["FailureReason"]


def test_the_failure_of_a_host_fails_the_job(aws, submit):
    """
    The reason is that of the host that failed, by name; the other, which would wait, is ended.
    """
    name = submit(FAILS)

    job = ending(aws, name)

    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"] == (
        "AlgorithmError: DataError: nothing to learn, exit code: 3 (host: algo-2)"
    )
    assert said(aws, name)["algo-1"] == ["met", "heard"]


def test_a_host_that_vanishes_fails_the_job(aws, submit, engine, state):
    """
    Nobody knows how it ended, and the reason says so and names it.
    """
    name = submit(WAITS)
    heard_from_both(aws, name, "met")
    container(engine, state, name, host=2).remove(force=True)

    job = ending(aws, name)

    assert job["TrainingJobStatus"] == "Failed"
    assert "nobody saw how it ended" in job["FailureReason"]
    assert "algo-2" in job["FailureReason"]


def test_a_stop_reaches_all_hosts(aws, submit):
    """
    Each gets SIGTERM.
    """
    name = submit(WAITS)
    heard_from_both(aws, name, "met")
    aws("sagemaker").stop_training_job(TrainingJobName=name)

    assert ending(aws, name)["TrainingJobStatus"] == "Stopped"
    assert [lines[-1] for lines in said(aws, name).values()] == ["heard", "heard"]


def test_an_interruption_takes_all_hosts(aws, submit, state):
    """
    Fresh hosts find what all of the former ones have saved, and meet again.
    """
    name = submit(LIVES, **SPOT)
    heard_from_both(aws, name, "met")
    rehearsal.interrupt(state, name, 1.1)

    job = ending(aws, name)

    assert job["TrainingJobStatus"] == "Completed"
    assert [lines.count("met") for lines in said(aws, name).values()] == [2, 2]
    assert "found ['algo-1', 'algo-2']" in said(aws, name)["algo-1"]


class TestServerThatDies:
    """A server that is killed finds the hosts of its jobs again."""

    @pytest.fixture
    def kill(self, server, state):
        """End the server as a crash does; return what starts it anew, at the same address."""

        def end():
            os.kill(daemon.status(state).pid, signal.SIGKILL)
            until(lambda: not daemon.is_running(state))
            return lambda: daemon.start(state, server.port, "docker")

        return end

    def test_all_hosts_are_found_again(self, aws, submit, kill, state):
        """
        They run on without a server, as the one job that they are, and the next one stops them.
        """
        name = submit(WAITS)
        heard_from_both(aws, name, "met")
        restart = kill()
        assert daemon.status(state).training_jobs == 1
        restart()
        aws("sagemaker").stop_training_job(TrainingJobName=name)

        assert ending(aws, name)["TrainingJobStatus"] == "Stopped"
        assert said(aws, name) == {"algo-1": ["met", "heard"], "algo-2": ["met", "heard"]}

    def test_hosts_that_were_not_all_started_are_started_anew(self, aws, submit, kill, alone):
        """
        Killed between two starts, a server leaves one host alone; the next one starts both.
        """
        name = submit(WAITS)
        heard_from_both(aws, name, "met")
        restart = kill()
        alone(name)
        restart()

        until(lambda: [lines.count("met") for lines in said(aws, name).values()] == [2, 2])

    @pytest.fixture
    def alone(self, engine, state):
        """Leave of a job what there is between the starts of its two hosts."""

        def undo(job):
            streams = [stream | {"Offset": 0} for stream in job[LOCAL]["Streams"]]
            return job | {
                "SecondaryStatus": "Downloading",
                "SecondaryStatusTransitions": job["SecondaryStatusTransitions"][:-1],
                LOCAL: job[LOCAL] | {"Streams": streams},
            }

        def leave(name):
            container(engine, state, name, host=2).remove(force=True)
            shutil.rmtree(state / layout.RUNTIME / f"train-{name}.algo-2")
            database = Database(state / layout.DATABASE)
            Resources(database).change(TRAINING_JOB.path, name, undo)
            database.close()

        return leave
