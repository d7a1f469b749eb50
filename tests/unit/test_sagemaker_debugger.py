"""What requests may ask of Debugger and Profiler, where it is stored, and how rules are told of."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from botocore.loaders import Loader

from kennel.local.resources import LOCAL
from kennel.local.runtimes.protocol import State, Status
from kennel.local.sagemaker.debugger import (
    evaluation,
    evaluators,
    places,
    profiling,
    statuses,
    updates,
)
from kennel.local.sagemaker.debugger.statuses import DEBUG_RULES, PROFILER_RULES
from kennel.local.wire.errors import ApiError
from kennel.rules.outcome import ERROR, ISSUES, NO_ISSUES, Finding, Outcome

MOMENT = datetime(2026, 1, 2, tzinfo=UTC)
LATER = MOMENT + timedelta(minutes=1)
TOLD = statuses.MEMBERS[DEBUG_RULES]
AWS_IMAGE = "503895931360.dkr.ecr.us-east-1.amazonaws.com/sagemaker-debugger-rules:latest"


def job(**changes):
    return {
        "TrainingJobName": "job",
        "AlgorithmSpecification": {"TrainingImage": "mine"},
        "OutputDataConfig": {"S3OutputPath": "s3://b/out/"},
        **changes,
    }


def watched(*names):
    rules = [{"RuleConfigurationName": name} for name in names]
    request = job(**{DEBUG_RULES: rules}, TrainingJobStatus="InProgress")
    return request | statuses.created(request, MOMENT)


def test_everything_is_stored_where_sagemaker_stores_it():
    """
    Below S3OutputPath/JOB, each kind in a folder of its own; the profile beside the job's other
    outputs where its place is not said.
    """
    s3 = {"S3OutputPath": "s3://b/x"}
    full = job(
        DebugHookConfig=s3,
        TensorBoardOutputConfig=s3 | {"LocalPath": "/opt/ml/b"},
        ProfilerConfig={},
    )

    assert [(place.uri, str(place.folder)) for place in places.of_job(full)] == [
        ("s3://b/x/job/debug-output", "output/tensors"),
        ("s3://b/x/job/tensorboard-output", "b"),
        ("s3://b/out/job/profiler-output", "output/profiler"),
    ]
    assert places.of_job(job()) == []


def test_a_rules_own_place_wins():
    """
    What a rule has found is below its own S3OutputPath, or the job's.
    """
    rule = {"RuleConfigurationName": "a/b"}

    assert places.rule_uri(job(), rule) == "s3://b/out/job/rule-output/a%2Fb"
    assert (
        places.rule_uri(job(), rule | {"S3OutputPath": "s3://c"}) == "s3://c/job/rule-output/a%2Fb"
    )


@pytest.mark.parametrize("name", ["AllZero", "a rule (mine)", "-", "ü" * 99])
def test_a_rules_arn_is_one_that_sagemaker_could_give(name):
    """
    It matches the service model's pattern, whatever rule and job are called.
    """
    model = Loader().load_service_model("sagemaker", "service-2")
    shape = model["shapes"]["ProcessingJobArn"]
    arn = statuses.fresh("j" * 63, name, MOMENT)["RuleEvaluationJobArn"]

    assert re.fullmatch(shape["pattern"], arn)
    assert len(arn) <= shape["max"]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        pytest.param({}, "Disabled", id="not-asked-for"),
        pytest.param({"ProfilerConfig": {"DisableProfiler": True}}, "Disabled", id="turned-off"),
        pytest.param({"ProfilerConfig": {"S3OutputPath": "s3://b"}}, "Enabled", id="asked-for"),
    ],
)
def test_every_job_says_whether_it_is_profiled(request_, status):
    """
    Also one that asks for nothing, as on AWS.
    """
    assert statuses.created(job(**request_), MOMENT)["ProfilingStatus"] == status


def test_an_update_adds_rules_up_to_as_many_as_a_job_may_have():
    """
    Each request may have 20, and the job too.
    """
    training = job(TrainingJobStatus="InProgress", SecondaryStatus="Training")

    def more(job, *numbers):
        rules = [
            {"RuleConfigurationName": f"{n}", "RuleParameters": {"rule_to_invoke": "IOBottleneck"}}
            for n in numbers
        ]
        return updates.updated({PROFILER_RULES: rules}, MOMENT, job)

    full = more(more(training, *range(15)), *range(15, 20))
    assert len(full[statuses.MEMBERS[PROFILER_RULES]]) == 20
    with pytest.raises(ApiError, match="21 rules, and a job may have 20"):
        more(full, 20)


def test_a_status_that_stays_keeps_its_time():
    """
    LastModifiedTime is when something changed; a rule that nothing is known of stays in progress.
    """
    found = [Outcome("a", "AllZero", NO_ISSUES)]
    once = statuses.updated(watched("a", "b"), DEBUG_RULES, found, LATER)
    twice = statuses.updated(once, DEBUG_RULES, found, LATER + timedelta(minutes=1))

    assert [told["LastModifiedTime"] for told in once[TOLD]] == [LATER, MOMENT]
    assert statuses.pending(once, DEBUG_RULES) == ["b"]
    assert twice == once


def test_a_rule_that_has_triggered_stays_so():
    """
    An evaluator that was killed and begins anew knows less at first.
    """
    found = Outcome("a", "AllZero", ISSUES, violations=1)
    once = statuses.updated(watched("a"), DEBUG_RULES, [found], LATER)

    assert (
        statuses.updated(once, DEBUG_RULES, [Outcome("a", "AllZero", "InProgress")], LATER) == once
    )
    assert statuses.updated(once, DEBUG_RULES, [Outcome("a", "AllZero", ERROR)], LATER) == once


def test_what_is_stored_of_a_rule_says_what_the_job_says():
    """
    The outcome of an evaluator that was killed is not in progress for ever.
    """
    unfinished = Outcome("a", "AllZero", "InProgress", datapoints=3)
    failed = statuses.failed(watched("a"), DEBUG_RULES, "killed", LATER)
    found = statuses.concluded(failed, DEBUG_RULES, unfinished)

    assert (found.status, found.reason, found.datapoints) == (ERROR, "killed", 3)


@pytest.mark.parametrize(
    ("trained_s", "patience_s"),
    [
        pytest.param(5, 120, id="short"),
        pytest.param(300, 300, id="as-long-as-the-training"),
        pytest.param(36000, 600, id="long"),
    ],
)
def test_rules_have_time_after_the_training(trained_s, patience_s):
    """
    As long as it took itself, two minutes at least and ten at most.
    """
    begun = {"CreationTime": MOMENT - timedelta(hours=1), "TrainingStartTime": MOMENT}

    assert evaluation.patience_s(begun, MOMENT + timedelta(seconds=trained_s)) == patience_s


def test_what_a_rule_has_found_is_told_in_aws_words_first():
    """
    Then follow tensor, problem and advice, as far as the member has room.
    """
    finding = Finding("gradient/fc", "it is 1e-9", "use ReLU" * 500, 1e-9, 1e-7, step=12)
    text = statuses.details(Outcome("mine", "VanishingGradient", ISSUES, findings=(finding,)))

    assert text.startswith(
        "RuleEvaluationConditionMet: Evaluation of the rule VanishingGradient at step 12"
        " resulted in the condition being met\ngradient/fc: it is 1e-9. use ReLU"
    )
    assert len(text) == statuses.DETAILS_CHARS


def test_a_job_that_has_ended_has_no_rule_in_progress():
    """
    What has been told stays; what has not is Stopped, or in Error where the reason is known.
    """
    found = statuses.failed(watched("a", "b"), DEBUG_RULES, "crashed", LATER, among=["a"])
    closed = statuses.closed(found, LATER)

    assert [told["RuleEvaluationStatus"] for told in closed[TOLD]] == [ERROR, "Stopped"]
    assert closed[TOLD][0]["StatusDetails"] == "crashed"


@pytest.mark.parametrize(
    ("status", "secondary", "stops"),
    [
        pytest.param("InProgress", "Training", True, id="training"),
        pytest.param("InProgress", "Uploading", False, id="done-by-itself"),
        pytest.param("Stopping", "MaxRuntimeExceeded", False, id="stopping-already"),
        pytest.param("Failed", "Failed", False, id="ended"),
    ],
)
def test_a_rule_stops_a_job_that_runs(status, secondary, stops):
    """
    A job on its way to its end has that end, and a rule that comes too late changes nothing.
    """
    running = {
        "TrainingJobStatus": status,
        "SecondaryStatus": secondary,
        "SecondaryStatusTransitions": [{"Status": secondary, "StartTime": MOMENT}],
    }
    stopped = statuses.stopped_by(running, "mine", LATER)

    assert (stopped["SecondaryStatus"] == "Stopping") is stops
    if stops:
        assert "rule mine" in stopped["SecondaryStatusTransitions"][-1]["StatusMessage"]
    else:
        assert stopped == running


def test_rules_of_one_image_share_a_container():
    """
    AWS's closed images stand for the job's own; another image has a container of its own.
    """
    rules = [
        {"RuleConfigurationName": name, "RuleEvaluatorImage": image}
        for name, image in (("a", AWS_IMAGE), ("b", "other"), ("c", ""))
    ]
    found = evaluators.of_job(job(**{DEBUG_RULES: rules}), Path("/scratch"))

    assert [(one.launch_id, one.image, one.names) for one in found] == [
        ("rules-job.1", "mine", ["a", "c"]),
        ("rules-job.2", "other", ["b"]),
    ]


@pytest.mark.parametrize(
    ("state", "killed"),
    [
        (State(Status.LOST), True),
        (State(Status.EXITED, 137), True),
        (State(Status.EXITED, 1), False),
        (State(Status.EXITED, 0), False),
        (State(Status.RUNNING), False),
    ],
)
def test_only_a_killed_evaluator_is_started_again(state, killed):
    """
    One that has ended by itself, or by its own mistake, would do so again.
    """
    assert state.was_killed is killed


def test_starts_are_counted_for_each_evaluator():
    """
    So that one which is killed again and again is given up some time.
    """
    first, second = evaluators.of_job(
        job(**{DEBUG_RULES: [{"RuleConfigurationName": n, "RuleEvaluatorImage": n} for n in "ab"]}),
        Path("/scratch"),
    )
    counted = evaluation.started(evaluation.started(job(**{LOCAL: {}}), first), first)

    assert evaluation.started(counted, second)[LOCAL]["RuleStarts"] == {
        "rules-job.1": 2,
        "rules-job.2": 1,
    }


def test_what_a_training_has_measured_of_itself_is_taken(tmp_path):
    """
    Its phases, but not what is sampled and judged here with more at hand; no link is followed.
    """
    source, profile = tmp_path / "left", tmp_path / "profile"
    for name in ("run.json", "framework/a.json", "system/b.json", "profiler-reports/c.json"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name)
    (source / "secret").symlink_to("/etc/hostname")
    profiling.take(source, profile)

    taken = {str(p.relative_to(profile)) for p in profile.rglob("*") if p.is_file()}
    assert taken == {"run.json", "framework/a.json"}
