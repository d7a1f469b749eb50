"""Training jobs run for real and are described as SageMaker describes them."""

import io
import json
import os
import tarfile
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

BASE = "import os, sys, time; base = os.environ['SAGEMAKER_BASE_DIR']\n"
SAVE = BASE + "open(base + '/model/model.txt', 'w').write('learnt')\n"
WAIT = BASE + (
    "import signal\n"
    "def stop(*_):\n"
    "    open(base + '/model/model.txt', 'w').write('stopped')\n"
    "    sys.exit(0)\n"
    "signal.signal(signal.SIGTERM, stop)\n"
    "print('running', os.getpid())\n"
    "time.sleep(60)\n"
)


def channel(name, uri, **source):
    data = {"S3DataType": "S3Prefix", "S3Uri": uri, **source}
    return {"ChannelName": name, "DataSource": {"S3DataSource": data}}


@pytest.fixture
def put(s3, bucket):
    def put(*keys):
        for key in keys:
            s3.put_object(Bucket=bucket, Key=key, Body=key.encode())

    return put


@pytest.fixture
def archive(s3, bucket):
    """Return the files of an archive in S3, by name."""

    def read(uri):
        body = s3.get_object(Bucket=bucket, Key=uri.partition(bucket)[2][1:])["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            return {m.name: tar.extractfile(m).read() for m in tar if m.isfile()}

    return read


def statuses(job):
    return [transition["Status"] for transition in job["SecondaryStatusTransitions"]]


def refused(call, code="ValidationException"):
    with pytest.raises(ClientError) as caught:
        call()
    assert caught.value.response["Error"]["Code"] == code
    return caught.value.response["Error"]["Message"]


def test_a_job_leaves_its_model_in_s3(submit, finished, archive, bucket):
    """
    What stands in /opt/ml/model is S3OutputPath/JOB/output/model.tar.gz.
    """
    name = submit(SAVE)
    job = finished(name)

    uri = f"s3://{bucket}/output/{name}/output/model.tar.gz"
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Completed"
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == uri
    assert archive(uri) == {"model.txt": b"learnt"}


def test_a_job_goes_through_sagemakers_states(submit, finished):
    """
    The transitions are SageMaker's, in its order, and the times add up.
    """
    job = finished(submit(SAVE))

    assert statuses(job) == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert all("EndTime" in transition for transition in job["SecondaryStatusTransitions"])
    assert job["CreationTime"] <= job["TrainingStartTime"] <= job["TrainingEndTime"]
    assert job["TrainingTimeInSeconds"] == job["BillableTimeInSeconds"] >= 1


def test_describe_answers_the_request(sagemaker, job_request, finished):
    """
    Every member of the request but Tags comes back as it was sent.
    """
    request = job_request(
        HyperParameters={"lr": "0.1"},
        Environment={"MINE": "1"},
        EnableManagedSpotTraining=True,
        StoppingCondition={"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 90},
        Tags=[{"Key": "a", "Value": "b"}],
    )
    sagemaker.create_training_job(**request)
    job = finished(request["TrainingJobName"])

    expected = {member: value for member, value in request.items() if member != "Tags"}
    assert {member: job[member] for member in expected} == expected
    assert "Tags" not in job


def test_output_data_is_stored(submit, finished, archive, bucket):
    """
    What stands in /opt/ml/output/data is output.tar.gz.
    """
    name = submit(BASE + "open(base + '/output/data/curve.csv', 'w').write('1,2')")
    finished(name)

    uri = f"s3://{bucket}/output/{name}/output/output.tar.gz"
    assert archive(uri) == {"curve.csv": b"1,2"}


def test_uncompressed_output_is_a_folder(submit, finished, s3, bucket):
    """
    CompressionType NONE stores the files themselves.
    """
    output = {"S3OutputPath": f"s3://{bucket}/plain", "CompressionType": "NONE"}
    name = submit(SAVE, OutputDataConfig=output)
    uri = finished(name)["ModelArtifacts"]["S3ModelArtifacts"]

    assert uri == f"s3://{bucket}/plain/{name}/output/model/"
    key = f"plain/{name}/output/model/model.txt"
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"learnt"


def test_logs_reach_cloudwatch(submit, finished, logs):
    """
    The stream is JOB/algo-1-… in SageMaker's group, with both streams' lines in order.
    """
    name = submit("import sys; print('one'); print('two', file=sys.stderr)")
    finished(name)

    group = "/aws/sagemaker/TrainingJobs"
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/")
    stream = streams["logStreams"][0]["logStreamName"]
    events = logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True)
    assert stream.startswith(f"{name}/algo-1-")
    assert [event["message"] for event in events["events"]] == ["one", "two"]


def test_lines_are_there_while_the_job_runs(submit, printed, sagemaker):
    """
    One sees what a job says without waiting for its end.
    """
    name = submit(WAIT)

    assert printed(name, "running")
    job = sagemaker.describe_training_job(TrainingJobName=name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("InProgress", "Training")


def test_the_last_value_of_each_metric_is_final(submit, finished):
    """
    FinalMetricDataList has the last value that a metric's regex finds.
    """
    metric = {"Name": "valid:accuracy", "Regex": "acc=([0-9.]+)"}
    script = "print('acc=0.5'); print('epoch 2 acc=0.75 loss=1')"
    job = finished(submit(script, {"MetricDefinitions": [metric]}))

    (final,) = job["FinalMetricDataList"]
    assert (final["MetricName"], final["Value"]) == ("valid:accuracy", 0.75)
    assert final["Timestamp"] >= job["CreationTime"]


def test_the_container_finds_its_inputs(submit, finished, printed, put, bucket):
    """
    Hyperparameters, channels, hosts and environment are where a container looks for them.
    """
    put("data/train/cat/1.txt", "data/train/dog/2.txt")
    script = BASE + (
        "import json\n"
        "walk = os.walk(base + '/input/data/train')\n"
        "paths = [os.path.join(root, file) for root, _, files in walk for file in files]\n"
        "config = base + '/input/config/'\n"
        "print(json.dumps({\n"
        "  'files': {os.path.relpath(p, base): open(p).read() for p in paths},\n"
        "  'hyperparameters': json.load(open(config + 'hyperparameters.json')),\n"
        "  'hosts': json.load(open(config + 'resourceconfig.json'))['hosts'],\n"
        "  'environment': dict(os.environ),\n"
        "}))\n"
    )
    name = submit(
        script,
        InputDataConfig=[channel("train", f"s3://{bucket}/data/train")],
        HyperParameters={"lr": "0.1"},
        Environment={"MINE": "1"},
    )
    finished(name)
    found = json.loads(printed(name, "hyperparameters")[0])

    assert found["files"] == {
        "input/data/train/cat/1.txt": "data/train/cat/1.txt",
        "input/data/train/dog/2.txt": "data/train/dog/2.txt",
    }
    assert found["hyperparameters"] == {"lr": "0.1"}
    assert found["hosts"] == ["localhost"]
    assert found["environment"]["TRAINING_JOB_NAME"] == name
    assert found["environment"]["MINE"] == "1"
    assert found["environment"]["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")


def test_a_prefix_is_no_folder(submit, printed, put, bucket):
    """
    S3Prefix means every key that starts so, as SageMaker downloads them.
    """
    put("data/part-1/a.txt", "data/part-2/b.txt", "data/other/c.txt")
    script = BASE + "print('found', sorted(f for _, _, fs in os.walk(base + '/input') for f in fs))"
    name = submit(script, InputDataConfig=[channel("train", f"s3://{bucket}/data/part")])

    (line,) = [line for line in printed(name, "found") if "found" in line]
    assert "a.txt" in line
    assert "b.txt" in line
    assert "c.txt" not in line


def test_what_a_job_does_in_its_channel_stays_there(submit, finished, put, s3, bucket):
    """
    A script that cleans up its channel does not clean up the bucket.
    """
    put("own/a.txt", "own/b.txt", "own/folder/c.txt")
    script = BASE + (
        "train = base + '/input/data/train'\n"
        "os.remove(train + '/a.txt')\n"
        "os.rename(train + '/b.txt', train + '/moved.txt')\n"
        "open(train + '/folder/new.txt', 'w').close()\n"
    )
    job = finished(submit(script, InputDataConfig=[channel("train", f"s3://{bucket}/own")]))

    listed = s3.list_objects_v2(Bucket=bucket, Prefix="own/")["Contents"]
    assert job["TrainingJobStatus"] == "Completed"
    assert [found["Key"] for found in listed] == ["own/a.txt", "own/b.txt", "own/folder/c.txt"]
    assert s3.get_object(Bucket=bucket, Key="own/b.txt")["Body"].read() == b"own/b.txt"


def test_a_channel_is_a_snapshot(submit, printed, put, bucket, tmp_path):
    """
    What is put below its prefix later does not reach a job in File mode.
    """
    put("train/a.txt")
    script = BASE + (
        "print('started')\n"
        f"while not os.path.exists({str(tmp_path / 'go')!r}): time.sleep(0.01)\n"
        "print('sees', *os.listdir(base + '/input/data/train'))\n"
    )
    name = submit(script, InputDataConfig=[channel("train", f"s3://{bucket}/train")])
    printed(name, "started")

    put("train/later.txt")
    (tmp_path / "go").touch()
    assert printed(name, "sees")[-1] == "sees a.txt"


def test_a_failed_job_says_why(submit, finished, s3, bucket):
    """
    FailureReason is the failure file with the exit code; a failed job has no model.
    """
    failing = "open(base + '/output/failure', 'w').write('DataError: no images'); sys.exit(3)"
    name = submit(SAVE + failing)
    job = finished(name)

    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Failed"
    assert job["FailureReason"] == "AlgorithmError: DataError: no images, exit code: 3"
    assert "ModelArtifacts" not in job
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=f"output/{name}")
    assert listed["KeyCount"] == 0


def test_a_failure_without_a_file_shows_the_end_of_the_log(submit, finished):
    """
    A script that dies of an exception need not write a failure file to be understood.
    """
    job = finished(submit("raise ValueError('the cause')"))

    assert "ValueError: the cause" in job["FailureReason"]
    assert job["FailureReason"].endswith("exit code: 1")


def test_a_program_that_is_not_there_fails_the_job(submit, finished):
    """
    A wrong entry point ends in a failed job that names it.
    """
    job = finished(submit(specification={"ContainerEntrypoint": ["no-such-program"]}))

    assert job["TrainingJobStatus"] == "Failed"
    assert "no-such-program" in job["FailureReason"]


def test_a_stopped_job_keeps_what_it_has_saved(submit, finished, printed, sagemaker, archive):
    """
    StopTrainingJob sends SIGTERM, and what stands in /opt/ml/model then is stored.
    """
    name = submit(WAIT)
    printed(name, "running")
    sagemaker.stop_training_job(TrainingJobName=name)
    job = finished(name)

    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Stopped"
    assert statuses(job)[-2:] == ["Stopping", "Stopped"]
    assert archive(job["ModelArtifacts"]["S3ModelArtifacts"]) == {"model.txt": b"stopped"}


def test_a_job_without_a_place_waits_and_can_be_stopped(submit, sagemaker, until, finished):
    """
    There are places for a bounded number of jobs; the next is Pending, and need not run to stop.
    """
    for _ in range(max(2, os.cpu_count())):
        submit("import time; time.sleep(60)")
    name = submit(SAVE)

    def described():
        return sagemaker.describe_training_job(TrainingJobName=name)

    until(lambda: described()["SecondaryStatus"] == "Pending")
    sagemaker.stop_training_job(TrainingJobName=name)
    job = finished(name)
    assert statuses(job) == ["Starting", "Pending", "Stopping", "Stopped"]
    assert "TrainingTimeInSeconds" not in job


def test_a_job_that_runs_too_long_is_stopped(submit, finished, archive):
    """
    MaxRuntimeInSeconds ends a job as a stop does, and says so.
    """
    job = finished(submit(WAIT, StoppingCondition={"MaxRuntimeInSeconds": 1}))

    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert archive(job["ModelArtifacts"]["S3ModelArtifacts"]) == {"model.txt": b"stopped"}


def test_a_job_that_never_stops_talking_is_stopped(submit, finished):
    """
    Its limits, and a stop, do not wait until everything that it says is stored.
    """
    script = BASE + "while not time.sleep(0.01): os.write(1, b'ten chars\\n' * 10_000)"
    name = submit(script, StoppingCondition={"MaxRuntimeInSeconds": 1})

    assert finished(name)["SecondaryStatus"] == "MaxRuntimeExceeded"


def test_a_failure_that_is_no_file_is_not_read(submit, finished):
    """
    A pipe with nobody at its other end must not hold up the job.
    """
    job = finished(submit(BASE + "os.mkfifo(base + '/output/failure'); sys.exit(3)"))

    assert job["FailureReason"].endswith("exit code: 3")


def test_checkpoints_go_to_s3_and_come_back(submit, finished, s3, bucket):
    """
    The next job with the same prefix finds what the last one left.
    """
    script = BASE + (
        "path = base + '/checkpoints/count.txt'\n"
        "seen = int(open(path).read()) if os.path.exists(path) else 0\n"
        "open(path, 'w').write(str(seen + 1))\n"
    )
    config = {"S3Uri": f"s3://{bucket}/checkpoints/mine"}
    for _ in range(2):
        finished(submit(script, CheckpointConfig=config))

    stored = s3.get_object(Bucket=bucket, Key="checkpoints/mine/count.txt")
    assert stored["Body"].read() == b"2"


def test_restored_checkpoints_are_not_uploaded_again(submit, finished, s3, bucket):
    """
    What a job leaves as it found it keeps its metadata and its time in S3.
    """
    key = "checkpoints/kept/last.pt"
    s3.put_object(Bucket=bucket, Key=key, Body=b"weights", Metadata={"epoch": "7"})
    before = s3.head_object(Bucket=bucket, Key=key)["LastModified"]
    config = {"S3Uri": f"s3://{bucket}/checkpoints/kept"}
    finished(submit(BASE + "time.sleep(1.3)", CheckpointConfig=config))

    after = s3.head_object(Bucket=bucket, Key=key)
    assert (after["Metadata"], after["LastModified"]) == ({"epoch": "7"}, before)


def test_checkpoints_that_cannot_be_files_fail_the_job(submit, finished, s3, bucket):
    """
    The reason names the key.
    """
    for key in ("nested/a", "nested/a/b"):
        s3.put_object(Bucket=bucket, Key=f"checkpoints/{key}", Body=b"x")
    config = {"S3Uri": f"s3://{bucket}/checkpoints/nested"}
    reason = finished(submit(CheckpointConfig=config))["FailureReason"]

    assert reason.startswith(f"ClientError: s3://{bucket}/checkpoints/nested/a/b cannot be")


def test_checkpoints_are_stored_while_the_job_runs(submit, printed, until, s3, bucket):
    """
    A machine that dies loses no checkpoint that was finished before.
    """
    script = BASE + (
        "open(base + '/checkpoints/last.pt', 'w').write('epoch 1')\n"
        "print('saved')\n"
        "time.sleep(60)\n"
    )
    name = submit(script, CheckpointConfig={"S3Uri": f"s3://{bucket}/checkpoints/live"})
    printed(name, "saved")

    until(lambda: s3.list_objects_v2(Bucket=bucket, Prefix="checkpoints/live")["KeyCount"])


def test_nothing_of_a_job_is_left_on_the_machine(submit, finished, printed, is_alive):
    """
    Its scratch folder goes, and so does whatever it started.
    """
    script = BASE + (
        "child = os.fork()\nif not child: os.setsid(); time.sleep(60)\nprint('at', base, child)\n"
    )
    name = submit(script)
    finished(name)
    _, base, child = printed(name, "at")[0].split()

    assert not is_alive(int(child))
    with pytest.raises(FileNotFoundError):
        open(base)  # noqa: PTH123, SIM115 - that it is not there is the point


def test_waiters_work(submit, sagemaker):
    """
    boto3's waiter sees the end of a job.
    """
    name = submit(SAVE)
    waiter = sagemaker.get_waiter("training_job_completed_or_stopped")

    waiter.wait(TrainingJobName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})


