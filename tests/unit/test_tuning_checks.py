"""What would fail after it is paid for is found before anything is sent."""

from dataclasses import replace

import pytest

from kennel import contract
from kennel.cli import tuning, tuning_checks
from kennel.errors import KennelError
from kennel.jobs import tuning as searches
from kennel.settings import Range, Settings, Train, Tune
from kennel.tuning.trials import Limits, Trial, Tuning


def settings(hyperparameters=None, metrics=None, **tune):
    train = Train(hyperparameters=hyperparameters or {}, metrics=metrics or {})
    return Settings(train=train, tune=Tune(**tune))


def warned(found, pictures=1000):
    search = searches.search(found, tuning_checks.kinds())
    return list(tuning_checks.warnings(found, search, pictures))


def test_every_metric_of_ours_is_read_in_a_line_that_is_printed():
    """
    The lines that metrics are tried on have all of them; test_training_loop holds that they are
    printed so.
    """
    own = settings(metrics=dict(contract.METRIC_DEFINITIONS))

    tuning_checks.require_metrics(own)


@pytest.mark.parametrize(
    ("regex", "message"),
    [
        pytest.param("valid_accurracy=([0-9.]+)", "no number in any line", id="misspelt"),
        pytest.param("(epoch)=", "no number in any line", id="no-number"),
        pytest.param("valid_loss=[0-9.]+", "0 groups", id="no-group"),
        pytest.param("(valid)_loss=([0-9.]+)", "2 groups", id="two-groups"),
        pytest.param("valid_loss=([0-9.]+", "no regular expression", id="unbalanced"),
        pytest.param("(" + "x" * 500 + ")", "502 characters", id="long"),
    ],
)
def test_a_metric_that_reads_nothing_is_refused(regex, message):
    """
    With the lines that there are to read.
    """
    with pytest.raises(KennelError, match=message):
        tuning_checks.require_metrics(settings(metrics={"mine": regex}))


def test_an_objective_that_is_mistyped_is_answered_with_the_nearest():
    """
    A metric that the training has.
    """
    for name in ("valid_acuracy", "Valid-Accuracy"):
        with pytest.raises(KennelError, match="--objective valid_accuracy"):
            tuning_checks.require_objective(settings(objective=name))


def test_metrics_of_a_program_of_ones_own_are_not_tried():
    """
    Nobody here knows its lines; what is no expression is refused all the same.
    """
    own = {"sagemaker_program": "train.py"}

    tuning_checks.require_metrics(settings(own, metrics={"mine": "mine=([0-9.]+)"}))
    with pytest.raises(KennelError, match="no regular expression"):
        tuning_checks.require_metrics(settings(own, metrics={"mine": "("}))


@pytest.mark.parametrize(
    ("objective", "metrics"),
    [
        pytest.param("test_accuracy", {}, id="by-name"),
        pytest.param(
            "average test accuracy",
            {"average test accuracy": r"Test set: Average accuracy: ([0-9\.]+)"},
            id="by-another-name",
        ),
    ],
)
def test_a_search_does_not_choose_by_the_test_split(objective, metrics):
    """
    Whatever the metric is called, and with the reason.
    """
    with pytest.raises(KennelError, match="measured on the test split"):
        tuning.judged(settings(objective=objective, direction="Maximize", metrics=metrics))


def test_an_unknown_objective_is_answered_with_the_known_ones():
    """
    Those that are printed every epoch.
    """
    with pytest.raises(KennelError, match=r"(?s)'accuracy'.*valid_loss, valid_accuracy"):
        tuning.judged(settings(objective="accuracy"))


def test_a_metric_of_ones_own_may_be_the_objective():
    """
    As long as it reads what is printed after each epoch.
    """
    metrics = {"error of validation": r"valid_loss=([0-9.]+)"}

    search = tuning.judged(settings(objective="error of validation", metrics=metrics))

    assert search.config["HyperParameterTuningJobObjective"] == {
        "Type": "Minimize",
        "MetricName": "error of validation",
    }


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        pytest.param({"lrr": Range("0.1", "1")}, r"unknown hyperparameter 'lrr'", id="unknown"),
        pytest.param({"lr": Range("0.1", "1000")}, r"above 0 to 100", id="high-end"),
        pytest.param({"momentum": Range("-1", "0.5")}, r"0 to 0.9999", id="low-end"),
        pytest.param({"batch-size": Range("0", "9")}, r"1 to 65536", id="integer"),
        pytest.param({"optimizer": Range(values=("sgd", "adam"))}, r"'adam'", id="value"),
        pytest.param({"model": Range("1", "3")}, "model is no number", id="no-number"),
        pytest.param({"valid-share": Range("0.5", "0.9")}, "leave nothing", id="together"),
    ],
)
def test_a_range_holds_only_what_the_training_takes(ranges, message):
    """
    Both ends and every value are read as the training reads them.
    """
    found = settings({"test-share": "0.2"}, ranges=ranges)

    with pytest.raises(KennelError, match=message):
        tuning.judged(found)


