"""The objective's series is read from a training job's log as it grows."""

import re

import pytest

from kennel.contract import TRAINING_LOG_GROUP
from kennel.local.database import Database
from kennel.local.logs import Logs
from kennel.local.sagemaker.tuning.objective import Curve

ACC = re.compile("acc=([0-9.]+|nan)")


@pytest.fixture
def logs(tmp_path):
    database = Database(tmp_path / "kennel.db")
    yield Logs(database)
    database.close()


@pytest.fixture
def say(logs):
    """Append lines to a stream, all at the same millisecond unless told otherwise."""

    def say(stream, *lines, at_ms=1000):
        logs.append(TRAINING_LOG_GROUP, stream, [(at_ms, line) for line in lines])

    return say


def test_each_value_is_read_once(logs, say):
    """
    In the order of the lines, which may have the same time.
    """
    curve = Curve(logs, "job", ACC)
    say("job/algo-1-1", "epoch 1 acc=0.5", "saved", "epoch 2 acc=0.6")
    first = curve.read()
    say("job/algo-1-1", "epoch 3 acc=0.4")

    assert first == (0.5, 0.6)
    assert curve.read() == (0.5, 0.6, 0.4)


def test_an_attempt_after_an_interruption_goes_on_with_it(logs, say):
    """
    A job on Spot has a stream for each attempt.
    """
    curve = Curve(logs, "job", ACC)
    say("job/algo-1-1", "acc=0.5")
    curve.read()
    say("job/algo-1-2", "acc=0.6", at_ms=2000)

    assert curve.read() == (0.5, 0.6)


def test_other_jobs_are_none_of_its_business(logs, say):
    """
    Nor is one whose name begins as this one's does.
    """
    say("job-2/algo-1-1", "acc=0.9")

    assert Curve(logs, "job", ACC).read() == ()


def test_what_is_no_finite_number_is_left_out(logs, say):
    """
    As it is of the job's final metrics.
    """
    say("job/algo-1-1", "acc=nan", "acc=1.2.3", "acc=0.5")

    assert Curve(logs, "job", ACC).read() == (0.5,)


def test_the_best_epoch_that_is_said_again_is_no_other_epoch(logs, say):
    """
    A training of kennel's says it at its end, for the final metrics.
    """
    say("job/algo-1-1", "epoch=1/2 acc=0.6", "epoch=2/2 acc=0.5", "best epoch=1/2 acc=0.6")

    assert Curve(logs, "job", ACC).read() == (0.6, 0.5)


def test_a_log_that_is_not_there_has_no_values(logs):
    """
    A job says nothing before it has started.
    """
    assert Curve(logs, "job", ACC).read() == ()
