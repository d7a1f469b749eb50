"""How a search looks while it runs and after: lines, table, figures."""

from datetime import UTC, datetime, timedelta

from kennel.cli import tuning_view
from kennel.jobs import search_log
from kennel.jobs.tuning_reader import as_tuning_job
from kennel.jobs.tunings import Job
from kennel.jobs.watch import Line
from kennel.tuning.ranges import Categorical, Continuous
from kennel.tuning.trials import Limits, Trial, Tuning

START = datetime(2026, 1, 2, tzinfo=UTC)


def trial(number, state="Completed", objective=None, **more):
    values = {"lr": f"0.0{number}23456", "model": "alexnet"}
    return Trial(f"t-{number:03d}-1a2b3c4d", values, state, objective, **more)


def search(*trials, status="InProgress", **limits):
    ranges = (Continuous("lr", 0.001, 0.1), Categorical("model", ("alexnet", "vgg11")))
    limits = Limits(**{"jobs": 20, "parallel": 2, **limits})
    return Tuning(
        name="t",
        status=status,
        metric="acc",
        maximize=True,
        strategy="Random",
        ranges=ranges,
        static={},
        limits=limits,
        trials=trials,
        started=START,
    )


def test_progress_is_told_against_the_limits():
    """
    Trials, those that failed, time, and what is paid for.
    """
    found = search(
        trial(1, objective=0.5, billable_s=30),
        trial(2, "Failed", billable_s=12),
        trial(3, "InProgress"),
        runtime_s=3600,
    )

    said = tuning_view.progress(found, now=START + timedelta(seconds=75))

    assert said == "2 of 20 trials, 1 running, 1 failed, 1:15 of 1:00:00, 42 billable seconds"


def test_each_trial_is_told_of_once_with_the_best_so_far(capsys):
    """
    Where nobody watches, what is new is a line; of a failed trial with the reason.
    """
    lines = tuning_view.Lines()
    lines(search(trial(1, objective=0.5), trial(2, "InProgress")))
    lines(search(trial(1, objective=0.5), trial(2, "Failed", reason="too high\nTraceback")))

    said = capsys.readouterr().err.splitlines()

    assert (
        said[0] == "trial 001 Completed acc=0.5 lr=0.01235 model=alexnet; best acc 0.5: trial 001"
    )
    assert said[1].startswith("InProgress: 1 of 20 trials, 1 running")
    assert said[2:] == [
        "trial 002 Failed lr=0.02235 model=alexnet: too high; best acc 0.5: trial 001"
    ]


def test_a_live_picture_fits_the_terminal_and_keeps_the_best():
    """
    No line is wider, no more trials than there is room for; the best one stays in sight.
    """
    found = search(trial(1, objective=0.9), *(trial(n, objective=0.1) for n in range(2, 10)))

    lines = tuning_view.picture(found, width=50, height=11).splitlines()

    assert len(lines) <= 11
    assert max(map(len, lines)) <= 50
    assert [line[:5] for line in lines[3:-1]] == ["001 *", "007  ", "008  ", "009  "]


def test_a_narrow_terminal_has_the_progress_and_leaves_out_metrics_first():
    """
    What was searched is worth more than a second metric; limits, time and cost are always there.
    """
    told = {"acc": 0.5, "valid_loss": 0.25}
    found = search(trial(1, objective=0.5, metrics=told, billable_s=61), runtime_s=3600)

    narrow = tuning_view.picture(found, width=50, height=20)
    wide = tuning_view.picture(found, width=100, height=20)

    assert " of 1:00:00, 61 billable seconds" in " ".join(narrow.splitlines())
    assert ("valid_loss" in wide, "valid_loss" in narrow) == (True, False)
    assert "alexnet" in narrow


def test_a_running_trial_shows_its_metric_so_far():
    """
    Before there is an objective.
    """
    running = trial(1, "InProgress", metrics={"acc": 0.25})

    assert "0.2500" in tuning_view.table(search(running), [running])


LOG = """\
trial=1 begins lr=0.1 model=alexnet
trial=1 epoch=1/2 train_loss=2.3 train_accuracy=0.1 valid_loss=2.4 valid_accuracy=0.2 lr=0.1
trial=1/9 stopped valid_accuracy=0.2000 lr=0.1 model=alexnet seconds=12.5; best trial=1 acc=0.2
trial=2/9 failed: no such lr=9 lr=99 model=vgg11 seconds=0.5; best trial=1 valid_accuracy=0.2
trial=3 begins lr=0.2 model=alex net
trial=3 epoch=1/2 train_loss=1.3 train_accuracy=0.4 valid_loss=1.4 valid_accuracy=0.6 lr=0.2
some other line
"""


def test_the_trials_of_a_running_job_are_read_in_its_log():
    """
    With their values; the one that runs with its metrics so far, one that has ended with those of
    the epoch that they came to; lines that come later are added.
    """
    lines = [Line(text, "s", 100_000) for text in LOG.splitlines()]
    told = search_log.Trials("t", ("lr", "model"))
    told.read(lines[:1])

    first, second, third = told.read(lines[1:])

    assert first["TrainingJobName"] == "t-001"
    assert first["TrainingJobStatus"] == "Stopped"
    assert first["HyperParameters"] == {"lr": "0.1", "model": "alexnet"}
    assert first["FinalMetricDataList"][0] == {"MetricName": "valid_accuracy", "Value": 0.2}
    assert {"MetricName": "valid_loss", "Value": 2.4} in first["FinalMetricDataList"]
    assert (first["TrainingStartTime"], first["TrainingEndTime"]) == (87.5, 100.0)
    assert second["TrainingJobStatus"] == "Failed"
    assert second["FailureReason"].startswith("no such")
    assert third["TrainingJobStatus"] == "InProgress"
    assert third["HyperParameters"] == {"lr": "0.2", "model": "alex net"}
    metrics = {one["MetricName"]: one["Value"] for one in third["FinalMetricDataList"]}
    assert (metrics["valid_accuracy"], metrics["lr"]) == (0.6, 0.2)


def test_a_search_in_one_job_is_described_as_a_tuning_job():
    """
    Its status and times are the job's, its search the hyperparameter's; what it costs is the job's.
    """
    config = '{"Strategy": "Random", "ParameterRanges": {}}'
    job = Job(
        {
            "TrainingJobName": "t",
            "TrainingJobStatus": "Failed",
            "FailureReason": "no disk",
            "CreationTime": START,
            "HyperParameters": {"kennel-tuning": config, "epochs": "3"},
            "BillableTimeInSeconds": 61,
        }
    )

    described = as_tuning_job(job.described, {})

    assert described["HyperParameterTuningJobConfig"]["Strategy"] == "Random"
    assert described["TrainingJobDefinition"] == {"StaticHyperParameters": {"epochs": "3"}}
    assert described["HyperParameterTuningJobStatus"] == "Failed"
    assert described["FailureReason"] == "no disk"
    assert job.in_job
    assert tuning_view.billable_s(search(trial(1, billable_s=5)), job) == 61
