"""Profiled runs, started as SageMaker starts them: finished, stopped, failed, and not kennel's."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
import torch

from kennel.contract import SEARCH_HYPERPARAMETER
from kennel.profiling import judging, operators, run, system, timeline
from kennel.vision import trained

QUICK = {
    "model": "shufflenet_v2_x0_5",
    "weights": "none",
    "image-size": "32",
    "batch-size": "4",
    "augment": "crop",
    "epochs": "3",
    "workers": "1",
}
STEPS_AN_EPOCH = 6
PROFILE = {"profile": "true", "profile-interval-ms": "100", "profile-trace": "3:2"}
PAGE = "profiler-report.html"


@pytest.fixture(scope="module")
def dataset(noisy_pictures):
    """Noisy pictures of two classes, in three split folders."""
    return noisy_pictures({"train": 12, "validation": 6, "test": 4})


@pytest.fixture(scope="module")
def finished(tmp_path_factory, dataset, entry):
    """
    A run that is profiled and debugged from beginning to end, what it printed, and how long its
    parent waited.
    """
    asked = QUICK | PROFILE | {"debug": "true"}
    paths = entry.lay_out(tmp_path_factory.mktemp("profiled"), asked, dataset)
    began = time.monotonic()
    code, output = entry.run(paths)
    waited_s = time.monotonic() - began
    assert code == 0, output
    return paths, output, waited_s


def test_a_profiled_run_leaves_everything_of_its_time(finished):
    """
    Phases, samples, the traced steps, what the run was, an outcome for each rule, and the page.
    """
    paths, output, _ = finished

    assert len(timeline.read(paths.profile).steps) == 3 * STEPS_AN_EPOCH
    assert {series.type for series in system.read(paths.profile)} >= {"cpu", "memory", "i/o"}
    assert len(judging.read(paths.profile)) > 5
    assert (paths.profile / PAGE).stat().st_size > 1000
    assert f"report: {paths.profile / PAGE}" in output
    calls = {operator.name: operator.calls for operator in operators.read(paths.profile)}
    assert calls["autograd::engine::evaluate_function: NllLossBackward0"] == 2
    assert "aten::kthvalue" not in calls  # the debugger's, in each of these steps
    assert (paths.profile / operators.TRACE).exists()


def test_the_phases_account_for_the_run_from_its_first_moment_to_its_last(finished):
    """
    All but a few hundredths have a name, and the times are those that the parent has measured.
    """
    paths, output, waited_s = finished
    found = timeline.read(paths.profile)
    totals = found.totals()

    assert totals["other"] < 0.05 * found.wall_s
    assert waited_s - 1.5 < found.wall_s < waited_s
    assert {"initialisation", "reading", "data", "forward", "backward", "optimizer"} <= set(totals)
    assert {"evaluation", "checkpoint", "export", "report"} <= set(totals)
    spans = [span for span in found.spans if span.phase == "evaluation"]
    assert len(spans) == 3 + 1  # each epoch's, and the test split's
    assert spans[0].parts["data"] > 0
    assert f"time: {found.wall_s:.1f} s: " in output


def test_the_log_is_not_told_of_every_text_that_it_is_no_json(finished):
    """
    sagemaker-training would say so of each; what else it has to say is there.
    """
    _, output, _ = finished

    assert "Failed to parse" not in output
    assert "Imported framework kennel.training.framework" in output


def test_a_run_says_what_it_was(finished):
    """
    What the rules need to say what to change.
    """
    paths, _, _ = finished
    found = run.read(paths.profile)

    assert (found.job, found.ended, found.epochs_done, found.steps) == (
        "clothes",
        "finished",
        3,
        18,
    )
    assert (found.model, found.device, found.workers, found.batch_size) == (
        "shufflenet_v2_x0_5",
        "cpu",
        1,
        4,
    )
    assert (found.train, found.valid, found.test) == (24, 12, 8)
    assert (found.picture_width, found.picture_height) == (36, 36)
    assert 0 < found.read_s < 1
    assert found.used_cores > 0
    assert (found.interval_ms, found.traced_first, found.traced_steps) == (100, 3, 2)


def test_to_be_watched_changes_nothing_of_what_is_learned(tmp_path, dataset, finished, entry):
    """
    The same weights to the last bit, as without profile and debugger.
    """
    paths = entry.lay_out(tmp_path, QUICK, dataset)
    code, output = entry.run(paths)
    assert code == 0, output

    plain, profiled = (trained.load(p.model)[0].state_dict() for p in (paths, finished[0]))
    torch.testing.assert_close(plain, profiled, rtol=0, atol=0)
    assert not paths.profile.exists()


def test_a_stopped_run_is_told_of_and_goes_on(tmp_path, dataset, entry):
    """
    Its page is written; started again, the steps are counted on, and so are the epochs.
    """
    paths = entry.lay_out(tmp_path, QUICK | PROFILE | {"epochs": "200"}, dataset)
    process = entry.start(paths)
    entry.wait_for(process, "epoch=2/")
    process.send_signal(signal.SIGTERM)
    code, output = entry.finish(process)

    assert code == 0, output
    assert run.read(paths.profile).ended == "stopped"
    assert (paths.profile / PAGE).exists()
    taken = run.read(paths.profile).steps

    paths.hyperparameters.write_text(json.dumps(QUICK | {"profile": "on", "epochs": "200"}))
    process = entry.start(paths)
    entry.wait_for(process, "epoch=")
    process.send_signal(signal.SIGTERM)
    code, output = entry.finish(process)

    assert code == 0, output
    assert timeline.read(paths.profile).steps[0].number == taken
    assert run.read(paths.profile).epochs_done >= 3


def test_a_failed_run_is_told_of(tmp_path, dataset, entry):
    """
    The cause is that of the failure; the page is there and says it too.
    """
    wild = {"model": "squeezenet1_1", "image-size": "64", "lr": "100"}
    paths = entry.lay_out(tmp_path, QUICK | PROFILE | wild, dataset)

    code, output = entry.run(paths)

    assert code == 1, output
    assert paths.failure.read_text().startswith("HyperparameterError: training diverged")
    assert run.read(paths.profile).ended.startswith("failed: training diverged")
    assert "It failed: training diverged" in (paths.profile / PAGE).read_text()


def test_a_sampler_that_dies_is_said_and_the_run_goes_on(tmp_path, dataset, entry):
    """
    With all that does not need it.
    """
    paths = entry.lay_out(tmp_path, QUICK | PROFILE, dataset)
    process = entry.start(paths)
    entry.wait_for(process, "epoch=1/")
    os.kill(sampler_of(process.pid), signal.SIGKILL)
    code, output = entry.finish(process)

    assert code == 0, output
    assert "WARNING: the machine was not sampled to the end: exit code -9" in output
    assert (paths.profile / PAGE).exists()


def test_a_run_whose_findings_cannot_be_kept_goes_on(tmp_path, dataset, entry):
    """
    It learns what it would, says in a line each what is missing, and shows nobody a traceback.
    """
    paths = entry.lay_out(tmp_path, QUICK | PROFILE | {"debug": "true"}, dataset)
    (tmp_path / "file").write_text("no folder")
    for folder in (paths.profile, paths.debug):
        folder.symlink_to(tmp_path / "file")
    code, output = entry.run(paths)

    assert code == 0, output
    assert trained.load(paths.model)
    assert "WARNING: the machine was not sampled to the end" in output
    assert "WARNING: the profile could not be written" in output
    assert "WARNING: the tensors could not be judged" in output
    assert "DEBUGGER OFF" in output
    assert "Traceback" not in output


def sampler_of(pid):
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in path.read_text().split():
            if b"kennel.profiling" in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0"):
                return int(child)
    raise AssertionError("there is none")


def test_where_the_platform_samples_nobody_else_does(tmp_path, dataset, entry):
    """
    Its ProfilerConfig turns the phases on, whatever the hyperparameters say.
    """
    paths = entry.lay_out(tmp_path, QUICK | {"epochs": "1"}, dataset)
    config = {"S3OutputPath": "s3://bucket/p", "ProfilingIntervalInMilliseconds": 500}
    paths.profiler_config.write_text(json.dumps(config))

    code, output = entry.run(paths)

    assert code == 0, output
    assert "profile: the platform samples every 500 ms" in output
    assert timeline.read(paths.profile).steps_taken == STEPS_AN_EPOCH
    assert system.read(paths.profile) == ()


PROGRAM = """
import sys, time
print("given", sys.argv[1:], flush=True)
time.sleep(0.5)
"""


def test_a_program_of_the_users_own_is_sampled(tmp_path, entry):
    """
    It is given its own arguments and no others; the page tells what the machine did.
    """
    paths = entry.lay_out(tmp_path, {})
    code = paths.root / "submitted"
    code.mkdir()
    (code / "train.py").write_text(PROGRAM)
    document = {"sagemaker_program": '"train.py"', "sagemaker_submit_directory": f'"{code}"'}
    document |= {"lr": "0.1", "profile": "true", "profile_interval_ms": "100"}
    paths.hyperparameters.write_text(json.dumps(document))

    code, output = entry.run(paths)

    assert code == 0, output
    assert "given ['--lr', '0.1']" in output
    assert run.read(paths.profile).ended == "finished"
    assert len(system.read(paths.profile)[0].times) >= 5
    assert (paths.profile / PAGE).exists()


def test_several_ranks_are_timed_by_the_first(tmp_path, dataset, entry):
    """
    From the start of the process that has started them.
    """
    ranks = {"sagemaker_mpi_num_of_processes_per_host": "2", "epochs": "1"}
    paths = entry.lay_out(tmp_path, QUICK | PROFILE | ranks, dataset)
    began = time.monotonic()
    code, output = entry.run(paths)
    waited_s = time.monotonic() - began

    assert code == 0, output
    found = timeline.read(paths.profile)
    assert found.steps_taken == STEPS_AN_EPOCH
    assert found.totals()["exchange"] > 0
    assert waited_s - 5 < found.wall_s < waited_s
    assert run.read(paths.profile).processes == 2
    assert output.count("time: ") == 1


def test_a_search_is_sampled(tmp_path, dataset, entry):
    """
    Its trials are not timed one by one, and it says so.
    """
    search = {
        "Strategy": "Random",
        "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "valid_loss"},
        "ResourceLimits": {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 1},
        "ParameterRanges": {
            "ContinuousParameterRanges": [{"Name": "lr", "MinValue": "0.001", "MaxValue": "0.1"}]
        },
    }
    asked = QUICK | {"epochs": "1", "freeze": "true", "augment": "none", "profile": "true"}
    asked[SEARCH_HYPERPARAMETER] = json.dumps(search)
    paths = entry.lay_out(tmp_path, asked, dataset)

    code, output = entry.run(paths)

    assert code == 0, output
    assert "profile: the trials of a search are not timed" in output
    assert timeline.read(paths.profile) is None
    assert system.read(paths.profile)
    assert (paths.profile / PAGE).exists()
