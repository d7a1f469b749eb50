"""Which image a job takes, and what a push asks of ECR."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError

from kennel.errors import JobError, SettingsError
from kennel.jobs import images, registry
from kennel.jobs.images import SERVE, SERVE_GPU, TRAIN, Image
from kennel.settings import Deploy, Images, Settings

HERE, THERE = "123456789012/eu-west-1", "123456789012/us-east-1"


def image(name, tag="abc"):
    return Image(f"host/{name}@sha256:{tag}", tag, "2026-01-01T00:00:00+00:00")


PUSHED = {name: image(name) for name in (TRAIN, SERVE, SERVE_GPU)}


def test_what_is_written_is_read(tmp_path):
    """
    A push adds to the record: other places, and images that it did not push, stay.
    """
    path = tmp_path / "new" / "images.json"
    images.write(path, THERE, {TRAIN: image(TRAIN)})
    images.write(path, HERE, {TRAIN: image(TRAIN), SERVE_GPU: image(SERVE_GPU)})

    images.write(path, HERE, {TRAIN: image(TRAIN, "def")})

    assert images.read(path) == {
        THERE: {TRAIN: image(TRAIN)},
        HERE: {TRAIN: image(TRAIN, "def"), SERVE_GPU: image(SERVE_GPU)},
    }
    assert [p.name for p in path.parent.iterdir()] == ["images.json"]


def test_pushes_at_once_are_all_noted(tmp_path):
    """
    Each reads what the other has written.
    """
    path = tmp_path / "images.json"
    places = [f"123456789012/region-{number}" for number in range(16)]
    with ThreadPoolExecutor(len(places)) as pool:
        list(pool.map(lambda place: images.write(path, place, PUSHED), places))

    assert images.read(path) == dict.fromkeys(places, PUSHED)


def test_a_record_that_cannot_be_written_is_told(tmp_path):
    """
    With what to do, instead of a traceback after a push that took minutes.
    """
    (tmp_path / "file").touch()

    with pytest.raises(SettingsError, match="cannot write the record") as caught:
        images.write(tmp_path / "file" / "images.json", HERE, PUSHED)
    assert caught.value.remedy is not None


def test_no_record_is_an_empty_one(tmp_path):
    """
    Before the first push.
    """
    assert images.read(tmp_path / "images.json") == {}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{", id="torn"),
        pytest.param("[]", id="a-list"),
        pytest.param('{"a": {"b": {"image": "x"}}}', id="other-members"),
    ],
)
def test_a_record_that_is_none_is_told(tmp_path, text):
    """
    With the way to a new one.
    """
    path = tmp_path / "images.json"
    path.write_text(text)

    with pytest.raises(SettingsError) as caught:
        images.read(path)

    assert f"{path} is no record of pushed images" in caught.value.problem
    assert caught.value.remedy == f"rm {path}, then make push"


def test_the_settings_win_over_what_was_pushed():
    """
    And are named as the reason.
    """
    settings = Settings(images=Images(train="mine:1", serve="mine:2"))

    train, serve = images.for_training(settings, PUSHED), images.for_serving(settings, PUSHED)

    assert (train.uri, train.reason) == ("mine:1", "set as [images] train or KENNEL_IMAGES_TRAIN")
    assert (serve.uri, serve.reason) == ("mine:2", "set as [images] serve or KENNEL_IMAGES_SERVE")


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (Images(), []),
        (Images(train=TRAIN, serve=SERVE), []),
        (Images(train="mine:1", serve=SERVE), ["[images] train = mine:1"]),
        (Images(serve="mine:2"), ["[images] serve = mine:2"]),
    ],
)
def test_a_push_that_will_not_be_taken_is_told(named, said):
    """
    By the setting that wins over it; kennel's own names, which local mode fills in, are no choice.
    """
    assert images.named_otherwise(Settings(images=named)) == said


@pytest.mark.parametrize(
    ("instance_type", "pushed", "name"),
    [
        ("ml.m5.large", PUSHED, SERVE),
        ("ml.c7i.xlarge", PUSHED, SERVE),
        ("ml.inf2.xlarge", PUSHED, SERVE),
        ("ml.g4dn.xlarge", PUSHED, SERVE_GPU),
        ("ml.gr6.4xlarge", PUSHED, SERVE_GPU),
        ("ml.p4d.24xlarge", PUSHED, SERVE_GPU),
        ("ml.g4dn.xlarge", {SERVE: image(SERVE)}, SERVE),
    ],
)
def test_an_endpoint_takes_the_image_for_its_machines(instance_type, pushed, name):
    """
    That for GPUs where they have one and it was pushed; the one for CPUs runs anywhere.
    """
    settings = Settings(deploy=Deploy(instance_type=instance_type))

    assert images.for_serving(settings, pushed).uri == image(name).uri


def test_a_job_without_an_image_is_told_why():
    """
    Nothing is set, nothing was pushed to this account and region.
    """
    choice = images.for_training(Settings(), {})

    assert choice.uri is None
    assert "make push" in choice.reason


@pytest.mark.parametrize(
    ("exists", "has_policy", "operations"),
    [
        (False, False, ["create_repository", "put_lifecycle_policy"]),
        (True, False, ["put_lifecycle_policy"]),
        (True, True, []),
    ],
)
def test_a_repository_gets_what_it_lacks(valid_request, exists, has_policy, operations):
    """
    In requests that AWS takes; a push that broke off between the two is completed by the next.
    """
    calls = registry.preparation("kennel-train", exists=exists, has_policy=has_policy)

    assert [call.operation for call in calls] == operations
    for call in calls:
        valid_request(call.operation, call.request, service="ecr")


def test_a_new_repository_keeps_its_tags_and_scans():
    """
    And lets untagged images go before tagged ones.
    """
    request = registry.repository("kennel-train")
    policy = json.loads(registry.lifecycle("kennel-train")["lifecyclePolicyText"])

    assert request["imageTagMutability"] == "IMMUTABLE"
    assert request["imageScanningConfiguration"] == {"scanOnPush": True}
    counts = {r["selection"]["tagStatus"]: r["selection"]["countNumber"] for r in policy["rules"]}
    assert counts == {
        "untagged": registry.KEEP_UNTAGGED_DAYS,
        "any": registry.KEEP_IMAGES,
    }


class Ecr:
    """Answers as ECR does of an image that is there, or with an error."""

    def __init__(self, code=None):
        self.code = code
        self.asked = []

    def describe_images(self, **request):
        self.asked.append(request)
        if self.code:
            raise ClientError({"Error": {"Code": self.code}}, "DescribeImages")

    def batch_get_image(self, **request):
        self.asked.append(request)
        if self.code:
            failure = {"failureCode": self.code, "failureReason": "said so"}
            return {"images": [], "failures": [failure]}
        manifest = {"imageId": {"imageDigest": "sha256:1"}, "imageManifest": '{"manifests": []}'}
        return {"images": [manifest], "failures": []}

    def get_authorization_token(self):
        token = base64.b64encode(b"AWS:a:b").decode()
        endpoint = "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com"
        return {"authorizationData": [{"authorizationToken": token, "proxyEndpoint": endpoint}]}


@pytest.mark.parametrize(
    ("code", "there"),
    [
        (None, True),
        ("ImageNotFoundException", False),
        ("RepositoryNotFoundException", False),
        ("AccessDeniedException", None),
        ("ServerException", None),
    ],
)
def test_a_recorded_image_is_looked_for_by_its_digest(valid_request, code, there):
    """
    That it cannot be asked for is no reason to refuse a job.
    """
    ecr = Ecr(code)

    assert registry.is_there(ecr, "host:5000/team/kennel-train@sha256:1") is there
    assert ecr.asked == [
        {"repositoryName": "team/kennel-train", "imageIds": [{"imageDigest": "sha256:1"}]}
    ]
    valid_request("describe_images", ecr.asked[0], service="ecr")


def test_an_index_of_several_images_has_no_configuration():
    """
    Its digest is what there is to compare.
    """
    assert registry.pushed(Ecr(), "kennel-train", "abc") == registry.Pushed("sha256:1", "")


def test_a_tag_that_cannot_be_asked_for_is_not_taken_for_a_free_one():
    """
    Only ImageNotFound means that there is none.
    """
    assert registry.pushed(Ecr("ImageNotFound"), "kennel-train", "abc") is None
    with pytest.raises(JobError, match="cannot be asked for: KmsError: said so"):
        registry.pushed(Ecr("KmsError"), "kennel-train", "abc")


def test_a_login_is_what_a_token_says():
    """
    The registry without its scheme, as it stands before an image's name.
    """
    found = registry.login(Ecr())

    assert found == registry.Login("123456789012.dkr.ecr.eu-west-1.amazonaws.com", "AWS", "a:b")
    assert "a:b" not in repr(found)
