"""The platform's files, and what amp and the device come to."""

from pathlib import Path

import pytest
import torch

from kennel.contract import ContainerPaths
from kennel.errors import HyperparameterError, KennelError
from kennel.training import config, precision

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def paths(tmp_path):
    paths = ContainerPaths(tmp_path)
    paths.config.mkdir(parents=True)
    return paths


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot read .*: No such file"),
        ("{", "is not JSON"),
        ("[]", "holds list"),
    ],
)
def test_hyperparameters_that_cannot_be_read_are_an_error(paths, text, words):
    """
    It names the file.
    """
    if text is not None:
        paths.hyperparameters.write_text(text)

    with pytest.raises(HyperparameterError, match=words):
        config.hyperparameters(paths)


@pytest.mark.parametrize(
    ("document", "folder"),
    [
        pytest.param(None, "checkpoints", id="not-asked-for"),
        pytest.param("{}", "checkpoints", id="no-path"),
        pytest.param('{"LocalPath": "/opt/ml/checkpoints"}', "checkpoints", id="the-usual"),
        pytest.param('{"LocalPath": "/opt/ml/saved/here"}', "saved/here", id="another"),
    ],
)
def test_checkpoints_go_where_the_platform_syncs(paths, document, folder):
    """
    A path below /opt/ml is meant as below whatever stands in for /opt/ml.
    """
    if document is not None:
        paths.checkpoint_config.write_text(document)

    assert config.checkpoint_folder(paths) == paths.root / folder


def test_a_checkpoint_path_elsewhere_is_taken_as_it_is(paths):
    """
    LocalPath may be any path.
    """
    paths.checkpoint_config.write_text('{"LocalPath": "/saved"}')

    assert config.checkpoint_folder(paths) == Path("/saved")


def test_channels_are_those_the_platform_declares(paths):
    """
    Without the file, or with none declared, the folders speak for themselves.
    """
    assert config.channels(paths) is None
    paths.input_data_config.write_text('{"train": {}, "test": {}}')
    assert config.channels(paths) == ["train", "test"]
    paths.input_data_config.write_text("nonsense")
    with pytest.raises(KennelError, match="not JSON"):
        config.channels(paths)


@pytest.mark.parametrize(
    ("given", "text"), [("train.py", "train.py"), ('"train.py"', "train.py"), ("3", "3")]
)
def test_a_text_may_come_as_json(given, text):
    """
    The SageMaker SDK quotes texts.
    """
    assert config.text(given) == text


@pytest.mark.parametrize(
    ("amp", "dtype"), [("off", None), ("auto", None), ("bf16", torch.bfloat16)]
)
def test_a_cpu_computes_in_float32_unless_told(amp, dtype):
    """
    Auto changes nothing on a CPU, so that its results can be repeated.
    """
    assert precision.choose_dtype(amp, CPU) is dtype


def test_fp16_is_refused_without_a_gpu():
    """
    Its gradients would underflow, and nothing would be faster.
    """
    with pytest.raises(HyperparameterError, match="needs a GPU"):
        precision.choose_dtype("fp16", CPU)


def test_only_float16_scales_its_loss():
    """
    bfloat16 has the range of float32.
    """
    assert precision.choose_dtype("fp16", GPU) is torch.float16
    assert not precision.scaler(CPU, torch.bfloat16).is_enabled()
    assert precision.scaler(CPU, torch.float16).is_enabled()
