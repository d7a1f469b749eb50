"""A job's rules are evaluated beside it, in a container of its image; its machine is sampled."""

QUICK = {
    "model": "shufflenet_v2_x0_5",
    "weights": "none",
    "image-size": "32",
    "batch-size": "5",
    "epochs": "1000",
    "workers": "0",
}
AWS_IMAGE = "503895931360.dkr.ecr.us-east-1.amazonaws.com/sagemaker-debugger-rules:latest"


def rule(name, **parameters):
    return {
        "RuleConfigurationName": name,
        "RuleEvaluatorImage": AWS_IMAGE,
        "RuleParameters": {"rule_to_invoke": name, **parameters},
    }


def test_a_rule_in_a_container_stops_the_job(trainings):
    """
    Kennel's training saves tensors as the request's hook says; a rule that finds something, here
    any gradient, stops it; the tensors, the outcome and the metrics of the machine are in S3.
    """
    s3 = f"s3://{trainings.BUCKET}/watched"
    finding = rule("VanishingGradient", threshold="1e6", action_json='{"name": "stoptraining"}')
    trainings.start(
        "watched",
        QUICK,
        DebugHookConfig={
            "S3OutputPath": s3,
            "CollectionConfigurations": [
                {"CollectionName": name, "CollectionParameters": {"save_interval": "2"}}
                for name in ("gradients", "losses")
            ],
        },
        DebugRuleConfigurations=[finding],
        ProfilerConfig={"S3OutputPath": s3, "ProfilingIntervalInMilliseconds": 100},
        ProfilerRuleConfigurations=[rule("ProfilerReport")],
    )
    done = trainings.ended("watched")

    listed = trainings.aws("s3").list_objects_v2(Bucket=trainings.BUCKET, Prefix="watched/watched/")
    keys = [each["Key"].removeprefix("watched/watched/") for each in listed["Contents"]]
    reports = "output/watched/rule-output/ProfilerReport/profiler-output/profiler-report.html"
    (found,) = done["DebugRuleEvaluationStatuses"]
    (profiled,) = done["ProfilerRuleEvaluationStatuses"]
    assert done["TrainingJobStatus"] == "Stopped"
    assert found["RuleEvaluationStatus"] == "IssuesFound", found
    assert profiled["RuleEvaluationStatus"] in {"NoIssuesFound", "IssuesFound"}, profiled
    assert "debug-output/training_job_end.ts" in keys
    assert any(key.startswith("profiler-output/system/incremental/") for key in keys)
    assert trainings.aws("s3").head_object(Bucket=trainings.BUCKET, Key=reports)
    assert trainings.containers() == []
