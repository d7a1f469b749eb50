"""A job's report: what is said of it in a terminal, what a script reads, where it is put."""

import json
import subprocess
import sys

import pytest

from kennel.cli import job_view, report_view, reported
from kennel.jobs import reports
from kennel.profiling import judging
from kennel.rules.outcome import ISSUES, Finding, Outcome

JOB = {
    "TrainingJobName": "kennel-1",
    "TrainingJobStatus": "Completed",
    "HyperParameters": {"profile": "true", "profile-rules": "StepOutlier"},
}


@pytest.fixture
def report(left_run):
    run = left_run().whole(steps=40)
    return reported.of(run.folder, "kennel-1", "Completed")


def test_what_is_wrong_comes_with_what_to_do(report):
    """
    Where the time went, the broken rules with their advice, how many rules there are, the pages.
    """
    text = report_view.text(report)

    assert text.startswith("time: ")
    assert "backward" in text.splitlines()[0]
    assert "rule VanishingGradient: step 0: gradient/layer0.weight: mean of" in text
    assert "rule Dataloader: the loop waits 40 %" in text
    assert "kennel train --like kennel-1 --set workers=3" in text
    assert (
        "rules: 5 judged; broken: VanishingGradient, Dataloader, StepOutlier; "
        "2 had nothing to judge; failed: mine"
    ) in text
    assert text.count("-report.html") == 2


def test_a_script_reads_all_of_it(report):
    """
    The phases sum to the time that the run took; every rule has its status and its findings.
    """
    document = json.loads(json.dumps(report_view.document(report)))

    assert sum(document["phases_s"].values()) == pytest.approx(report.evidence.wall_s)
    assert document["profiler"]["StepOutlier"]["RuleEvaluationStatus"] == "IssuesFound"
    assert document["debugger"]["VanishingGradient"]["Findings"][0]["step"] == 0
    assert [waste["rule"] for waste in document["verdict"]] == ["Dataloader", "StepOutlier"]
    assert report_view.brief(report)["broken"] == ["VanishingGradient", "Dataloader", "StepOutlier"]


def test_the_pages_are_written_here_and_now(report):
    """
    Whatever stood there before: a program of anybody's may have written it.
    """
    for page in report.pages:
        page.write_text("<script>alert(1)</script>")

    again = reported.of(report.folder, "kennel-1", "Completed")

    assert [page.name for page in again.pages] == ["profiler-report.html", "debugger-report.html"]
    assert all("alert(1)" not in page.read_text() for page in again.pages)


def test_a_healthy_run_is_said_to_be_one(left_run):
    """
    No rule is broken; without a time line none is made up.
    """
    run = left_run().with_run()
    judging.write(run.profile, [])

    text = report_view.text(reported.of(run.folder, "kennel-1", "Completed"))

    assert text.splitlines()[0].startswith("report: ")


def test_what_the_job_could_not_judge_is_judged_here(left_run):
    """
    A run that was killed, or metrics of the platform: by the rules that the job was to have.
    """
    cut = left_run("cut").with_phases(steps=40).with_metrics(seconds=20)
    reported.judge(JOB, cut.folder, anew=False)
    judged = left_run("judged").with_phases(steps=40).with_metrics(seconds=20).with_profile_rules()
    before = judging.read(judged.profile)
    reported.judge(JOB, judged.folder, anew=False)

    assert [outcome.rule for outcome in judging.read(cut.profile)] == ["StepOutlier"]
    assert judging.read(judged.profile) == before
    reported.judge(JOB, judged.folder, anew=True)
    assert judging.read(judged.profile) != before


@pytest.mark.parametrize(
    ("described", "expected"),
    [
        pytest.param({}, None, id="nobody-has-said"),
        pytest.param({"HyperParameters": {"profile-rules": "what"}}, None, id="another-version"),
        pytest.param(
            {"ProfilerRuleConfigurations": [{"RuleConfigurationName": "StepOutlier"}]},
            ["StepOutlier"],
            id="request",
        ),
    ],
)
def test_rules_are_those_that_the_job_was_to_have(described, expected):
    """
    Of its request or its hyperparameters; all of them where nobody has said.
    """
    asked = reported.asked(described)

    assert (asked and [rule.name for rule in asked]) == expected


