"""The machine is sampled beside a job, and the profiler's rules are judged at its end."""

import json
import os
import signal

import pytest
from botocore.exceptions import ClientError
from smdebug.profiler.system_metrics_reader import LocalSystemMetricsReader

from kennel.local.runtimes import shim

AWS_IMAGE = "503895931360.dkr.ecr.us-east-1.amazonaws.com/sagemaker-debugger-rules:latest"


def rule(name, **parameters):
    return {
        "RuleConfigurationName": name,
        "RuleEvaluatorImage": AWS_IMAGE,
        "RuleParameters": {"rule_to_invoke": name, **parameters},
    }


@pytest.fixture
def profiled(submit, bucket):
    """Start a job that is sampled every 100 ms and judged by these rules; return its name."""

    def start(*rules, script="import time; time.sleep(2.5)", config=None, **changes):
        sampling = {
            "S3OutputPath": f"s3://{bucket}/profiles",
            "ProfilingIntervalInMilliseconds": 100,
        }
        return submit(
            script,
            ProfilerConfig=sampling if config is None else config,
            **({"ProfilerRuleConfigurations": list(rules)} if rules else {}),
            **changes,
        )

    return start


@pytest.fixture
def listed(s3, bucket):
    """Return the keys under a prefix of the bucket, without it."""

    def keys(prefix):
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        found = [each["Key"] for page in pages for each in page.get("Contents", [])]
        return [key.removeprefix(prefix) for key in found]

    return keys


@pytest.fixture
def body(s3, bucket):
    """Return an object's bytes."""
    return lambda key: s3.get_object(Bucket=bucket, Key=key)["Body"].read()


def test_nothing_of_the_sampler_is_left(profiled, finished, state, until):
    """
    It ends with its job.
    """
    name = profiled(script="import time; time.sleep(0.5)")
    folder = state / "runtime" / f"sampler-{name}"
    until(folder.exists)
    finished(name)

    assert not folder.exists()


def test_the_machine_is_sampled(profiled, finished, listed, body, tmp_path):
    """
    The metrics are where the platform writes them, in its form: smdebug's own reader finds the
    cores' utilisation in them, at the interval that was asked for.
    """
    name = profiled()
    job = finished(name)

    prefix = f"profiles/{name}/profiler-output/"
    files = [key for key in listed(prefix) if key.startswith("system/incremental/")]
    for key in files:
        path = tmp_path / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body(prefix + key))
    reader = LocalSystemMetricsReader(str(tmp_path))
    reader.refresh_event_file_list()
    start, end = job["TrainingStartTime"].timestamp(), job["TrainingEndTime"].timestamp()
    events = reader.get_events(int((start - 60) * 1e6), int((end + 60) * 1e6))
    cores = [event for event in events if event.dimension == "CPUUtilization"]
    assert job["ProfilingStatus"] == "Enabled"
    assert all(key.endswith(".algo-1.json") for key in files)
    assert len({event.timestamp for event in cores}) >= 10
    assert all(0 <= event.value <= 100 for event in cores)


def test_a_report_is_written_where_aws_writes_it(profiled, finished, listed, body):
    """
    ProfilerReport stands for all rules: a document for each and the page; a rule that finds
    something is IssuesFound. What the sampler writes as it ends is judged, and stored, too: of a
    job that is shorter than the interval there is no more.
    """
    rules = [rule("ProfilerReport"), rule("OverallSystemUsage")]
    minute = {"ProfilingIntervalInMilliseconds": 60000}
    name = profiled(*rules, config=minute)
    job = finished(name)

    told = {each["RuleConfigurationName"]: each for each in job["ProfilerRuleEvaluationStatuses"]}
    keys = listed(f"output/{name}/rule-output/ProfilerReport/profiler-output/")
    page = body(f"output/{name}/rule-output/ProfilerReport/profiler-output/profiler-report.html")
    key = f"output/{name}/rule-output/OverallSystemUsage/profiler-output/profiler-reports/"
    usage = json.loads(body(f"{key}OverallSystemUsage.json"))
    ended = {"NoIssuesFound", "IssuesFound"}
    assert {each["RuleEvaluationStatus"] for each in told.values()} <= ended
    assert ":processing-job/" in told["ProfilerReport"]["RuleEvaluationJobArn"]
    assert {"profiler-reports/CPUBottleneck.json", "profiler-reports/StepOutlier.json"} < set(keys)
    assert page.lower().startswith(b"<!doctype html>")
    assert name.encode() in page
    assert usage["Datapoints"] > 0
    assert any(key.endswith(".algo-1.json") for key in listed(f"output/{name}/profiler-output/"))


