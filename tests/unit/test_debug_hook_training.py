"""Whole trainings in this process with debug=true: what is saved, judged and left behind."""

import json

import pytest
import torch

from kennel.contract import TENSORS_END
from kennel.debugging import hook_config
from kennel.debugging.hook_config import Pace
from kennel.debugging.reading import Trial
from kennel.errors import HyperparameterError, JobError, RuleError
from kennel.rules import debugger, keeping
from kennel.rules.outcome import ERROR, ISSUES, NO_ISSUES, Outcome
from kennel.training.debugging import doubted
from kennel.training.hyperparameters import parse
from kennel.training.main import main
from kennel.training.stopping import Stop
from kennel.vision import trained

QUICK = {
    "model": "shufflenet_v2_x0_5",
    "weights": "none",
    "image-size": "32",
    "batch-size": "4",
    "lr": "0.05",
    "augment": "none",
    "epochs": "3",
    "workers": "0",
    "debug": "true",
}
STEPS, EVALUATED = 4, 3  # of an epoch


@pytest.fixture(scope="module")
def dataset(noisy_pictures):
    """Noise of two kinds."""
    return noisy_pictures({"train": 8, "validation": 6}, size_px=32)


@pytest.fixture
def lay_out(tmp_path, dataset, opt_ml):
    """Return ``lay_out(**hyperparameters)``, which makes /opt/ml as the platform does."""
    return lambda **changes: opt_ml(tmp_path / "ml", dataset, QUICK | changes)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, dataset, opt_ml):
    """A run that was watched from beginning to end."""
    paths = opt_ml(tmp_path_factory.mktemp("finished") / "ml", dataset, QUICK)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as each test does, which comes later
    main(paths, Stop())
    torch.set_num_threads(threads)
    return paths


def weights(paths):
    return trained.load(paths.model)[0].state_dict()


def test_a_short_run_is_saved_in_every_step(finished):
    """
    Auto saves twenty steps of a run at least, where it has as many; batches of evaluations come in
    between, and the end is said.
    """
    trial = Trial(finished.debug / "tensors")

    steps = 3 * STEPS
    assert [trial.mode_step(step) for step in trial.steps("TRAIN")] == list(range(steps))
    assert [trial.mode_step(step) for step in trial.steps("EVAL")] == list(range(3 * EVALUATED))
    assert trial.steps()[STEPS : STEPS + EVALUATED] == trial.steps("EVAL")[:EVALUATED]
    (name,) = trial.names("gradients", regex="fc.weight")
    assert trial.saved(name) == trial.steps("TRAIN")
    assert trial.is_ended


def test_what_an_epoch_came_to_is_what_the_run_says_of_it(finished):
    """
    The same figures as in metrics.json.
    """
    trial = Trial(finished.debug / "tensors")
    history = json.loads((finished.output_data / "metrics.json").read_text())["history"]

    saved = [float(trial.value("epoch/valid_loss", s)) for s in trial.saved("epoch/valid_loss")]
    assert saved == pytest.approx([epoch["valid_loss"] for epoch in history], rel=1e-5)


def test_every_rule_has_judged_it_and_the_page_is_there(finished):
    """
    One document each, what the page draws, and the page.
    """
    outcomes = keeping.read(finished.debug / "rules")

    assert {outcome.rule for outcome in outcomes} == set(debugger.TABLES)
    assert {outcome.status for outcome in outcomes} <= {ISSUES, NO_ISSUES}
    assert json.loads((finished.debug / "series.json").read_text())["losses"]["train"]
    assert (finished.debug / "debugger-report.html").stat().st_size > 1000


def test_watching_changes_nothing(finished, lay_out):
    """
    The weights are those of a run that nobody has watched.
    """
    paths = lay_out(debug="false")
    main(paths, Stop())

    assert not paths.debug.exists()
    watched = weights(finished)
    for name, weight in weights(paths).items():
        assert torch.equal(weight, watched[name])