def test_jobs_are_listed_in_pages(submit, finished, sagemaker, unique):
    """
    boto3's paginator sees every job once, and filters keep what they say.
    """
    prefix = unique("listed")
    names = [f"{prefix}-{letter}" for letter in "bac"]
    for name in names:
        finished(submit(TrainingJobName=name))
    paginator = sagemaker.get_paginator("list_training_jobs")

    def listed(**params):
        pages = paginator.paginate(NameContains=prefix, PaginationConfig={"PageSize": 2}, **params)
        return [j["TrainingJobName"] for page in pages for j in page["TrainingJobSummaries"]]

    assert listed() == names
    assert listed(SortBy="Name", SortOrder="Descending") == sorted(names, reverse=True)
    assert listed(StatusEquals="Failed") == []
    assert listed(CreationTimeAfter=datetime.now(UTC) + timedelta(hours=1)) == []


def test_a_name_is_used_once(submit, sagemaker, job_request):
    """
    A second job of the same name is ResourceInUse, in AWS's words.
    """
    name = submit()
    message = refused(
        lambda: sagemaker.create_training_job(**job_request(TrainingJobName=name)),
        "ResourceInUse",
    )

    assert "Training job names must be unique within an AWS account and region" in message


@pytest.mark.parametrize("operation", ["describe", "stop", "delete"])
def test_a_job_that_is_not_there_is_not_found(sagemaker, operation):
    """
    AWS's words for a job that nobody created.
    """
    call = getattr(sagemaker, f"{operation}_training_job")

    assert refused(lambda: call(TrainingJobName="nobody")) == "Requested resource not found."


