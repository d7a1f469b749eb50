"""
Each rule over a real training that has its fault.

Over one that is well: tests/local/test_wasteful_trainings.py.
"""

import json
import math

import pytest
import torch
from torch import nn

from kennel.debugging.collections import DEFAULT
from kennel.debugging.evaluator import Evaluator
from kennel.debugging.hook import Recorder
from kennel.debugging.hook_config import Pace, asked
from kennel.rules.configuration import Configuration
from kennel.rules.outcome import ISSUES, NO_ISSUES

FEATURES, CLASSES = 20, 4


class Net(nn.Module):
    """Linear layers with activations between them."""

    def __init__(self, depth=3, activation=nn.ReLU):
        super().__init__()
        self.first = nn.Linear(FEATURES, 32)
        self.relu = nn.ModuleList([activation() for _ in range(depth)])
        self.middle = nn.ModuleList([nn.Linear(32, 32) for _ in range(depth)])
        self.last = nn.Linear(32, CLASSES)

    def forward(self, pictures):
        given = self.first(pictures)
        for layer, activation in zip(self.middle, self.relu, strict=True):
            given = layer(activation(given))
        return self.last(given)


def drawn(count, seed):
    """Vectors (N, F) and the classes that a linear map, the same for every seed, gives them."""
    truth = torch.randn(FEATURES, CLASSES, generator=torch.Generator().manual_seed(1))
    vectors = torch.randn(count, FEATURES, generator=torch.Generator().manual_seed(seed))
    return vectors, (vectors @ truth).argmax(1)


def batches(split, size=32):
    return list(zip(split[0].split(size), split[1].split(size), strict=True))


def trained(folder, module, *, lr=0.1, epochs=4, include="", **options):
    """Train *module* with the hook on, and return the folder of its tensors."""
    pace = options.pop("pace", Pace(2, 1, 1))
    train = options.pop("train", None) or drawn(256, 2)
    valid = options.pop("valid", None) or drawn(128, 3)
    criterion = nn.CrossEntropyLoss()
    learning = options.pop("learning", None) or module.parameters()
    optimizer = torch.optim.SGD(learning, lr=lr, **options)
    steps = epochs * len(batches(train))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: (1 + math.cos(math.pi * step / steps)) / 2
    )
    recorder = Recorder(asked(",".join(DEFAULT), include, pace), folder)
    number = 0
    for epoch in range(epochs):
        module.train()
        recorder.training(module, criterion)
        for vectors, labels in batches(train):
            with recorder.step(number):
                optimizer.zero_grad()
                logits = module(vectors)
                loss = criterion(logits, labels)
                loss.backward()
                recorder.learnt(loss, logits, labels)
                optimizer.step()
            schedule.step()
            number += 1
        module.eval()
        recorder.evaluating(module)
        for vectors, labels in batches(valid):
            with torch.no_grad():
                recorder.evaluated(module(vectors), labels)
        recorder.epoch({"number": epoch})
    recorder.close()
    assert not recorder.failure
    return folder


def judged(folder, rule, **parameters):
    """Return the outcome of one rule over a folder of tensors."""
    given = {name: str(value) for name, value in parameters.items()}
    (outcome,) = Evaluator(folder, [Configuration(rule, rule, given)], {"lr": "0.1"}).finish()
    return outcome


def subjects(outcome):
    return {finding.subject for finding in outcome.findings}


@pytest.fixture
def seeded():
    torch.manual_seed(0)


pytestmark = [
    pytest.mark.usefixtures("seeded"),
    # smdebug's protobuf and its look for horovod go by importers of Python 2
    pytest.mark.filterwarnings("ignore:_SixMetaPathImporter:ImportWarning"),
]


