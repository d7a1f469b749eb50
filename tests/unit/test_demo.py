"""The demo: what it chooses, which pictures it shows, what it says of them."""

import os
import signal
from pathlib import Path

import pytest

from kennel import cli
from kennel.cli import demo, own_server, tuning, watching
from kennel.cli.outcome import Example, Outcome
from kennel.cli.reported import Report
from kennel.errors import HyperparameterError, ImageError, LocalServerError, SettingsError
from kennel.jobs.debugging_request import Place
from kennel.jobs.predict import Guess, Prediction
from kennel.rules.outcome import Outcome as RuleOutcome
from kennel.training import hyperparameters


def example(name, class_name, *guesses, error=None):
    ranked = tuple(Guess(*guess) for guess in guesses)
    return Example(Prediction(Path(name), ranked, error), class_name)


def outcome(accuracy, examples, folder=Path("nowhere"), **report):
    left = Report("kennel-1", "Completed", folder, **report)
    return Outcome("kennel-demo", accuracy, examples, left)


@pytest.mark.parametrize(
    ("weights", "model", "expected"),
    [
        pytest.param("mobilenet_v2-imagenet.pth", None, "mobilenet_v2", id="as-kennel-is-shown"),
        pytest.param("resnet18-f37072fd.pth", None, "resnet18", id="as-torchvision-names-them"),
        pytest.param("mine.pth", "resnet50", "resnet50", id="as-said"),
    ],
)
def test_the_model_is_read_out_of_the_weights_name(tmp_path, weights, model, expected):
    """
    The name up to the first hyphen, unless the user says which; the backbone stays as it is.
    """
    (tmp_path / weights).touch()

    chosen = demo.planned(tmp_path, tmp_path / weights, model).hyperparameters

    assert (chosen["model"], chosen["weights"], chosen["freeze"]) == (expected, weights, "true")


def test_a_model_that_nobody_names_is_missed_before_anything_starts(tmp_path):
    """
    Weights that do not say whose they are, and a model that there is not.
    """
    (tmp_path / "mine.pth").touch()

    with pytest.raises(SettingsError, match="which model"):
        demo.planned(tmp_path, tmp_path / "mine.pth", None)
    with pytest.raises(HyperparameterError, match="resnet81"):
        demo.planned(tmp_path, None, "resnet81")


def test_unusable_pictures_are_missed_before_anything_starts(tmp_path, capsys):
    """
    The demo checks as a training does.
    """
    (tmp_path / "pets" / "cat").mkdir(parents=True)
    demo_folder = tmp_path / "demo"

    assert cli.main(["demo", "--data", str(tmp_path / "pets"), "--folder", str(demo_folder)]) == 1

    assert "no training can use" in capsys.readouterr().err
    assert not demo_folder.exists()


@pytest.mark.parametrize("with_data", [False, True], ids=["digits", "photographs"])
def test_what_the_demo_chooses_are_hyperparameters(tmp_path, with_data):
    """
    The training takes them; the digits need no weights, so no network.
    """
    chosen = demo.planned(tmp_path if with_data else None, None, None).hyperparameters

    assert hyperparameters.parse(chosen)
    assert with_data or chosen["weights"] == "none"


def test_the_demo_is_watched(tmp_path):
    """
    Its training is profiled and debugged, and judged by kennel: nothing of AWS's Debugger.
    """
    settings = demo.demo_settings(demo.planned(None, None, None), tmp_path, "process")

    watched = watching.of(settings, Place("kennel-1", "eu-west-1", "s3://b/jobs"))

    assert {"debug", "profile"} <= set(watched.hyperparameters)
    assert watched.request == {}


@pytest.mark.parametrize("with_data", [False, True], ids=["digits", "photographs"])
def test_what_the_demo_searches_can_be_searched(tmp_path, with_data):
    """
    In one job, without a server; of features that are computed once there are more trials.
    """
    wanted = demo.planned(tmp_path if with_data else None, None, None)
    settings = demo.demo_settings(wanted, tmp_path, "process")

    limits = tuning.judged(settings).config["ResourceLimits"]

    assert settings.tune.in_job
    assert limits["MaxNumberOfTrainingJobs"] == (20 if with_data else 4)


@pytest.mark.parametrize(
    ("data", "weights"), [("nowhere", None), (None, "nowhere.pth")], ids=["data", "weights"]
)
def test_what_is_not_there_is_missed_before_anything_starts(tmp_path, data, weights):
    """
    A wrong path is an error at once.
    """
    with pytest.raises(SettingsError, match="there is no such"):
        demo.planned(data and tmp_path / data, weights and tmp_path / weights, None)


