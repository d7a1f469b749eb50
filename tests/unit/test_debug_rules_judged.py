"""What each rule says of tensors whose numbers are known, raw and reduced."""

import re

import numpy as np
import pytest

from kennel.debugging import statistics
from kennel.debugging.about import About
from kennel.debugging.rules import RULES
from kennel.debugging.rules.judge import Step
from kennel.rules import debugger
from kennel.rules.configuration import Configuration

MODES = {"T": "TRAIN", "E": "EVAL", "G": "GLOBAL"}


class Numbers:
    """
    A trial out of numbers: what the rules ask a trial for, without files.

    Its classes have no names.

    Args:
        steps: (mode, {tensor: value or {statistic: number}}) in order; T, E or G.
        collections: Name -> pattern.
    """

    about = About()

    def __init__(self, *steps, **collections):
        self._saved = [saved for _, saved in steps]
        self.modes = [MODES[mode] for mode, _ in steps]
        self._collections = {
            "weights": r"^(?!gradient|update).*weight",
            "gradients": "^gradient",
            "losses": "loss",
            **collections,
        }

    def steps(self, mode=None):
        return [at for at, one in enumerate(self.modes) if mode in (None, one)]

    def mode_step(self, step):
        return self.modes[:step].count(self.modes[step])

    def saved(self, name):
        return [at for at, saved in enumerate(self._saved) if name in saved]

    def names(self, collection=None, regex=None):
        pattern = self._collections.get(collection, "^$") if collection else "."
        every = sorted({name for saved in self._saved for name in saved})
        return tuple(n for n in every if re.search(pattern, n) and re.search(regex or ".", n))

    def value(self, name, step):
        value = self._saved[step].get(name)
        return None if value is None or isinstance(value, dict) else np.asarray(value)

    def reduction(self, name, step, statistic):
        value = self._saved[step].get(name)
        if isinstance(value, dict):
            return value.get(statistic)
        return None if value is None else statistics.reduced(np.asarray(value), statistic)

    def wall_time(self, step):
        return float(self._saved[step]["at"])


def said(trial, rule, **parameters):
    """Return [(subject, training step, value)] of what a rule finds in a trial."""
    found = findings(trial, rule, {}, **parameters)
    return [(finding.subject, finding.step, finding.value) for finding in found]


def advice(trial, rule, **run):
    """Return what a rule advises of a run with such hyperparameters."""
    return [finding.advice for finding in findings(trial, rule, run)]


def findings(trial, rule, run, **parameters):
    given = {name: str(value) for name, value in parameters.items()}
    judge = RULES[rule](debugger.values(Configuration(rule, rule, given)), run)
    found, training = [], 0
    for number in trial.steps():
        mode = trial.modes[number]
        training = training if mode == "EVAL" else trial.mode_step(number)
        found += judge.at(trial, Step(number, mode, training)).findings
    return [*found, *judge.ended(trial).findings]


def names(found):
    return {subject for subject, _, _ in found}


@pytest.mark.parametrize("mean", [pytest.param(9e-8, id="below"), pytest.param(2e-7, id="above")])
def test_a_gradient_vanishes_below_the_threshold(mean):
    """
    By the mean of its absolute values, raw or reduced alike.
    """
    raw = Numbers(("T", {"gradient/conv.weight": [mean, -mean]}))
    reduced = Numbers(("T", {"gradient/conv.weight": {"abs_mean": mean}}))

    expected = [("gradient/conv.weight", 0, mean)] if mean < 1e-7 else []
    assert said(raw, "VanishingGradient") == said(reduced, "VanishingGradient") == expected


def test_a_gradient_is_as_small_as_a_loss_that_is_nothing():
    """
    A batch that is all right leaves nothing to learn.
    """
    learnt = {"gradient/conv.weight": [5e-8], "loss": 1e-3}
    stuck = {"gradient/conv.weight": [5e-8], "loss": 2.3}
    trial = Numbers(("T", learnt), ("T", stuck))

    assert said(trial, "VanishingGradient") == [("gradient/conv.weight", 1, 5e-8)]


