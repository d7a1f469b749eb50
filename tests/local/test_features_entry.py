"""Features between jobs of two processes, each started as SageMaker starts it."""

import json
import re

import pytest

from kennel.contract import SEARCH_HYPERPARAMETER

QUICK = {
    "model": "shufflenet_v2_x0_5",
    "weights": "none",
    "freeze": "true",
    "image-size": "32",
    "batch-size": "8",
    "lr": "0.05",
    "augment": "flip",
    "epochs": "4",
    "workers": "1",
}


@pytest.fixture(scope="module")
def dataset(noisy_pictures):
    """Noisy pictures of two classes, and a file among them that is none."""
    folder = noisy_pictures({"train": 13, "validation": 6, "test": 4})
    (folder / "train" / "dark" / "5x.png").write_bytes(b"no picture")
    return folder


def run(entry, root, dataset, channels=(), **hyperparameters):
    """Lay out /opt/ml, run the entry point, and return the paths and what it printed."""
    paths = entry.lay_out(root, QUICK | hyperparameters, dataset, **dict(channels))
    code, output = entry.run(paths)
    assert code == 0, output
    return paths, output


def figures(paths):
    """Return what both runs have to agree on."""
    metrics = json.loads((paths.output_data / "metrics.json").read_text())
    return [metrics[name] for name in ("valid_loss", "test_loss", "test_accuracy")]


def test_what_two_processes_compute_a_later_job_takes(tmp_path, dataset, entry):
    """
    The same pictures are skipped, the same figures come out, and no picture is read again.
    """
    processes = {"sagemaker_mpi_num_of_processes_per_host": "2"}
    first, output = run(entry, tmp_path / "first", dataset, **processes)
    assert "47 pictures pass through it once" in output
    second, output = run(
        entry,
        tmp_path / "second",
        dataset,
        {"features": first.checkpoints / "features"},
        **processes,
    )

    assert "no picture passes through the backbone" in output
    assert re.search(r"train=26 valid=12 test=8 skipped=1$", output, re.MULTILINE)
    assert figures(second) == pytest.approx(figures(first), abs=1e-4)
    skipped = [(paths.output_data / "skipped.json").read_text() for paths in (first, second)]
    assert skipped[0] == skipped[1]


def test_trials_side_by_side_compute_features_once(tmp_path, dataset, entry):
    """
    With processes that read, and the other takes what the first one has left.
    """
    momentum = {"Name": "momentum", "MinValue": "0.5", "MaxValue": "0.9"}
    search = {
        "Strategy": "Random",
        "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "valid_loss"},
        "ResourceLimits": {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 2},
        "ParameterRanges": {"ContinuousParameterRanges": [momentum]},
    }
    _, output = run(
        entry,
        tmp_path / "job",
        dataset,
        epochs="1",
        sagemaker_mpi_num_of_processes_per_host="2",
        **{SEARCH_HYPERPARAMETER: json.dumps(search)},
    )

    assert output.count("completed valid_loss=") == 2
    assert output.count("pass through it once") == 1
    assert output.count("no picture passes through the backbone") >= 1
