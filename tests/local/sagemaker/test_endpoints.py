"""Endpoints answer, are replaced without a gap, and leave nothing behind."""

import io
import json
import os
import tarfile
import threading
import time

import pytest
from botocore.exceptions import ClientError, WaiterError

ROLE = "arn:aws:iam::000000000000:role/sagemaker"


@pytest.fixture
def artifact(s3, bucket):
    """Store an archive with one file and return its URI."""

    def store(name="weights.pt", key="model.tar.gz"):
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w:gz") as tar:
            info = tarfile.TarInfo(name)
            info.size = 1
            tar.addfile(info, io.BytesIO(b"x"))
        s3.put_object(Bucket=bucket, Key=key, Body=file.getvalue())
        return f"s3://{bucket}/{key}"

    return store


@pytest.fixture
def log_of(logs):
    """Return the lines of an endpoint's log."""

    def lines(name):
        group = f"/aws/sagemaker/Endpoints/{name}"
        return [e["message"] for e in logs.filter_log_events(logGroupName=group)["events"]]

    return lines


@pytest.fixture
def update(sagemaker, settled):
    """Update an endpoint to a configuration, and return its description when that has ended."""

    def change(name, config):
        sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config)
        return settled(name)

    return change


@pytest.fixture
def deployed_data(deploy, artifact):
    """Deploy a model whose archive holds one file of this name."""
    return lambda name: deploy(artifact(name))


@pytest.fixture
def delete(sagemaker):
    """Delete an endpoint and wait until it is gone, with boto3's own waiter."""

    def end(name):
        sagemaker.delete_endpoint(EndpointName=name)
        delay = {"Delay": 1, "MaxAttempts": 30}
        sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=name, WaiterConfig=delay)

    return end


def refused(call):
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response


def message(call):
    error = refused(call)["Error"]
    assert error["Code"] in ("ValidationException", "ValidationError")
    return error["Message"]


def test_an_endpoint_answers(invoke, artifact, deploy):
    """
    A request reaches the container with its body, and its answer comes back with its type.
    """
    name = deploy(artifact())
    told, answer = invoke(name, b"hello", ContentType="text/plain")

    assert told["body"] == "hello"
    assert told["model"] == ["weights.pt"]
    assert answer["ContentType"] == "application/json"
    assert answer["InvokedProductionVariant"] == "main"
    assert answer["CustomAttributes"] == "answered"
    assert "x-secret" not in answer["ResponseMetadata"]["HTTPHeaders"]


def test_only_sagemakers_headers_reach_the_container(invoke, deploy):
    """
    Content type, Accept and SageMaker's own; neither the signature nor the client's name.
    """
    name = deploy()
    told, _ = invoke(
        name,
        b"{}",
        ContentType="application/json",
        Accept="text/csv",
        CustomAttributes="trace=1",
        InferenceId="id-1",
    )

    transport = {"Host", "Accept-Encoding", "Content-Length"}
    assert {name.lower(): v for name, v in told["headers"].items() if name not in transport} == {
        "content-type": "application/json",
        "accept": "text/csv",
        "x-amzn-sagemaker-custom-attributes": "trace=1",
        "x-amzn-sagemaker-inference-id": "id-1",
    }


def test_describe_tells_what_is_deployed(endpoint, config, model, sagemaker):
    """
    An endpoint in service names its configuration and its variants with their weights.
    """
    configuration = config(("blue", model(), 3), ("green", model(), 1))
    found = sagemaker.describe_endpoint(EndpointName=endpoint(configuration))

    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", configuration)
    weights = {v["VariantName"]: v["CurrentWeight"] for v in found["ProductionVariants"]}
    assert weights == {"blue": 3, "green": 1}


def test_variants_share_the_traffic_by_weight(endpoint, config, model, invoke):
    """
    A variant without weight gets only what is sent to it by name.
    """
    models = (("all", model(name="one"), 1), ("none", model(name="two"), 0))
    name = endpoint(config(*models))

    assert {invoke(name)[1]["InvokedProductionVariant"] for _ in range(8)} == {"all"}
    told, answer = invoke(name, TargetVariant="none")
    assert (told["name"], answer["InvokedProductionVariant"]) == ("two", "none")