def test_a_resumed_run_goes_on_where_the_steps_were(lay_out):
    """
    In the same folder nothing is written over.
    """
    paths = lay_out(epochs="1")
    main(paths, Stop())
    paths.hyperparameters.write_text(json.dumps({**QUICK, "epochs": "2"}))
    main(paths, Stop())
    trial = Trial(paths.debug / "tensors")

    assert [trial.mode_step(step) for step in trial.steps("TRAIN")] == list(range(2 * STEPS))
    assert [trial.mode_step(step) for step in trial.steps("EVAL")] == list(range(2 * EVALUATED))
    assert trial.steps() == list(range(2 * (STEPS + EVALUATED)))


def stopping(first=0):
    """Return the hyperparameters of a rule that stops the training, from a step on."""
    rule = {"rule_to_invoke": "VanishingGradient", "threshold": "1000", "start_step": str(first)}
    rules = json.dumps([{"RuleConfigurationName": "mine", "RuleParameters": rule}])
    return {"debug-rules": rules, "debug-stop": "true"}


def test_a_rule_stops_the_training_as_a_signal_would(lay_out, capsys):
    """
    With a checkpoint and the best artifact, and the rule and its finding in the last line.
    """
    paths = lay_out(epochs="9", **stopping(first=STEPS + EVALUATED + 1))
    main(paths, Stop())

    printed = capsys.readouterr().out
    assert "rule mine stops the training" in printed
    assert "\nstopped by rule mine: artifact in " in printed
    last = printed.splitlines()[-1]
    assert last.startswith("stopped by rule mine: step ")
    assert last.removeprefix("stopped by ") in printed.partition(last)[0], "as it was found"
    assert list(paths.checkpoints.iterdir())
    assert (paths.model / "model.pth").exists()
    metrics = json.loads((paths.output_data / "metrics.json").read_text())
    assert metrics["ended"] == "stopped by rule mine"
    (outcome,) = keeping.read(paths.debug / "rules")
    assert outcome.is_violated
    assert len(Trial(paths.debug / "tensors").steps("TRAIN")) < 9 * STEPS


def test_a_rule_that_stops_the_first_epoch_fails_the_job(lay_out):
    """
    Nothing has been validated, so there is nothing to export; the reason is the rule's.
    """
    paths = lay_out(**stopping())
    with pytest.raises(JobError, match=r"stopped by rule mine: step 0: .*: nothing to export"):
        main(paths, Stop())

    assert list(paths.checkpoints.iterdir())
    assert not list(paths.model.glob("*"))
    (outcome,) = keeping.read(paths.debug / "rules")
    assert outcome.is_violated
    assert len(Trial(paths.debug / "tensors").steps("TRAIN")) < STEPS


def test_a_run_that_diverges_leaves_what_was_found(lay_out, capsys):
    """
    The error is that of a run that nobody has watched.
    """
    paths = lay_out(lr="100", **{"debug-rules": "ExplodingTensor"}, momentum="0.999", epochs="9")
    with pytest.raises(HyperparameterError, match="training diverged"):
        main(paths, Stop())

    (outcome,) = keeping.read(paths.debug / "rules")
    assert outcome.is_violated
    assert "\nrule ExplodingTensor: step " in capsys.readouterr().out
    assert (paths.debug / "debugger-report.html").exists()
    assert Trial(paths.debug / "tensors").is_ended


def test_a_run_that_diverges_before_its_rule_could_stop_it_says_what_the_rule_has_found(lay_out):
    """
    The rules look now and then; what they find at the end is the cause all the same.
    """
    rules = {"debug-rules": "ExplodingTensor", "debug-stop": "true"}
    paths = lay_out(lr="100", momentum="0.999", epochs="9", **rules)
    with pytest.raises(JobError, match=r"stopped by rule ExplodingTensor: .*: nothing to export"):
        main(paths, Stop())
    assert not list(paths.model.glob("*"))


def test_a_hook_that_cannot_save_says_so_in_the_log_and_in_each_outcome(lay_out, capsys):
    """
    The run ends well, and no rule says that there was nothing to find.
    """
    paths = lay_out(epochs="1", **{"debug-rules": "VanishingGradient,ExplodingTensor"})
    (paths.debug / "tensors").mkdir(parents=True)
    (paths.debug / "tensors/events").touch()
    main(paths, Stop())

    printed = capsys.readouterr().out
    assert printed.count("DEBUGGER OFF: the hook failed at step 0: ") == 1
    assert "\nfinished: artifact in" in printed
    for outcome in keeping.read(paths.debug / "rules"):
        assert outcome.status == ERROR
        assert "the hook failed at step 0" in outcome.reason


