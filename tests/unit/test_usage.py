"""What was mistyped is answered with what was probably meant."""

import pytest

from kennel import cli


@pytest.mark.parametrize(
    ("command", "usage", "meant"),
    [
        (["trian"], "kennel [-h]", "train"),
        (["data", "chekc", "d"], "kennel data [-h]", "check"),
        (["train", "--epoch", "3"], "kennel train", "--set epochs=3"),
        (["train", "--batch_size=8", "--spot"], "kennel train", "--set batch-size=8"),
        (["train", "--lr"], "kennel train", "--set lr=VALUE"),
        (["train", "--dataset", "d"], "kennel train", "--data"),
        (["predict", "a.jpg", "--endpont", "e"], "kennel predict", "--endpoint"),
        (["local", "start", "--prot", "1"], "kennel local start", "--port"),
    ],
)
def test_a_mistyped_word_is_answered_with_the_one_that_was_meant(capsys, command, usage, meant):
    """
    Exit code 2, the usage of the very command, and what to try; a hyperparameter goes by --set.
    """
    with pytest.raises(SystemExit) as stopped:
        cli.main(command)

    said = capsys.readouterr().err
    assert stopped.value.code == 2
    assert said.startswith(f"usage: {usage}")
    assert said.splitlines()[-1] == f"  try: {meant}"


@pytest.mark.parametrize(
    "command",
    [["frobnicate"], ["train", "--xyzzy", "3"], ["train", "epochs"], ["jobs", "--epochs"]],
)
def test_what_resembles_nothing_gets_no_advice(capsys, command):
    """
    A wrong guess would be worse than none; only a training has hyperparameters.
    """
    with pytest.raises(SystemExit):
        cli.main(command)

    said = capsys.readouterr().err
    assert command[-1] in said or command[-2] in said
    assert "try:" not in said
