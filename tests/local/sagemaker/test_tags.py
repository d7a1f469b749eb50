"""Tags stay with their resource and go with it."""

import pytest
from botocore.exceptions import ClientError


def tags_of(sagemaker, arn):
    pages = sagemaker.get_paginator("list_tags").paginate(ResourceArn=arn)
    return {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}


def as_list(tags):
    return [{"Key": key, "Value": value} for key, value in tags.items()]


@pytest.fixture
def arn(sagemaker, model):
    return sagemaker.describe_model(ModelName=model())["ModelArn"]


def test_tags_are_added_replaced_and_deleted(sagemaker, arn):
    """
    A key that is there gets the new value; deleting one that is not is no error.
    """
    sagemaker.add_tags(ResourceArn=arn, Tags=as_list({"a": "1", "b": "2"}))
    sagemaker.add_tags(ResourceArn=arn, Tags=as_list({"b": "3", "c": "4"}))
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["a", "never"])

    assert tags_of(sagemaker, arn) == {"b": "3", "c": "4"}


def test_a_tag_key_comes_once(sagemaker, arn):
    """
    Nobody can tell which of the two values was meant.
    """
    twice = [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]

    with pytest.raises(ClientError, match="Duplicate tag key 'a'"):
        sagemaker.add_tags(ResourceArn=arn, Tags=twice)


def test_tags_of_a_request_are_there_from_the_start(sagemaker, submit, finished):
    """
    CreateTrainingJob's Tags are the job's.
    """
    name = submit(Tags=as_list({"project": "dogs"}))

    assert tags_of(sagemaker, finished(name)["TrainingJobArn"]) == {"project": "dogs"}


def test_a_new_resource_does_not_inherit_tags(sagemaker, arn):
    """
    Deleting a resource deletes its tags, also for one of the same name.
    """
    sagemaker.add_tags(ResourceArn=arn, Tags=as_list({"a": "1"}))
    name = arn.rpartition("/")[2]
    found = sagemaker.describe_model(ModelName=name)
    sagemaker.delete_model(ModelName=name)
    sagemaker.create_model(
        ModelName=name,
        ExecutionRoleArn=found["ExecutionRoleArn"],
        PrimaryContainer={"Image": found["PrimaryContainer"]["Image"]},
    )

    assert tags_of(sagemaker, arn) == {}


def test_more_tags_than_aws_allows_are_refused(sagemaker, arn):
    """
    The fifty-first tag is an error, and none of its request is kept.
    """
    sagemaker.add_tags(ResourceArn=arn, Tags=as_list({str(n): "" for n in range(50)}))

    with pytest.raises(ClientError, match="at most 50 tags"):
        sagemaker.add_tags(ResourceArn=arn, Tags=as_list({"one-more": "", "0": "changed"}))
    assert tags_of(sagemaker, arn)["0"] == ""
    assert len(tags_of(sagemaker, arn)) == 50


@pytest.mark.parametrize("what", ["model/nobody", "space/x", "nonsense"])
def test_tags_of_nothing_are_refused(sagemaker, what):
    """
    An ARN that names no resource of ours is an error, not an empty list.
    """
    arn = f"arn:aws:sagemaker:us-east-1:000000000000:{what}"

    with pytest.raises(ClientError, match="Could not find a resource"):
        sagemaker.list_tags(ResourceArn=arn)
