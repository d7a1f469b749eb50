"""Watching a training from the command line, against the local server: reports, rules, two runs."""

import json
import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from kennel.cli import tensors
from kennel.rules import debugger

KENNEL = [sys.executable, "-c", "import sys; from kennel.cli import main; sys.exit(main())"]
SETTINGS = """
[local]
state = "{state}"
[data]
folder = "{data}"
[debug]
save_interval = 2
[profile]
interval_ms = 100
rules = "OverallSystemUsage,OverallFrameworkMetrics,StepOutlier"
[train.hyperparameters]
weights = "none"      # no network
model = "mobilenet_v2"  # a small artifact
augment = "none"
image-size = 32
epochs = 1
batch-size = 16
"""
WATCHED = ("train", "--profile", "--json")


@pytest.fixture(scope="module")
def home(tmp_path_factory, state, few_digits):
    """A folder whose kennel.toml names the session's server and a small training."""
    folder = tmp_path_factory.mktemp("report")
    (folder / "kennel.toml").write_text(SETTINGS.format(state=state, data=few_digits))
    return folder


@pytest.fixture(scope="module")
def kennel(home, server):
    """Run ``kennel ARGS`` there, as ``kennel local run`` would each time."""
    assert server
    told = "import json, os; print(json.dumps(dict(os.environ)))"
    command = [*KENNEL, "local", "run", "--", sys.executable, "-c", told]
    environment = json.loads(
        subprocess.run(  # noqa: S603 - ourselves
            command, cwd=home, capture_output=True, text=True, check=True, timeout=60
        ).stdout
    )

    def kennel(*args, code=0):
        done = subprocess.run(  # noqa: S603 - ourselves
            [*KENNEL, *map(str, args)],
            cwd=home, env=environment, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return kennel


@pytest.fixture(scope="module")
def watched(kennel):
    """A training that was watched: what it came to, and how it looked."""
    done = kennel(*WATCHED)
    return json.loads(done.stdout), done.stderr


@pytest.fixture(scope="module")
def by_aws(home, kennel):
    """A training whose request asks for AWS's own Debugger: the local server's rules judge it."""
    text = (home / "kennel.toml").read_text()
    asked = 'evaluator = "sagemaker"\nrules = "ExplodingTensor,VanishingGradient"\n'
    (home / "kennel.toml").write_text(text.replace("[debug]\n", f"[debug]\n{asked}"))
    try:
        name = json.loads(kennel(*WATCHED).stdout)["job"]
    finally:
        (home / "kennel.toml").write_text(text)
    return name


def test_a_watched_training_says_at_its_end_what_it_was_like(watched, home):
    """
    The rules that are broken, and pages that a browser shows.
    """
    document = watched[0]["report"]

    assert set(document["broken"]) <= {*debugger.TABLES, "StepOutlier"}
    names = [Path(page).name for page in document["pages"]]
    assert names == ["profiler-report.html", "debugger-report.html"]
    for page in document["pages"]:
        text = (home / page).read_text(encoding="utf-8")
        HTMLParser().feed(text)
        assert watched[0]["job"] in text


def test_a_report_is_of_the_latest_job_unless_one_is_named(kennel, watched, home):
    """
    All of it for a script: where the time went sums to how long it took, and every rule.
    """
    latest = json.loads(kennel("report", "--json", "--to", "latest").stdout)
    named = json.loads(kennel("report", watched[0]["job"], "--json").stdout)

    assert latest["job"] == named["job"] == watched[0]["job"]
    assert sum(named["phases_s"].values()) > 0
    assert named["phases_s"]["forward"] > 0
    assert set(named["debugger"]) == set(debugger.TABLES)
    assert set(named["profiler"]) == {
        "OverallSystemUsage",
        "OverallFrameworkMetrics",
        "StepOutlier",
    }
    assert named["profiler"]["OverallSystemUsage"]["Datapoints"] > 0
    assert (home / "latest" / "profiler-output" / "profiler-report.html").is_file()


def test_a_report_for_people_is_a_few_lines(kennel, watched):
    """
    Where the time went, what is wrong, where the pages are; the second time as the first.
    """
    first = kennel("report", watched[0]["job"]).stdout
    again = kennel("report", watched[0]["job"]).stdout

    assert first == again
    assert first.startswith("time: ")
    assert "rules: " in first
    assert first.count("-report.html\n") == 2


def test_a_description_leads_to_the_report(kennel, watched):
    """
    Where a job was watched; the command can be pasted.
    """
    name = watched[0]["job"]

    assert f"kennel report {name}" in kennel("describe", name).stdout


def test_the_tensors_of_a_job_are_judged_again(kennel, watched, home):
    """
    By other parameters than it was trained with; from its folder as from its name.
    """
    name = watched[0]["job"]
    strict = ["--rule", "VanishingGradient", "--set", "threshold=1e9", "--json"]

    (found,) = json.loads(kennel("rules", name, *strict, code=1).stdout)
    fetched = home / tensors.FOLDER / name
    (again,) = json.loads(kennel("rules", fetched, *strict, code=1).stdout)

    assert found == again
    assert found["RuleEvaluationStatus"] == "IssuesFound"
    kennel("rules", name, "--rule", "ExplodingTensor")


def test_two_jobs_are_compared_on_a_page(kennel, watched, by_aws, home):
    """
    Also where they were watched in different ways; what it comes to is said at once.
    """
    names = watched[0]["job"], by_aws
    said = kennel("report", *names).stdout.splitlines()
    told = json.loads(kennel("report", *names, "--json").stdout)
    page = told["page"]

    assert said[:2] == [f"A: {names[0]}", f"B: {names[1]}"]
    assert said[-1] == f"report: {page}"
    assert told["verdict"]
    assert set(told["verdict"]) <= set(said)
    assert any(line.startswith("From start to end A took ") for line in said)
    text = (home / page).read_text(encoding="utf-8")
    HTMLParser().feed(text)
    assert watched[0]["job"] in text
    assert by_aws in text


def test_the_local_server_does_what_is_asked_of_awss_debugger(kennel, by_aws, aws):
    """
    The request that would go to AWS: rules have a status, the platform has sampled, tensors are
    in S3; and the report has it all.
    """
    described = aws("sagemaker").describe_training_job(TrainingJobName=by_aws)
    report = json.loads(kennel("report", by_aws, "--json").stdout)

    statuses = {
        one["RuleConfigurationName"]: one["RuleEvaluationStatus"]
        for one in described["DebugRuleEvaluationStatuses"]
    }
    assert statuses.keys() == {"ExplodingTensor", "VanishingGradient"}
    assert {name: one["RuleEvaluationStatus"] for name, one in report["debugger"].items()} == (
        statuses
    )
    assert report["debugger"]["ExplodingTensor"]["Datapoints"] > 0
    assert report["profiler"]["OverallSystemUsage"]["Datapoints"] > 0
    assert "ExplodingTensor " in kennel("describe", by_aws).stdout
    bucket, _, key = (
        described["DebugHookConfig"]["S3OutputPath"].removeprefix("s3://").partition("/")
    )
    tensors_there = f"s3://{bucket}/{key}/{by_aws}/debug-output"
    kennel("rules", tensors_there, "--rule", "ExplodingTensor")


def test_a_job_like_another_has_its_data_and_its_settings(kennel, watched, aws):
    """
    What was given on the command line then need not be given again.
    """
    other = aws("sagemaker").describe_training_job(TrainingJobName=watched[0]["job"])
    planned = kennel("train", "--like", watched[0]["job"], "--set", "workers=1", "--dry-run")

    request = json.loads(planned.stdout)["request"]
    assert request["InputDataConfig"] == other["InputDataConfig"]
    assert request["HyperParameters"] == {**other["HyperParameters"], "workers": "1"}
    assert request["CheckpointConfig"]["S3Uri"].endswith(request["TrainingJobName"])


def test_a_search_is_not_watched(kennel):
    """
    Its trials are said to do without; the request has nothing of it.
    """
    done = kennel("tune", "--in-job", "--dry-run", "--max-jobs", "1", "--set", "debug=false")

    assert "debug-rules" not in done.stdout


def test_an_unwatched_job_has_no_report_and_says_how_to_get_one(kennel, watched, aws):
    """
    Neither pages nor tensors: whoever started it, and whatever it ran.
    """
    sagemaker, name = aws("sagemaker"), "somebodys-own"
    other = sagemaker.describe_training_job(TrainingJobName=watched[0]["job"])
    sagemaker.create_training_job(
        TrainingJobName=name,
        RoleArn=other["RoleArn"],
        AlgorithmSpecification={
            "TrainingImage": "any",
            "TrainingInputMode": "File",
            "ContainerEntrypoint": [sys.executable, "-c", "pass"],
        },
        **{member: other[member] for member in ("ResourceConfig", "StoppingCondition")},
        OutputDataConfig={"S3OutputPath": other["OutputDataConfig"]["S3OutputPath"]},
    )
    kennel("logs", name, "--follow")

    said = kennel("report", name, code=1).stderr
    assert "kennel train --profile" in said
    assert "has saved no tensors" in kennel("rules", name, code=2).stderr
    assert "kennel report" not in kennel("describe", name).stdout


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        pytest.param(["report", "nowhere"], 1, "there is no training job nowhere", id="report"),
        pytest.param(["report", "a", "b", "c"], 1, "one job, or two", id="three"),
        pytest.param(["report", "a", "a"], 1, "one job, or two", id="itself"),
        pytest.param(["rules", "nowhere"], 2, "neither a folder here nor a training", id="rules"),
        pytest.param(["train", "--like", "nowhere"], 1, "no training job nowhere", id="like"),
        pytest.param(["rules", "s3://no-bucket/x"], 2, "no tensors under s3://", id="s3"),
    ],
)
def test_what_is_not_there_is_an_error(kennel, words, code, message):
    """
    With what there is, or what to try.
    """
    assert message in kennel(*words, code=code).stderr


def test_without_a_region_the_local_server_is_named(home, server):
    """
    Where one of this folder runs: a command forgot to say that it is meant.
    """
    assert server
    without = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    for words in (["report"], ["report", "nope"], ["rules", "nope"]):
        done = subprocess.run(  # noqa: S603 - ourselves
            [*KENNEL, *words],
            cwd=home, env=without, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert "the local server of this folder runs" in done.stderr
        assert "try: kennel local run -- kennel" in done.stderr
        assert ("no folder nope" in done.stderr) == ("rules" in words)
