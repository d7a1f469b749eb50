"""A whole search in one job: what it tries, what it leaves, and that it can go on."""

import io
import json
import re
import time
from contextlib import redirect_stdout
from dataclasses import replace
from uuid import uuid4

import botocore.session
import pytest
import torch
from botocore.validate import ParamValidator

from kennel.contract import METRIC_DEFINITIONS, SEARCH_HYPERPARAMETER
from kennel.errors import TuningError
from kennel.training import main
from kennel.training.search import main as search_main
from kennel.training.search import request
from kennel.training.search import trial as search_trial
from kennel.training.search.bench import Bench
from kennel.training.search.journal import Journal, Progress
from kennel.training.search.run import Searching
from kennel.training.search.trial import Result, Task
from kennel.training.stopping import Stop
from kennel.tuning import trials
from kennel.tuning.search import Search
from kennel.vision import trained

QUICK = {
    "model": "shufflenet_v2_x0_5",
    "weights": "none",
    "image-size": "32",
    "batch-size": "5",
    "augment": "none",
    "freeze": "true",
    "epochs": "3",
    "workers": "0",
}
COUNTS = {"train": 8, "valid": 6, "test": 5}
TRIALS = 7  # so many that the last ones are chosen by what the others came to
LR = {"Name": "lr", "MinValue": "0.001", "MaxValue": "0.5", "ScalingType": "Logarithmic"}
SEARCH = {
    "Strategy": "Bayesian",
    "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "valid_loss"},
    "ResourceLimits": {"MaxNumberOfTrainingJobs": TRIALS, "MaxParallelTrainingJobs": 1},
    "ParameterRanges": {"ContinuousParameterRanges": [LR]},
    "RandomSeed": 1,
}


def grid(**values):
    """A search of all combinations."""
    ranges = [{"Name": name.replace("_", "-"), "Values": each} for name, each in values.items()]
    return SEARCH | {
        "Strategy": "Grid",
        "ResourceLimits": {"MaxParallelTrainingJobs": 1},
        "ParameterRanges": {"CategoricalParameterRanges": ranges},
    }


@pytest.fixture(scope="module")
def dataset(noisy_pictures):
    """Noise of two kinds, hard to tell apart."""
    return noisy_pictures(COUNTS, size_px=32, noise=200, shift=100)


@pytest.fixture
def lay_out(tmp_path, dataset, opt_ml):
    """Return ``lay_out(**hyperparameters)``, which makes another /opt/ml each time."""
    return lambda **changes: opt_ml(tmp_path / uuid4().hex, dataset, QUICK | changes)


@pytest.fixture
def valid_answer():
    """Check an answer against AWS's own service model."""
    model = botocore.session.get_session().get_service_model("sagemaker")

    def check(operation, answer):
        report = ParamValidator().validate(answer, model.operation_model(operation).output_shape)
        assert "Unknown parameter" not in report.generate_report()
        problems = [line for line in report.generate_report().splitlines() if "Missing" not in line]
        assert problems == []

    return check


@pytest.fixture(scope="module")
def searched(tmp_path_factory, dataset, opt_ml):
    """A search from beginning to end: its paths, what it tells, and its log."""
    paths, log = opt_ml(tmp_path_factory.mktemp("whole") / "ml", dataset, QUICK), io.StringIO()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in the tests themselves
    with redirect_stdout(log):
        tuning = search(paths)
    torch.set_num_threads(threads)
    return paths, tuning, log.getvalue()


def search(paths, document=SEARCH, stop=None, **static):
    """Run a search in this process, and return what tuning.json tells of it."""
    raw = QUICK | static | {SEARCH_HYPERPARAMETER: json.dumps(document)}
    search_main.main(paths, request.read(raw), 1, stop or Stop())
    return told(paths)


def told(paths):
    document = json.loads((paths.output_data / "tuning.json").read_text())
    return trials.from_answers(document["Tuning"], document["TrainingJobs"], document["Curves"])


def weights(paths):
    return trained.load(paths.model)[0].state_dict()


def figures(paths):
    return json.loads((paths.output_data / "metrics.json").read_text())


def without_times(trial):
    return replace(trial, seconds=None, started=None, ended=None, metrics={})


def test_the_artifact_is_what_a_training_with_the_best_values_comes_to(searched, lay_out):
    """
    Bit for bit: trials leave no trace in one another, and the best is not trained again.
    """
    paths, tuning, _ = searched
    alone = lay_out(**tuning.best.values)
    main.main(alone, Stop())

    assert tuning.best.name != tuning.trials[0].name, "nothing could have left a trace in it"
    torch.testing.assert_close(weights(paths), weights(alone), rtol=0, atol=0)
    made, own = figures(paths), figures(alone)
    for name in ("best_epoch", "valid_loss", "test_accuracy", "test_loss", "hyperparameters"):
        assert made[name] == own[name]
    assert tuning.best.objective == made["valid_loss"]


