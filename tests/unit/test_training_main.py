"""A whole run in this process: what is exported is what was measured, and resuming is exact."""

import json
import re

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from kennel.contract import METRIC_DEFINITIONS
from kennel.errors import HyperparameterError
from kennel.training.main import main
from kennel.training.stopping import Stop
from kennel.vision import trained

QUICK = {
    "model": "shufflenet_v2_x0_5",
    "weights": "none",
    "image-size": "32",
    "batch-size": "5",
    "lr": "0.05",
    "augment": "none",
    "epochs": "4",
    "workers": "0",
}
COUNTS = {"train": 8, "valid": 6, "test": 5}


@pytest.fixture(scope="module")
def dataset(noisy_pictures):
    """Noise of two kinds, hard to tell apart."""
    return noisy_pictures(COUNTS, size_px=32, noise=200, shift=20)


@pytest.fixture
def lay_out(tmp_path, dataset, opt_ml):
    """Return ``lay_out(name, **hyperparameters)``, which makes /opt/ml as the platform does."""
    return lambda name, **changes: opt_ml(tmp_path / name, dataset, QUICK | changes)


@torch.inference_mode()
def served(paths, dataset, split):
    """Return loss and accuracy of the artifact as it will be served: in float32."""
    model, described = trained.load(paths.model)
    files = sorted((dataset / split).rglob("*.png"))
    labels = torch.tensor([described.class_names.index(path.parent.name) for path in files])
    images = [described.preprocessing(described.preprocessing.read(path)) for path in files]
    logits = model(torch.from_numpy(np.stack(images)))
    accuracy = (logits.argmax(dim=1) == labels).double().mean()
    return float(cross_entropy(logits.double(), labels)), float(accuracy)


@pytest.mark.parametrize("freeze", ["false", "true"])
def test_the_exported_figures_are_those_of_the_model_as_it_is_served(lay_out, dataset, freeze):
    """
    Trained in bfloat16 and measured in float32, on whole models and on features.
    """
    paths = lay_out("run", amp="bf16", freeze=freeze)
    main(paths, Stop())

    figures = json.loads((paths.output_data / "metrics.json").read_text())
    for split in ("valid", "test"):
        loss, accuracy = served(paths, dataset, split)
        assert figures[f"{split}_loss"] == pytest.approx(loss, rel=1e-5)
        assert figures[f"{split}_accuracy"] == accuracy


def test_the_last_figures_in_the_log_are_those_of_the_epoch_that_is_kept(lay_out, capsys):
    """
    SageMaker keeps the last match of each expression, and so a job's metrics are the artifact's;
    also where the job went on after its best epoch, and where it is started again.
    """
    paths = lay_out("run", lr="1.0")
    for _ in range(2):
        main(paths, Stop())
        log = capsys.readouterr().out
        figures = json.loads((paths.output_data / "metrics.json").read_text())

        assert figures["best_epoch"] < int(QUICK["epochs"]), "the last one is the best by chance"
        assert log.index("\nbest epoch=") < log.index("\nTest set")
        for name in ("valid_loss", "valid_accuracy", "test_loss", "test_accuracy"):
            last = float(re.findall(METRIC_DEFINITIONS[name], log)[-1])
            assert last == pytest.approx(figures[name], abs=6e-5)


def test_a_run_that_is_stopped_is_judged_by_its_best_epoch(lay_out, capsys, stop_after):
    """
    As one that the tuner stops early is; before its first epoch has ended there is none.
    """
    early, later = (lay_out(name, freeze="true") for name in ("early", "later"))
    main(early, stop_after(len(COUNTS) + 1))
    assert "best epoch" not in capsys.readouterr().out

    main(later, stop_after(len(COUNTS) + 14))
    assert "\nbest epoch=" in capsys.readouterr().out


@pytest.mark.parametrize("amp", ["off", "bf16"])
def test_a_frozen_run_resumes_exactly_from_its_head_alone(lay_out, capsys, stop_after, amp):
    """
    The backbone is not in the checkpoints, and the result is that of a run without a break.
    """
    whole, broken = (
        lay_out("whole", freeze="true", amp=amp),
        lay_out("broken", freeze="true", amp=amp),
    )
    main(whole, Stop())
    main(broken, stop_after(len(COUNTS) + 14))  # one look for each split, the rest while training
    assert "stopped: checkpoint" in capsys.readouterr().out
    main(broken, Stop())

    output = capsys.readouterr().out
    assert "going on from epoch" in output
    assert "no picture passes through the backbone" in output
    results = [trained.load(paths.model)[0].state_dict() for paths in (whole, broken)]
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=0)
    written = sum(path.stat().st_size for path in broken.checkpoints.iterdir())
    assert written < 200_000, "of a head of 2,050 numbers; the model has 340,000"


def test_weights_that_are_not_finite_are_not_exported(lay_out, stop_after):
    """
    A run that is stopped in its first epoch, after it has diverged, has nothing to give.
    """
    paths = lay_out("run", model="squeezenet1_1", lr="100", momentum="0.99")
    looks = sum(COUNTS.values()) * 2 + 3  # one for each picture, and three steps

    with pytest.raises(HyperparameterError, match="the weights of the first epoch make no numbers"):
        main(paths, stop_after(looks))
    assert not list(paths.model.glob("*"))


def test_a_frozen_backbone_of_random_numbers_is_warned_of(lay_out, capsys, stop_after):
    """
    At the start of the log; nobody is warned of a whole model that is trained from nothing.
    """
    for freeze in ("true", "false"):
        main(lay_out(freeze, freeze=freeze), stop_after(1))
        warned = "\nwarning: weights=none with freeze=true" in capsys.readouterr().out
        assert warned == (freeze == "true")
