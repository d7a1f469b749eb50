"""The training image's entry point, started as SageMaker starts it, under a scratch /opt/ml."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from kennel.contract import FAILURE_REASON_CHARS
from kennel.vision import trained

EPOCHS = 12
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
PATIENCE_S = 100  # far above what anything here takes, on a busy machine too


@pytest.fixture(scope="module")
def dataset(noisy_pictures):
    """Noisy pictures of two classes, in three split folders."""
    return noisy_pictures({"train": 12, "validation": 6, "test": 4})


def weights(paths):
    return trained.load(paths.model)[0].state_dict()


@pytest.fixture(scope="module")
def finished(tmp_path_factory, dataset, entry):
    """A run from beginning to end, and what it printed."""
    paths = entry.lay_out(tmp_path_factory.mktemp("finished"), QUICK, dataset)
    code, output = entry.run(paths)
    assert code == 0, output
    return paths, output


def test_a_run_leaves_what_the_platform_collects(finished):
    """
    The artifact, figures, pictures and a checkpoint; and no failure file.
    """
    paths, _ = finished
    _, described = trained.load(paths.model)

    assert described.class_names == ("dark", "light")
    assert {path.name for path in paths.output_data.iterdir()} == {
        "metrics.json",
        "skipped.json",
        "confusion_matrix.png",
        "learning_curves.png",
    }
    assert len(list(paths.checkpoints.iterdir())) in (1, 2)
    assert not paths.failure.exists()


def test_a_run_prints_what_the_originals_printed(finished):
    """
    A line an epoch, the hyperparameters, and the test accuracy that metrics.json has too.
    """
    paths, output = finished
    metrics = json.loads((paths.output_data / "metrics.json").read_text())

    assert len(re.findall(r"^epoch=\d+/12 train_loss=", output, re.MULTILINE)) == EPOCHS
    assert "hyperparameters: model=shufflenet_v2_x0_5 weights=none" in output
    printed = re.search(r"^Test set: Average accuracy: ([0-9\.]+)$", output, re.MULTILINE)
    assert float(printed[1]) == pytest.approx(metrics["test_accuracy"], abs=1e-4)


def test_a_run_learns(finished):
    """
    Dark and light are told apart.
    """
    paths, _ = finished

    assert json.loads((paths.output_data / "metrics.json").read_text())["valid_accuracy"] > 0.8


def test_a_stopped_run_resumes_to_the_result_of_an_uninterrupted_one(
    tmp_path, dataset, finished, entry
):
    """
    SIGTERM in the middle: exit code 0, artifact and checkpoint; started again: the same weights.
    """
    paths = entry.lay_out(tmp_path, QUICK, dataset)
    process = entry.start(paths)
    entry.wait_for(process, "epoch=3/")
    process.send_signal(signal.SIGTERM)
    code, output = entry.finish(process)

    assert code == 0, output
    assert "stopped: checkpoint" in output
    assert json.loads((paths.output_data / "metrics.json").read_text())["ended"] == "stopped"
    assert trained.load(paths.model)[1].class_names == ("dark", "light")

    code, output = entry.run(paths)

    assert code == 0, output
    assert "going on from epoch" in output
    torch.testing.assert_close(weights(paths), weights(finished[0]), rtol=0, atol=0)


def test_a_killed_run_loses_the_epoch_in_progress_at_most(tmp_path, dataset, finished, entry):
    """
    SIGKILL at any moment: what an epoch came to is on disk before the epoch is told of.
    """
    paths = entry.lay_out(tmp_path, QUICK, dataset)
    process = entry.start(paths)
    entry.wait_for(process, "epoch=5/")
    process.kill()
    _, rest = entry.finish(process)
    told = 5 + rest.count("epoch=")

    code, output = entry.run(paths)

    assert code == 0, output
    resumed = int(re.search(r"going on from epoch (\d+)", output)[1])
    assert resumed in (told + 1, told + 2)  # it may have been killed before it could tell
    torch.testing.assert_close(weights(paths), weights(finished[0]), rtol=0, atol=0)


@pytest.mark.parametrize("words", ["kennel training", "data: "])
def test_a_stop_during_the_start_is_heard(tmp_path, dataset, words, entry):
    """
    Before torch is imported, or before the first step: exit code 0 and no failure.
    """
    paths = entry.lay_out(tmp_path, QUICK, dataset)
    process = entry.start(paths)
    entry.wait_for(process, words)
    process.send_signal(signal.SIGTERM)
    code, output = entry.finish(process)

    assert code == 0, output
    assert not paths.failure.exists()
    assert "epoch=12/" not in output


def test_a_stop_before_the_first_epoch_leaves_a_checkpoint(tmp_path, dataset, entry):
    """
    Of the initial state: nothing is learned, and nothing is lost either.
    """
    paths = entry.lay_out(tmp_path, QUICK | {"batch-size": "24", "epochs": "1000"}, dataset)
    process = entry.start(paths)
    entry.wait_for(process, "data: ")
    process.send_signal(signal.SIGTERM)
    code, output = entry.finish(process)

    assert code == 0, output
    assert [path.name for path in paths.checkpoints.iterdir()]
    assert trained.load(paths.model)


def test_a_stop_of_the_whole_process_group_is_survived(tmp_path, dataset, entry):
    """
    The workers that read pictures are not killed under the run that has to save; none is left.
    """
    paths = entry.lay_out(tmp_path, QUICK | {"workers": "2", "epochs": "1000"}, dataset)
    process = entry.start(paths)
    entry.wait_for(process, "epoch=2/")
    workers = [
        int(pid)
        for path in Path(f"/proc/{process.pid}/task").glob("*/children")
        for pid in path.read_text().split()
    ]
    os.killpg(process.pid, signal.SIGTERM)
    code, output = entry.finish(process)

    assert code == 0, output
    assert "stopped: checkpoint" in output
    assert len(workers) >= 2
    assert_gone(workers)


def test_workers_end_with_a_run_that_is_killed(tmp_path, dataset, entry):
    """
    SIGKILL leaves no process behind.
    """
    paths = entry.lay_out(tmp_path, QUICK | {"workers": "1", "epochs": "1000"}, dataset)
    process = entry.start(paths)
    entry.wait_for(process, "epoch=1/")
    workers = [
        int(pid)
        for path in Path(f"/proc/{process.pid}/task").glob("*/children")
        for pid in path.read_text().split()
    ]
    process.kill()
    entry.finish(process)

    assert workers
    assert_gone(workers)


def assert_gone(pids):
    deadline = time.monotonic() + PATIENCE_S
    left = pids
    while left and time.monotonic() < deadline:
        left = [pid for pid in left if running(pid)]
        time.sleep(0.05)
    assert left == []


def running(pid):
    """A zombie, which waits for whoever reaps orphans here, has ended."""
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def test_an_unknown_hyperparameter_fails_with_the_nearest_known(tmp_path, dataset, entry):
    """
    FailureReason is the whole error: what is wrong, what was expected, what to try.
    """
    paths = entry.lay_out(tmp_path, QUICK | {"learning-rate": "0.1"}, dataset)

    code, output = entry.run(paths)

    assert code == 1, output
    reason = paths.failure.read_text()[:FAILURE_REASON_CHARS]
    assert reason.startswith("HyperparameterError: unknown hyperparameter 'learning-rate'\n")
    assert "try: lr, a number: above 0 to 100" in reason


def test_the_cause_of_a_bug_comes_first(tmp_path, dataset, entry):
    """
    FailureReason keeps 1024 characters, and a traceback is longer.
    """
    paths = entry.lay_out(tmp_path, QUICK, dataset)
    paths.output_data.rmdir()
    paths.output_data.write_text("in the way of a folder")

    code, output = entry.run(paths)

    assert code == 1, output
    assert paths.failure.read_text().startswith("FileExistsError: [Errno 17] File exists: ")
    assert "Traceback (most recent call last)" in paths.failure.read_text()


def test_a_failure_of_the_toolkit_itself_has_its_cause_first(tmp_path, dataset, entry):
    """
    Its own report begins with the traceback.
    """
    paths = entry.lay_out(tmp_path, QUICK, dataset)
    paths.resource_config.write_text('{"current_host": "localhost"}')

    code, output = entry.run(paths)

    assert code == 1, output
    assert paths.failure.read_text().startswith("KeyError: 'hosts'\n")


def program(paths, text):
    """Lay a program of the user's own where script mode looks for it."""
    code = paths.root / "submitted"
    code.mkdir()
    (code / "train.py").write_text(text)
    document = {"sagemaker_program": '"train.py"', "sagemaker_submit_directory": f'"{code}"'}
    paths.hyperparameters.write_text(json.dumps(document | {"lr": "0.1"}))


