"""What every kind of test shares: AWS's own service model as the judge of requests."""

import re
import signal

import botocore.session
import pytest
from botocore.validate import ParamValidator


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
