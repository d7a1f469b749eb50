"""Kennel's training in its image: interrupted, then killed, it loses no more than an epoch."""

import time
from contextlib import suppress

import boto3
import pytest

from kennel.contract import TRAINING_LOG_GROUP
from kennel.local import daemon, layout, rehearsal
from kennel.local.runtimes import containers

PATIENCE_S = 180  # far above what anything here takes, on a busy machine too
BUCKET = "interruption"
EPOCHS = 30
QUICK = {
    "model": "shufflenet_v2_x0_5",
    "weights": "none",
    "image-size": "32",
    "batch-size": "5",
    "epochs": str(EPOCHS),
    "workers": "0",
}


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def aws(engine, state, pictures):
    """Return ``aws(service)``, a client of a server whose jobs are containers."""
    assert engine
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
    """Start kennel's training on Spot; all jobs share one place for checkpoints."""
    names = []

    def start(name):
        names.append(name)
        aws("sagemaker").create_training_job(
            TrainingJobName=name,
            RoleArn="arn:aws:iam::000000000000:role/sagemaker",
            AlgorithmSpecification={"TrainingImage": train_image, "TrainingInputMode": "File"},
            HyperParameters=QUICK,
            InputDataConfig=[channel(split) for split in ("train", "validation", "test")],
            OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/output"},
            CheckpointConfig={"S3Uri": f"s3://{BUCKET}/checkpoints"},
            ResourceConfig={
                "InstanceType": "ml.m5.large",
                "InstanceCount": 1,
                "VolumeSizeInGB": 1,
            },
            EnableManagedSpotTraining=True,
            StoppingCondition={"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 900},
        )
        return name

    yield start
    for name in names:
        with suppress(aws("sagemaker").exceptions.ClientError):  # it has ended
            aws("sagemaker").stop_training_job(TrainingJobName=name)
        until(lambda name=name: has_ended(aws, name))


def channel(split):
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{split}/"}
    return {"ChannelName": split, "DataSource": {"S3DataSource": source}}


def until(fact):
    deadline = time.monotonic() + PATIENCE_S
    while not (found := fact()):
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.05)
    return found


def has_ended(aws, name):
    job = aws("sagemaker").describe_training_job(TrainingJobName=name)
    return job if job["TrainingJobStatus"] not in ("InProgress", "Stopping") else None


def epochs(aws, name):
    """The numbers of the epochs that a job has trained to their end, in all its attempts."""
    try:
        events = aws("logs").filter_log_events(
            logGroupName=TRAINING_LOG_GROUP, logStreamNamePrefix=f"{name}/"
        )["events"]
    except aws("logs").exceptions.ResourceNotFoundException:
        return []
    lines = [event["message"] for event in events]
    return [int(line[6:].partition("/")[0]) for line in lines if line.startswith("epoch=")]


def of_server(engine, state):
    """Return the containers of a server."""
    mine = {"label": f"{containers.STATE_LABEL}={state / layout.RUNTIME}"}
    return engine.containers.list(all=True, filters=mine)


def test_training_goes_on_where_it_was(aws, train, engine, state):
    """
    After an interruption no epoch is trained twice; after ``kill -9`` of the container, in another
    job with the same checkpoints, the one in progress at most.
    """
    name = train("first")
    until(lambda: 3 in epochs(aws, name))
    rehearsal.interrupt(state, name, 0.0)
    until(lambda: 8 in epochs(aws, name))
    (container,) = of_server(engine, state)
    container.kill("SIGKILL")
    failed = until(lambda: has_ended(aws, name))
    again = train("second")
    done = until(lambda: has_ended(aws, again))

    assert [t["Status"] for t in failed["SecondaryStatusTransitions"]][3] == "Interrupted"
    assert failed["TrainingJobStatus"] == "Failed"
    assert "exit code: 137" in failed["FailureReason"]
    assert done["TrainingJobStatus"] == "Completed", done.get("FailureReason")
    before, after = epochs(aws, name), epochs(aws, again)
    assert sorted(set(before)) == sorted(before)
    assert after == list(range(after[0], EPOCHS + 1))
    # An epoch is on disk before it is told of, so a kill between the two leaves one more.
    assert max(before) + 1 <= after[0] <= max(before) + 2