def test_a_bias_before_a_batch_norm_has_no_gradient_and_is_well():
    """
    What it would do, the BatchNorm takes away; only weights tell.
    """
    trial = Numbers(("T", {"gradient/conv.bias": [0.0, 0.0], "gradient/conv.weight": [0.1]}))

    assert said(trial, "VanishingGradient") == said(trial, "AllZero") == []


@pytest.mark.parametrize(
    ("value", "by_default", "only_nan"),
    [
        pytest.param([1.0, np.nan], 1, 1, id="nan"),
        pytest.param([1.0, -np.inf], 1, 0, id="infinity"),
        pytest.param([1.0, 3e38], 0, 0, id="large"),
        pytest.param({"abs_max": float("inf")}, 1, 0, id="reduced-infinity"),
        pytest.param({"l2": float("nan")}, 1, 1, id="reduced-nan"),
        pytest.param({"variance": float("nan")}, 0, 0, id="variance-of-one-number"),
    ],
)
def test_a_tensor_explodes_to_nan_or_infinity(value, by_default, only_nan):
    """
    A variance that is NaN says nothing: one number has none.
    """
    trial = Numbers(("T", {"fc.weight": value}))

    assert len(said(trial, "ExplodingTensor")) == by_default
    assert len(said(trial, "ExplodingTensor", only_nan=True)) == only_nan


@pytest.mark.parametrize(
    ("value", "threshold", "count"),
    [
        pytest.param([0.0, 0.0], 100, 1, id="all"),
        pytest.param([0.0, 1.0], 100, 0, id="half"),
        pytest.param([0.0, 1.0], 50, 1, id="half-asked-for"),
        pytest.param({"abs_max": 0.0}, 100, 1, id="reduced-all"),
        pytest.param({"abs_max": 1.0}, 100, 0, id="reduced-not-all"),
        pytest.param({"abs_max": 1.0}, 50, 0, id="nobody-can-tell"),
    ],
)
def test_a_tensor_is_zero_by_the_share_of_its_zeros(value, threshold, count):
    """
    Of reductions only "all of it" can be told.
    """
    trial = Numbers(("T", {"fc.weight": value}))

    assert len(said(trial, "AllZero", threshold=threshold)) == count


def test_tensors_are_asked_for_by_collection_or_pattern():
    """
    The union of both, biases too when they are named; patterns stand with commas, but in braces.
    """
    zero = {"a.bias": [0.0], "bb.weight": [0.0], "c.weight": [0.0]}
    trial = Numbers(("T", zero), mine="^a")

    assert names(said(trial, "AllZero", collection_names="mine")) == {"a.bias"}
    asked_for = said(trial, "AllZero", collection_names="mine", tensor_regex="^c, ^b{1,2}\\.")
    assert names(asked_for) == {"a.bias", "bb.weight", "c.weight"}


def test_a_layer_is_dead_when_over_half_of_its_relus_are_at_two_steps_running():
    """
    One batch has not every class in it. The share of each unit is over pictures and positions.
    """
    dead = np.zeros((4, 4, 2, 2))
    dead[:, 0] = 1
    alive = np.ones((4, 4, 2, 2))
    once = Numbers(*[("T", {"relu_output_0": each}) for each in (alive, dead, alive)])
    twice = Numbers(("T", {"relu_output_0": dead}), ("T", {"relu_output_0": dead}))
    shares = [1.0, 0.0, 0.009, 0.5]
    ours = Numbers(*[("T", {"active/l.2_output_0": shares})] * 2)

    assert said(once, "DeadRelu") == []
    assert said(twice, "DeadRelu") == [("relu_output_0", 1, 75.0)]
    assert said(ours, "DeadRelu") == []
    assert said(ours, "DeadRelu", threshold_layer=49) == [("l.2_output_0", 1, 50.0)]
    assert said(ours, "DeadRelu", threshold_layer=49, tensor_regex="^other") == []


def test_a_relu_is_dead_over_as_many_pictures_as_tell():
    """
    Two batches of two pictures say nothing of it; sixteen times as many do.
    """
    few = Numbers(*[("T", {"active/l_output_0": [0.0, 0.0, 1.0]})] * 31)
    enough = Numbers(*[("T", {"active/l_output_0": [0.0, 0.0, 1.0]})] * 32)

    assert advice(few, "DeadRelu", **{"batch-size": "2"}) == []
    assert len(advice(enough, "DeadRelu", **{"batch-size": "2"})) == 1
    assert len(advice(few, "DeadRelu", **{"batch-size": "32"})) == 30


