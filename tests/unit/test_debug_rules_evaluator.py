"""The evaluator: beside a training, after it, in a process of its own, with rules of a user's."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from torch import nn

from kennel.debugging.about import NOTHING, About
from kennel.debugging.collections import DEFAULT
from kennel.debugging.evaluator import Evaluator, judge
from kennel.debugging.hook import Recorder
from kennel.debugging.hook_config import Pace, asked
from kennel.debugging.quiet import quiet
from kennel.debugging.series import MOST, Line
from kennel.rules import debugger, keeping
from kennel.rules.configuration import Configuration
from kennel.rules.outcome import ERROR, IN_PROGRESS, ISSUES, NO_ISSUES, STOPPED

with quiet():
    from smdebug.trials import create_trial

pytestmark = pytest.mark.filterwarnings("ignore:_SixMetaPathImporter:ImportWarning")

EXPLODING = Configuration("explodes", "ExplodingTensor")
VANISHING = Configuration("vanishes", "VanishingGradient")

OWN = '''
from smdebug.rules import Rule

class LargeGradient(Rule):
    """As AWS's documentation has it."""

    def __init__(self, base_trial, threshold=10.0):
        super().__init__(base_trial)
        self.threshold = float(threshold)

    def invoke_at_step(self, step):
        for name in self.base_trial.tensor_names(collection="gradients"):
            tensor = self.base_trial.tensor(name)
            if tensor.reduction_value(step, "mean", abs=True) > self.threshold:
                self.report["Details"]["name"] = name
                return True
        return False

class Broken(Rule):
    def __init__(self, base_trial):
        super().__init__(base_trial, "")

    def invoke_at_step(self, step):
        raise ZeroDivisionError("by nothing")

class NoRule:
    pass