@pytest.mark.parametrize(
    ("splits", "expected"),
    [(("train", "val", "test"), "test"), (("train", "val"), "val"), (("train",), "train")],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_shown_pictures_are_of_every_class_and_not_from_the_training(tmp_path, splits, expected):
    """
    One of each class, then the next of each; from the test split where there is one.
    """
    for split in splits:
        for name, count in (("cat", 3), ("dog", 1)):
            (tmp_path / split / name).mkdir(parents=True)
            for n in range(count):
                (tmp_path / split / name / f"{n}.jpg").touch()

    found = list(demo.spread(tmp_path))

    assert [name for _, name in found] == ["cat", "dog", "cat", "cat"]
    assert {path.parent.parent.name for path, _ in found} == {expected}


def test_the_summary_has_what_scripts_read():
    """
    Accuracy, what the training was like, endpoint, predictions, runtime and seconds.
    """
    came = outcome(0.95, [example("1.png", "1", ("7", 0.6))])

    assert came.summary("process", seconds=1.23) == {
        "test_accuracy": 0.95,
        "report": {"folder": "nowhere", "pages": [], "verdict": [], "broken": []},
        "endpoint": "kennel-demo",
        "predictions": [{"image": "1.png", "class": "1", "predicted": "7", "probability": 0.6}],
        "runtime": "process",
        "seconds": 1.2,
    }


def test_the_report_shows_accuracy_predictions_rules_and_pictures(tmp_path, monkeypatch):
    """
    A wrong guess is marked, and a picture that could not be classified says why.
    """
    monkeypatch.chdir(tmp_path)
    (tmp_path / "curves.png").touch()
    examples = [
        example("1.png", "1", ("1", 0.99)),
        example("2.png", "2", ("7", 0.6)),
        example("3.png", "3", error=ImageError("not a picture")),
    ]

    rules = (RuleOutcome("Overfit", "Overfit", "NoIssuesFound", datapoints=9),)

    text = str(outcome(0.95, examples, tmp_path, debugger=rules, pages=(tmp_path / "a.html",)))

    assert text.strip().splitlines() == [
        "picture  class  predicted",
        "1.png    1      1 99.0%",
        "2.png    2      7 60.0%  wrong",
        "3.png    3      not a picture",
        "",
        "rules: 1 judged; none is broken",
        "report: a.html",
        "",
        "test accuracy: 0.9500",
        "curves.png",
    ]


def test_the_report_shows_paths_as_they_can_be_typed_here(tmp_path, monkeypatch, tmp_path_factory):
    """
    Below the current folder from there, others whole.
    """
    monkeypatch.chdir(tmp_path)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for folder in (tmp_path / "demo", elsewhere):
        folder.mkdir(exist_ok=True)
        (folder / "a.png").touch()

    texts = [str(outcome(None, [], folder)) for folder in (tmp_path / "demo", elsewhere)]

    assert [text.splitlines()[-1] for text in texts] == ["demo/a.png", str(elsewhere / "a.png")]


def test_the_demos_server_can_be_asked_again(tmp_path, monkeypatch):
    """
    It is stopped when an error is read; what is advised starts it again on its own state and port.
    """
    monkeypatch.chdir(tmp_path)

    command = demo.server_again(tmp_path / "demo" / "server")

    start = "KENNEL_LOCAL_STATE=demo/server KENNEL_LOCAL_PORT=0 kennel local run -- kennel"
    assert command == start


def test_two_demos_do_not_share_a_folder(tmp_path):
    """
    The second says so; when the first has ended, its place is free.
    """
    with own_server.alone(tmp_path), pytest.raises(LocalServerError, match="another demo"):  # noqa: SIM117 - the second must fail inside the first
        with own_server.alone(tmp_path):
            pass

    with own_server.alone(tmp_path):
        pass


def test_the_environment_is_what_it_was_afterwards(monkeypatch):
    """
    Whatever the demo sets or removes for boto3, it takes back.
    """
    monkeypatch.setenv("AWS_PROFILE", "work")
    before = dict(os.environ)

    with own_server.environment({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}):
        inside = dict(os.environ)

    assert inside == {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    assert dict(os.environ) == before


def test_a_request_to_terminate_is_an_interrupt():
    """
    So that what has been started is cleaned up; afterwards the signal does what it did before.
    """
    before = signal.getsignal(signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt), own_server.interruptible():
        signal.raise_signal(signal.SIGTERM)

    assert signal.getsignal(signal.SIGTERM) == before


def test_cleaning_up_is_not_interrupted():
    """
    A second Ctrl-C is heeded only when everything is cleaned up.
    """
    with own_server.deaf():
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
