"""The containers of a job are ended together, as far as somebody hears it."""

from pathlib import Path

import pytest

from kennel.errors import EngineError
from kennel.local.sagemaker.training import hosts
from kennel.local.sagemaker.training.hosts import Group

JOB = {
    "TrainingJobName": "job",
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 3},
}


class Deaf:
    """A runtime whose engine does not answer for one of the launches."""

    def __init__(self, unheard):
        self.unheard = unheard
        self.ended = []

    def terminate(self, launch_id):
        if launch_id == self.unheard:
            raise EngineError("the Docker engine does not answer")
        self.ended.append(launch_id)

    kill = terminate


def ids():
    return [host.launch_id for host in hosts.of_job(JOB, Path("job"))]


@pytest.mark.parametrize("end", ["terminate", "kill"])
def test_an_engine_that_does_not_answer_costs_no_job(end):
    """
    The other hosts are ended, and whoever asked learns that it has to ask again.
    """
    runtime = Deaf(ids()[0])

    assert not getattr(Group(runtime, hosts.of_job(JOB, Path("job"))), end)()
    assert runtime.ended == ids()[1:]


def test_all_hosts_are_ended():
    """
    Then there is nothing to ask again.
    """
    runtime = Deaf(None)

    assert Group(runtime, hosts.of_job(JOB, Path("job"))).terminate()
    assert runtime.ended == ids()