def test_weights_change_at_once(endpoint, config, model, invoke, sagemaker):
    """
    UpdateEndpointWeightsAndCapacities moves the traffic, without a new container.
    """
    name = endpoint(config(("a", model(), 1), ("b", model(), 0)))
    before = invoke(name, TargetVariant="b")[0]["pid"]
    desired = [
        {"VariantName": "a", "DesiredWeight": 0, "DesiredInstanceCount": 3},
        {"VariantName": "b", "DesiredWeight": 1},
    ]
    sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=name, DesiredWeightsAndCapacities=desired
    )

    told, answer = invoke(name)
    variants = sagemaker.describe_endpoint(EndpointName=name)["ProductionVariants"]
    assert (told["pid"], answer["InvokedProductionVariant"]) == (before, "b")
    assert [variant["DesiredInstanceCount"] for variant in variants] == [3, 1]


@pytest.mark.parametrize(("status", "kind"), [(400, "client"), (500, "server")])
def test_a_containers_error_is_a_model_error(invoke, deploy, status, kind):
    """
    ModelError has status 424, the container's own status and answer, and where its log is.
    """
    name = deploy()
    error = refused(lambda: invoke(name, b"status%d" % status))

    assert error["Error"]["Code"] == "ModelError"
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert f"Received {kind} error ({status}) from primary" in error["Error"]["Message"]
    assert error["OriginalStatusCode"] == status
    assert json.loads(error["OriginalMessage"])["body"] == f"status{status}"
    assert name in error["LogStreamArn"]


def test_an_endpoint_that_is_not_there_is_not_found(invoke, sagemaker):
    """
    Both APIs say so, each in its own words.
    """
    assert "Endpoint nobody of account 000000000000 not found." in message(lambda: invoke("nobody"))
    for call in (sagemaker.describe_endpoint, sagemaker.delete_endpoint):
        assert 'Could not find endpoint "arn:aws:sagemaker' in message(
            lambda call=call: call(EndpointName="nobody")
        )


def test_a_body_that_is_too_large_is_refused(invoke, deploy):
    """
    A body above SageMaker's limit never reaches the container.
    """
    name = deploy()
    error = refused(lambda: invoke(name, bytes(25 * 2**20 + 1)))

    assert error["ResponseMetadata"]["HTTPStatusCode"] == 413


def test_a_variant_that_is_not_there_is_not_found(invoke, deploy):
    """
    The answer names the variants that there are.
    """
    name = deploy()

    assert "which has: main" in message(lambda: invoke(name, TargetVariant="other"))


def test_a_container_that_ends_fails_the_endpoint_at_once(settled, deploy):
    """
    Nobody waits ten minutes: FailureReason has the end of the container's log.
    """
    name = deploy(exit=3)
    found = settled(name)

    assert found["EndpointStatus"] == "Failed"
    assert "ended with exit code 3" in found["FailureReason"]
    assert "RuntimeError: cannot load the model" in found["FailureReason"]


def test_an_endpoint_that_has_failed_answers_nobody(invoke, log_of, deploy):
    """
    It says its status, and its log is there to be read.
    """
    name = deploy(exit=3)

    assert "is Failed, not InService" in message(lambda: invoke(name))
    assert any("cannot load the model" in line for line in log_of(name))


def test_an_endpoint_is_not_in_service_before_its_ping(endpoint, invoke, sagemaker, one_variant):
    """
    While /ping answers 503 the endpoint is Creating; it can be deleted all the same.
    """
    name = endpoint(one_variant(ping=503), wait=False)
    time.sleep(0.5)

    assert sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "Creating"
    assert "is Creating, not InService" in message(lambda: invoke(name))