def test_a_deep_net_of_sigmoids_has_vanishing_gradients(tmp_path):
    """
    In its first layers, by name; not in its last.
    """
    folder = trained(tmp_path, Net(12, nn.Sigmoid), epochs=1)

    outcome = judged(folder, "VanishingGradient")

    assert outcome.status == ISSUES
    assert "gradient/Net_first.weight" in subjects(outcome)
    assert "gradient/Net_last.weight" not in subjects(outcome)
    assert all(finding.value < finding.threshold == 1e-7 for finding in outcome.findings)


def test_a_learning_rate_far_too_high_explodes(tmp_path):
    """
    Losses and weights go to infinity or NaN, updates are larger than the weights by far, and the
    advice names the learning rate that it was.
    """
    folder = trained(tmp_path, Net(), lr=1e4, epochs=1)

    exploded = judged(folder, "ExplodingTensor")

    assert exploded.status == ISSUES
    assert "CrossEntropyLoss_output_0" in subjects(exploded)
    assert "lr=0.1 -> 0.01" in exploded.findings[0].advice
    assert json.loads(json.dumps(exploded.document(), allow_nan=False))
    assert judged(folder, "WeightUpdateRatio").status == ISSUES


def test_infinities_are_no_finding_when_only_nan_is_asked_for(tmp_path):
    """
    A weight of infinity is one by default.
    """
    module = Net()
    with torch.no_grad():
        module.last.bias[0] = float("inf")
    folder = trained(tmp_path, module, lr=1e-9, epochs=1)

    assert "Net_last.bias" in subjects(judged(folder, "ExplodingTensor"))
    asked_for = judged(folder, "ExplodingTensor", only_nan=True, tensor_regex="^Net_last.bias")
    first = Evaluator(folder, [])  # the first step, before NaN comes of infinity
    assert asked_for.datapoints > 0
    assert first.finish() == ()
    assert not [each for each in asked_for.findings if each.step == 0]


def test_weights_drawn_far_too_wide_are_found(tmp_path):
    """
    Each layer's input varies more than the one's before it by the square of the factor.
    """
    module = Net()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(100)
    folder = trained(tmp_path, module, lr=0.01, epochs=2)

    outcome = judged(folder, "PoorWeightInitialization")

    assert outcome.status == ISSUES
    found = {finding.subject: finding.value for finding in outcome.findings}
    assert found["relu.2_input_0"] > 1000


def test_weights_drawn_far_too_narrow_are_found(tmp_path):
    """
    By gradients that are next to nothing, and a loss that does not fall.
    """
    module = Net(6)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(0.01)
    folder = trained(tmp_path, module, lr=0.001, epochs=3)

    outcome = judged(folder, "PoorWeightInitialization")

    assert outcome.status == ISSUES
    assert any(name.startswith("gradient/") for name in subjects(outcome))


def test_a_loss_that_does_not_fall_is_found(tmp_path):
    """
    Of weights that hardly learn: the loss of the evaluations stays where it is.
    """
    folder = trained(tmp_path, Net(), lr=1e-7, epochs=4)

    outcome = judged(folder, "LossNotDecreasing")

    assert outcome.status == ISSUES
    assert "mode EVAL" in outcome.findings[0].problem


def test_a_net_that_learns_a_few_pictures_by_heart_is_overfit(tmp_path):
    """
    The loss of training goes to nothing, that of validation rises; and it goes on too long.
    """
    folder = trained(tmp_path, Net(1), train=drawn(16, 2), lr=0.5, epochs=60)

    outcome = judged(folder, "Overfit")

    assert outcome.status == ISSUES
    assert outcome.details["ratios"][-1][1] > 10
    assert subjects(judged(folder, "Overtraining")) == {"training loss", "validation loss"}


def test_relus_behind_a_large_negative_bias_are_dead(tmp_path):
    """
    All of the layer, and only that layer's.
    """
    module = Net()
    with torch.no_grad():
        module.middle[0].bias.fill_(-50)
    folder = trained(tmp_path, module, epochs=1)

    outcome = judged(folder, "DeadRelu")

    assert subjects(outcome) == {"relu.1_output_0"}
    assert outcome.findings[0].value == 100
    assert judged(folder, "AllZero").status == ISSUES  # no gradient comes through


