"""What every kind of test shares: AWS's own service model as the judge of requests."""

import json
import math
import random
import re
import signal

import botocore.session
import pytest
from botocore.validate import ParamValidator

from kennel.profiling import judging
from kennel.rules import keeping
from kennel.rules.outcome import ERROR, ISSUES, NO_ISSUES, Finding, Outcome


@pytest.fixture(scope="session", autouse=True)
def interruptible():
    """Hear SIGINT, in what a test starts as well: a shell's job in the background is born deaf."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def few_digits(tmp_path_factory):
    """A few handwritten digits of each class, in three splits: 12, 3 and 3."""
    from kennel.datasets import digits  # noqa: PLC0415 - slow to import, and few need it

    folder = tmp_path_factory.mktemp("data") / "few-digits"
    digits.write(folder)
    for split, kept in {"train": 12, "valid": 3, "test": 3}.items():
        for name in (folder / split).iterdir():
            for path in sorted(name.iterdir())[kept:]:
                path.unlink()
    return folder


@pytest.fixture(scope="session")
def noisy_pictures(tmp_path_factory):
    """
    Return ``noisy_pictures(counts, size_px, noise, shift)``, which makes a folder of splits.

    Two classes, dark and light: below *noise* in every channel, and above by *shift*.
    """
    import numpy as np  # noqa: PLC0415 - slow to import, and few need it
    from PIL import Image  # noqa: PLC0415

    def make(counts, size_px=36, noise=90, shift=150):
        folder = tmp_path_factory.mktemp("pictures")
        draws = np.random.default_rng(0)
        for split, count in counts.items():
            for shade, name in enumerate(["dark", "light"]):
                (folder / split / name).mkdir(parents=True)
                for number in range(count):
                    pixels = draws.integers(0, noise, (size_px, size_px, 3)) + shift * shade
                    picture = Image.fromarray(pixels.astype(np.uint8))
                    picture.save(folder / split / name / f"{number}.png")
        return folder

    return make


@pytest.fixture(scope="session")
def searched():
    """
    Return ``searched(count, **changes)``, which makes a tuning job of *count* trials.

    Every seventh fails, every fifth is stopped early; *changes* are members of a Tuning.
    """
    import random  # noqa: PLC0415 - the tests of reports need them
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415

    from kennel.tuning.ranges import Categorical, Continuous, Integer  # noqa: PLC0415
    from kennel.tuning.trials import Limits, Trial, Tuning  # noqa: PLC0415

    begun = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
    ranges = (
        Continuous("lr", 0.001, 0.1, "Logarithmic"),
        Continuous("momentum", 0.5, 0.999, "ReverseLogarithmic"),
        Integer("epochs", 2, 9),
        Categorical("batch-size", ("16", "64", "512")),
        Categorical("optimizer", ("sgd", "adamw")),
    )

    def trial(number):
        draws = random.Random(number)  # noqa: S311 - figures for a page
        values = {
            "lr": repr(10 ** draws.uniform(-3, -1)),
            "momentum": repr(draws.uniform(0.5, 0.999)),
            "epochs": str(draws.randint(2, 9)),
            "batch-size": draws.choice(ranges[3].values),
            "optimizer": draws.choice(ranges[4].values),
        }
        name, seconds = f"search-{number:03d}", draws.uniform(10, 100)
        if number % 7 == 0:
            return Trial(name, values, "Failed", seconds=seconds, reason="ExitCode 1: no memory")
        state, accuracy = "Stopped" if number % 5 == 0 else "Completed", draws.uniform(0.7, 0.9)
        curve = tuple(accuracy * (1 - 0.5**epoch) for epoch in range(1, int(values["epochs"]) + 1))
        metrics = {"accuracy": accuracy, "loss": 1 - accuracy}
        return Trial(name, values, state, accuracy, curve, seconds, seconds / 2, metrics=metrics)

    def make(count, **changes):
        members = {
            "name": "search",
            "status": "Completed",
            "metric": "accuracy",
            "maximize": True,
            "strategy": "Bayesian",
            "ranges": ranges,
            "static": {"seed": "1"},
            "limits": Limits(jobs=count, parallel=2, runtime_s=3600),
            "trials": tuple(trial(number) for number in range(1, count + 1)),
            "started": begun,
            "ended": begun + timedelta(minutes=5),
        }
        return Tuning(**{**members, **changes})

    return make


def problems(value, shape, at="request"):
    """Yield what botocore's validator lets through: enums, patterns, maximum lengths and values."""
    match shape.type_name:
        case "structure":
            for key, item in value.items():
                yield from problems(item, shape.members[key], f"{at}.{key}")
        case "list":
            for i, item in enumerate(value):
                yield from problems(item, shape.member, f"{at}[{i}]")
        case "map":
            for key, item in value.items():
                yield from problems(item, shape.value, f"{at}[{key!r}]")
        case "string":
            yield from (f"{at}: {value!r} {why}" for why in string_problems(value, shape))
        case "integer":
            if value > shape.metadata.get("max", value):
                yield f"{at}: {value} is above {shape.metadata['max']}"


