"""Kennel's training on two hosts, in containers of its image: what one host comes to, or an end."""

import re
import time
from contextlib import suppress

import boto3
import pytest

from kennel.contract import TRAINING_LOG_GROUP
from kennel.local import daemon, layout
from kennel.local.runtimes import containers

PATIENCE_S = 180  # far above what anything here takes, on a busy machine too
LOST_S = 60  # within which a lost rank is to fail the job
BUCKET = "distributed"
EPOCHS = 4
QUICK = {
    "model": "squeezenet1_1",
    "weights": "none",
    "freeze": "true",
    "image-size": "32",
    "batch-size": "8",
    "lr": "0.05",
    "augment": "flip",
    "epochs": str(EPOCHS),
    "workers": "0",
}
# torchrun's own command line names the program too, without the -u
KILL_THE_RANK = """
import os, pathlib, signal
for process in pathlib.Path("/proc").glob("[0-9]*"):
    arguments = (process / "cmdline").read_text().split("\\0")
    if arguments[1:2] == ["-u"] and arguments[2].endswith("rank.py"):
        os.kill(int(process.name), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("distributed") / "state"


@pytest.fixture(scope="module")
def aws(engine, state, pictures):
    """Return ``aws(service)``, a client of a server whose jobs are containers."""
    address = daemon.start(state, 0, "docker")
    session = boto3.Session("kennel-test", "kennel-test", region_name="us-east-1")
    clients = {
        name: session.client(name, endpoint_url=address.url) for name in ("s3", "sagemaker", "logs")
    }
    clients["s3"].create_bucket(Bucket=BUCKET)
    for path, body in pictures.items():
        clients["s3"].put_object(Bucket=BUCKET, Key=path.removeprefix("input/data/"), Body=body)
    yield clients.__getitem__
    daemon.stop(state, everything=True)
    for left in of_server(engine, state):
        left.remove(force=True)


@pytest.fixture
def train(aws, train_image):
    """Return ``train(name, hosts, **hyperparameters)``, which starts a job."""
    names = []

    def start(name, hosts, **changes):
        names.append(name)
        aws("sagemaker").create_training_job(
            TrainingJobName=name,
            RoleArn="arn:aws:iam::000000000000:role/sagemaker",
            AlgorithmSpecification={"TrainingImage": train_image, "TrainingInputMode": "File"},
            HyperParameters=QUICK | changes,
            InputDataConfig=[channel(split) for split in ("train", "validation", "test")],
            OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/output"},
            ResourceConfig={
                "InstanceType": "ml.m5.large",
                "InstanceCount": hosts,
                "VolumeSizeInGB": 1,
            },
            StoppingCondition={"MaxRuntimeInSeconds": 600},
        )

    yield start
    for name in names:
        with suppress(aws("sagemaker").exceptions.ClientError):  # it has ended
            aws("sagemaker").stop_training_job(TrainingJobName=name)
        ended(aws, name)


def channel(split):
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{split}/"}
    return {"ChannelName": split, "DataSource": {"S3DataSource": source}}


def until(fact):
    deadline = time.monotonic() + PATIENCE_S
    while not (found := fact()):
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.05)
    return found


def ended(aws, name):
    """Wait until a job has ended, and return it."""

    def look():
        job = aws("sagemaker").describe_training_job(TrainingJobName=name)
        return job if job["TrainingJobStatus"] not in ("InProgress", "Stopping") else None

    return until(look)


def log(aws, name, host):
    """Return what a host of a job has said so far."""
    try:
        events = aws("logs").filter_log_events(
            logGroupName=TRAINING_LOG_GROUP, logStreamNamePrefix=f"{name}/algo-{host}-"
        )["events"]
    except aws("logs").exceptions.ResourceNotFoundException:
        return ""
    return "\n".join(event["message"] for event in events)


def curve(text):
    """Return the losses of every epoch: of training and of validation."""
    found = re.findall(r"epoch=\d+/\d+ train_loss=(\S+) .*valid_loss=(\S+)", text)
    return [[float(train), float(valid)] for train, valid in found]


def of_server(engine, state):
    """Return the containers of a server."""
    mine = {"label": f"{containers.STATE_LABEL}={state / layout.RUNTIME}"}
    return engine.containers.list(all=True, filters=mine)


def test_two_hosts_train_as_one_does(aws, train):
    """
    The same loss in every epoch, to the digits that the log has; the second host is silent.
    """
    for name, hosts in [("on-one", 1), ("on-two", 2)]:
        train(name, hosts)
    jobs = [ended(aws, name) for name in ("on-one", "on-two")]

    reasons = [job.get("FailureReason") for job in jobs]
    assert [job["TrainingJobStatus"] for job in jobs] == ["Completed"] * 2, reasons
    one, two, silent = (log(aws, *which) for which in [("on-one", 1), ("on-two", 1), ("on-two", 2)])
    assert len(curve(two)) == EPOCHS
    for own, expected in zip(curve(two), curve(one), strict=True):
        assert own == pytest.approx(expected, abs=2e-4)
    assert "processes=2" in two
    assert "rank 1 of 2, on algo-2," in silent
    assert curve(silent) == []


def test_a_lost_rank_fails_the_job_by_its_name(aws, train, engine, state):
    """
    Within a minute, and FailureReason says which rank it was, on which host, and how it ended.
    """
    train("loses-one", 2, epochs="100000")
    until(lambda: curve(log(aws, "loses-one", 1)))
    (second,) = [one for one in of_server(engine, state) if host_of(one) == "algo-2"]
    lost_s = time.monotonic()
    second.exec_run(["python3", "-c", KILL_THE_RANK])
    job = ended(aws, "loses-one")

    assert time.monotonic() - lost_s < LOST_S
    assert job["TrainingJobStatus"] == "Failed"
    assert "rank 1 of 2, on algo-2, ended: ExitCode -9 (SIGKILL" in job["FailureReason"]


def host_of(container):
    return container.attrs["Config"]["Hostname"]
