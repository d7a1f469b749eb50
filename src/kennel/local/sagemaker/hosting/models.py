"""The operations of models, and where a model's data is."""

from collections.abc import Iterator
from typing import Any

from kennel.local.resources import Document
from kennel.local.s3.objects import Objects
from kennel.local.sagemaker import s3_uri
from kennel.local.sagemaker.listing import page
from kennel.local.sagemaker.names import MODEL, invalid, not_here
from kennel.local.sagemaker.platform import Platform, now
from kennel.local.sagemaker.tags import Tags
from kennel.local.sagemaker.training.inputs import has_objects

KIND = MODEL.path
SUMMARY = ("ModelName", "ModelArn", "CreationTime")


class Models:
    """Models, as their API shows them."""

    def __init__(self, platform: Platform, tags: Tags) -> None:
        self.objects = platform.objects
        self.resources = platform.resources
        self.tags = tags

    def create(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer CreateModel."""
        name = params["ModelName"]
        if "ExecutionRoleArn" not in params:
            raise invalid("ExecutionRoleArn is required to create a model.")
        check_container(self.objects, container(params))
        request = {member: value for member, value in params.items() if member != "Tags"}
        model = {**request, "ModelArn": MODEL.arn(name), "CreationTime": now()}
        with self.resources.database.transaction():
            if not self.resources.add(KIND, name, model):
                raise MODEL.taken(name)
            self.tags.put(MODEL, name, params.get("Tags", []))
        return {"ModelArn": model["ModelArn"]}

    def describe(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer DescribeModel."""
        model = self.resources.find(KIND, params["ModelName"])
        if model is None:
            raise MODEL.missing(params["ModelName"])
        return model

    def list(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer ListModels."""
        shown, token = page(self.resources.all(KIND), params, name="ModelName")
        return {
            "Models": [{member: model[member] for member in SUMMARY} for model in shown],
            "NextToken": token,
        }

    def delete(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer DeleteModel; its artifact and the endpoints that run it stay."""
        name = params["ModelName"]
        with self.resources.database.transaction():
            if not self.resources.remove(KIND, name):
                raise MODEL.missing(name)
            self.tags.forget(MODEL, name)
        return {}


def container(model: Document) -> Document:
    """
    Return the one container of a model.

    Raises:
        ApiError: ``ValidationException``, when it has none, or several in a row.
    """
    containers: list[Document] = model.get("Containers", [])
    if "PrimaryContainer" in model:
        containers = [model["PrimaryContainer"], *containers]
    if not containers:
        raise invalid("You must specify either PrimaryContainer or Containers.")
    if len(containers) > 1:
        raise not_here("A model of several containers", "Use one PrimaryContainer.")
    return containers[0]


def check_container(objects: Objects, definition: Document) -> None:
    """Ask for an image, for a single model, and for data that is there."""
    if "Image" not in definition:
        raise invalid("The container definition must have an Image.")
    for part in unsupported(definition):
        raise not_here(part)
    check_data(objects, definition)


def unsupported(definition: Document) -> Iterator[str]:
    """Yield what a container definition asks for that AWS has and we lack."""
    if definition.get("Mode", "SingleModel") != "SingleModel":
        yield f"Container mode {definition['Mode']!r}"
    for member in ("ModelPackageName", "AdditionalModelDataSources"):
        if definition.get(member):
            yield member
    if "ModelDataUrl" in definition and "ModelDataSource" in definition:
        yield "A container with both ModelDataUrl and ModelDataSource"


def check_data(objects: Objects, definition: Document) -> None:
    """
    Ask that a container's model data is there.

    Raises:
        ApiError: ``ValidationException``, in AWS's words.
    """
    uri, is_archive = data(definition)
    if not uri:
        return
    bucket, key = s3_uri.split(uri)
    known = any(found.name == bucket for found in objects.buckets())
    if not known or not (objects.exists(bucket, key) if is_archive else has_objects(objects, uri)):
        raise invalid(f"Could not find model data at {uri}.")


def data(definition: Document) -> tuple[str, bool]:
    """Return the S3 URI of a container's model data ("" for none), and whether it is an archive."""
    if "ModelDataUrl" in definition:
        return definition["ModelDataUrl"], True
    source = definition.get("ModelDataSource", {}).get("S3DataSource")
    if source is None:
        return "", True
    return source["S3Uri"], source["CompressionType"] == "Gzip"