'''


class Training:
    """A small training with the hook on, a step at a time."""

    def __init__(self, folder, include="", of=NOTHING):
        torch.manual_seed(0)
        self.module = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))
        self.criterion = nn.CrossEntropyLoss()
        self.recorder = Recorder(asked(",".join(DEFAULT), include, Pace(1, 1, 1)), folder, of=of)
        self.recorder.training(self.module, self.criterion)
        self.number = 0

    def step(self, factor=1.0):
        vectors, labels = torch.randn(16, 8) * factor, torch.randint(3, (16,))
        with self.recorder.step(self.number):
            self.module.zero_grad()
            logits = self.module(vectors)
            loss = self.criterion(logits, labels)
            loss.backward()
            self.recorder.learnt(loss, logits, labels)
            with torch.no_grad():
                for parameter in self.module.parameters():
                    parameter.sub_(0.1 * parameter.grad)
        self.number += 1

    def end(self):
        self.recorder.close()
        assert not self.recorder.failure


@pytest.fixture
def tensors(tmp_path):
    return tmp_path / "tensors"


@pytest.fixture
def own(tmp_path):
    source = tmp_path / "own.py"
    source.write_text(OWN)
    return source


def statuses(outcomes):
    return {outcome.name: outcome.status for outcome in outcomes}


def test_each_step_is_judged_once_as_it_comes(tensors):
    """
    From an empty folder on; what is found is news once, and counts until the end.
    """
    evaluator = Evaluator(tensors, [EXPLODING, VANISHING])
    assert statuses(evaluator.advance()) == {"explodes": IN_PROGRESS, "vanishes": IN_PROGRESS}
    training = Training(tensors)
    training.step()
    before = evaluator.advance()
    assert evaluator.advance() == before
    assert evaluator.news() == ()

    training.step(float("nan"))
    assert statuses(evaluator.advance()) == {"explodes": ISSUES, "vanishes": IN_PROGRESS}
    news = evaluator.news()
    training.step(float("nan"))
    training.end()
    exploded, vanished = evaluator.finish()

    assert ("explodes", "CrossEntropyLoss_output_0", 1) in {
        (configuration.name, finding.subject, finding.step) for configuration, finding in news
    }
    assert len({finding.subject for _, finding in news}) == len(news)
    assert exploded.status == ISSUES
    assert exploded.violations > len(exploded.findings)
    assert vanished.status == NO_ISSUES
    assert before[1].datapoints == 2
    assert evaluator.finish() == (exploded, vanished)


def test_numbers_are_those_of_smdebug(tensors):
    """
    The mean of a gradient's absolute values, raw, as its own trial reads it.
    """
    training = Training(tensors, include="^gradient")
    training.step()
    training.step()
    training.end()
    threshold = Configuration("all", "VanishingGradient", {"threshold": "1000"})

    (outcome,) = Evaluator(tensors, [threshold]).finish()

    trial = create_trial(str(tensors))
    for finding in outcome.findings:
        value = trial.tensor(finding.subject).value(finding.step)
        assert finding.value == pytest.approx(float(np.abs(value).mean()), rel=1e-5)
    assert {finding.subject for finding in outcome.findings} == set(
        trial.tensor_names(regex="^gradient/.*weight")
    )


def test_steps_outside_of_the_given_ones_are_not_looked_at(tensors):
    """
    start_step counts, end_step does not.
    """
    training = Training(tensors)
    for factor in (float("nan"), 1.0, 1.0):
        training.step(factor)
    training.end()

    (late,) = Evaluator(
        tensors, [Configuration("a", "StalledTraining", {"start_step": "1", "threshold": "1"})]
    ).finish()
    (early,) = Evaluator(
        tensors, [Configuration("a", "ExplodingTensor", {"end_step": "0"})]
    ).finish()

    assert late.datapoints == 1  # one pause, between the two steps
    assert (early.status, early.datapoints) == (NO_ISSUES, 0)


def test_a_rule_that_cannot_be_judged_harms_no_other(tensors):
    """
    It is an Error with its reason: an unknown one, a wrong parameter, one that raises.
    """
    training = Training(tensors, include="labels_of_mine")
    training.step()
    training.end()
    wrong = [
        Configuration("unknown", "VanishingGradients"),
        Configuration("parameter", "Overfit", {"patience": "many"}),
        Configuration("regex", "AllZero", {"tensor_regex": "a(,)b"}),
    ]

    outcomes = Evaluator(tensors, [*wrong, EXPLODING]).finish()

    assert statuses(outcomes) == {
        "unknown": ERROR,
        "parameter": ERROR,
        "regex": ERROR,
        "explodes": NO_ISSUES,
    }
    assert "VanishingGradient" in outcomes[0].reason
    assert "a whole number" in outcomes[1].reason
    assert outcomes[2].reason


def test_what_was_not_saved_is_told(tensors):
    """
    No finding, no datapoint, and what to have saved.
    """
    training = Training(tensors)
    training.step()
    training.end()

    (outcome,) = Evaluator(tensors, [Configuration("a", "SaturatedActivation")]).finish()

    assert (outcome.status, outcome.datapoints) == (NO_ISSUES, 0)
    assert outcome.reason.startswith("nothing to judge: it needs the inputs of sigmoid")
    assert "debug-collections" in outcome.reason


def test_a_rule_may_ask_for_the_end_of_the_training(tensors):
    """
    The first that is broken and has the action says so; others do not.
    """
    stopping = Configuration("stops", "ExplodingTensor", stops=True)
    evaluator = Evaluator(tensors, [EXPLODING, stopping])
    training = Training(tensors)
    training.step()
    evaluator.advance()
    assert evaluator.stopper() is None

    training.step(float("inf"))
    evaluator.advance()

    stopper = evaluator.stopper()
    assert stopper is not None
    assert stopper.name == "stops"
    training.end()


def test_a_training_that_saves_nothing_for_too_long_is_stalled(tensors):
    """
    Found while it waits, by the clock; no longer once the training has said that it ended.
    """
    now = time.time()
    stalled = Configuration("a", "StalledTraining", {"stop_training_on_fire": "true"})
    evaluator = Evaluator(tensors, [stalled], clock=lambda: now)
    training = Training(tensors)
    training.step()
    now += 1000
    assert statuses(evaluator.advance()) == {"a": IN_PROGRESS}

    now += 1000
    (outcome,) = evaluator.advance()

    assert outcome.status == ISSUES
    assert outcome.findings[0].value == pytest.approx(2000, abs=100)
    assert evaluator.stopper() is not None
    training.end()
    ended = Evaluator(tensors, [stalled], clock=lambda: now + 10_000)
    assert statuses(ended.advance()) == {"a": IN_PROGRESS}
    assert statuses(ended.finish()) == {"a": NO_ISSUES}


def test_series_are_what_the_page_draws(tensors, tmp_path):
    """
    By training step: losses, norms of gradients, ratios of updates, and what an epoch came to.
    """
    training = Training(tensors)
    for _ in range(3):
        training.step()
    training.recorder.evaluating(training.module)
    with torch.no_grad():
        for _ in range(2):
            logits = training.module(torch.randn(4, 8))
            training.recorder.evaluated(logits, torch.zeros(4, dtype=torch.int64))
    training.recorder.epoch({"number": 0, "train_loss": 1.5, "valid_accuracy": 0.25})
    training.end()

    judge(tensors, [EXPLODING], tmp_path / "out")

    drawn = json.loads((tmp_path / "out" / "series.json").read_text())
    trial = create_trial(str(tensors))
    losses = trial.tensor("CrossEntropyLoss_output_0")
    assert [step for step, _ in drawn["losses"]["train"]] == [0, 1, 2]
    assert drawn["losses"]["train"][1][1] == pytest.approx(float(losses.value(1)))
    assert drawn["losses"]["eval"] == [
        [2, pytest.approx(float(losses.value(3) + losses.value(4)) / 2)]
    ]
    assert [step for step, _ in drawn["gradient_norms"]["Sequential_0.weight"]] == [0, 1, 2]
    assert set(drawn["weight_update_ratios"]) == {"Sequential_0.weight", "Sequential_2.weight"}
    assert drawn["epochs"] == [{"epoch": 0, "step": 2, "train_loss": 1.5, "valid_accuracy": 0.25}]


def test_a_lone_explosion_is_not_thinned_out_of_a_line():
    """
    Nor the step at which it was no number any more; a line has no more points than a page shows.
    """
    line = Line()
    for step in range(5000):
        line.add(step, {1234: 1e9, 2345: -7.0, 3456: float("nan")}.get(step, 1.0))

    points = line.points()

    assert len(points) <= MOST
    assert {(3456, None)} == {(step, value) for step, value in points if value is None}
    assert {1.0, 1e9, -7.0} == {value for _, value in points if value is not None}
    assert [step for step, _ in points] == sorted({step for step, _ in points})
    assert points[-1][0] >= 4980


def test_a_users_own_rule_is_judged_over_smdebugs_trial(tensors, own):
    """
    With its parameters as texts; RuleEvaluationConditionMet is a finding at its step.
    """
    training = Training(tensors, include="^gradient")
    training.step()
    training.step(1e6)
    training.end()
    given = [
        Configuration("own", "LargeGradient", {"threshold": "1000"}, source=str(own)),
        Configuration("late", "LargeGradient", {"start_step": "2"}, source=str(own)),
        Configuration("broken", "Broken", source=str(own)),
        Configuration("none", "NoRule", source=str(own)),
        Configuration("missing", "Missing", source=str(own)),
        Configuration("file", "Missing", source=str(own.with_name("other.py"))),
        Configuration("argument", "LargeGradient", {"limit": "1"}, source=str(own)),
        EXPLODING,
    ]

    outcomes = {outcome.name: outcome for outcome in Evaluator(tensors, given).finish()}

    assert outcomes["own"].status == ISSUES
    assert [finding.step for finding in outcomes["own"].findings] == [1]
    assert outcomes["own"].details["name"].startswith("gradient/")
    assert outcomes["late"].status == NO_ISSUES
    for name in ("broken", "none", "missing", "file", "argument"):
        assert outcomes[name].status == ERROR, name
    (finding,) = outcomes["own"].findings
    assert (finding.problem, finding.advice) == ("its condition is met", "")
    line = 1 + OWN.splitlines().index('        raise ZeroDivisionError("by nothing")')
    assert outcomes["broken"].reason == f"own.py:{line} at step 0: ZeroDivisionError: by nothing"
    assert outcomes["explodes"].status == NO_ISSUES


def test_a_users_rule_counts_the_steps_of_the_training(tensors, own):
    """
    As the pages and the log do; an evaluation is told by its number.
    """
    training = Training(tensors)
    training.step()
    for _ in range(2):
        evaluated(training, 2)
        training.step()
    evaluated(training, 1)
    training.end()
    always = own.with_name("always.py")
    always.write_text(
        "from smdebug.rules import Rule\n"
        "class Late(Rule):\n"
        "    def invoke_at_step(self, step):\n"
        "        return step == 7\n"
        "class Fails(Late):\n"
        "    def invoke_at_step(self, step):\n"
        "        return step == 4 and 1 / 0\n"
    )
    rules = [Configuration(name, name, source=str(always)) for name in ("Late", "Fails")]

    late, fails = Evaluator(tensors, rules).finish()

    (finding,) = late.findings
    assert finding.step == 2
    assert finding.problem == "its condition is met in evaluation 3 (after step 2)"
    assert fails.reason.startswith("always.py:7 at evaluation 2 (after step 1): ZeroDivisionError")


def evaluated(training, batches):
    """An evaluation of a training's module."""
    training.recorder.evaluating(training.module)
    with torch.no_grad():
        for _ in range(batches):
            logits = training.module(torch.randn(40, 8))
            training.recorder.evaluated(logits, torch.zeros(40, dtype=torch.int64))


def test_classes_go_by_their_names(tensors):
    """
    Where the training has said them; a number that has none stays one.
    """
    training = Training(tensors, of=About(("shirt", "shoe")))
    training.step()
    training.module[2].bias.data[:] = torch.tensor([-99.0, 0.0, 99.0])
    evaluated(training, 1)
    training.end()

    (outcome,) = Evaluator(tensors, [Configuration("a", "Confusion")]).finish()

    assert {found.subject for found in outcome.findings} == {"class shirt", "class shirt as 2"}
    assert create_trial(str(tensors)).steps() == [0, 1]


def test_a_rule_without_an_object_does_not_apply(tensors):
    """
    A model without such layers, a rule without its bound: nobody is sent to look for tensors.
    """
    training = Training(tensors, of=About((), frozenset({"Linear"})))
    training.step()
    training.end()
    rules = ["SaturatedActivation", "DeadRelu", "TensorVariance", "VanishingGradient"]

    outcomes = Evaluator(tensors, [Configuration(rule, rule) for rule in rules]).finish()

    assert [outcome.reason for outcome in outcomes] == [
        "does not apply: this model has no sigmoid or tanh layers",
        "does not apply: this model has no ReLU",
        "does not apply: no threshold is set",
        "",
    ]


def test_news_are_causes_first_and_then_the_worst(tensors):
    """
    And say what comes of them, so that a log's first lines are those that matter.
    """
    evaluator = Evaluator(tensors, debugger.asked("all"))
    training = Training(tensors)
    training.step()
    training.step(float("nan"))
    for _ in range(6):
        training.step(float("nan"))
    training.end()

    outcomes = {outcome.name: outcome for outcome in evaluator.finish()}
    news = evaluator.news()

    assert news[0][0].name == "ExplodingTensor"
    loss = [finding for rule, finding in news if rule.name == "LossNotDecreasing"]
    assert loss == list(outcomes["LossNotDecreasing"].findings)
    assert loss[0].advice == "a consequence of ExplodingTensor: mend that first"


def command(tmp_path, tensors, rules, *options):
    """The command line of an evaluator of its own."""
    configurations = tmp_path / "rules.json"
    configurations.write_text(json.dumps([rule.document() for rule in rules]))
    arguments = ["--configurations", str(configurations), "--output", str(tmp_path / "out")]
    return [
        sys.executable,
        "-m",
        "kennel.debugging",
        "evaluate",
        str(tensors),
        *arguments,
        *options,
    ]


def run(argv):
    return subprocess.run(argv, check=False, capture_output=True, text=True, timeout=60)  # noqa: S603 - ours


def test_a_process_of_its_own_judges_what_is_there(tmp_path, tensors):
    """
    Findings on a line each, outcomes in files; it writes nothing beside the tensors.
    """
    training = Training(tensors)
    training.step()
    training.step(float("nan"))
    training.end()
    before = sorted(tensors.rglob("*"))

    done = run(command(tmp_path, tensors, [EXPLODING, VANISHING]))

    assert done.returncode == 0, done.stderr
    assert "rule explodes: CrossEntropyLoss_output_0: holds NaN at step 1" in done.stdout
    assert statuses(keeping.read(tmp_path / "out" / "rules")) == {
        "explodes": ISSUES,
        "vanishes": NO_ISSUES,
    }
    assert sorted(tensors.rglob("*")) == before


@pytest.mark.parametrize(
    ("rule", "interval", "ended"),
    [
        pytest.param("Overfitting", "1", (1, "Overfit"), id="unknown-rule"),
        pytest.param("Overfit", "soon", (2, "usage"), id="usage"),
    ],
)
def test_a_process_says_what_it_could_not_judge(tmp_path, tensors, rule, interval, ended):
    """
    By its exit code: 1 for rules, 2 for usage.
    """
    tensors.mkdir()

    done = run(command(tmp_path, tensors, [Configuration("a", rule)], "--interval-s", interval))

    code, told = ended
    assert done.returncode == code
    assert told in done.stdout + done.stderr


def test_a_folder_that_is_not_there_is_told(tmp_path, tensors):
    """
    When nobody said that it would come.
    """
    done = run(command(tmp_path, tensors, [EXPLODING]))

    assert done.returncode == 1
    assert "there is no folder" in done.stderr


def test_what_cannot_be_written_is_told_on_a_line(tmp_path, tensors):
    """
    A file is where the folder of the outcomes should be; as little helps a full disk.
    """
    tensors.mkdir()
    argv = command(tmp_path, tensors, [EXPLODING])
    (tmp_path / "out").write_text("")

    done = run(argv)

    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_hyperparameters_that_are_no_object_are_told(tmp_path, tensors):
    """
    They are for advice alone, and a file that was mistaken for them is an error all the same.
    """
    tensors.mkdir()
    (tmp_path / "given.json").write_text("[1]")
    given = ("--hyperparameters", str(tmp_path / "given.json"))

    done = run(command(tmp_path, tensors, [EXPLODING], *given))

    assert done.returncode == 1
    assert "has no hyperparameters" in done.stderr


def until(happens, seconds=30):
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("ending", ["by-itself", "told"])
def test_a_process_follows_a_training_to_its_end(tmp_path, tensors, ending):
    """
    From before it has saved anything; told to end by SIGTERM it leaves what there is, as Stopped.
    """
    rules = [EXPLODING, VANISHING]
    argv = command(tmp_path, tensors, rules, "--follow", "--interval-s", "0.05")
    kept = tmp_path / "out" / "rules"
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)  # noqa: S603 - ours
    try:
        until(lambda: len(keeping.read(kept)) == 2)
        assert set(statuses(keeping.read(kept)).values()) == {IN_PROGRESS}
        training = Training(tensors)
        training.step()
        training.step(float("nan"))
        until(lambda: statuses(keeping.read(kept))["explodes"] == ISSUES)
        if ending == "told":
            os.kill(process.pid, signal.SIGTERM)
        training.end()
        output, _ = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()

    assert process.returncode == 0
    assert "rule explodes: " in output
    vanished = NO_ISSUES if ending == "by-itself" else STOPPED
    assert statuses(keeping.read(kept)) == {"explodes": ISSUES, "vanishes": vanished}


def test_all_rules_over_a_run_leave_documents_that_any_json_reader_takes(tensors, tmp_path):
    """
    Not even of a run of NaN is there one in them.
    """
    training = Training(tensors)
    for _ in range(12):
        training.step(float("nan"))
    training.end()

    judge(tensors, debugger.asked("all"), tmp_path / "out")

    def refuse(word):
        raise AssertionError(word)

    files = sorted((tmp_path / "out").rglob("*.json"))
    assert len(files) == len(debugger.TABLES) + 1
    for path in files:
        json.loads(path.read_text(), parse_constant=refuse)