def test_what_one_job_would_refuse_is_refused_before_it_starts():
    """
    A seed is searched for luck: the very judge of the training job says so here.
    """
    found = settings(ranges={"seed": Range("0", "9")}, in_job=True)

    with pytest.raises(KennelError, match="cannot be compared"):
        tuning.judged(found)
    with pytest.raises(KennelError, match="exclude each other"):
        tuning.judged(settings(in_job=True), parents=["kennel-tune-0"])


@pytest.mark.parametrize(
    ("found", "message"),
    [
        pytest.param(settings(ranges={"epochs": Range("1", "9")}), "epochs are", id="epochs"),
        pytest.param(
            settings(ranges={"batch-size": Range(values=("32", "2048"))}),
            "batch-size 2048: the training split has 1000",
            id="batch",
        ),
        pytest.param(
            settings({"batch-size": "4096"}, ranges={"lr": Range("0.1", "1")}),
            "batch-size 4096",
            id="fixed-batch",
        ),
        pytest.param(
            replace(settings(in_job=True, parallel=4), train=Train(instance_type="ml.m5.xlarge")),
            "without one 1 at a time, as on ml.m5.xlarge",
            id="no-gpu",
        ),
        pytest.param(settings(objective="train_loss"), "by heart", id="training-metric"),
        pytest.param(settings({"optimizer": "adamw"}), "momentum is searched", id="no-momentum"),
        pytest.param(
            settings({"sagemaker_program": "mine.py"}), "program of your own", id="own-program"
        ),
    ],
)
def test_what_is_likely_a_mistake_is_warned_of(found, message):
    """
    And the search goes on; a sound one is not talked about.
    """
    assert [message in text for text in warned(found)] == [True]
    assert warned(settings(), None) == warned(settings()) == []


def test_a_search_does_not_start_from_one_that_says_nothing_of_it():
    """
    Refused before it is sent; where some trials say something, it is said how many. What was static
    in the parent is a value of all its trials.
    """
    search = tuning.judged(settings(ranges={"lr": Range("0.01", "0.1"), "epochs": Range("1", "9")}))

    def parent(*lrs, epochs="5"):
        trials = tuple(Trial(f"p-{lr}", {"lr": lr}, "Completed", 0.5) for lr in lrs)
        static = {"epochs": epochs}
        return Tuning("p", "Completed", "a", True, "Random", (), static, Limits(), trials)  # noqa: FBT003 - maximize

    learnt = tuning_checks.require_something_learnt
    assert learnt(search, []) == learnt(search, [parent("0.02")]) == []
    (said,) = learnt(search, [parent("0.02"), parent("0.05", "0.5")])
    assert "--from p: 1 of its 2 trials" in said
    for useless in (parent("0.5"), parent("0.02", epochs="99"), parent()):
        with pytest.raises(KennelError, match="nothing is learnt from it"):
            learnt(search, [useless])


def test_epochs_of_hyperband_are_no_mistake():
    """
    It shares them out.
    """
    ranges = {"lr": Range("0.1", "1"), "epochs": Range("1", "9")}

    assert warned(settings(strategy="Hyperband", ranges=ranges)) == []


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        pytest.param({"train": 100, "valid": 9, "test": 9}, 100, id="all-given"),
        pytest.param({"train": 100, "test": 9}, 80, id="validation-held-out"),
        pytest.param({"train": 100}, 50, id="both-held-out"),
    ],
)
def test_the_training_split_is_what_is_left_of_it(counts, expected):
    """
    Splits that are not given are held out of it.
    """
    found = settings({"valid-share": "0.2", "test-share": "0.3"})

    assert tuning_checks.train_pictures(counts, found) == expected


def test_what_the_command_line_fixes_is_not_searched(capsys):
    """
    --set momentum=0.9 takes the range of momentum away, and it is said.
    """
    found = tuning.without_fixed(settings(), {"momentum": "0.9", "batch_size": "16"})

    assert set(found.tune.ranges) == {"lr"}
    assert "batch-size, momentum" in capsys.readouterr().err
    assert tuning.without_fixed(settings(), {"epochs": "3"}) == settings()
    assert replace(found, tune=settings().tune) == settings()
