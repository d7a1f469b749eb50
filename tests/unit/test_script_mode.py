"""The last words of a program of the user's own: the cause first, without the toolkit's."""

import pytest

from kennel.training.script_mode import last_words

BEFORE = [
    '    "user_entry_point": "train.py"',
    "}",
    "",
    "SM_HP_LR=0.1",
    "",
    "Invoking script with the following command:",
    "",
    "python train.py --lr 0.1",
    "",
    "",
    "2026-11-21 01:18:17,830 sagemaker-training-toolkit INFO     Exceptions not imported",
]
AFTER = [
    "2026-11-21 01:18:17,846 sagemaker-training-toolkit ERROR    Reporting training FAILURE",
    "2026-11-21 01:18:17,846 sagemaker-training-toolkit ERROR    ExecuteUserScriptError:",
    "ExitCode 1",
    'ErrorMessage ""',
    'Command "python train.py --lr 0.1"',
]
TRACEBACK = ["Traceback (most recent call last):", '  File "train.py"', "KeyError: 1"]


@pytest.mark.parametrize("begin", [0, 4, len(BEFORE)])
@pytest.mark.parametrize(
    ("said", "code", "words"),
    [
        pytest.param(["", "sad words"], 1, "sad words", id="words"),
        pytest.param([], 3, "ExitCode 3", id="silence"),
        pytest.param([], -9, "ExitCode -9 (SIGKILL: out of memory?)", id="killed"),
        pytest.param(["x"], -11, "ExitCode -11 (SIGSEGV)\n\nx", id="crashed"),
        pytest.param(
            ["a warning", *TRACEBACK], 1, "\n".join(["KeyError: 1", "", *TRACEBACK]), id="traceback"
        ),
    ],
)
def test_the_cause_comes_first(said, code, words, begin):
    """
    However much of the toolkit's own long report is still among the last lines.
    """
    assert last_words([*BEFORE[begin:], *said, *AFTER], code) == words