@pytest.mark.parametrize(
    ("value", "stuck"),
    [
        pytest.param([[20.0, 0.0], [30.0, 0.0]], [], id="half"),
        pytest.param([[20.0, -24.0], [30.0, -25.0]], [100.0], id="all"),
        pytest.param({"min": 17.5, "max": 90.0}, [100.0], id="reduced-all"),
        pytest.param({"min": -2.0, "max": 3.0}, [], id="reduced-none"),
        pytest.param({"min": -90.0, "max": 90.0}, [], id="nobody-can-tell"),
    ],
)
def test_a_sigmoid_is_saturated_beyond_both_thresholds(value, stuck):
    """
    By unit, which is the second dimension; a tanh has thresholds of its own.
    """
    trial = Numbers(("T", {"sigmoid_input_0": value}))

    assert [found for _, _, found in said(trial, "SaturatedActivation")] == stuck


def test_tanh_is_saturated_earlier_than_sigmoid():
    """
    At 10 a tanh is, a sigmoid is not.
    """
    trial = Numbers(("T", {"tanh_input_0": [[10.0]], "sigmoid_input_0": [[10.0]]}))

    assert names(said(trial, "SaturatedActivation")) == {"tanh_input_0"}


def test_a_tensor_is_unchanged_within_the_tolerances_of_numpy():
    """
    Over the last three steps that have it; of reductions only when they are equal.
    """

    def three(*values):
        return Numbers(*[("T", {"fc.weight": value}) for value in values])

    assert said(three([1.0], [1.0 + 1e-6], [1.0]), "UnchangedTensor") == [("fc.weight", 2, 0.0)]
    assert said(three([1.0], [1.0], [1.0 + 1e-4]), "UnchangedTensor") == []
    assert said(three([1.0], [1.0 + 1e-4], [1.0]), "UnchangedTensor", rtol=1e-3)
    assert said(three([np.nan], [np.nan], [np.nan]), "UnchangedTensor") == []
    assert said(three([np.nan], [np.nan], [np.nan]), "UnchangedTensor", equal_nan=True)
    assert said(three({"l2": 1.0}, {"l2": 1.0}, {"l2": 1.0}), "UnchangedTensor")
    assert said(three({"l2": 1.0}, {"l2": 1.0 + 1e-7}, {"l2": 1.0}), "UnchangedTensor") == []
    assert said(three([1.0], [1.0]), "UnchangedTensor", num_steps=2)


def test_a_weight_without_a_gradient_is_frozen():
    """
    Where others have one; where none was saved, nobody can tell, and all are looked at.
    """
    still = {"a.weight": [1.0], "b.weight": [1.0]}
    learning = {**still, "gradient/b.weight": [0.1]}

    assert names(said(Numbers(*[("T", learning)] * 3), "UnchangedTensor")) == {"b.weight"}
    assert names(said(Numbers(*[("T", still)] * 3), "UnchangedTensor")) == {"a.weight", "b.weight"}


def test_an_update_is_too_large_at_once():
    """
    By l2 norms of the change and of the weight before it.
    """
    trial = Numbers(("T", {"fc.weight": [3.0, 4.0]}), ("T", {"fc.weight": [63.0, 84.0]}))

    ((subject, step, value),) = said(trial, "WeightUpdateRatio")

    assert (subject, step) == ("fc.weight", 1)
    assert value == pytest.approx(100 / 5)


def test_an_update_is_too_small_when_it_stays_so():
    """
    At five saved steps running: a schedule ends at next to nothing.
    """

    def run(ratios):
        saved = [{"fc.weight": {"l2": 1.0}, "update/fc.weight": [ratio]} for ratio in ratios]
        return Numbers(*[("T", each) for each in saved])

    assert said(run([1e-9] * 4), "WeightUpdateRatio") == []
    assert said(run([1e-9] * 4 + [1e-3] + [1e-9] * 4), "WeightUpdateRatio") == []
    assert names(said(run([1e-9] * 5), "WeightUpdateRatio")) == {"fc.weight"}


