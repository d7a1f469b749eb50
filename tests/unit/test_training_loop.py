"""The loop: what is measured, what is selected, and that a stop changes nothing."""

import copy
import dataclasses
import math
import re

import pytest
import torch
from torch import nn

from kennel.contract import METRIC_DEFINITIONS
from kennel.errors import HyperparameterError
from kennel.training import loop, precision
from kennel.training.epochs import Epoch
from kennel.training.features import FeatureSource
from kennel.training.loop import Recipe, Stage, State
from kennel.training.main import best_line, epoch_line, final_lines
from kennel.training.metrics import Evaluation, Totals
from kennel.training.schedule import optimizer
from kennel.training.stopping import Stop, Stopped

CPU = torch.device("cpu")
RECIPE = Recipe(epochs=4, batch_size=8, lr=0.1, scheduler="cosine", seed=3, patience=0, dtype=None)


def blobs(count, seed):
    """Two classes that a linear model can nearly tell apart: features (N, 6), labels (N,)."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    return torch.randn(count, 6, generator=generator) + labels.view(-1, 1) * 1.5, labels


def make(recipe=RECIPE, dropout=0.3, train=None):
    """A state and a stage as fresh as at the start of a run."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.Dropout(dropout), nn.ReLU())
    model.append(nn.Linear(16, 2))
    state = State(
        model,
        optimizer("sgd", model.parameters(), lr=recipe.lr, momentum=0.9, decay=1e-4),
        precision.scaler(CPU, None),
        Totals(CPU),
    )
    stage = Stage(
        model,
        model.train,
        nn.CrossEntropyLoss(),
        FeatureSource(*(train or blobs(37, 1)), batch_size=16),
        FeatureSource(*blobs(20, 2), batch_size=16),
    )
    return state, stage


def ignore(_epoch):
    pass


def weights(model):
    return torch.cat([tensor.flatten().double() for tensor in model.state_dict().values()])


def without_times(history):
    return [dataclasses.replace(epoch, seconds=0, images_per_s=0) for epoch in history]


def test_training_learns():
    """
    A few epochs lower the loss and get most of a separable validation split right.
    """
    state, stage = make()

    assert loop.fit(state, stage, RECIPE, Stop(), ignore) == "finished"
    assert state.history[-1].train_loss < state.history[0].train_loss
    assert state.best_epoch.valid_accuracy > 0.8


def test_the_same_seed_gives_the_same_weights():
    """
    On the CPU a run is decided by its seed, bit for bit; another seed gives another run.
    """
    results = []
    for seed in (3, 3, 4):
        state, stage = make()
        loop.fit(state, stage, dataclasses.replace(RECIPE, seed=seed), Stop(), ignore)
        results.append(weights(state.model))

    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


@pytest.mark.parametrize("looks", [0, 3, 5, 6, 7, 11])
def test_a_stopped_run_goes_on_to_the_same_result(looks, stop_after):
    """
    Stopped between any two steps, or while validating, and gone on with: the same as never stopped.
    """
    whole, stage = make()
    loop.fit(whole, stage, RECIPE, Stop(), ignore)
    state, stage = make()

    with pytest.raises(Stopped):
        loop.fit(state, stage, RECIPE, stop_after(looks), ignore)
    torch.manual_seed(999)  # another process has another generator
    loop.fit(state, stage, RECIPE, Stop(), ignore)

    assert torch.equal(weights(state.model), weights(whole.model))
    assert without_times(state.history) == without_times(whole.history)
    assert all(torch.equal(state.best[name], whole.best[name]) for name in whole.best)


def test_the_best_epoch_on_validation_is_kept():
    """
    The weights kept are those of the best epoch, not the last, and later steps leave them alone.
    """
    recipe = dataclasses.replace(RECIPE, lr=1.5, scheduler="none", epochs=8)
    state, stage = make(recipe)
    measured = []

    def remember(epoch):
        measured.append((epoch.rank, copy.deepcopy(state.model.state_dict())))

    loop.fit(state, stage, recipe, Stop(), remember)

    best = max(range(len(measured)), key=lambda i: measured[i][0])
    assert best < len(measured) - 1, "the last epoch is the best: the test shows nothing"
    assert state.best_epoch.epoch == best + 1
    assert all(torch.equal(state.best[name], measured[best][1][name]) for name in state.best)


def test_patience_ends_a_run_that_gets_no_better():
    """
    With a learning rate of next to nothing the first epoch stays the best, and patience runs out.
    """
    recipe = dataclasses.replace(RECIPE, lr=1e-12, epochs=50, patience=3)
    state, stage = make(recipe, dropout=0)
    stage.module[1].momentum = 0.0  # keep its statistics, and so the validation, as they are

    assert loop.fit(state, stage, recipe, Stop(), ignore) == "early stopping"
    assert len(state.history) == state.best_epoch.epoch + 3


def test_an_ended_run_stays_ended_when_it_is_started_again():
    """
    A restart after the end, from the last checkpoint, takes no further step.
    """
    recipe = dataclasses.replace(RECIPE, lr=1e-12, epochs=50, patience=2)
    state, stage = make(recipe, dropout=0)
    stage.module[1].momentum = 0.0
    loop.fit(state, stage, recipe, Stop(), ignore)
    epochs = len(state.history)

    assert loop.fit(state, stage, recipe, Stop(), ignore) == "early stopping"
    assert len(state.history) == epochs


