"""Hyperparameters: what a request may say, and what is said of a request that is wrong."""

import dataclasses
import json
import subprocess
import sys

import pytest

from kennel.errors import HyperparameterError
from kennel.training import hyperparameters
from kennel.training.hyperparameters import Hyperparameters, describe, differences, parse
from kennel.vision import augmentation


def test_an_empty_request_gives_the_defaults():
    """
    Every hyperparameter has a default.
    """
    assert parse({}) == Hyperparameters()


@pytest.mark.parametrize(
    ("raw", "field", "value"),
    [
        pytest.param({"lr": "0.05"}, "lr", 0.05, id="number"),
        pytest.param({"lr": "1e-3"}, "lr", 0.001, id="number-scientific"),
        pytest.param({"batch-size": "64"}, "batch_size", 64, id="integer"),
        pytest.param({"batch-size": "64.0"}, "batch_size", 64, id="integer-from-a-tuner"),
        pytest.param({"batch_size": "64"}, "batch_size", 64, id="underscore"),
        pytest.param({"freeze": "true"}, "freeze", True, id="true"),
        pytest.param({"freeze": "True"}, "freeze", True, id="True"),
        pytest.param({"freeze": "1"}, "freeze", True, id="one"),
        pytest.param({"freeze": "false"}, "freeze", False, id="false"),
        pytest.param({"model": '"resnet50"'}, "model", "resnet50", id="json-text"),
        pytest.param({"lr": '"0.5"'}, "lr", 0.5, id="json-text-of-a-number"),
        pytest.param({"epochs": 3}, "epochs", 3, id="json-number"),
        pytest.param({"freeze": True}, "freeze", True, id="json-flag"),
        pytest.param({"workers": "auto"}, "workers", None, id="auto"),
        pytest.param({"workers": "2"}, "workers", 2, id="workers"),
        pytest.param({"optimizer": " adamw "}, "optimizer", "adamw", id="spaces"),
        pytest.param({"optimizer": "AdamW"}, "optimizer", "adamw", id="capitals"),
    ],
)
def test_a_value_is_read_as_its_row_says(raw, field, value):
    """
    Values arrive as text, or as JSON of text; names in kebab-case or with underscores.
    """
    read = getattr(parse(raw), field)

    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        pytest.param({"lr": "fast"}, ["lr", "'fast'", "a number", "above 0 to 100"], id="text"),
        pytest.param({"lr": "0"}, ["lr", "'0'", "above 0"], id="at-an-open-end"),
        pytest.param({"lr": "nan"}, ["lr", "'nan'"], id="nan"),
        pytest.param({"lr": "inf"}, ["lr", "'inf'"], id="infinite"),
        pytest.param({"epochs": "2.5"}, ["epochs", "'2.5'", "an integer"], id="fraction"),
        pytest.param({"epochs": "0"}, ["epochs", "1 to"], id="too-small"),
        pytest.param({"epochs": "1e400"}, ["epochs"], id="overflow"),
        pytest.param({"freeze": "maybe"}, ["freeze", "true or false"], id="flag"),
        pytest.param({"optimizer": "adam"}, ["'adam'", "sgd, adamw"], id="choice"),
        pytest.param({"model": ""}, ["model", "a name"], id="empty"),
        pytest.param({"workers": "many"}, ["workers", "auto or 0 to 512"], id="auto"),
        pytest.param({"valid-share": "0.6", "test-share": "0.5"}, ["below 1"], id="together"),
    ],
)
def test_a_malformed_value_is_named_with_what_was_expected(raw, words):
    """
    The error says the value found, the type, the range and the default.
    """
    with pytest.raises(HyperparameterError) as caught:
        parse(raw)

    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.parametrize(
    ("given", "nearest"),
    [
        ("learning-rate", "lr"),
        ("epoch", "epochs"),
        ("batchsize", "batch-size"),
        ("BATCH_SIZE", "batch-size"),
        ("patience", "early-stopping-patience"),
        ("wd", "weight-decay"),
    ],
)
def test_an_unknown_name_brings_the_nearest_known_one(given, nearest):
    """
    The error names the nearest known hyperparameter, with its type and range.
    """
    with pytest.raises(HyperparameterError, match="unknown hyperparameter") as caught:
        parse({given: "1"})

    assert f"try: {nearest}, a" in str(caught.value)


def test_an_unknown_model_brings_the_nearest_known_one():
    """
    Before a job is paid for, and without torch.
    """
    with pytest.raises(HyperparameterError, match=r"(?s)no model 'resnet81'.*try: resnet18"):
        parse({"model": "resnet81"})


def test_all_mistakes_are_named_at_once():
    """
    A request is not mended one error at a time.
    """
    with pytest.raises(HyperparameterError) as caught:
        parse({"lr": "fast", "epochs": "none", "colour": "red"})

    assert all(word in str(caught.value) for word in ("lr", "epochs", "colour"))


def test_a_name_given_twice_is_an_error():
    """
    batch-size and batch_size are the same, so neither may win silently.
    """
    with pytest.raises(HyperparameterError, match="batch-size is given twice"):
        parse({"batch-size": "1", "batch_size": "2"})


def test_the_toolkits_own_names_are_passed_over():
    """
    What sagemaker-training and a tuning job add is not ours to judge.
    """
    reserved = {"sagemaker_program": "x.py", "_tuning_objective_metric": "valid_accuracy"}

    assert parse(reserved) == Hyperparameters()


def test_every_default_is_within_its_own_range():
    """
    What describe() shows as default can be sent.
    """
    assert parse({row.name: row.default for row in describe()}) == Hyperparameters()


def test_the_table_describes_every_hyperparameter():
    """
    The command line can print and check names without importing torch.
    """
    names = [row.name for row in describe()]

    assert names == list(Hyperparameters().to_dict())
    assert all(row.type and row.allowed and row.help for row in describe())


def test_the_table_needs_no_torch():
    """
    The command line runs without torch, so importing the table must not bring it in.
    """
    code = (
        "import sys, kennel.training.hyperparameters; "
        "print([n for n in ('torch', 'numpy', 'PIL') if n in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - our own code

    assert out.stdout.strip() == "[]"


def test_the_augmentations_are_those_of_vision():
    """
    The table repeats their names, since it may not import torch: they must not drift apart.
    """
    assert hyperparameters.AUGMENTATIONS == augmentation.AUGMENTATIONS


def test_all_stand_on_one_line():
    """
    The log shows every hyperparameter with its value, in the words of a request.
    """
    shown = str(parse({"freeze": "true"}))

    assert "\n" not in shown
    assert dict(pair.split("=") for pair in shown.split()) == {
        row.name: {"freeze": "true"}.get(row.name, row.default) for row in describe()
    }


def test_a_resumed_run_may_change_only_what_is_free():
    """
    Another learning rate is another run; more epochs or workers are not.
    """
    before = json.loads(json.dumps(Hyperparameters().to_dict()))
    freely = dataclasses.replace(Hyperparameters(), epochs=99, workers=3, max_bad_share=0.5)

    assert differences(before, freely) == []
    assert differences(before, dataclasses.replace(freely, lr=0.5)) == ["lr=0.5 (was 0.01)"]