def test_a_loss_has_to_fall_from_evaluation_to_evaluation():
    """
    A rise beyond the allowed percent is told at once, a standstill the second time.
    """

    def evaluations(*losses):
        train = [("T", {})] * 10
        steps = [[*train, ("E", {"loss": loss})] for loss in losses]
        return Numbers(*[step for block in steps for step in block])

    assert said(evaluations(1.0, 0.9, 0.8), "LossNotDecreasing") == []
    assert said(evaluations(1.0, 1.04, 0.8, 0.83), "LossNotDecreasing") == []
    assert said(evaluations(1.0, 1.0, 1.0), "LossNotDecreasing") == [("loss", 29, 0.0)]
    assert said(evaluations(1.0, 0.09, 0.09, 0.09), "LossNotDecreasing") == []  # it has fallen
    ((_, step, value),) = said(evaluations(1.0, 1.07), "LossNotDecreasing")
    assert (step, value) == (19, pytest.approx(7))
    assert said(evaluations(1.0, 1.07), "LossNotDecreasing", increase_threshold_percent=20) == []
    assert said(evaluations(1.0, 0.9, 0.8), "LossNotDecreasing", diff_percent=30)


def test_a_rise_within_the_noise_of_an_evaluation_is_none():
    """
    Two standard errors of both means; the same rise of batches that agree is one.
    """

    def run(spread):
        train = [("T", {})] * 10
        means = [[mean - spread, mean, mean + spread] for mean in (1.0, 1.2)]
        blocks = [[*train, *[("E", {"loss": loss}) for loss in each]] for each in means]
        return Numbers(*[step for block in blocks for step in block])

    assert said(run(0.9), "LossNotDecreasing") == []
    assert names(said(run(0.01), "LossNotDecreasing")) == {"loss"}


def test_single_training_losses_are_noise():
    """
    Without evaluations, means of several are held against one another, beyond their error.
    """
    noise = [0.3, -0.2, 0.1, -0.3, 0.2] * 12
    falling = [("G", {"loss": 3 - 0.04 * at + each}) for at, each in enumerate(noise)]
    flat = [("G", {"loss": 3 + each}) for each in noise]

    assert said(Numbers(*falling), "LossNotDecreasing") == []
    assert names(said(Numbers(*flat), "LossNotDecreasing")) == {"loss"}


def test_training_losses_count_only_where_nothing_is_evaluated():
    """
    A batch's loss jumps in the first steps of runs that are well; NaN counts wherever it is.
    """
    jump = [("T", {"loss": 1 + (at >= 10) + 0.01 * (at % 3)}) for at in range(20)]
    evaluations = [("E", {"loss": 0.5}), ("T", {"loss": 0.4}), ("E", {"loss": 0.3})]
    nothing = [("E", {"loss": float("nan")})]

    assert names(said(Numbers(*jump), "LossNotDecreasing")) == {"loss"}
    assert said(Numbers(*jump, *evaluations), "LossNotDecreasing") == []
    assert said(Numbers(*jump, *evaluations), "LossNotDecreasing", mode="TRAIN")
    assert names(said(Numbers(*jump, *nothing), "LossNotDecreasing")) == {"loss"}


def test_a_first_evaluation_far_out_does_not_settle_the_loss():
    """
    BatchNorms that lag behind let it begin anywhere: training says where it began.
    """
    standing = [("T", {"loss": 2.3})] * 10
    evaluations = [[*standing, ("E", {"loss": loss})] for loss in (613.0, 2.3, 2.3, 2.3)]

    stuck = Numbers(*[step for block in evaluations for step in block])

    assert names(said(stuck, "LossNotDecreasing")) == {"loss"}


def test_a_small_batch_is_told_of_where_the_loss_does_not_fall():
    """
    With its number; a larger one is not to blame.
    """
    trial = Numbers(("T", {"loss": 2.0}), ("E", {"loss": float("nan")}))

    assert "batch-size=2 -> 16" in advice(trial, "LossNotDecreasing", **{"batch-size": "2"})[0]
    assert "batch-size" not in advice(trial, "LossNotDecreasing", **{"batch-size": "32"})[0]