WAITING = """
import pathlib, signal, sys, time
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
print("ready", sys.argv[1:], flush=True)
while not stopped:  # and not pause(), for the signal may come before it
    time.sleep(0.01)
pathlib.Path(__file__).with_name("saved").write_text(f"stopped {len(stopped)} times")
"""


def test_a_program_of_the_users_own_hears_a_stop(tmp_path, entry):
    """
    SIGTERM reaches it once, it saves, and its exit code is the job's.
    """
    paths = entry.lay_out(tmp_path, {})
    program(paths, WAITING)
    process = entry.start(paths)
    entry.wait_for(process, "ready ['--lr', '0.1']")
    process.send_signal(signal.SIGTERM)
    code, output = entry.finish(process)

    assert code == 0, output
    assert (paths.root / "code" / "saved").read_text() == "stopped 1 times"


def test_a_failed_program_of_the_users_own_names_its_cause(tmp_path, entry):
    """
    The toolkit's report says ExitCode 1 and no more: the exception comes before it.
    """
    paths = entry.lay_out(tmp_path, {})
    program(paths, "labels = {}\nprint(labels['poodle'])\n")

    code, output = entry.run(paths)

    assert code == 1, output
    assert paths.failure.read_text().startswith("KeyError: 'poodle'\n\nTraceback ")
    assert "ExecuteUserScriptError" in paths.failure.read_text()


