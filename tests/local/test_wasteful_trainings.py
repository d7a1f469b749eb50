"""
Trainings that were made to waste time, and the demo's, watched by the real sampler and phases.

What needs a GPU, or a disk that is slow, is in tests/unit/test_profiling_rules_gpu.py, on
recordings.
"""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from kennel.cli.demo import DIGITS
from kennel.contract import ContainerPaths
from kennel.datasets import digits
from kennel.debugging.evaluator import Evaluator
from kennel.profiling import judging, rules
from kennel.profiling.evidence import Evidence
from kennel.profiling.phases import Recorder
from kennel.profiling.sampler import Sampler
from kennel.profiling.timeline_files import TimelineFiles
from kennel.profiling.verdict import verdict
from kennel.rules import debugger, keeping
from kennel.rules.configuration import Configuration
from kennel.rules.outcome import NO_ISSUES
from kennel.training import loop, precision
from kennel.training.features import FeatureSource
from kennel.training.loop import Recipe, Stage, State
from kennel.training.metrics import Totals
from kennel.training.observer import Off
from kennel.training.schedule import optimizer
from kennel.training.stopping import Stop

CPU = torch.device("cpu")
SMALL = {"model": "squeezenet1_1", "weights": "none", "image-size": "32", "augment": "none"}
WATCHED = {"profile": "true", "profile-interval-ms": "100", "profile-trace": "none"}


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    """Return ``train(data, hyperparameters)``, which runs the training image's entry point."""

    def run(data, hyperparameters, threads=1):
        paths = ContainerPaths(tmp_path_factory.mktemp("job"))
        for folder in (paths.config, paths.data, paths.model, paths.output_data):
            folder.mkdir(parents=True)
        for split in data.iterdir():
            paths.channel(split.name).symlink_to(split)
        hosts = {"current_host": "localhost", "hosts": ["localhost"]}
        paths.resource_config.write_text(json.dumps({**hosts, "network_interface_name": "lo"}))
        paths.hyperparameters.write_text(json.dumps({**SMALL, **WATCHED, **hyperparameters}))
        channels = {split.name: {} for split in data.iterdir()}
        paths.input_data_config.write_text(json.dumps(channels))
        environment = {"SAGEMAKER_BASE_DIR": str(paths.root), "OMP_NUM_THREADS": str(threads)}
        done = subprocess.run(
            [sys.executable, "-m", "kennel.training", "train"],
            env=os.environ | environment | {"TRAINING_JOB_NAME": "wasteful"},
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return paths.profile

    return run


@pytest.fixture(scope="module")
def large_photographs(tmp_path_factory):
    """Photographs of 2000 x 1500 px, of two classes, in three splits: slow to decode."""
    folder, draws = tmp_path_factory.mktemp("large"), np.random.default_rng(0)
    for split, count in {"train": 24, "valid": 2, "test": 2}.items():
        for name in ("dark", "light"):
            (folder / split / name).mkdir(parents=True)
            for number in range(count):
                low = draws.integers(0, 120, (15, 20, 3)) + (120 if name == "light" else 0)
                picture = Image.fromarray(low.astype(np.uint8)).resize((2000, 1500))
                picture.save(folder / split / name / f"{number}.jpg")
    return folder


@pytest.fixture(scope="module")
def healthy(train, tmp_path_factory):
    """What the demo's own training has left, all of its digits and epochs: nothing is wrong."""
    folder = tmp_path_factory.mktemp("data") / "digits"
    digits.write(folder)
    return train(folder, {"model": "resnet18", "debug": "true", **DIGITS}, threads=2)


class Watch(Off):
    """Tells a recorder of phases, as kennel's own training does."""

    def __init__(self, recorder):
        self.recorder = recorder

    def phase(self, name):
        return self.recorder.phase(name)

    def batches(self, source):
        return self.recorder.batches(source)

    def step(self, epoch, number):
        return self.recorder.step(epoch, number)


@pytest.fixture(autouse=True)
def one_thread():
    """Let torch compute on one: of steps this small several only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def fit(tmp_path):
    """
    Return ``fit(module, slow_start_s)``, which trains by the real loop: 200 steps of noise.

    It is sampled and timed, and what that has left is returned.
    """

    def run(module, slow_start_s=0.0):
        began = time.time()
        zero = time.perf_counter()
        files = TimelineFiles(tmp_path, began, lambda: time.perf_counter() - zero, "algo-1")
        recorder = Recorder(files, 0.0)
        draws = torch.Generator().manual_seed(0)
        examples = torch.randn(400, 64, generator=draws), torch.arange(400) % 2
        with Sampler(tmp_path, 100):
            with recorder.phase("initialisation"):
                time.sleep(slow_start_s)
            state = State(
                module,
                optimizer("sgd", module.parameters(), lr=0.01, momentum=0.9, decay=0.0),
                precision.scaler(CPU, None),
                Totals(CPU),
            )
            source = FeatureSource(*examples, batch_size=100)
            stage = Stage(
                module,
                module.train,
                nn.CrossEntropyLoss(),
                source,
                source,
                observer=Watch(recorder),
            )
            recipe = Recipe(2, 4, 0.01, "none", seed=0, patience=0, dtype=None)
            loop.fit(state, stage, recipe, Stop(), lambda _: None)
        recorder.settle(wait=True)
        files.flush()
        return Evidence.read(tmp_path)

    return run


class Dozing(nn.Linear):
    """Layer that takes two milliseconds to train, and sleeps for longer every 25th time."""

    def __init__(self, doze_s=0.3):
        super().__init__(64, 2)
        self.doze_s, self.calls = doze_s, 0

    def forward(self, inputs):
        if self.training:
            self.calls += 1
            time.sleep(0.002 + (self.doze_s if self.calls % 25 == 0 else 0))
        return super().forward(inputs)


def judged(rule, source, **given):
    (found,) = rules.judge(source, [Configuration(rule, rule, given)])
    return found


def test_a_healthy_run_breaks_no_rule(healthy):
    """
    All rules are judged at its end, and none has anything against it: the demo, with the debugger
    on, whose own work in every eighth step is no fault of the loop.
    """
    found = judging.read(healthy)

    assert {outcome.rule for outcome in found} == set(rules.RULES)
    assert [(outcome.rule, outcome.findings) for outcome in found if outcome.violations] == []


def test_the_debugger_has_nothing_against_the_demo(healthy):
    """
    None of its rules, and each that has its tensors has judged.
    """
    found = keeping.read(healthy.parent / "debug-output" / "rules")

    assert {outcome.rule for outcome in found} == set(debugger.TABLES)
    assert {
        outcome.rule: outcome.findings for outcome in found if outcome.status != NO_ISSUES
    } == {}
    assert {outcome.rule for outcome in found if not outcome.datapoints} == {
        "SaturatedActivation",
        "TensorVariance",
    }


@pytest.mark.parametrize(
    ("rule", "stricter"),
    [
        pytest.param("VanishingGradient", {"threshold": "1e-5"}, id="a-hundred-times"),
        pytest.param("DeadRelu", {"threshold_layer": "25"}, id="half-as-many"),
        pytest.param("WeightUpdateRatio", {"large_threshold": "1"}, id="a-tenth"),
        pytest.param("WeightUpdateRatio", {"small_threshold": "1e-6"}, id="a-hundredfold"),
        pytest.param("PoorWeightInitialization", {"patience": "3"}, id="sooner"),
        pytest.param("LossNotDecreasing", {"diff_percent": "1"}, id="ten-times-the-fall"),
        pytest.param("Overtraining", {"patience_train": "2"}, id="less-than-half"),
        pytest.param("ClassImbalance", {"threshold_imbalance": "2"}, id="a-fifth"),
    ],
)
def test_the_demo_is_well_by_a_wide_margin(healthy, rule, stricter):
    """
    So it is not by luck, and another machine's rounding, that nothing is found.
    """
    tensors = healthy.parent / "debug-output" / "tensors"

    (found,) = Evaluator(tensors, [Configuration(rule, rule, stricter)]).finish()

    assert found.datapoints
    assert found.findings == ()


def test_a_start_that_is_too_long_is_found(healthy):
    """
    The real start of a real run, against a threshold of three hundredths of a second.
    """
    found = judged("MaxInitializationTime", healthy, threshold="0.0005")

    assert found.violations == 1
    assert 1 / 60 < found.findings[0].value < 2
    assert found.details["phases"]["initialisation"] > 1


def test_pictures_that_are_slow_to_decode_are_found(train, large_photographs):
    """
    The loop waits for them; how to wait less is said with the run's own numbers, and the verdict
    begins with it.
    """
    folder = train(large_photographs, {"epochs": "2", "batch-size": "8", "workers": "0"})

    evidence = Evidence.read(folder)
    found = {outcome.rule: outcome for outcome in judging.read(folder)}
    (finding,) = found["Dataloader"].findings
    assert finding.value > 50
    assert "the loop's own process reading" in finding.problem
    assert (evidence.run.picture_width, evidence.run.picture_height) == (2000, 1500)
    assert "set workers to" in finding.advice or "2000 x 1500 px" in finding.advice
    _, *steps = evidence.timeline.steps  # in the first one readers would still be starting
    waited_s = sum(step.phases["data"] for step in steps) * (len(steps) + 1) / len(steps)
    assert finding.cost_s == pytest.approx(waited_s, rel=0.01)
    assert "Dataloader" in [waste.rule for waste in verdict(found.values(), evidence)]


def test_steps_that_sleep_are_found(fit):
    """
    With their numbers, and the phase in which they slept.
    """
    evidence = fit(Dozing())

    found = judged("StepOutlier", evidence)

    assert set(range(24, 200, 25)) <= set(found.details["step_numbers"])
    assert "in phase forward" in found.findings[0].problem
    assert found.findings[0].cost_s == pytest.approx(8 * 0.3, rel=0.3)


def test_a_slow_start_is_told_of_with_what_it_cost(fit):
    """
    Half of this run is over before its first step.
    """
    evidence = fit(Dozing(doze_s=0.0), slow_start_s=3.0)

    (finding,) = judged("MaxInitializationTime", evidence, threshold="0.04").findings
    assert 3 <= finding.cost_s < evidence.wall_s
    assert f"initialisation {evidence.timeline.totals()['initialisation']:.1f} s" in finding.advice
    first = verdict(rules.judge(evidence), evidence)[0]
    assert first.problem.startswith("initialisation is ")
    assert first.cost_s is None  # a longer run would have it too: nothing of this one is saved
