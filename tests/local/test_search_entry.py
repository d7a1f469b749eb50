"""A search in one job, started as SageMaker starts it: stopped, killed, and side by side."""

import json
import re
import signal

import pytest
import torch

from kennel.contract import SEARCH_HYPERPARAMETER
from kennel.tuning import trials
from kennel.vision import trained

TRIALS = 6
LR = {"Name": "lr", "MinValue": "0.001", "MaxValue": "0.1", "ScalingType": "Logarithmic"}
SEARCH = {
    "Strategy": "Random",
    "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "valid_loss"},
    "ResourceLimits": {"MaxNumberOfTrainingJobs": TRIALS, "MaxParallelTrainingJobs": 2},
    "ParameterRanges": {"ContinuousParameterRanges": [LR]},
}
QUICK = {
    "model": "shufflenet_v2_x0_5",
    "weights": "none",
    "image-size": "32",
    "batch-size": "5",
    "augment": "none",
    "freeze": "true",
    "epochs": "40",
    "workers": "0",
    SEARCH_HYPERPARAMETER: json.dumps(SEARCH),
}
PROCESSES = "sagemaker_mpi_num_of_processes_per_host"
PATIENCE_S = 100  # far above what anything here takes, on a busy machine too


@pytest.fixture(scope="module")
def dataset(noisy_pictures):
    """Noisy pictures of two classes, in three split folders."""
    return noisy_pictures({"train": 12, "validation": 6, "test": 4}, noise=200, shift=40)


def told(paths):
    document = json.loads((paths.output_data / "tuning.json").read_text())
    return trials.from_answers(document["Tuning"], document["TrainingJobs"], document["Curves"])


def outcome(paths):
    return [
        (trial.name, trial.values, trial.objective, trial.curve) for trial in told(paths).trials
    ]


def weights(paths):
    return trained.load(paths.model)[0].state_dict()


@pytest.fixture(scope="module")
def finished(tmp_path_factory, dataset, entry):
    """A search from beginning to end."""
    paths = entry.lay_out(tmp_path_factory.mktemp("finished") / "ml", QUICK, dataset)
    code, output = entry.run(paths)
    assert code == 0, output
    return paths


def test_a_search_leaves_what_the_platform_collects(finished):
    """
    The artifact of the best trial, its figures and pictures, and the search as AWS would tell it.
    """
    tuning = told(finished)

    assert {path.name for path in finished.output_data.iterdir()} == {
        "metrics.json",
        "skipped.json",
        "tuning.json",
        "confusion_matrix.png",
        "learning_curves.png",
    }
    assert trained.load(finished.model)[1].class_names == ("dark", "light")
    assert not finished.failure.exists()
    assert (tuning.name, tuning.status, len(tuning.trials)) == ("clothes", "Completed", TRIALS)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_search_goes_on_to_the_end_of_an_uninterrupted_one(
    tmp_path, dataset, finished, signum, entry
):
    """
    Stopped it leaves the best model so far; killed it loses the running trial at most.
    """
    paths = entry.lay_out(tmp_path / "ml", QUICK, dataset)
    process = entry.start(paths)
    entry.wait_for(process, "trial=3/6 completed")
    process.send_signal(signum)
    code, rest = entry.finish(process)
    if signum == signal.SIGTERM:
        assert code == 0, rest
        assert told(paths).status == "Stopped"
        assert trained.load(paths.model)

    code, output = entry.run(paths)

    assert code == 0, output
    done = int(re.search(r"going on after (\d) trials", output)[1])
    assert done >= 3 + rest.count(" completed ")
    assert f"\ntrial={done} epoch=" not in output
    assert outcome(paths) == outcome(finished)
    torch.testing.assert_close(weights(paths), weights(finished), rtol=0, atol=0)


def test_trials_side_by_side_come_to_what_they_come_to_one_after_another(
    tmp_path, dataset, finished, entry
):
    """
    A process for each lane; a stop ends them all between two steps, and none is left behind.
    """
    paths = entry.lay_out(tmp_path / "ml", QUICK | {PROCESSES: "2"}, dataset)
    process = entry.start(paths)
    entry.wait_for(process, "trial=2/6 completed")
    process.send_signal(signal.SIGTERM)
    code, output = entry.finish(process)
    assert code == 0, output
    assert TRIALS > len(told(paths).trials) >= 2

    code, output = entry.run(paths)

    assert code == 0, output
    assert "2 trials at a time" in output
    assert outcome(paths) == outcome(finished)
    torch.testing.assert_close(weights(paths), weights(finished), rtol=0, atol=0)


def test_a_search_on_several_hosts_is_refused(tmp_path, dataset, entry):
    """
    Trials are spread over the GPUs of one.
    """
    paths = entry.lay_out(tmp_path / "ml", QUICK, dataset, hosts=("localhost", "127.0.0.1"))

    code, output = entry.run(paths)

    assert code == 1, output
    assert paths.failure.read_text().startswith("TuningError: a search in one job on 2 hosts\n")


def test_tuning_on_the_test_set_is_refused_before_anything_is_read(tmp_path, dataset, entry):
    """
    The failure says why.
    """
    objective = {"Type": "Maximize", "MetricName": "test_accuracy"}
    search = SEARCH | {"HyperParameterTuningJobObjective": objective}
    paths = entry.lay_out(
        tmp_path / "ml", QUICK | {SEARCH_HYPERPARAMETER: json.dumps(search)}, dataset
    )

    code, output = entry.run(paths)

    assert code == 1, output
    assert "that is tuning on the test set" in paths.failure.read_text()
    assert "features:" not in output