def epochs(*pairs):
    """A trial of epochs, each of two training losses and one evaluation."""
    steps = [
        [("T", {"loss": train}), ("T", {"loss": train}), ("E", {"loss": valid})]
        for train, valid in pairs
    ]
    return Numbers(*[step for block in steps for step in block])


def test_overfit_is_a_validation_loss_behind_and_no_longer_falling():
    """
    For more evaluations than the patience.
    """
    behind = epochs((1.0, 1.5), (0.5, 1.6), (0.4, 1.7))

    assert said(behind, "Overfit") == [("losses", 5, pytest.approx((1.7 - 0.4) / 0.4))]
    assert len(said(behind, "Overfit", patience=0)) == 2
    assert said(behind, "Overfit", patience=2) == []
    assert said(behind, "Overfit", ratio_threshold=5) == []
    assert said(epochs((1.0, 1.5), (0.5, 1.4), (0.4, 1.3)), "Overfit") == []


def test_what_is_learnt_by_heart_is_overfit_though_it_gets_a_little_better():
    """
    Training at a tenth of where it began, validation not at half; and not where it is.
    """
    behind = epochs((2.3, 2.2), (0.2, 2.0), (0.1, 1.97), (0.09, 1.94))
    nearer = epochs((2.3, 2.2), (0.2, 1.0), (0.1, 0.97), (0.09, 0.94))

    assert [step for _, step, _ in said(behind, "Overfit")] == [5, 7]
    assert said(nearer, "Overfit") == []


def test_overfit_is_not_advised_what_is_done_already():
    """
    A frozen backbone, say.
    """
    behind = epochs((1.0, 1.5), (0.5, 1.6), (0.4, 1.7))

    assert "frozen" in advice(behind, "Overfit", freeze="false")[0]
    assert "frozen" not in advice(behind, "Overfit", freeze="true")[0]


def test_overtraining_is_a_loss_that_no_longer_falls():
    """
    By delta, for more epochs than the patience of either loss.
    """
    flat = epochs(*[(1.0, 1.0)] * 13)

    assert names(said(flat, "Overtraining")) == {"training loss", "validation loss"}
    assert names(said(epochs(*[(1.0, 1.0)] * 8), "Overtraining")) == {"training loss"}
    assert said(epochs(*[(1.0, 1.0)] * 6), "Overtraining") == []
    falling = epochs(*[(1 - 0.02 * at, 1 - 0.02 * at) for at in range(20)])
    assert said(falling, "Overtraining") == []
    assert said(falling, "Overtraining", delta=0.2)


@pytest.mark.parametrize(
    ("losses", "found"),
    [
        pytest.param([None] * 10, True, id="without-losses"),
        pytest.param([2.0] * 10, True, id="that-stand-still"),
        pytest.param([2.0 - 0.1 * at for at in range(10)], False, id="that-fall"),
        pytest.param([2.0, 2.3] * 5, False, id="that-move"),
    ],
)
def test_inputs_of_very_different_size_are_bad_where_the_loss_agrees(losses, found):
    """
    A trained backbone has them too, and learns.
    """
    inputs = {"a.relu_input_0": [0.0, 1.0], "b.ReLU_input_0": [0.0, 4.0]}
    trial = Numbers(
        *[("T", inputs if loss is None else {**inputs, "loss": loss}) for loss in losses]
    )

    expected = [("b.ReLU_input_0", 0, 16.0)] if found else []
    assert said(trial, "PoorWeightInitialization") == expected
    assert said(trial, "PoorWeightInitialization", threshold=20) == []


def test_narrow_gradients_are_bad_only_where_the_loss_does_not_fall():
    """
    From the 5th to the 95th percentile, of the value or of what the hook has saved.
    """

    def run(gradient, losses):
        return Numbers(*[("T", {**gradient, "loss": loss}) for loss in losses])

    raw = {"gradient/fc.weight": np.linspace(0, 0.0005, 101)}
    ours = {"gradient/fc.weight": {"l2": 1.0}, "percentiles/gradient/fc.weight": [0.0, 0.00045]}
    flat, falling = [2.0] * 10, [2.0 - 0.1 * at for at in range(10)]

    for gradient in (raw, ours):
        ((subject, _, width),) = said(run(gradient, flat), "PoorWeightInitialization")
        assert (subject, width) == ("gradient/fc.weight", pytest.approx(0.00045))
        assert said(run(gradient, falling), "PoorWeightInitialization") == []