@pytest.mark.parametrize(
    ("described", "expected"),
    [
        pytest.param({"HyperParameters": {"debug": "true"}}, True, id="debug"),
        pytest.param({"HyperParameters": {"profile": "false"}}, False, id="off"),
        pytest.param({"DebugHookConfig": {"S3OutputPath": "s3://b"}}, True, id="aws"),
        pytest.param({}, False, id="plain"),
    ],
)
def test_a_watched_job_is_known(described, expected):
    """
    By its request, whoever made it: its description leads to the report.
    """
    job = {"TrainingJobName": "kennel-1", "TrainingJobStatus": "Completed", **described}

    assert reports.is_watched(job) == expected
    assert ("kennel report kennel-1" in job_view.text(job)) == expected


def test_a_description_shows_how_the_rules_stand():
    """
    Those of tensors and those of time, as SageMaker says it.
    """
    statuses = {
        "DebugRuleEvaluationStatuses": [
            {"RuleConfigurationName": "Overfit", "RuleEvaluationStatus": "IssuesFound"}
        ],
        "ProfilerRuleEvaluationStatuses": [{"RuleConfigurationName": "ProfilerReport"}],
    }

    text = job_view.text({**JOB, **statuses})

    assert "Overfit IssuesFound, ProfilerReport InProgress" in text


def test_what_a_rule_has_stopped_is_said_to_be_stopped(left_run):
    """
    SageMaker calls it Completed, since it has left a model: the description and the report say it.
    """
    run = left_run().whole(steps=40)
    metrics = run.folder / "metrics.json"
    metrics.write_text(json.dumps({"ended": "stopped by rule ExplodingTensor"}))
    report = reported.of(run.folder, "kennel-1", "Completed")

    assert report_view.text(report).startswith("stopped by rule ExplodingTensor\n")
    assert "by rule ExplodingTensor" in job_view.text(JOB, stopped_by=report.stopped_by)
    assert job_view.document(JOB, report)["stopped_by"] == "ExplodingTensor"
    for text in ('{"ended": "finished"}', "torn"):
        metrics.write_text(text)
        assert reported.stopped_by(run.folder) is None
    assert reported.stopped_by(run.folder / "nowhere") is None


def test_a_closed_evaluator_leaves_its_status():
    """
    AWS's own tells no more; it is shown as such.
    """
    rule = reports.configuration.read([{"RuleConfigurationName": "Overfit"}])[0]
    status = {
        "RuleConfigurationName": "Overfit",
        "RuleEvaluationStatus": "Error",
        "StatusDetails": "no losses",
    }

    outcome = reports.of_status({"DebugRuleEvaluationStatuses": [status]}, rule)

    assert (outcome.status, outcome.reason) == ("Error", "no losses")


def test_a_job_without_a_report_says_how_to_get_one():
    """
    And one that runs, when there will be one.
    """
    ended = str(reported.nothing(JOB))
    running = str(reported.nothing({**JOB, "TrainingJobStatus": "InProgress"}))

    assert "kennel train --profile" in ended
    assert "PROFILE=1" in ended
    assert "at its end" in running
    assert "kennel logs kennel-1 --follow" in running


def test_the_worst_comes_first(left_run):
    """
    What the page of the debugger begins with, not what begins with A.
    """
    run = left_run()
    found = Finding("w", "it is", "do", 1.0, 1.0)
    names = ("AllZero", "Confusion", "ExplodingTensor")
    run.with_debug_rules(*(Outcome(name, name, ISSUES, findings=(found,)) for name in names))

    report = reported.of(run.folder, "kennel-1", "Failed")

    assert report_view.broken(report)[0] == "ExplodingTensor"
    assert report_view.text(report).startswith("rule ExplodingTensor: w: it is")


WITHOUT = """
import sys
for name in ("torch", "numpy", "psutil", "pynvml", "smdebug", "PIL", "sklearn"):
    sys.modules[name] = None
from kennel import cli
from kennel.cli import rules, report, report_view, reported, watching, training
"""


def test_the_client_makes_reports_without_what_trainings_need(left_run):
    """
    boto3, rich and tomlkit are all that it installs; judging tensors names the extra it needs.
    """
    run = left_run().with_phases(steps=40).with_metrics(seconds=20)
    made = f"""
from pathlib import Path
reported.judge({JOB!r}, Path({str(run.folder)!r}), anew=False)
print(report_view.text(reported.of(Path({str(run.folder)!r}), "kennel-1", "Completed")))
assert cli.main(["rules", "--list", "--json"]) == 0
sys.exit(cli.main(["rules", "."]))
"""

    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", WITHOUT + made], capture_output=True, text=True, check=False
    )

    assert done.returncode == 2, done.stderr
    assert done.stdout.startswith("time: ")
    assert "profiler-report.html" in done.stdout
    assert "pip install 'kennel[train]'" in done.stderr
