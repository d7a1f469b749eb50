"""``kennel rules``: which rules, over which tensors, and what comes of them."""

import json
import subprocess
import sys

import pytest

from kennel import cli
from kennel.cli import rules, tensors
from kennel.rules import debugger
from kennel.rules.outcome import ISSUES, NO_ISSUES, Finding, Outcome

OWN = """
from smdebug.rules import Rule

class Loud(Rule):
    def __init__(self, base_trial, limit=1):
        super().__init__(base_trial)
        self.limit = float(limit)

    def invoke_at_step(self, step):
        names = self.base_trial.tensor_names(collection="losses")
        return any(self.base_trial.tensor(n).value(step) > self.limit for n in names)
"""


SAVING = """
import sys
import torch
from smdebug import SaveConfig
from smdebug.pytorch import Hook

every = SaveConfig(save_interval=1)
hook = Hook(sys.argv[1], save_config=every, include_collections=["losses"])
net, away = torch.nn.Identity(), torch.nn.L1Loss()
hook.register_module(net)
hook.register_loss(away)
for loss in (2.0, 1.0, 0.5, float("inf")):
    away(net(torch.tensor([loss])), torch.zeros(1))
hook.close()
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Tensors of a small net, by smdebug's own hook: its loss is 2, 1, 0.5 and infinite."""
    folder = tmp_path_factory.mktemp("run") / "tensors"
    command = [sys.executable, "-W", "ignore", "-c", SAVING, str(folder)]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own program
    return folder


@pytest.fixture
def own(tmp_path):
    """A rule of a user's own."""
    path = tmp_path / "own.py"
    path.write_text(OWN)
    return f"{path}:Loud"


def test_no_broken_rule_is_exit_code_0_and_a_broken_one_is_1(saved, capsys):
    """
    The loss is finite until the last step: the rule is told to stop before it, and then is not.
    """
    exploding = ["rules", str(saved), "--rule", "ExplodingTensor"]
    assert cli.main([*exploding, "--set", "end_step=3", "--json"]) == 0
    (healthy,) = json.loads(capsys.readouterr().out)
    assert cli.main(exploding) == 1
    shown = capsys.readouterr().out

    assert healthy["RuleEvaluationStatus"] == NO_ISSUES
    assert healthy["Datapoints"] > 0
    assert "ExplodingTensor  IssuesFound" in shown
    assert "what to do" in shown


def test_a_pipe_has_a_line_for_each_rule_with_nothing_behind_it(saved, capsys):
    """
    However long: it is for other programs to read and to fold.
    """
    cli.main(["rules", str(saved)])

    lines = capsys.readouterr().out.splitlines()
    table = lines[: len(debugger.TABLES)]
    assert [line.split()[0] for line in table] == list(debugger.TABLES)
    assert max(map(len, table)) > 100
    assert all(line == line.rstrip() for line in lines)


def test_all_rules_are_judged_unless_some_are_named(saved, capsys):
    """
    What was not saved for is said of each, and is no finding.
    """
    cli.main(["rules", str(saved), "--json"])

    found = json.loads(capsys.readouterr().out)
    assert [one["Rule"] for one in found] == list(debugger.TABLES)
    vanishing = next(one for one in found if one["Rule"] == "VanishingGradient")
    assert (vanishing["Datapoints"], "gradients" in vanishing["StatusDetails"]) == (0, True)


def test_a_rule_of_ones_own_judges(saved, own, capsys):
    """
    smdebug's own base class, with a parameter.
    """
    assert cli.main(["rules", str(saved), "--own", own, "--set", "limit=1.5", "--json"]) == 1
    (loud,) = json.loads(capsys.readouterr().out)
    assert (
        cli.main(["rules", str(saved), "--own", own, "--set", "end_step=3", "--set", "limit=9"])
        == 0
    )

    assert (loud["Rule"], loud["RuleEvaluationStatus"]) == ("Loud", ISSUES)


def test_a_rule_that_fails_is_exit_code_2(saved, tmp_path, capsys):
    """
    Unless another has found something: that is the news then.
    """
    path = tmp_path / "broken.py"
    path.write_text(OWN.replace("any(", "undefined("))

    assert cli.main(["rules", str(saved), "--own", f"{path}:Loud"]) == 2
    assert "undefined" in capsys.readouterr().out


def test_tensors_are_found_where_runs_leave_them(saved):
    """
    The folder itself, a job's output data, /opt/ml/output.
    """
    assert tensors.below(saved, "x") == saved
    assert tensors.below(saved.parent, "x") == saved


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(["nowhere/at/all"], "no such folder", id="folder"),
        pytest.param(["."], "no tensors under .", id="empty"),
        pytest.param([".", "--rule", "Overfitt"], "try: Overfit", id="rule"),
        pytest.param([".", "--rule", "LowGPUUtilization"], "kennel report JOB", id="of-time"),
        pytest.param([".", "--rule", "Overfit", "--set", "x=1"], "no parameter 'x'", id="name"),
        pytest.param([".", "--set", "patience=1"], "RULE.NAME=VALUE", id="whose"),
        pytest.param([".", "--own", "mine.py"], "FILE.py:CLASS", id="own"),
        pytest.param([".", "--own", "mine.py:Mine"], "no file mine.py", id="own-file"),
        pytest.param(["s3://"], "no S3 address", id="s3"),
    ],
)
def test_what_cannot_be_judged_is_exit_code_2(words, message, tmp_path, monkeypatch, capsys):
    """
    And what to do about it, before anything is asked of AWS.
    """
    monkeypatch.chdir(tmp_path)

    assert cli.main(["rules", *words]) == 2

    assert message in capsys.readouterr().err


def test_parameters_go_by_the_rules_name_where_there_are_several():
    """
    By their own where there is one.
    """
    several = rules.configurations([], [], ["Overfit.patience=3", "AllZero.threshold=50"])
    one = rules.configurations(["Overfit"], [], ["patience=3"])

    assert {rule.name: rule.parameters for rule in several if rule.parameters} == {
        "Overfit": {"patience": "3"},
        "AllZero": {"threshold": "50"},
    }
    assert [rule.parameters for rule in one] == [{"patience": "3"}]


def test_every_rule_is_listed(capsys):
    """
    With what it finds, its parameters and their defaults: those of tensors, and those of time.
    """
    assert cli.main(["rules", "--list"]) == 0
    text = capsys.readouterr().out
    cli.main(["rules", "--list", "--json"])
    document = json.loads(capsys.readouterr().out)

    assert "VanishingGradient: gradients have become so small" in text
    assert "threshold  1e-07  least mean" in text
    assert "StalledTrainingRule or StalledTraining: nothing was saved" in text
    assert list(document["debugger"]) == list(debugger.TABLES)
    (stddev,) = [
        one for one in document["profiler"]["StepOutlier"]["parameters"] if one["name"] == "stddev"
    ]
    assert stddev["default"] == 3


def test_a_finding_is_told_in_a_sentence():
    """
    The first, and how many more; without any, why, or how much was looked at.
    """
    finding = Finding("w", "it is zero", "do", 1.0, 1.0, step=4)

    assert rules.told(Outcome("a", "a", ISSUES, violations=3, findings=(finding,))) == (
        "step 4: w: it is zero (and 2 more)"
    )
    assert rules.told(Outcome("a", "a", NO_ISSUES, reason="needs x")) == "needs x"
    assert rules.told(Outcome("a", "a", NO_ISSUES, datapoints=1200)) == "1,200 looked at"