def test_a_trial_means_the_same_in_one_job_and_as_a_job_of_its_own(lay_out, capsys):
    """
    Its objective is that of the weights that are kept, whether or not they are the last epoch's.
    """
    random = SEARCH | {"Strategy": "Random", "ResourceLimits": {"MaxNumberOfTrainingJobs": 3}}
    tuning = search(lay_out(), random, epochs="5")

    assert any(trial.curve[-1] != trial.objective for trial in tuning.trials)
    for trial in tuning.trials:
        capsys.readouterr()
        main.main(lay_out(epochs="5", **trial.values), Stop())
        log = capsys.readouterr().out
        assert float(re.findall(METRIC_DEFINITIONS["valid_loss"], log)[-1]) == pytest.approx(
            trial.objective, abs=6e-5
        )


def test_whole_models_can_be_searched_too(lay_out):
    """
    Nothing is shared between trials but the pictures, and the best is a single training's result.
    """
    paths = lay_out()
    tuning = search(paths, grid(lr=["0.001", "0.05"]), freeze="false")
    alone = lay_out(freeze="false", **tuning.best.values)
    main.main(alone, Stop())

    torch.testing.assert_close(weights(paths), weights(alone), rtol=0, atol=0)


def test_the_last_figures_in_the_log_are_those_of_the_best_trial(searched):
    """
    SageMaker takes the last match of each expression; the test split is measured once.
    """
    _, tuning, log = searched

    for name, expression in METRIC_DEFINITIONS.items():
        last = re.findall(expression, log)[-1]
        if name in tuning.best.metrics:
            assert float(last) == pytest.approx(tuning.best.metrics[name], rel=0.01, abs=1e-4), name
    assert len(re.findall(METRIC_DEFINITIONS["test_accuracy"], log)) == 1
    epochs = re.findall(r"^trial=\d epoch=", log, re.MULTILINE)
    assert len(epochs) == TRIALS * int(QUICK["epochs"])
    ended = r"^trial=7/7 completed valid_loss=[\d.]+ lr=[\d.]+ .*; best trial="
    assert re.search(ended, log, re.MULTILINE)


def test_each_trial_is_chosen_by_what_the_earlier_ones_came_to(searched):
    """
    The search is told their objectives: without them it would go on elsewhere.
    """
    _, tuning, _ = searched
    chooser = Search(SEARCH, static=QUICK, name="search")
    hidden = [trials.Trial(trial.name, trial.values) for trial in tuning.trials[:-1]]

    for place, trial in enumerate(tuning.trials):
        assert chooser.suggest(tuning.trials[:place], 1) == [trial.values]
    assert chooser.suggest(hidden, 1) != [tuning.trials[-1].values]


def test_reading_pictures_is_no_trials_time(lay_out, tmp_path, capsys):
    """
    It is for all of them, and said apart, once.
    """

    class Watched(Bench):
        def ready(self, *args):
            made = super().ready(*args)
            self.made_s = time.time()
            return made

    bench = Watched(lay_out(), request.read(QUICK | {SEARCH_HYPERPARAMETER: json.dumps(SEARCH)}))
    for number in (1, 2):
        task = Task(number, {"lr": f"0.0{number}"})
        result, _ = search_trial.run(task, bench, tmp_path, lambda _: False, Stop())
        assert result.started >= bench.made_s

    assert len(re.findall(r"^made ready in [\d.]+ s", capsys.readouterr().out, re.MULTILINE)) == 1


def test_pictures_pass_through_the_backbone_once(searched):
    """
    In the whole search: not once a trial.
    """
    assert searched[2].count("views of each to train on") == 1


def test_what_a_search_tells_is_what_aws_would_answer(searched, valid_answer):
    """
    But for what only the platform knows of a training job: its image, its role, its machines.
    """
    paths, _, _ = searched
    document = json.loads((paths.output_data / "tuning.json").read_text())
    unknown = "TrainingJobDefinition"

    told = {name: value for name, value in document["Tuning"].items() if name != unknown}
    valid_answer("DescribeHyperParameterTuningJob", told)
    for job in document["TrainingJobs"]:
        valid_answer("DescribeTrainingJob", job)
    assert told["TrainingJobStatusCounters"]["Completed"] == TRIALS
    names = [job["TrainingJobName"] for job in document["TrainingJobs"]]
    assert list(document["Curves"]) == names == sorted(names)
    assert document["Tuning"]["BestTrainingJob"]["TrainingJobName"] in names


def test_what_the_backbone_depends_on_can_be_searched(lay_out, capsys):
    """
    Each backbone has features of its own, and none is computed twice.
    """
    document = grid(image_size=["32", "48"], lr=["0.01", "0.1"])
    static = {name: value for name, value in QUICK.items() if name != "image-size"}
    raw = static | {SEARCH_HYPERPARAMETER: json.dumps(document)}
    paths = lay_out()
    search_main.main(paths, request.read(raw), 1, Stop())

    assert len(told(paths).trials) == 4
    assert capsys.readouterr().out.count("views of each to train on") == 2
    assert trained.load(paths.model)[1].preprocessing.crop_px == int(
        told(paths).best.values["image-size"]
    )