def test_sigmoids_that_are_given_far_too_much_are_saturated(tmp_path):
    """
    Their inputs lie beyond where a sigmoid has a slope; those of a narrow layer do not.
    """
    module = Net(2, nn.Sigmoid)
    with torch.no_grad():
        module.middle[0].weight.mul_(10_000)
    module.sigmoid = module.relu
    folder = trained(tmp_path, module, lr=1e-6, epochs=1, include=r"relu\.\d_input")

    outcome = judged(folder, "SaturatedActivation", tensor_regex=r"relu\.\d_input")

    assert subjects(outcome) == {"relu.1_input_0"}
    assert judged(folder, "SaturatedActivation").datapoints == 0
    assert "sigmoid" in judged(folder, "SaturatedActivation").reason


def test_a_layer_that_the_optimizer_does_not_have_is_found(tmp_path):
    """
    It has gradients and never changes; the layers beside it do.
    """
    module = Net()
    learning = [p for name, p in module.named_parameters() if not name.startswith("middle.1")]
    folder = trained(tmp_path, module, learning=learning)

    assert subjects(judged(folder, "UnchangedTensor")) == {"Net_middle.1.weight"}
    assert subjects(judged(folder, "WeightUpdateRatio")) == {"Net_middle.1.weight"}


def test_a_frozen_layer_is_no_finding(tmp_path):
    """
    It has no gradient: that is meant.
    """
    module = Net()
    module.first.requires_grad_(requires_grad=False)
    learning = [p for p in module.parameters() if p.requires_grad]
    folder = trained(tmp_path, module, learning=learning, include="Net_first.weight")

    for rule in ("UnchangedTensor", "WeightUpdateRatio", "VanishingGradient", "AllZero"):
        assert judged(folder, rule).status == NO_ISSUES, rule


def test_classes_that_are_rare_are_found(tmp_path):
    """
    By their number in training, and by being missed in the evaluation.
    """
    vectors, labels = drawn(2000, 2)
    few = torch.cat([torch.where(labels != 3)[0], torch.where(labels == 3)[0][:5]])
    order = few[torch.randperm(len(few), generator=torch.Generator().manual_seed(0))]
    split = vectors[order], labels[order]
    folder = trained(tmp_path, Net(), train=split, lr=0.01, epochs=2, valid=drawn(600, 3))

    outcome = judged(folder, "ClassImbalance")

    rare = [finding for finding in outcome.findings if finding.subject == "class 3"]
    assert outcome.status == ISSUES
    assert rare
    assert outcome.details["labels"]["3"] <= 10


def test_labels_that_say_nothing_leave_every_class_mixed_up(tmp_path):
    """
    Trained on shuffled labels, no class is recognised in the evaluation.
    """
    vectors, labels = drawn(256, 2)
    shuffled = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))]
    folder = trained(tmp_path, Net(), train=(vectors, shuffled), epochs=4)

    outcome = judged(folder, "Confusion")

    assert outcome.status == ISSUES
    assert len({"class 0", "class 1", "class 2", "class 3"} & subjects(outcome)) >= 3
    assert sum(map(sum, outcome.details["confusion"])) == 128  # the last evaluation alone


def test_variances_outside_of_given_bounds_are_found(tmp_path):
    """
    Without a bound there is nothing to judge, which is said.
    """
    folder = trained(tmp_path, Net(), epochs=1)

    assert judged(folder, "TensorVariance").status == NO_ISSUES
    assert "threshold" in judged(folder, "TensorVariance").reason
    low = judged(folder, "TensorVariance", max_threshold=1e-6, collection_names="weights")
    assert "Net_first.weight" in subjects(low)
    high = judged(folder, "TensorVariance", min_threshold=100)
    assert high.violations == high.datapoints > 0