def test_an_update_leaves_no_gap(invoke, update, deploy, one_variant):
    """
    The old container answers until the new one is healthy; then it is gone.
    """
    name = deploy(name="old")
    new = one_variant(name="new")
    seen, done = [], threading.Event()

    def ask():
        while not done.is_set():
            seen.append(invoke(name)[0]["name"])

    client = threading.Thread(target=ask)
    client.start()
    found = update(name, new)
    done.set()
    client.join()

    assert found["EndpointConfigName"] == new
    assert set(seen) <= {"old", "new"}
    assert invoke(name)[0]["name"] == "new"


def test_an_update_finishes_what_is_in_flight(invoke, update, one_variant, deploy):
    """
    A slow request that was there before the update gets its answer from the old container.
    """
    name = deploy(name="old")
    answers = []
    client = threading.Thread(target=lambda: answers.append(invoke(name, b"sleep0.8")[0]["name"]))
    client.start()
    time.sleep(0.2)
    update(name, one_variant(name="new"))
    client.join()

    assert answers == ["old"]


def test_an_update_that_fails_rolls_back(endpoint, invoke, update, one_variant):
    """
    The endpoint stays on its old configuration, in service, and says what went wrong.
    """
    old = one_variant(name="old")
    name = endpoint(old)
    found = update(name, one_variant(exit=1))

    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", old)
    assert "ended with exit code 1" in found["FailureReason"]
    assert invoke(name)[0]["name"] == "old"


def test_an_endpoint_is_not_updated_twice_at_once(sagemaker, one_variant, deploy):
    """
    A change that is going on has to end first.
    """
    name = deploy()
    slow = one_variant(ping=503)
    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=slow)

    again = {"EndpointName": name, "EndpointConfigName": slow}
    assert "Cannot update in-progress endpoint" in message(
        lambda: sagemaker.update_endpoint(**again)
    )


def test_a_container_that_dies_is_started_again(invoke, log_of, until, deploy):
    """
    The endpoint answers again after a moment, and its log says what happened.
    """
    name = deploy()
    before = invoke(name)[0]["pid"]
    refused(lambda: invoke(name, b"die"))

    def answers_again():
        try:
            return invoke(name)[0]["pid"] != before
        except ClientError:
            return False

    assert until(answers_again)
    assert any("ended with exit code 9; it is started again" in line for line in log_of(name))


def test_several_endpoints_at_once(endpoint, config, model, invoke, artifact):
    """
    Each has a container and a port of its own; a model that they share is unpacked once.
    """
    shared = model(artifact())
    names = [endpoint(config(("main", shared, 1))) for _ in range(3)]

    assert len({invoke(name)[0]["pid"] for name in names}) == 3


def test_a_container_has_a_model_folder_of_its_own(endpoint, config, model, invoke, artifact):
    """
    What one writes there, another that serves the same model does not see.
    """
    shared = model(artifact())
    name = endpoint(config(("a", shared, 1), ("b", shared, 1)))

    assert invoke(name, b"write", TargetVariant="a")[0]["model"] == ["weights.pt", "written.txt"]
    assert invoke(name, TargetVariant="b")[0]["model"] == ["weights.pt"]


def test_nothing_of_an_endpoint_is_left(invoke, state, is_alive, delete, deployed_data):
    """
    DeleteEndpoint ends its processes and removes its folders; the waiter sees it.
    """
    name = deployed_data("of-its-own.bin")
    pid = invoke(name)[0]["pid"]
    assert any("of-its-own.bin" in files for _, _, files in os.walk(state / "sagemaker"))

    delete(name)

    assert not is_alive(pid)
    assert not any("of-its-own.bin" in files for _, _, files in os.walk(state / "sagemaker"))
    assert not [path for path in (state / "runtime").iterdir() if name in path.name]


def test_waiters_tell_success_from_failure(sagemaker, deploy):
    """
    endpoint_in_service returns for a good endpoint and raises for one that failed.
    """
    waiter = sagemaker.get_waiter("endpoint_in_service")
    delay = {"Delay": 1, "MaxAttempts": 30}
    waiter.wait(EndpointName=deploy(), WaiterConfig=delay)

    failed = deploy(exit=1)
    with pytest.raises(WaiterError, match="Failed"):
        waiter.wait(EndpointName=failed, WaiterConfig=delay)


