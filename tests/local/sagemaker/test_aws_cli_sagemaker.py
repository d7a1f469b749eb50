"""The AWS CLI, unmodified, trains, deploys and invokes against the local server."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

AWS = Path(sys.executable).with_name("aws")
ROLE = "arn:aws:iam::000000000000:role/sagemaker"


@pytest.fixture
def cli(server_environment):
    """Run the AWS CLI and return what it prints, parsed if it is JSON."""

    def run(*arguments):
        done = subprocess.run(  # noqa: S603 - the environment's own program
            [AWS, "--output", "json", *arguments],
            env=server_environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    return run


def test_a_job_from_creation_to_its_description(cli, job_request, finished):
    """
    create-training-job, wait and describe-training-job do what they do against AWS.
    """
    request = job_request("print('hello')")
    name = request["TrainingJobName"]
    created = cli("sagemaker", "create-training-job", "--cli-input-json", json.dumps(request))
    finished(name)  # the CLI's own waiter asks once in two minutes
    cli("sagemaker", "wait", "training-job-completed-or-stopped", "--training-job-name", name)
    described = cli("sagemaker", "describe-training-job", "--training-job-name", name)

    assert described["TrainingJobArn"] == created["TrainingJobArn"]
    assert described["TrainingJobStatus"] == "Completed"


def test_a_job_whose_rules_are_evaluated(cli, job_request, finished, bucket):
    """
    create-training-job takes a hook, a profiler and rules; describe-training-job says how they
    stand, and what the machine did is where aws s3 ls finds it.
    """
    rule = {"RuleEvaluatorImage": "rules", "RuleParameters": {}}
    request = job_request(
        DebugHookConfig={"S3OutputPath": f"s3://{bucket}/watched"},
        DebugRuleConfigurations=[rule | {"RuleConfigurationName": "AllZero"}],
        ProfilerConfig={"S3OutputPath": f"s3://{bucket}/watched"},
        ProfilerRuleConfigurations=[rule | {"RuleConfigurationName": "OverallSystemUsage"}],
    )
    name = request["TrainingJobName"]
    cli("sagemaker", "create-training-job", "--cli-input-json", json.dumps(request))
    finished(name)
    described = cli("sagemaker", "describe-training-job", "--training-job-name", name)
    listed = cli("s3api", "list-objects-v2", "--bucket", bucket, "--prefix", f"output/{name}/")

    (debugged,), (profiled,) = (
        described[f"{part}RuleEvaluationStatuses"] for part in ("Debug", "Profiler")
    )
    page = f"output/{name}/rule-output/OverallSystemUsage/profiler-output/profiler-report.html"
    assert debugged["RuleEvaluationStatus"] == "Error"
    assert "No debugging data was saved" in debugged["StatusDetails"]
    assert profiled["RuleEvaluationStatus"] == "NoIssuesFound"
    assert page in [each["Key"] for each in listed["Contents"]]


@pytest.mark.parametrize("version", ["run_aws", "run_aws_2"], ids=["version-1", "version-2"])
def test_a_tuning_job_from_creation_to_its_list_of_trials(request, version, tuning_request, tune):
    """
    create-hyper-parameter-tuning-job and what shows it do what they do against AWS.
    """
    run = request.getfixturevalue(version)
    asked = tuning_request("0.1", "0.3")
    name = ("--hyper-parameter-tuning-job-name", asked["HyperParameterTuningJobName"])

    def cli(operation, *arguments):
        return json.loads(run("--output", "json", "sagemaker", operation, *arguments))

    request_text = ("--cli-input-json", json.dumps(asked))
    created = cli("create-hyper-parameter-tuning-job", *request_text)
    tune.ended(name[1])
    described = cli("describe-hyper-parameter-tuning-job", *name)
    best_first = ("--sort-by", "FinalObjectiveMetricValue", "--sort-order", "Descending")
    listed = cli("list-training-jobs-for-hyper-parameter-tuning-job", *name, *best_first)

    assert described["HyperParameterTuningJobArn"] == created["HyperParameterTuningJobArn"]
    assert described["HyperParameterTuningJobStatus"] == "Completed"
    trials = listed["TrainingJobSummaries"]
    assert [one["TunedHyperParameters"]["lr"] for one in trials] == ["0.3", "0.1"]
    assert trials[0] == described["BestTrainingJob"]


@pytest.fixture
def created(cli, server_image, unique, settled):
    """Create model, configuration and endpoint with the CLI; the name of all three."""
    name = unique("cli")
    model = json.dumps({"Image": server_image})
    variant = f"VariantName=main,ModelName={name},InstanceType=ml.m5.large,InitialInstanceCount=1"
    role = ("--execution-role-arn", ROLE)
    config = ("--endpoint-config-name", name)
    cli("sagemaker", "create-model", "--model-name", name, "--primary-container", model, *role)
    cli("sagemaker", "create-endpoint-config", *config, "--production-variants", variant)
    cli("sagemaker", "create-endpoint", "--endpoint-name", name, *config)
    settled(name)
    return name


def test_an_endpoint_from_model_to_deletion(cli, created, sagemaker, until, tmp_path):
    """
    create-model to delete-endpoint, with an invocation in between.
    """
    cli("sagemaker", "wait", "endpoint-in-service", "--endpoint-name", created)
    (tmp_path / "body").write_bytes(b"hello")
    answer = cli(
        *("sagemaker-runtime", "invoke-endpoint", "--endpoint-name", created),
        *("--body", f"fileb://{tmp_path / 'body'}", "--content-type", "text/plain"),
        str(tmp_path / "answer"),
    )
    cli("sagemaker", "delete-endpoint", "--endpoint-name", created)

    assert answer["InvokedProductionVariant"] == "main"
    assert json.loads((tmp_path / "answer").read_text())["body"] == "hello"
    until(lambda: not sagemaker.list_endpoints(NameContains=created)["Endpoints"])