def test_a_job_that_has_ended_cannot_be_stopped(submit, finished, sagemaker):
    """
    There is nothing to stop any more, and the answer says so.
    """
    name = submit()
    finished(name)

    message = refused(lambda: sagemaker.stop_training_job(TrainingJobName=name))
    assert "is in status Completed" in message


def test_a_deleted_job_is_gone(submit, finished, printed, sagemaker):
    """
    A running job cannot be deleted; one that has ended is forgotten.
    """
    name = submit(WAIT)
    printed(name, "running")
    refused(lambda: sagemaker.delete_training_job(TrainingJobName=name), "ResourceInUse")
    sagemaker.stop_training_job(TrainingJobName=name)
    finished(name)

    sagemaker.delete_training_job(TrainingJobName=name)

    refused(lambda: sagemaker.describe_training_job(TrainingJobName=name))


def spot(wait_s):
    condition = {"MaxRuntimeInSeconds": 60}
    if wait_s:
        condition["MaxWaitTimeInSeconds"] = wait_s
    return {"EnableManagedSpotTraining": True, "StoppingCondition": condition}


# MaxRuntimeInSeconds is a day where a request has none.
A_DAY = {"EnableManagedSpotTraining": True, "StoppingCondition": {"MaxWaitTimeInSeconds": 90}}
PIPE = {"TrainingInputMode": "Pipe"}
REGEX = {"MetricDefinitions": [{"Name": "loss", "Regex": "loss=(["}]}
TWO = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1}
GROUP = {"InstanceGroupName": "a", "InstanceType": "ml.m5.large", "InstanceCount": 1}
BOTH = {"InstanceType": "ml.m5.large", "InstanceGroups": [GROUP], "VolumeSizeInGB": 1}
TWICE = {"InstanceGroups": [GROUP, GROUP], "VolumeSizeInGB": 1}
OUTSIDE = {"S3Uri": "s3://bucket/c", "LocalPath": "/tmp/checkpoints"}  # noqa: S108 - refused