def test_classes_are_counted_before_they_are_judged():
    """
    Not before ``samples`` labels; predictions by the last evaluation alone.
    """

    def labelled(mode, labels, predictions):
        return mode, {"labels": np.array(labels), "predictions": np.array(predictions)}

    rare = [0] * 11 + [1]
    trial = Numbers(
        labelled("T", rare, rare),
        labelled("E", [0] * 10 + [1] * 10, [1] * 10 + [0] * 10),
        labelled("T", rare, rare),
        labelled("E", [0] * 10 + [1] * 10, [0] * 20),
    )

    assert said(trial, "ClassImbalance") == []
    assert names(said(trial, "ClassImbalance", samples=4)) == {"class 1"}
    assert said(trial, "ClassImbalance", samples=4)[-1] == ("class 1", 1, 1.0)
    assert ("class 1", 0, 11.0) in said(trial, "ClassImbalance", samples=12)
    wide = said(trial, "ClassImbalance", samples=4, threshold_imbalance=20)
    assert wide == [("class 1", 1, 1.0)]


@pytest.mark.parametrize("argmax", [pytest.param(False, id="logits"), pytest.param(True, id="set")])
def test_confusion_is_that_of_the_last_evaluation(argmax):
    """
    Of each class the share that is recognised, and where the rest goes; predictions may hold a
    value for each class.
    """
    labels = np.repeat([0, 1], 100)
    predicted = np.repeat([0, 1, 0], [100, 70, 30])
    given = np.eye(2)[predicted] if argmax else predicted
    trial = Numbers(
        ("E", {"labels": labels, "predictions": 1 - labels}),
        ("T", {}),
        ("E", {"labels": labels, "predictions": given}),
        labels="labels",
        predictions="predictions",
    )

    found = said(trial, "Confusion")

    assert found == [("class 1", 0, 0.7), ("class 1 as 0", 0, 0.3)]
    assert said(trial, "Confusion", min_diag=0.6, max_off_diag=0.4) == []


def test_a_share_within_its_error_is_as_good_as_the_threshold():
    """
    22 of 27 may be 90 %, within two standard errors; 21 are less.
    """

    def seen(right):
        return {"labels": np.zeros(27, int), "predictions": np.repeat([0, 1], [right, 27 - right])}

    well, bad = (
        Numbers(("E", seen(right)), labels="labels", predictions="pred") for right in (22, 21)
    )

    assert said(well, "Confusion") == []
    assert names(said(bad, "Confusion")) == {"class 0", "class 0 as 1"}


def test_classes_that_are_all_missed_are_told_to_train():
    """
    And not to be looked at one by one; a class that is missed and not rare is not called rare.
    """
    labels = np.repeat([0, 1, 2], 200)
    trial = Numbers(
        ("T", {"labels": labels}),
        ("E", {"labels": labels, "predictions": np.roll(labels, 170)}),
        labels="labels",
        predictions="pred",
    )

    confused, unbalanced = (advice(trial, rule) for rule in ("Confusion", "ClassImbalance"))

    assert confused
    assert all("3 of 3 classes" in told for told in confused)
    assert unbalanced
    assert all("200 of 600 labels" in told for told in unbalanced)


def test_a_pause_between_steps_is_a_stall():
    """
    Longer than the threshold, after the step that came before it.
    """
    trial = Numbers(*[("T", {"at": at}) for at in (0, 10, 2000, 2010)])

    assert said(trial, "StalledTrainingRule") == [("steps", 1, 1990.0)]