def create_requests(sagemaker, name):
    """Return the requests that would create again what an endpoint and its parts are."""
    config_name = sagemaker.describe_endpoint(EndpointName=name)["EndpointConfigName"]
    config = sagemaker.describe_endpoint_config(EndpointConfigName=config_name)
    model_name = config["ProductionVariants"][0]["ModelName"]
    container = sagemaker.describe_model(ModelName=model_name)["PrimaryContainer"]
    return {
        "model": {
            "ModelName": model_name,
            "ExecutionRoleArn": ROLE,
            "PrimaryContainer": container,
        },
        "endpoint_config": {
            "EndpointConfigName": config_name,
            "ProductionVariants": config["ProductionVariants"],
        },
        "endpoint": {"EndpointName": name, "EndpointConfigName": config_name},
    }


def test_a_name_is_used_once(sagemaker, deploy):
    """
    AWS's words for what exists already.
    """
    for kind, request in create_requests(sagemaker, deploy()).items():
        create = getattr(sagemaker, f"create_{kind}")

        said = message(lambda create=create, request=request: create(**request))
        assert "Cannot create already existing" in said


def test_model_data_that_is_missing_is_named(sagemaker, bucket):
    """
    A model whose archive is not in S3 is refused when it is created.
    """
    container = {"Image": "image", "ModelDataUrl": f"s3://{bucket}/none.tar.gz"}
    request = {"ModelName": "m", "ExecutionRoleArn": ROLE, "PrimaryContainer": container}

    said = message(lambda: sagemaker.create_model(**request))
    assert said == f"Could not find model data at s3://{bucket}/none.tar.gz."


def test_what_is_missing_is_named(sagemaker, config, model):
    """
    A configuration without its model, and an endpoint without either.
    """
    gone = model()
    left = config(("main", gone, 1))
    sagemaker.delete_model(ModelName=gone)

    def create_endpoint(name):
        return message(lambda: sagemaker.create_endpoint(EndpointName="e", EndpointConfigName=name))

    assert "Could not find model" in message(lambda: config(("main", "nobody", 1)))
    assert "Could not find endpoint configuration" in create_endpoint("nobody")
    assert "Could not find model" in create_endpoint(left)


def test_an_artifact_that_is_none_fails_the_endpoint(settled, s3, bucket, deploy):
    """
    A model.tar.gz that is no archive is told as such.
    """
    s3.put_object(Bucket=bucket, Key="model.tar.gz", Body=b"no archive")
    found = settled(deploy(f"s3://{bucket}/model.tar.gz"))

    assert found["EndpointStatus"] == "Failed"
    assert "cannot be unpacked" in found["FailureReason"]


def test_models_and_configurations_are_described_listed_and_deleted(sagemaker, config, model):
    """
    What was created comes back, is listed, and is gone when it was deleted.
    """
    name = model()
    configuration = config(("main", name, 1))

    assert sagemaker.describe_model(ModelName=name)["PrimaryContainer"]["Image"]
    described = sagemaker.describe_endpoint_config(EndpointConfigName=configuration)
    assert described["ProductionVariants"][0]["ModelName"] == name
    assert [m["ModelName"] for m in sagemaker.list_models(NameContains=name)["Models"]] == [name]
    listed = sagemaker.list_endpoint_configs(NameContains=configuration)["EndpointConfigs"]
    assert [c["EndpointConfigName"] for c in listed] == [configuration]

    sagemaker.delete_model(ModelName=name)
    sagemaker.delete_endpoint_config(EndpointConfigName=configuration)

    assert "Could not find model" in message(lambda: sagemaker.describe_model(ModelName=name))
    assert "Could not find endpoint configuration" in message(
        lambda: sagemaker.describe_endpoint_config(EndpointConfigName=configuration)
    )