def test_nothing_is_sampled_where_it_is_turned_off(profiled, finished, listed):
    """
    DisableProfiler is honoured.
    """
    name = profiled(script="pass", config={"DisableProfiler": True})
    job = finished(name)

    assert job["ProfilingStatus"] == "Disabled"
    assert not any("profiler-output" in key for key in listed(f"output/{name}/"))


@pytest.fixture
def unprofiled(profiled, tmp_path):
    """Start a job without a profiler, which ends when it is called."""
    gate = tmp_path / "gate"
    script = f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.01)"
    return profiled(script=script, config={"DisableProfiler": True}), gate.touch


def test_sampling_can_be_changed_while_the_job_runs(unprofiled, finished, sagemaker, state, until):
    """
    UpdateTrainingJob turns it on, with rules that are judged at the end.
    """
    name, end = unprofiled
    sagemaker.update_training_job(
        TrainingJobName=name,
        ProfilerConfig={"DisableProfiler": False, "ProfilingIntervalInMilliseconds": 100},
        ProfilerRuleConfigurations=[rule("OverallSystemUsage")],
    )
    until(lambda: any((state / "sagemaker").glob(f"{name}.beside/profile/*/system/*/*/*.json")))
    end()
    job = finished(name)

    (told,) = job["ProfilerRuleEvaluationStatuses"]
    assert job["ProfilingStatus"] == "Enabled"
    assert told["RuleEvaluationStatus"] == "NoIssuesFound"
    with pytest.raises(ClientError, match="cannot be updated: it is Completed"):
        sagemaker.update_training_job(TrainingJobName=name, ProfilerConfig={})


def test_a_sampler_that_was_killed_is_started_again(unprofiled, finished, sagemaker, state, until):
    """
    As for want of memory: the rest of the job is sampled all the same.
    """
    name, end = unprofiled
    every = {"DisableProfiler": False, "ProfilingIntervalInMilliseconds": 100}
    sagemaker.update_training_job(TrainingJobName=name, ProfilerConfig=every)
    place = state / "runtime" / f"sampler-{name}" / shim.PROCESS_FILE

    def process():
        numbers = place.read_text().split() if place.exists() else []
        return int(numbers[1]) if len(numbers) == 2 else None

    first = until(process)
    os.kill(first, signal.SIGKILL)
    until(lambda: process() not in (None, first))
    end()

    assert finished(name)["TrainingJobStatus"] == "Completed"


def test_a_profile_that_cannot_be_stored_costs_its_rules(profiled, finished, s3, unique):
    """
    A bucket that goes while the job runs does not take the job with it, nor its model.
    """
    other = unique("other")
    s3.create_bucket(Bucket=other)
    minute = {"S3OutputPath": f"s3://{other}/p", "ProfilingIntervalInMilliseconds": 60000}
    script = (
        "import os, time; time.sleep(1)\n"
        "open(os.environ['SAGEMAKER_BASE_DIR'] + '/model/model.txt', 'w').close()"
    )
    name = profiled(rule("OverallSystemUsage"), script=script, config=minute)
    s3.delete_bucket(Bucket=other)
    job = finished(name)

    (told,) = job["ProfilerRuleEvaluationStatuses"]
    assert job["TrainingJobStatus"] == "Completed"
    assert job["ModelArtifacts"]["S3ModelArtifacts"]
    assert told["RuleEvaluationStatus"] == "Error"
    assert "NoSuchBucket" in told["StatusDetails"]


def test_what_cannot_be_profiled_is_refused(sagemaker, job_request):
    """
    An interval, a rule, a parameter or a bucket that there is not.
    """

    def message(*rules, **config):
        request = job_request(ProfilerConfig=config, ProfilerRuleConfigurations=list(rules))
        with pytest.raises(ClientError) as caught:
            sagemaker.create_training_job(**request)
        return caught.value.response["Error"]["Message"]

    assert "100, 200, 500, 1000, 5000, 60000" in message(ProfilingIntervalInMilliseconds=300)
    assert "CPUBottleneck" in message(rule("CPUBottlenecks"))
    assert "threshold" in message(rule("CPUBottleneck", treshold="1"))
    assert "DisableProfiler" in message(rule("CPUBottleneck"), DisableProfiler=True)
    assert "'nowhere'" in message(S3OutputPath="s3://nowhere/profiles")