@pytest.mark.parametrize("wanted", ["alone", "among-output"])
def test_a_program_that_is_killed_names_the_signal(tmp_path, wanted, entry):
    """
    Memory ran out, most likely: that comes before what the toolkit says of itself.
    """
    words = "print('step 3', file=sys.stderr, flush=True)" if wanted == "among-output" else ""
    paths = entry.lay_out(tmp_path, {})
    program(paths, f"import os, sys\n{words}\nos.kill(os.getpid(), 9)\n")

    code, output = entry.run(paths)

    assert code == 1, output
    said = "step 3\n\n" if words else ""
    assert paths.failure.read_text().startswith(
        f"ExitCode -9 (SIGKILL: out of memory?)\n\n{said}ExecuteUserScriptError:\n"
    )


PROGRESS = """
import pathlib, sys, time
print("\\r 10%|#", end="", file=sys.stderr, flush=True)
seen = pathlib.Path(__file__).with_name("seen")
deadline = time.monotonic() + 20
while not seen.exists():
    time.sleep(0.01)
    if time.monotonic() > deadline:
        sys.exit("nobody saw it")
"""


def test_a_progress_bar_is_seen_as_it_grows(tmp_path, entry):
    """
    It ends its line when all is done, and not before.
    """
    paths = entry.lay_out(tmp_path, {})
    program(paths, PROGRESS)
    process = entry.start(paths)
    seen = b""
    while b" 10%|#" not in seen and (chunk := os.read(process.stdout.fileno(), 4096)):
        seen += chunk
    (paths.root / "code" / "seen").touch()
    code, output = entry.finish(process)

    assert code == 0, seen.decode() + output


def test_a_wrong_command_is_told_the_right_one():
    """
    The image has one command.
    """
    done = subprocess.run(
        [sys.executable, "-m", "kennel.training", "serve"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (2, "usage: python -m kennel.training train\n")
