"""What is planned is what is sent, in an order that AWS accepts; names are unique and ours."""

import json
from datetime import UTC, datetime

import pytest

from kennel import settings
from kennel.errors import JobError, SettingsError
from kennel.jobs import aws, compose, naming, plan
from kennel.jobs.storage import Location
from kennel.settings import Aws, Images, Settings, Train

NOW = {"now": datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC), "token": "0abc"}
SETTINGS = Settings(
    aws=Aws(region="eu-west-1", role="arn:aws:iam::123456789012:role/kennel"),
    images=Images(train="train:1", serve="serve:1"),
)


class FakeAws:
    """Remembers the calls it was sent, by service."""

    def __init__(self):
        self.calls = []

    def client(self, service):
        return FakeClient(service, self.calls)


class FakeClient:
    def __init__(self, service, calls):
        self.service = service
        self.calls = calls

    def __getattr__(self, operation):
        def call(**request):
            self.calls.append((self.service, operation, request))
            return {}

        return call


def deployment(existing):
    wanted = compose.deployment(SETTINGS, version="kennel-1", artifact="s3://b/model.tar.gz")
    return plan.deployment(wanted, existing=existing)


@pytest.mark.parametrize(
    ("existing", "last"),
    [
        pytest.param(None, "create_endpoint", id="new"),
        pytest.param("InService", "update_endpoint", id="there-already"),
    ],
)
def test_a_deployment_ends_with_the_endpoint(valid_request, existing, last):
    """
    Model, then config, then the endpoint: created where there is none, else updated.
    """
    calls = deployment(existing)

    assert [c.operation for c in calls] == ["create_model", "create_endpoint_config", last]
    for call in calls:
        valid_request(call.operation, call.request, service=call.service)


@pytest.mark.parametrize("status", ["Creating", "Updating", "Deleting", "Failed"])
def test_an_endpoint_that_cannot_be_updated_is_an_error_before_anything_is_made(status):
    """
    AWS would refuse the update after the model and the config are there.
    """
    with pytest.raises(JobError, match=rf"kennel is {status}"):
        deployment(status)


def test_a_deletion_removes_the_endpoint_before_what_it_uses(valid_request):
    """
    A config that an endpoint uses may not be deleted.
    """
    calls = plan.deletion(endpoint="e", configs=["c1", "c2"], models=["m"])

    assert [next(iter(c.request.values())) for c in calls] == ["e", "c1", "c2", "m"]
    for call in calls:
        valid_request(call.operation, call.request)


def test_pruning_deletes_a_thousand_at_a_time(valid_request):
    """
    DeleteObjects takes a thousand keys, so 2,001 are three calls, and nothing is none.
    """
    calls = plan.pruning("b", [str(n) for n in range(2001)])

    assert [len(c.request["Delete"]["Objects"]) for c in calls] == [1000, 1000, 1]
    assert plan.pruning("b", []) == []
    valid_request("DeleteObjects", calls[0].request, service="s3")


def test_send_makes_the_planned_calls():
    """
    What is sent is exactly what was planned, to the service that was planned.
    """
    fake = FakeAws()
    calls = [*plan.bucket("b-1", region="eu-west-1"), *deployment(None)]

    aws.send(fake, calls)

    assert fake.calls == [(c.service, c.operation, c.request) for c in calls]


def test_what_could_not_be_deleted_is_an_error():
    """
    DeleteObjects answers 200 all the same, and lists what it has left.
    """

    class Locked(FakeAws):
        def client(self, _service):
            return self

        def delete_objects(self, **_request):
            return {"Errors": [{"Key": "a", "Code": "AccessDenied", "Message": "Access Denied"}]}

    with pytest.raises(JobError, match="a could not be deleted: AccessDenied"):
        aws.send(Locked(), plan.pruning("b", ["a"]))


def test_what_is_shown_reads_back_as_the_plan():
    """
    A dry run prints each call whole, a JSON object a line.
    """
    calls = deployment(None)

    assert [json.loads(line) for line in plan.show(calls).splitlines()] == [vars(c) for c in calls]