def string_problems(text, shape):
    pattern, longest = shape.metadata.get("pattern", ""), shape.metadata.get("max", len(text))
    if shape.enum and text not in shape.enum:
        yield "is not one of AWS's values"
    if len(text) > longest:
        yield f"is longer than {longest} characters"
    if pattern and r"\p" not in pattern and not re.fullmatch(pattern, text, re.DOTALL):
        yield f"does not match {pattern}"  # \p{…} is Java's, not Python's


@pytest.fixture(scope="session")
def valid_request():
    """Check a request against AWS's own service model: no network, no credentials, no mock."""
    session = botocore.session.get_session()

    def check(operation, request, *, service="sagemaker"):
        model = session.get_service_model(service)
        (name,) = [
            n for n in model.operation_names if n.lower() == operation.replace("_", "").lower()
        ]
        shape = model.operation_model(name).input_shape
        report = ParamValidator().validate(request, shape)
        assert not report.has_errors(), report.generate_report()
        assert list(problems(request, shape)) == []

    return check


SHARES = {"data": 0.4, "copy": 0.01, "forward": 0.2, "backward": 0.3, "optimizer": 0.05}
LAYER_KINDS = ("conv1.weight", "bn1.weight", "conv2.weight", "bn2.weight")


class LeftRun:
    """
    What a run leaves in its output data, in the agreed formats, with figures that are made up.

    Each ``with_…`` writes one part and returns the run, so that a test says what there is.
    """

    START = 1_790_000_000.0

    def __init__(self, folder, seed=0):
        self.folder, self.random = folder, random.Random(seed)  # noqa: S311 - figures that look real
        self.profile, self.debug = folder / "profiler-output", folder / "debug-output"
        self.wall_s = 0.0
        folder.mkdir(parents=True, exist_ok=True)

    def with_phases(self, steps=200, epochs=4, step_s=0.2, slow=(), shares=SHARES):
        """Write phases: initialisation, epochs of steps with an evaluation each, export."""
        events, at, number = [], 0.0, 0

        def span(name, seconds):
            nonlocal at
            events.append({"ph": "X", "name": name, "ts": at * 1e6, "dur": seconds * 1e6})
            at += seconds

        span("initialisation", 6.0)
        for epoch in range(epochs):
            for _ in range(steps // epochs):
                took = step_s * self.random.uniform(0.9, 1.2) * (12 if number in slow else 1)
                phases = {name: share * took for name, share in shares.items()}
                phases["other"] = took - sum(phases.values())
                args = {"step_num": number, "epoch": epoch, "phases": phases}
                name = "Step:ModeKeys.TRAIN"
                events.append(
                    {"ph": "X", "name": name, "ts": at * 1e6, "dur": took * 1e6, "args": args}
                )
                at, number = at + took, number + 1
            span("evaluation", 3.0)
            span("checkpoint", 0.3)
        span("export", 1.5)
        self.wall_s = at + 0.2
        origin = {"ph": "M", "args": {"start_time_since_epoch_in_micros": self.START * 1e6}}
        put(
            self.profile / "framework" / "pevents" / "2026092200" / "1_train.json",
            [origin, *events],
        )
        summary = {"started": self.START, "wall_s": self.wall_s}
        put(self.profile / "framework" / "phases.json", summary)
        return self

    def with_metrics(self, cores=4, gpus=0, nodes=("algo-1",), seconds=None, interval_s=0.5):
        """Write system metrics of each host."""
        lasting = seconds or self.wall_s or 60.0
        folder = self.profile / "system" / "incremental" / "2026092200"
        folder.mkdir(parents=True, exist_ok=True)
        for node in nodes:
            lines = []
            for i in range(int(lasting / interval_s)):
                at = self.START + i * interval_s
                for type_, name, dimension, value in self.samples(cores, gpus):
                    sample = {"Type": type_, "Name": name, "Dimension": dimension, "Value": value}
                    lines.append(json.dumps({**sample, "NodeId": node, "Timestamp": at}))
            (folder / f"1790000000.{node}.json").write_text("\n".join(lines))
        return self

    def samples(self, cores, gpus):
        """Yield what one moment is measured by."""
        u = self.random.uniform
        for core in range(cores):
            busy = u(70, 100) if core % 4 == 0 else u(2, 35)
            yield "cpu", f"cpu{core}", "CPUUtilization", busy
            yield "cpu", f"cpu{core}", "I/OWaitPercentage", u(0, 6)
        for gpu in range(gpus):
            yield "gpu", f"gpu{gpu}", "GPUUtilization", u(20, 60) + gpu
            yield "gpu", f"gpu{gpu}", "GPUMemoryUtilization", 18.0 + gpu
        yield "memory", "MemoryUsedPercent", "", u(31, 34)
        yield "i/o", "IOPS", "", u(0, 90)
        yield "i/o", "ReadThroughputInBytesPerSecond", "", u(0, 8e6)
        yield "i/o", "WriteThroughputInBytesPerSecond", "", u(0, 2e6)
        yield "network", "ReceiveBytesPerSecond", "Algorithm", u(0, 3e4)
        yield "network", "TransmitBytesPerSecond", "Algorithm", u(0, 2e4)

    def with_run(self, **changes):
        """Write what the run was."""
        known = {
            "model": "resnet18", "device": "cpu", "cores": 4.0, "memory_bytes": 16 * 2**30,
            "workers": 0, "batch_size": 32, "image_size": 224, "train": 3068, "valid": 372,
            "test": 341, "epochs": 4, "epochs_done": 4, "freeze": False, "ended": "finished",
            "picture_width": 400, "picture_height": 533, "read_s": 0.0041, "threads": 4,
            "started": self.START, "wall_s": self.wall_s, "interval_ms": 500, "torch": "2.10.0",
            "traced_first": 10, "traced_steps": 5, "processes": 1, "hosts": 1,
        }  # fmt: skip
        put(self.profile / "run.json", {**known, **changes})
        return self

    def with_operators(self, names=("aten::mkldnn_convolution", "aten::convolution_backward")):
        """Write what operators cost."""
        rows = [
            {
                "name": name, "calls": 20 + i, "self_cpu_s": 1 / (i + 1), "cpu_s": 1.5 / (i + 1),
                "self_gpu_s": 0.0, "gpu_s": 0.0, "share": 0.5 / (i + 1),
            }
            for i, name in enumerate(names)
        ]  # fmt: skip
        put(self.profile / "operators.json", {"operators": rows})
        return self

    def with_profile_rules(self, *outcomes):
        """Write outcomes of the profiler's rules; without any, three of each kind."""
        judging.write(self.profile, outcomes or profile_outcomes())
        return self

    def with_debug_rules(self, *outcomes):
        """Write outcomes of the debugger's rules; without any, three of each kind."""
        keeping.write(self.debug / "rules", outcomes or debug_outcomes())
        return self

    def with_series(self, steps=200, layers=20, epochs=4, *, spoilt=False):
        """Write losses, norms of gradients and ratios of updates; *spoilt*: some are no numbers."""
        names = [f"layer{i // 4}.{i % 4}.{LAYER_KINDS[i % 4]}" for i in range(layers)]
        saved = list(range(0, steps, max(1, steps // 50)))
        u = self.random.uniform
        strange = {3: float("nan"), 4: float("inf"), 5: 0.0} if spoilt else {}

        def course(size):
            return [[s, strange.get(i, size * u(0.5, 2))] for i, s in enumerate(saved)]

        losses = [[s, 2.3 * math.exp(-s / steps) * u(0.9, 1.1)] for s in saved]
        put(
            self.debug / "series.json",
            {
                "losses": {"train": losses, "eval": [[s, v * 1.2] for s, v in losses[4::5]]},
                "gradient_norms": {
                    name: course(10 ** (-i / max(layers / 4, 1))) for i, name in enumerate(names)
                },
                "weight_update_ratios": {name: course(1e-3) for name in names},
                "epochs": [
                    {
                        "epoch": e, "step": (e + 1) * steps // epochs - 1,
                        "train_loss": 2.0 / (e + 1), "train_accuracy": 1 - 0.5 / (e + 1),
                        "valid_loss": strange.get(3, 2.1 / (e + 1)),
                        "valid_accuracy": 1 - 0.6 / (e + 1),
                    }
                    for e in range(epochs)
                ],
            },
        )  # fmt: skip
        return self

    def whole(self, **phases):
        """Write every part."""
        self.with_phases(**phases).with_metrics().with_run().with_operators().with_profile_rules()
        return self.with_debug_rules().with_series()


def put(path, document):
    """Write JSON as Python writes it, NaN and infinity as it does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


def profile_outcomes():
    """Return a rule that is broken, one that is not, one without anything to judge."""
    waiting = Finding(
        "data", "the loop waits 40 % of the time for data with 1 of 4 cores loading",
        "set workers to 3: up to 1.6 times as fast", 0.4, 0.1, cost_s=17.2,
        settings={"workers": "3"},
    )  # fmt: skip
    slow = Finding("step 40", "step 40 took 12 times the median", "", 2.4, 0.31, step=40, at_s=14.0)
    return (
        Outcome("Dataloader", "Dataloader", ISSUES, {"min_threshold": "70"}, 200, 1, (waiting,)),
        Outcome("StepOutlier", "StepOutlier", ISSUES, {"stddev": "3"}, 200, 1, (slow,)),
        Outcome("IOBottleneck", "IOBottleneck", NO_ISSUES, {"threshold": "50"}, 120),
        Outcome("BatchSize", "BatchSize", NO_ISSUES, reason="this machine has no GPU"),
    )


def debug_outcomes():
    """Return a rule that is broken, one that is not, one without its tensors, one that failed."""
    found = tuple(
        Finding(
            f"gradient/layer{i}.weight", f"mean of absolute gradient {10.0 ** (-8 - i):g}",
            "add BatchNorm, or ReLU instead of sigmoid", 10.0 ** (-8 - i), 1e-7, step=40 * i,
        )
        for i in range(12)
    )  # fmt: skip
    missing = "needs gradients: add them to debug-collections"
    return (
        Outcome(
            "VanishingGradient", "VanishingGradient", ISSUES, {"threshold": "1e-07"}, 50, 31, found
        ),
        Outcome("Overfit", "Overfit", NO_ISSUES, {"patience": "1"}, 12),
        Outcome("WeightUpdateRatio", "WeightUpdateRatio", NO_ISSUES, reason=missing),
        Outcome("mine", "MyRule", ERROR, {}, 5, reason="KeyError: 'no such tensor'"),
    )


@pytest.fixture
def left_run(tmp_path):
    """Return ``left_run(name)``: a run's output data, empty so far."""
    return lambda name="run", **options: LeftRun(tmp_path / name, **options)


@pytest.fixture(scope="module")
def module_run(tmp_path_factory):
    """Return ``module_run(name)``: a run's output data, the same for a whole module."""
    base = tmp_path_factory.mktemp("runs")
    return lambda name: LeftRun(base / name)
