"""The whole way through the images, as ``make demo`` goes it, against the same way as processes."""

import json
import subprocess
import sys

import pytest

from kennel.local import daemon

KENNEL = [sys.executable, "-c", "import sys; from kennel.cli import main; sys.exit(main())"]
TRAIN = ("--weights", "none", "--set", "image-size=32", "--set", "epochs=1", "--set", "lr=0.001")
RUNTIMES = ("docker", "process")
AT = ("--endpoint", "pipeline")


@pytest.fixture(scope="module")
def homes(tmp_path_factory, train_image, serve_image):
    """A folder for each runtime, whose kennel.toml names a server of that runtime."""
    assert train_image
    assert serve_image
    folders = {name: tmp_path_factory.mktemp(name) for name in RUNTIMES}
    for name, folder in folders.items():
        text = f'[local]\nstate = "{folder}/state"\nport = 0\nruntime = "{name}"\n'
        (folder / "kennel.toml").write_text(text)
    yield folders
    for folder in folders.values():
        daemon.stop(folder / "state", everything=True)


def kennel(home, *args):
    """Run ``kennel ARGS`` against a home's server and return what it prints as JSON."""
    done = subprocess.run(  # noqa: S603 - ourselves
        [*KENNEL, "local", "run", "--", *KENNEL, *map(str, args)],
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def trained(homes, few_digits):
    """What ``kennel train --json`` says, by runtime."""
    return {
        name: json.loads(kennel(home, "train", "--data", few_digits, *TRAIN, "--json"))
        for name, home in homes.items()
    }


@pytest.fixture(scope="module")
def predicted(homes, trained, few_digits):
    """What ``kennel predict --json`` says of the test pictures, by runtime."""
    found = {}
    for name, home in homes.items():
        kennel(home, "deploy", trained[name]["job"], *AT)
        told = kennel(home, "predict", few_digits / "test", "--top", "10", *AT, "--json")
        found[name] = json.loads(told)
        kennel(home, "delete", *AT)
    return found


def test_a_container_trains_what_a_process_trains(trained):
    """
    The same request gives the same figures, but for how fast it was.
    """
    docker, process = (dict(trained[name]["metrics"]) for name in RUNTIMES)

    assert docker.pop("images_per_s") > 0
    assert process.pop("images_per_s") > 0
    assert docker == pytest.approx(process, abs=1e-3)


def probabilities(prediction):
    """Return class → probability."""
    return {guess["class"]: guess["probability"] for guess in prediction["predictions"]}


def test_a_container_answers_what_a_process_answers(predicted):
    """
    Every test picture, to the third digit: the models were trained apart.
    """
    docker, process = (predicted[name] for name in RUNTIMES)

    assert len(docker) == 30
    for one, other in zip(docker, process, strict=True):
        assert one["image"] == other["image"]
        assert probabilities(one) == pytest.approx(probabilities(other), abs=1e-3)


def test_the_log_says_that_it_was_the_image(homes, trained):
    """
    A container knows its folder as /opt/ml, a process by this machine's path.
    """
    logs = {name: kennel(homes[name], "logs", trained[name]["job"]) for name in RUNTIMES}

    assert "artifact in /opt/ml/model" in logs["docker"]
    assert "artifact in /opt/ml/model" not in logs["process"]


def test_nothing_is_left_in_the_engine(engine, homes, predicted):
    """
    No container and no network, once the jobs have ended and the endpoint is deleted.
    """
    assert predicted
    state = str(homes["docker"] / "state")

    def belongs(labels):
        return any(state in value for value in labels.values())

    assert [c.name for c in engine.containers.list(all=True) if belongs(c.labels)] == []
    assert [n.name for n in engine.networks.list() if belongs(n.attrs["Labels"] or {})] == []