def test_the_settings_make_a_valid_training_job(valid_request):
    """
    Default settings with a role and an image are a request that AWS accepts.
    """
    job = compose.training_job(
        SETTINGS, name="kennel-1", bucket="b-1", channels={"train": "s3://b/"}
    )

    (call,) = plan.training(job, name="kennel-1")
    valid_request(call.operation, call.request)
    assert call.request["CheckpointConfig"] == {"S3Uri": "s3://b-1/kennel/checkpoints/kennel-1"}
    assert call.request["OutputDataConfig"] == {"S3OutputPath": "s3://b-1/kennel/jobs"}


@pytest.mark.parametrize(
    ("train", "expected"),
    [
        pytest.param(Train(), None, id="on-demand"),
        pytest.param(Train(spot=True, max_runtime_s=100), 200, id="spot"),
        pytest.param(Train(spot=True, max_runtime_s=100, max_wait_s=150), 150, id="as-set"),
    ],
)
def test_a_spot_job_waits_twice_its_run_time_unless_told(train, expected):
    """
    MaxWaitTime counts running and waiting together.
    """
    assert compose.max_wait_s(Settings(train=train)) == expected


@pytest.mark.parametrize(
    ("without", "message"),
    [
        pytest.param({"aws": Aws()}, r"(?s)no role is set.*sagemaker\.amazonaws\.com", id="role"),
        pytest.param({"images": Images()}, r"(?s)no train image is set.*ECR", id="image"),
    ],
)
def test_what_is_missing_comes_with_the_way_to_get_it(without, message):
    """
    The role is what most people lack: the error says whom it must trust and where to put it.
    """
    parts = {"aws": SETTINGS.aws, "images": SETTINGS.images} | without

    with pytest.raises(SettingsError, match=message):
        compose.check_training(Settings(**parts))


def test_every_name_of_ours_is_unique_and_fits(valid_request):
    """
    The model's name is made fit, the time and a little chance come after it.
    """
    name = naming.job(None, "mobilenet_v3_large" * 5, **NOW)

    assert name.startswith("kennel-mobilenet-v3-large")
    assert name.endswith("-20260203-040506-0abc")
    assert len(name) == naming.LONGEST
    valid_request("StopTrainingJob", {"TrainingJobName": name})


def test_a_name_that_is_given_gets_our_prefix_once():
    """
    kennel finds its own jobs by their prefix, so it is put before any other name.
    """
    assert naming.job("first", "resnet18", **NOW) == "kennel-first"
    assert naming.job("kennel-first", "resnet18", **NOW) == "kennel-first"


def test_a_name_that_sagemaker_refuses_is_refused_here():
    """
    The error suggests one that it takes.
    """
    with pytest.raises(SettingsError, match="try: kennel-my-first-run"):
        naming.job("my first_run!", "resnet18", **NOW)


def test_a_version_is_of_one_endpoint_only():
    """
    Deleting "kennel" must not take what belongs to "kennel-2".
    """
    version = naming.unique("kennel-2", **NOW)

    assert naming.is_version(version, of="kennel-2")
    assert not naming.is_version(version, of="kennel")


def test_a_location_is_an_s3_uri_in_two_parts():
    """
    It reads back as it was written, and anything else is an error.
    """
    assert str(Location.parse("s3://bucket/a/b") / "c") == "s3://bucket/a/b/c"
    with pytest.raises(SettingsError, match="is no S3 address"):
        Location.parse("https://bucket/a")


def test_the_default_bucket_belongs_to_account_and_region():
    """
    Bucket names are shared by all accounts, so ours carries the account.
    """
    name = compose.bucket_name(SETTINGS, region="eu-west-1", account="123456789012")

    assert name == "kennel-eu-west-1-123456789012"
    assert settings.load({}, options={"aws": {"bucket": name}}).aws.bucket == name
