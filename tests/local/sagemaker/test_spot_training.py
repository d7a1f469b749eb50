"""Kennel's own training loses its machine in the middle of an epoch, and nothing else."""

import io
import os
import signal
import tarfile
import time

import pytest
import torch

from kennel.local.runtimes import shim

EPOCHS = 16
QUICK = {
    "model": "shufflenet_v2_x0_5",
    "weights": "none",
    "image-size": "32",
    "batch-size": "5",
    "lr": "0.02",
    "augment": "flip",
    "epochs": str(EPOCHS),
    "workers": "0",
}
IN_THE_MIDDLE = "epoch=3/"
PATIENCE_S = 120  # far above what anything here takes, on a busy machine too


@pytest.fixture(scope="module")
def pictures(noisy_pictures):
    """Noisy pictures of two classes in three splits: key → PNG."""
    folder = noisy_pictures({"train": 12, "validation": 6, "test": 4})
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.png")}


@pytest.fixture(scope="module")
def data(aws, pictures):
    """A bucket with the pictures."""
    s3 = aws("s3")
    s3.create_bucket(Bucket="spot-training")
    for key, body in pictures.items():
        s3.put_object(Bucket="spot-training", Key=key, Body=body)
    return "spot-training"


@pytest.fixture
def train(sagemaker, job_request, data, on_spot, finished):
    """Start kennel's training on Spot, with its checkpoints in a place of that name."""
    names = []

    def start(place):
        request = job_request(
            HyperParameters=QUICK,
            InputDataConfig=[channel(split, data) for split in ("train", "validation", "test")],
            Environment={"OMP_NUM_THREADS": "1"},
            **on_spot() | {"CheckpointConfig": {"S3Uri": f"s3://{data}/checkpoints/{place}"}},
        )
        del request["AlgorithmSpecification"]["ContainerEntrypoint"]
        request["AlgorithmSpecification"]["TrainingImage"] = "kennel-train"
        sagemaker.create_training_job(**request)
        names.append(request["TrainingJobName"])
        return names[-1]

    yield start
    for name in names:
        if (
            sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"]
            == "InProgress"
        ):
            sagemaker.stop_training_job(TrainingJobName=name)
        finished(name)


def channel(split, bucket):
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/{split}/"}
    return {"ChannelName": split, "DataSource": {"S3DataSource": source}}


@pytest.fixture
def until():
    """Wait until a fact holds; three trainings share the machine's cores."""

    def wait(fact):
        deadline = time.monotonic() + PATIENCE_S
        while not (found := fact()):
            assert time.monotonic() < deadline, "it never came to be"
            time.sleep(0.02)
        return found

    return wait


@pytest.fixture
def kill(printed, finished, state):
    """Kill a training, without a word, in the middle of an epoch."""

    def end(name):
        printed(name, IN_THE_MIDDLE)
        process = state / "runtime" / f"train-{name}" / shim.PROCESS_FILE
        os.kill(int(process.read_text().split()[1]), signal.SIGKILL)
        assert finished(name)["TrainingJobStatus"] == "Failed"

    return end


@pytest.fixture
def weights(s3, finished):
    """Return the weights that a job has left when it has ended."""

    def of(name):
        uri = finished(name)["ModelArtifacts"]["S3ModelArtifacts"]
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        packed = io.BytesIO(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        with tarfile.open(fileobj=packed) as tar:
            return torch.load(io.BytesIO(tar.extractfile("model.pth").read()), weights_only=True)

    return of


def epochs(lines):
    """The numbers of the epochs that were trained to their end."""
    return [int(line[6:].partition("/")[0]) for line in lines if line.startswith("epoch=")]


def test_an_interruption_and_a_kill_change_nothing(train, printed, interrupt, kill, weights):
    """
    Interrupted, or killed and gone on with by another job: the weights are those of a run that was
    left alone, and no epoch but the one in progress is trained twice.
    """
    alone, interrupted, killed = (train(place) for place in ("alone", "interrupted", "killed"))
    printed(interrupted, IN_THE_MIDDLE)
    interrupt(interrupted)
    kill(killed)
    again = train("killed")
    expected = weights(alone)

    for name in (interrupted, again):
        torch.testing.assert_close(weights(name), expected, rtol=0, atol=0)
    assert sorted(epochs(printed(interrupted, "epoch="))) == list(range(1, EPOCHS + 1))
    both = epochs([*printed(killed, "epoch="), *printed(again, "epoch=")])
    assert set(both) == set(range(1, EPOCHS + 1))
    assert len(both) <= EPOCHS + 1
