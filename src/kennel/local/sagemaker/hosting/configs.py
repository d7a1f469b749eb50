"""The operations of endpoint configurations."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from kennel.local.resources import Document
from kennel.local.sagemaker.listing import page
from kennel.local.sagemaker.names import ENDPOINT_CONFIG, MODEL, invalid, not_here
from kennel.local.sagemaker.platform import Platform, now
from kennel.local.sagemaker.tags import Tags

KIND = ENDPOINT_CONFIG.path
SUMMARY = ("EndpointConfigName", "EndpointConfigArn", "CreationTime")
NOT_HERE = ("AsyncInferenceConfig", "ExplainerConfig", "ShadowProductionVariants")


class EndpointConfigs:
    """Endpoint configurations, as their API shows them."""

    def __init__(self, platform: Platform, tags: Tags) -> None:
        self.resources = platform.resources
        self.tags = tags

    def create(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer CreateEndpointConfig."""
        name = params["EndpointConfigName"]
        self._check(params)
        request = {member: value for member, value in params.items() if member != "Tags"}
        arn = ENDPOINT_CONFIG.arn(name)
        config = {**request, "EndpointConfigArn": arn, "CreationTime": now()}
        with self.resources.database.transaction():
            if not self.resources.add(KIND, name, config):
                raise ENDPOINT_CONFIG.taken(name)
            self.tags.put(ENDPOINT_CONFIG, name, params.get("Tags", []))
        return {"EndpointConfigArn": arn}

    def _check(self, params: dict[str, Any]) -> None:
        for part in unsupported(params):
            raise not_here(part)
        variants = params["ProductionVariants"]
        names = Counter(variant["VariantName"] for variant in variants)
        for name, count in names.items():
            if count > 1:
                raise invalid(f"Duplicate production variant name {name!r}: {count} times.")
        for variant in variants:
            check_variant(variant)
            if self.resources.find(MODEL.path, variant["ModelName"]) is None:
                raise MODEL.missing(variant["ModelName"])

    def describe(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer DescribeEndpointConfig."""
        config = self.resources.find(KIND, params["EndpointConfigName"])
        if config is None:
            raise ENDPOINT_CONFIG.missing(params["EndpointConfigName"])
        return config

    def list(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer ListEndpointConfigs."""
        shown, token = page(self.resources.all(KIND), params, name="EndpointConfigName")
        return {
            "EndpointConfigs": [{member: config[member] for member in SUMMARY} for config in shown],
            "NextToken": token,
        }

    def delete(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer DeleteEndpointConfig; the endpoints made from it stay."""
        name = params["EndpointConfigName"]
        with self.resources.database.transaction():
            if not self.resources.remove(KIND, name):
                raise ENDPOINT_CONFIG.missing(name)
            self.tags.forget(ENDPOINT_CONFIG, name)
        return {}


def unsupported(params: Document) -> Iterator[str]:
    """Yield what a configuration asks for that AWS has and we lack."""
    yield from (part for part in NOT_HERE if params.get(part))
    if params.get("DataCaptureConfig", {}).get("EnableCapture"):
        yield "DataCaptureConfig with EnableCapture"


def check_variant(variant: Document) -> None:
    """Ask a variant for a model, and for instances or for none of them."""
    name = variant["VariantName"]
    if "ModelName" not in variant:
        raise not_here(f"Variant {name!r} without a ModelName", "Name a model.")
    if "ServerlessConfig" in variant:
        return
    for member in ("InstanceType", "InitialInstanceCount"):
        if member not in variant:
            raise invalid(f"Variant {name!r} has neither {member} nor a ServerlessConfig.")