def test_a_failing_trial_counts_and_the_search_goes_on(lay_out):
    """
    Its reason is kept; the best of the others is the job's.
    """
    tuning = search(lay_out(), grid(amp=["off", "fp16"]))

    states = {trial.values["amp"]: trial for trial in tuning.trials}
    assert states["off"].state == "Completed"
    assert states["fp16"].state == "Failed"
    assert states["fp16"].reason.startswith("HyperparameterError: amp=fp16 needs a GPU")
    assert tuning.status == "Completed"
    assert tuning.best == states["off"]


def test_a_search_without_any_success_fails_with_the_first_reason(lay_out):
    """
    After five trials, as AWS gives up; tuning.json is there all the same.
    """
    document = grid(amp=["fp16"], lr=[str(number / 100) for number in range(1, 9)])
    paths = lay_out()

    with pytest.raises(TuningError, match=r"after 5 attempts\. The first.*fp16 needs"):
        search(paths, document)
    assert told(paths).status == "Failed"
    assert not list(paths.model.glob("*"))


def test_trials_side_by_side_are_given_up_as_well(tmp_path):
    """
    Of two lanes, the next one that looks for a trial after five have failed ends the search.
    """

    def fails(task, *_):
        return Result(task.number, task.values, "Failed", (), "no memory", 0.0, task.number), None

    static = QUICK | {SEARCH_HYPERPARAMETER: json.dumps(grid(lr=[f"0.{n}" for n in range(1, 10)]))}
    wanted, progress = request.read(static), Progress("search")

    reason = Searching(wanted, Journal(tmp_path, wanted, ""), progress, Stop()).run([fails, fails])

    assert reason == "none has succeeded"
    assert len(progress.results) == 6  # of which the sixth was chosen when four were known


@pytest.mark.parametrize("looks", [20, 70, 105])
def test_a_stopped_search_goes_on_to_the_same_end(searched, lay_out, stop_after, looks):
    """
    Stopped while features are computed, in a trial, or later: the same trials, the same model.
    """
    whole, tuning, _ = searched
    broken = lay_out()
    stopped = search(broken, stop=stop_after(looks))
    again = search(broken)

    assert stopped.status == "Stopped"
    assert len(stopped.trials) < TRIALS
    assert [*map(without_times, again.trials)] == [*map(without_times, tuning.trials)]
    torch.testing.assert_close(weights(whole), weights(broken), rtol=0, atol=0)


def test_a_finished_search_that_is_started_again_runs_no_trial(searched, capsys):
    """
    A restart between the end and the upload leaves the same.
    """
    paths, tuning, _ = searched

    assert search(paths) == tuning
    assert "trial=1 epoch=" not in capsys.readouterr().out


def test_the_record_of_another_search_is_refused(searched):
    """
    What differs is named.
    """
    paths, _, _ = searched

    with pytest.raises(TuningError, match="of another search: RandomSeed"):
        search(paths, SEARCH | {"RandomSeed": 2})
    with pytest.raises(TuningError, match="of another search: epochs"):
        search(paths, epochs="4")


def test_a_search_can_be_given_more_trials(lay_out):
    """
    A larger limit is not another search: it goes on after the last trial.
    """
    paths = lay_out()
    search(paths, SEARCH | {"ResourceLimits": {"MaxNumberOfTrainingJobs": 1}})
    few = search(paths, SEARCH | {"ResourceLimits": {"MaxNumberOfTrainingJobs": 2}})

    assert [trial.name for trial in few.trials] == ["search-001", "search-002"]


def test_a_trial_that_does_worse_than_the_others_is_cut_short(lay_out):
    """
    Between two epochs, by the median rule; what it came to counts.
    """
    values = ["0.05", "0.06", "0.07", "0.08", "0.0000001"]
    document = grid(lr=values) | {"TrainingJobEarlyStoppingType": "Auto"}
    tuning = search(lay_out(), document | {"RandomSeed": 4}, epochs="6")

    cut = [trial for trial in tuning.trials if trial.state == "Stopped"]
    assert all(0 < len(trial.curve) < 6 for trial in cut)
    assert cut, [trial.curve for trial in tuning.trials]


def test_time_that_is_up_ends_the_trial_that_runs(lay_out):
    """
    MaxRuntimeInSeconds is honoured between two steps, and the model is that of the epochs so far.
    """
    limits = {"MaxNumberOfTrainingJobs": 9, "MaxParallelTrainingJobs": 1, "MaxRuntimeInSeconds": 2}
    paths = lay_out()
    tuning = search(paths, SEARCH | {"ResourceLimits": limits}, epochs="100000")

    assert [trial.state for trial in tuning.trials] == ["Stopped"]
    assert 0 < len(tuning.trials[0].curve) < 100000
    assert tuning.status == "Completed"
    assert trained.load(paths.model)