@pytest.mark.parametrize(
    ("specification", "changes", "says"),
    [
        pytest.param({}, {"ResourceConfig": None}, "'resourceConfig' failed", id="no-resources"),
        pytest.param({}, {"StoppingCondition": None}, "'stoppingCondition' failed", id="no-limit"),
        pytest.param({}, {"RoleArn": "a-role-that-is-no-arn"}, "roleArn", id="role"),
        pytest.param(PIPE, {}, "Input mode 'Pipe' is not in local mode", id="pipe"),
        pytest.param(REGEX, {}, "regex of metric 'loss' does not compile", id="regex"),
        pytest.param({}, {"ResourceConfig": TWO}, "need the Docker runtime", id="two-instances"),
        pytest.param({}, {"ResourceConfig": BOTH}, "cannot have InstanceType", id="group-and-type"),
        pytest.param({}, {"ResourceConfig": TWICE}, "not distinct", id="group-twice"),
        pytest.param(
            {},
            {"InputDataConfig": [channel("a", "s3://b-1/x", InstanceGroupNames=["big"])]},
            "for instance groups that ResourceConfig lacks: big",
            id="no-such-group",
        ),
        pytest.param({}, spot(None), "Invalid MaxWaitTimeInSeconds", id="spot-without-wait"),
        pytest.param({}, A_DAY, "Invalid MaxWaitTimeInSeconds", id="spot-wait-below-a-day"),
        pytest.param({}, spot(30), "Invalid MaxWaitTimeInSeconds", id="spot-wait-too-short"),
        pytest.param({}, {"HyperParameters": {"k": "v" * 2501}}, "2500", id="hyperparameter"),
        pytest.param({}, {"CheckpointConfig": OUTSIDE}, "below /opt/ml", id="checkpoint-path"),
        pytest.param(
            {},
            {"OutputDataConfig": {"S3OutputPath": "s3://no-such-bucket-here/x"}},
            "does not exist: 'no-such-bucket-here'",
            id="no-output-bucket",
        ),
        pytest.param(
            {},
            {"InputDataConfig": [channel("train", "s3://no-such-bucket-here/x")]},
            'No S3 objects found under S3 URL "s3://no-such-bucket-here/x"',
            id="no-input",
        ),
        pytest.param(
            {},
            {"InputDataConfig": [channel("a", "s3://b-1/x"), channel("a", "s3://b-1/y")]},
            "Duplicate channel name 'a'",
            id="channel-twice",
        ),
        pytest.param(
            {},
            {"InputDataConfig": [channel("..", "s3://b-1/x")]},
            "Channel name '..' is not possible",
            id="channel-above",
        ),
        pytest.param(
            {},
            {"InputDataConfig": [channel("a", "s3://b-1/x", S3DataType="ManifestFile")]},
            "S3DataType 'ManifestFile'",
            id="manifest",
        ),
    ],
)
def test_a_request_that_cannot_work_is_refused(
    sagemaker, job_request, specification, changes, says
):
    """
    A mistake is found when the job is created, and the answer says what is wrong.
    """
    request = job_request("pass", specification, **changes)
    request = {member: value for member, value in request.items() if value is not None}

    assert says in refused(lambda: sagemaker.create_training_job(**request))
    listed = sagemaker.list_training_jobs(NameContains=request["TrainingJobName"])
    assert listed["TrainingJobSummaries"] == []