def test_the_platform_s_own_hook_configuration_wins(lay_out):
    """
    It says where and what; whoever judges is told by the platform when it has ended.
    """
    paths = lay_out(debug="false", epochs="1")
    paths.debug_hook_config.write_text(
        json.dumps(
            {
                "LocalPath": "/opt/ml/output/mine",
                "S3OutputPath": "s3://bucket/there",
                "CollectionConfigurations": [
                    {"CollectionName": "losses", "CollectionParameters": {"save_interval": "3"}}
                ],
            }
        )
    )
    main(paths, Stop())
    trial = Trial(paths.output / "mine")

    assert [trial.mode_step(step) for step in trial.steps("TRAIN")] == [0, 3]
    assert [trial.mode_step(step) for step in trial.steps("EVAL")] == [0]
    assert not (paths.output / "mine" / TENSORS_END).exists()
    assert not paths.debug.exists()


def test_a_head_on_a_frozen_backbone_is_watched_alone(lay_out):
    """
    On features in memory too.
    """
    paths = lay_out(freeze="true", epochs="2")
    main(paths, Stop())
    trial = Trial(paths.debug / "tensors")

    assert trial.names("weights") == ("Linear_weight",)
    assert trial.names("gradients") == ("gradient/Linear_bias", "gradient/Linear_weight")
    assert [trial.mode_step(step) for step in trial.steps("TRAIN")] == list(range(2 * STEPS))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        pytest.param({"debug-collections": "losses,gradient"}, "try: gradients", id="collection"),
        pytest.param({"debug-include": "conv(,bn"}, r"debug-include has 'conv\('", id="pattern"),
        pytest.param({"debug-rules": "VanishingGradients"}, "VanishingGradient", id="rule"),
        pytest.param({"debug-save-interval": "0"}, "auto or 1 to", id="interval"),
    ],
)
def test_what_cannot_be_saved_or_judged_is_refused_before_the_start(given, told):
    """
    By name, with what would be right.
    """
    with pytest.raises(HyperparameterError, match=told):
        parse(given)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        pytest.param(10, Pace(1, 1, 1), id="few-steps-are-saved-all"),
        pytest.param(160, Pace(8, 2, 1), id="the-demo-saves-twenty"),
        pytest.param(2_000, Pace(100, 25, 1), id="minutes"),
        pytest.param(1_000_000, Pace(500, 200, 1), id="days-save-each-five-hundredth"),
        pytest.param(20_000_000, Pace(500, 500, 1), id="weeks-save-no-more-losses-than-the-rest"),
    ],
)
def test_the_interval_is_chosen_by_the_run_s_length(steps, expected):
    """
    Enough saved steps for the rules in a run of minutes, and bounded files in one of days.
    """
    assert Pace.of(steps, 9) == expected


def test_a_large_evaluation_is_saved_in_part():
    """
    Every so many batches: 32 of each evaluation at most.
    """
    assert Pace.of(100, 1563).evaluation == 49
    assert Pace.of(100, 32, every=7) == Pace(7, 1, 1)


def test_a_torn_hook_configuration_is_a_clear_error(tmp_path):
    """
    A collection without a name, or no JSON at all.
    """
    path = tmp_path / "debughookconfig.json"
    assert hook_config.read(path) is None
    for text in ("{", '{"CollectionConfigurations": [{}]}'):
        path.write_text(text)
        with pytest.raises(RuleError):
            hook_config.read(path)


def test_a_finding_stays_one_where_later_tensors_are_missing():
    """
    Of the others nobody can say that all is well.
    """
    found = Outcome("a", "AllZero", ISSUES, violations=1)
    clean = Outcome("b", "AllZero", NO_ISSUES)

    assert doubted([found, clean], "no space")[0] is found
    assert doubted([found, clean], "no space")[1].status == ERROR
    assert doubted([found, clean], "no space")[1].reason == "tensors are missing: no space"