def test_classes_are_judged_by_evaluations_alone():
    """
    What a batch of training gets wrong is what it learns from; of nobody's mode all is judged.
    """
    wrong = {"labels": np.zeros(600, int), "predictions": np.ones(600, int)}

    def confused(mode):
        trial = Numbers((mode, wrong), labels="labels", predictions="predictions")
        return names(said(trial, "Confusion")), names(said(trial, "ClassImbalance"))

    assert confused("T") == (set(), set())
    assert confused("E") == ({"class 0", "class 0 as 1"}, {"class 0"})
    assert confused("G") == ({"class 0", "class 0 as 1"}, {"class 0"})


@pytest.mark.parametrize(
    ("pictures", "found"),
    [pytest.param(1, 0, id="one"), pytest.param(5, 0, id="five"), pytest.param(12, 2, id="twelve")],
)
def test_a_few_pictures_are_no_evidence(pictures, found):
    """
    None of one may be chance; none of twelve is not.
    """
    seen = {"labels": np.zeros(pictures, int), "predictions": np.ones(pictures, int)}

    trial = Numbers(("E", seen), labels="labels", predictions="predictions")

    assert len(said(trial, "Confusion")) == found


def updated(ratio, steps=5):
    """A trial of weights that change by a share of their size in each step."""
    saved = {"fc.weight": {"l2": 1.0}, "update/fc.weight": [ratio]}
    return Numbers(*[("T", saved)] * steps)


@pytest.mark.parametrize(
    ("ratio", "run", "told"),
    [
        pytest.param(1e-13, {"lr": "1e-12"}, "lr=1e-12 -> 0.01", id="next-to-nothing"),
        pytest.param(1e-30, {"lr": "1e-12"}, "lr=1e-12 -> 1", id="no-more-than-is-sane"),
        pytest.param(50.0, {"lr": "100"}, "lr=100 -> 0.002", id="far-too-much"),
        pytest.param(1e9, {"lr": "100"}, "lr=100 -> 1e-05", id="no-less-than-is-sane"),
        pytest.param(50.0, {"lr": '"100"'}, "lr=100 -> 0.002", id="with-quotes"),
        pytest.param(50.0, {"learning_rate": "100"}, "learning-rate=100 -> 0.002", id="by-another"),
        pytest.param(50.0, {}, "50000 times smaller", id="unknown"),
        pytest.param(
            float("nan"), {"lr": "100", "optimizer": "sgd"}, "lr=100 -> 0.01", id="no-number"
        ),
    ],
)
def test_a_learning_rate_is_estimated_from_what_it_does(ratio, run, told):
    """
    An update of a thousandth of the weights is usual; ten times what is nothing is nothing too.
    """
    assert any(told in each for each in advice(updated(ratio), "WeightUpdateRatio", **run))


@pytest.mark.parametrize(
    ("run", "told"),
    [
        pytest.param({"lr": "100", "optimizer": "sgd"}, "lr=100 -> 0.01", id="sgd"),
        pytest.param({"lr": "100", "optimizer": "adamw"}, "lr=100 -> 0.001", id="adamw"),
        pytest.param({"lr": "0.01", "optimizer": "sgd"}, "lr=0.01 -> 0.001", id="usual-already"),
    ],
)
def test_a_learning_rate_that_is_too_high_becomes_the_usual_one(run, told):
    """
    A tenth of 100 is as bad.
    """
    trial = Numbers(("T", {"fc.weight": [float("nan")]}))

    assert told in advice(trial, "ExplodingTensor", **run)[0]


def test_nobody_is_told_of_a_learning_rate_beyond_all_use():
    """
    Gradients that vanish at lr=100 do not ask for 1000.
    """
    trial = Numbers(("T", {"gradient/fc.weight": [0.0]}))

    (high,) = advice(trial, "VanishingGradient", lr="100")
    (low,) = advice(trial, "VanishingGradient", lr="1e-6", optimizer="sgd")

    assert "lr" not in high
    assert "lr=1e-06 -> 0.01" in low


def test_a_loss_that_is_no_number_is_told_since_when():
    """
    By the step at which it was first, not by the last of those that are looked at together.
    """
    losses = [2.0] * 9 + [float("nan")] * 6
    trial = Numbers(*[("T", {"loss": loss}) for loss in losses])

    first = findings(trial, "LossNotDecreasing", {})[0]

    assert first.problem == "the loss is no number since step 9"
    assert first.step == 9
