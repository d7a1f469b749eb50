"""What a training did, judged."""

from dataclasses import replace

import pytest

from kennel.checking import training
from kennel.checking.sandbox import Ended
from kennel.checking.training_runs import Run, Stopped

GOOD = Run(ended=Ended(0), seconds=5.0, log="epoch=1\n", model_files=1, model_bytes=9)
TRACE = 'Traceback (most recent call last):\n  File "x.py", line 1, in <module>\n'
BAD = Run(ended=Ended(1), seconds=1.0, log=f"{TRACE}ValueError: no pictures\n")


@pytest.mark.parametrize(
    ("run", "status", "said"),
    [
        (GOOD, "pass", "exit code 0 after 5.0 s"),
        (BAD, "fail", "exit code 1 after 1.0 s: ValueError: no pictures"),
        (replace(GOOD, ended=Ended(137, out_of_memory=True)), "fail", "out of memory"),
        (replace(GOOD, ended=None), "skip", "it still trained after 5 s"),
    ],
)
def test_the_exit_code_is_told_with_its_cause(run, status, said):
    """
    The last error of the log, and memory where that was it; a long training is no failure.
    """
    found = training.exit_code(run, is_given=True)

    assert found.status == status
    assert said in found.evidence


def test_a_training_that_may_want_other_data_is_no_failure():
    """
    Pictures of ours may not be what it trains on, unless it has left a model of them.
    """
    assert training.exit_code(BAD, is_given=False).status == "warn"
    assert training.exit_code(replace(BAD, model_files=1), is_given=False).status == "fail"


def test_the_failure_file_tells_the_cause_before_the_log():
    """
    It is what the program itself has to say; a traceback in it is read to its end.
    """
    log = "Killed\n"

    assert training.cause(Run(failure="no csv files", log=log)) == "no csv files"
    assert training.cause(Run(failure=f"{TRACE}KeyError: 'a'", log=log)) == "KeyError: 'a'"
    assert training.cause(Run(log=log)) == "Killed"


def test_numbers_that_work_where_strings_do_not_are_the_reason():
    """
    Only a second run can tell; without hyperparameters nothing can.
    """
    given = {"epochs": "1"}

    assert training.hyperparameters(given, BAD, GOOD).status == "fail"
    assert training.hyperparameters(given, BAD, BAD).status == "skip"
    assert training.hyperparameters(given, GOOD, None).status == "pass"
    assert training.hyperparameters({}, GOOD, None).status == "skip"


def test_strings_become_what_json_makes_of_them():
    """
    Numbers and booleans, and what is neither stays.
    """
    found = training.typed({"epochs": "1", "lr": "0.1", "flip": "true", "model": "resnet18"})

    assert found == {"epochs": 1, "lr": 0.1, "flip": True, "model": "resnet18"}


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        ("ValueError: no pictures\n\n" + TRACE, "pass"),
        (TRACE + "ValueError: no pictures", "warn"),
        (TRACE + '  File "y.py", line 2, in f\n' * 60 + "ValueError: no pictures", "fail"),
        (TRACE + "  …\n" * 400, "fail"),
        ("", "fail"),
        ("  \n", "fail"),
        (None, "fail"),
    ],
)
def test_the_cause_is_within_the_first_1024_characters(failure, status):
    """
    First is best; behind a traceback that fits it is still read.
    """
    assert training.failure_file(replace(BAD, failure=failure)).status == status


def test_a_failure_with_exit_code_0_is_found_out():
    """
    By its failure file or by a traceback; a training that nothing can make fail is skipped.
    """
    quiet = replace(GOOD, log="done")

    assert training.failure_exit(BAD).status == "pass"
    assert training.failure_exit(replace(quiet, failure="ValueError")).status == "fail"
    assert training.failure_exit(replace(quiet, log=BAD.log)).status == "fail"
    assert training.failure_exit(quiet).status == "skip"


@pytest.mark.parametrize(
    ("stopped", "status"),
    [
        (Stopped(Run(ended=Ended(0), seconds=1.2), 1.0, 0.2), "pass"),
        (Stopped(Run(ended=Ended(143), seconds=3.0), 1.0, 2.0), "pass"),
        (Stopped(Run(ended=None, seconds=121), 1.0, 120), "fail"),
        (Stopped(Run(ended=Ended(0)), 0), "skip"),
        (Stopped(Run(ended=Ended(0), seconds=5.0), 1.0, 4.0), "warn"),
        (Stopped(Run(ended=Ended(0), seconds=5.0), 1.0, 4.0, is_longer=True), "pass"),
    ],
)
def test_ending_by_itself_after_sigterm_passes(stopped, status):
    """
    One that ends when it would have ended anyway may not have listened, unless it was to take long.
    """
    assert training.stop(stopped, GOOD).status == status


def test_no_model_is_a_failure_of_a_training_that_ended_well():
    """
    Where none did, there is nothing to say.
    """
    assert training.model(GOOD).status == "pass"
    assert training.model(replace(GOOD, model_files=0)).status == "fail"
    assert training.model(None).status == "skip"
