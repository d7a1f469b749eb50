"""Kennel's training on two hosts, in containers of its image: what one host comes to, or an end."""

import re
import time

import pytest

LOST_S = 60  # within which a lost rank is to fail the job
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


def curve(text):
    """Return the losses of every epoch: of training and of validation."""
    found = re.findall(r"(?<!best )epoch=\d+/\d+ train_loss=(\S+) .*valid_loss=(\S+)", text)
    return [[float(train), float(valid)] for train, valid in found]


def test_two_hosts_train_as_one_does(trainings):
    """
    The same loss in every epoch, to the digits that the log has; the second host is silent.
    """
    for name, hosts in [("on-one", 1), ("on-two", 2)]:
        trainings.start(name, QUICK, hosts=hosts)
    jobs = [trainings.ended(name) for name in ("on-one", "on-two")]

    reasons = [job.get("FailureReason") for job in jobs]
    assert [job["TrainingJobStatus"] for job in jobs] == ["Completed"] * 2, reasons
    one, two, silent = (
        trainings.log(name, f"algo-{host}-")
        for name, host in [("on-one", 1), ("on-two", 1), ("on-two", 2)]
    )
    assert len(curve(two)) == EPOCHS
    for own, expected in zip(curve(two), curve(one), strict=True):
        assert own == pytest.approx(expected, abs=2e-4)
    assert "processes=2" in two
    assert "rank 1 of 2, on algo-2," in silent
    assert curve(silent) == []


def test_a_lost_rank_fails_the_job_by_its_name(trainings):
    """
    Within a minute, and FailureReason says which rank it was, on which host, and how it ended.
    """
    trainings.start("loses-one", QUICK | {"epochs": "100000"}, hosts=2)
    trainings.until(lambda: curve(trainings.log("loses-one", "algo-1-")))
    (second,) = [one for one in trainings.containers() if host_of(one) == "algo-2"]
    lost_s = time.monotonic()
    second.exec_run(["python3", "-c", KILL_THE_RANK])
    job = trainings.ended("loses-one")

    assert time.monotonic() - lost_s < LOST_S
    assert job["TrainingJobStatus"] == "Failed"
    assert "rank 1 of 2, on algo-2, ended: ExitCode -9 (SIGKILL" in job["FailureReason"]


def host_of(container):
    return container.attrs["Config"]["Hostname"]