def test_divergence_from_the_start_is_an_error_that_names_the_learning_rate():
    """
    A loss that is not finite in the first epoch leaves nothing to export.
    """
    features, labels = blobs(37, 1)
    features[0, 0] = float("inf")
    state, stage = make(train=(features, labels))

    told = r"diverged: with lr=0\.1 the loss of the first epoch is nan"
    with pytest.raises(HyperparameterError, match=told):
        loop.fit(state, stage, RECIPE, Stop(), ignore)


def test_divergence_after_a_good_epoch_keeps_that_epoch():
    """
    What was learned before the loss left the finite is not lost.
    """
    features, labels = blobs(37, 1)
    state, stage = make(train=(features, labels))

    def poison(_epoch):
        features[0, 0] = float("inf")

    assert loop.fit(state, stage, RECIPE, Stop(), poison) == "diverged"
    assert state.best_epoch.epoch == 1
    assert all(tensor.isfinite().all() for tensor in state.best.values())


def test_a_validation_without_a_number_is_never_the_best():
    """
    Not even where its accuracy ties with that of an epoch that was well.
    """
    state, stage = make()
    features, labels = blobs(20, 2)
    stage = dataclasses.replace(stage, valid=FeatureSource(features, labels, batch_size=16))

    def poison(epoch):
        features.fill_(torch.nan if epoch.epoch == 1 else 1.0)

    labels.zero_()  # of logits that are no numbers, the first is the highest
    features[:5] = -features[:5]
    loop.fit(state, stage, dataclasses.replace(RECIPE, epochs=2), Stop(), poison)

    first, second = state.history
    assert math.isnan(second.valid_loss)
    assert second.valid_accuracy >= first.valid_accuracy, "no tie: the test shows nothing"
    assert state.best_epoch is first


@pytest.mark.parametrize("patience", [0, 2])
def test_a_run_without_a_single_good_validation_is_an_error(patience):
    """
    The training loss may be finite throughout: there is still nothing to export.
    """
    state, stage = make()
    features, labels = blobs(20, 2)
    features[3] = torch.nan
    stage = dataclasses.replace(stage, valid=FeatureSource(features, labels, batch_size=16))
    recipe = dataclasses.replace(RECIPE, patience=patience)

    with pytest.raises(HyperparameterError, match=r"diverged: .* the validation loss is nan"):
        loop.fit(state, stage, recipe, Stop(), ignore)


def test_weights_that_are_not_finite_are_never_the_best():
    """
    An infinite variance in a BatchNorm hides behind finite logits.
    """
    state, stage = make()

    def spoil(_epoch):
        state.model[1].running_var.fill_(torch.inf)

    loop.fit(state, stage, RECIPE, Stop(), spoil)

    assert math.isnan(state.history[1].valid_loss)
    assert state.best_epoch.epoch == 1
    assert loop.all_finite(state.best)


def test_a_batch_that_batch_norm_cannot_learn_from_is_an_error_that_names_it():
    """
    A single example with a single number per channel has no variance.
    """
    recipe = dataclasses.replace(RECIPE, batch_size=1)
    state, stage = make(recipe)

    with pytest.raises(HyperparameterError, match=r"batch-size of 2 or more"):
        loop.fit(state, stage, recipe, Stop(), ignore)


def test_an_evaluation_does_not_depend_on_the_batch_size():
    """
    A short last batch weighs what its examples weigh.
    """
    state, _ = make()
    features, labels = blobs(21, 5)
    whole, uneven = (
        loop.evaluate(state.model, FeatureSource(features, labels, size), Stop())
        for size in (21, 8)
    )

    assert torch.equal(whole.confusion, uneven.confusion)
    assert uneven.loss == pytest.approx(whole.loss, abs=1e-6)


def test_an_evaluation_changes_nothing():
    """
    No gradient and no BatchNorm statistic moves while measuring.
    """
    state, stage = make()
    stage.enter_training()
    before = weights(state.model)

    loop.evaluate(state.model, stage.valid, Stop())

    assert torch.equal(weights(state.model), before)
    assert all(parameter.grad is None for parameter in state.model.parameters())


@pytest.mark.parametrize("line", [epoch_line, best_line])
def test_the_printed_lines_are_what_the_metric_definitions_read(line):
    """
    Every metric that a request defines finds its value in what a run prints: of every epoch, and
    at the end of the best.
    """
    epoch = Epoch(3, 1.25, 0.5, 2.5, 0.4375, 1e-5, 1234.5, 6.7)
    measured = Evaluation(0.5, torch.tensor([[3, 1], [0, 4]]))
    printed = "\n".join([line(epoch, 10), *final_lines(measured)])
    found = {
        name: float(re.search(regex, printed)[1]) for name, regex in METRIC_DEFINITIONS.items()
    }

    assert found == {
        "train_loss": 1.25,
        "train_accuracy": 0.5,
        "valid_loss": 2.5,
        "valid_accuracy": 0.4375,
        "lr": 1e-5,
        "images_per_s": 1234.5,
        "test_loss": 0.5,
        "test_accuracy": 0.875,
    }


def test_the_test_line_is_that_of_the_originals():
    """
    Metric definitions in the wild read exactly this.
    """
    measured = Evaluation(0.5, torch.tensor([[879, 121], [0, 0]]))

    assert "Test set: Average accuracy: 0.8790" in final_lines(measured)


def test_weights_that_are_finite_and_make_no_numbers_are_not_sound():
    """
    A first epoch that is stopped on its way to infinity leaves them so.
    """
    state, stage = make()
    assert loop.is_sound(state, stage)

    with torch.no_grad():
        for parameter in state.model.parameters():
            parameter.fill_(1e30)
    assert loop.all_finite(loop.changing(state.model))
    assert not loop.is_sound(state, stage)
