"""Debugging through the image's entry point: whichever way a job ends, it leaves findings."""

import signal

import pytest

from kennel.debugging.reading import Trial
from kennel.rules import debugger, keeping
from kennel.training.config import JOB_VARIABLE

QUICK = {
    "model": "shufflenet_v2_x0_5",
    "weights": "none",
    "image-size": "32",
    "batch-size": "5",
    "augment": "none",
    "epochs": "2",
    "workers": "0",
    "debug": "true",
}
LONG = "100000"
PROCESSES = "sagemaker_mpi_num_of_processes_per_host"


@pytest.fixture(scope="module")
def dataset(noisy_pictures):
    """Noisy pictures of two classes."""
    return noisy_pictures({"train": 10, "validation": 5})


def test_a_job_that_fails_leaves_its_findings_and_their_page(tmp_path, dataset, entry):
    """
    In its output data, which is uploaded of failed jobs too; the log has the rule's line and
    nothing of smdebug's own, and the end of the tensors is said within a SageMaker job as well.
    """
    wrong = {"lr": "100", "momentum": "0.999", "epochs": "9"}
    paths = entry.lay_out(tmp_path / "ml", QUICK | wrong, dataset)
    code, output = entry.run(paths, **{JOB_VARIABLE: "clothes"})

    assert code == 1
    assert "training diverged" in paths.failure.read_text()
    assert "\nrule ExplodingTensor: step " in output
    assert "smdebug" not in output.replace("/tensors", "").lower()
    outcomes = keeping.read(paths.debug / "rules")
    assert {outcome.rule for outcome in outcomes} == set(debugger.TABLES)
    assert "ExplodingTensor" in (paths.debug / "debugger-report.html").read_text()
    assert Trial(paths.debug / "tensors").is_ended


def test_a_job_that_is_stopped_leaves_what_it_had(tmp_path, dataset, entry):
    """
    SIGTERM ends the tensors between two steps, and the rules judge what there is.
    """
    paths = entry.lay_out(tmp_path / "ml", QUICK | {"epochs": LONG}, dataset)
    process = entry.start(paths)
    entry.wait_for(process, "epoch=2/")
    process.send_signal(signal.SIGTERM)
    code, output = entry.finish(process)

    assert code == 0
    assert "stopped: artifact in" in output
    trial = Trial(paths.debug / "tensors")
    assert trial.is_ended
    (loss,) = trial.names("losses")
    assert trial.saved(loss) == trial.steps()
    assert all(trial.value(loss, step) is not None for step in trial.steps())
    assert len(keeping.read(paths.debug / "rules")) == len(debugger.TABLES)


def test_each_process_of_several_is_debugged_by_the_first(tmp_path, dataset, entry):
    """
    Its own batches, and the gradients that all of them take a step by.
    """
    paths = entry.lay_out(tmp_path / "ml", QUICK | {PROCESSES: "2"}, dataset)
    code, output = entry.run(paths)

    assert code == 0, output
    trial = Trial(paths.debug / "tensors")
    assert trial.workers == ("worker_0",)
    assert [trial.mode_step(step) for step in trial.steps("TRAIN")] == list(range(8))
