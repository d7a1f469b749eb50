"""The operations of endpoints; what they start goes on in driver."""

import secrets
from collections.abc import Callable, Mapping
from typing import Any

from kennel.local.resources import LOCAL, Document
from kennel.local.sagemaker.hosting import models
from kennel.local.sagemaker.hosting.driver import Driver
from kennel.local.sagemaker.hosting.fleet import Fleet, fleet, resized, reweighted, summaries
from kennel.local.sagemaker.listing import page
from kennel.local.sagemaker.names import ENDPOINT, ENDPOINT_CONFIG, MODEL, invalid
from kennel.local.sagemaker.platform import Platform, now
from kennel.local.sagemaker.tags import Tags
from kennel.local.wire.context import region

KIND = ENDPOINT.path
SUMMARY = ("EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime", "EndpointStatus")
RETAINED = "DesiredWeight"  # the property of a variant that means something here


class Endpoints:
    """Endpoints, as their API shows them."""

    def __init__(self, platform: Platform, tags: Tags, driver: Driver) -> None:
        self.objects = platform.objects
        self.resources = platform.resources
        self.tags = tags
        self.driver = driver
        self.most = platform.runtime.max_instances

    def create(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer CreateEndpoint."""
        name = params["EndpointName"]
        endpoint = document(params, self._fleet(name, params["EndpointConfigName"]))
        with self.resources.database.transaction():
            if not self.resources.add(KIND, name, endpoint):
                raise ENDPOINT.taken(name)
            self.tags.put(ENDPOINT, name, params.get("Tags", []))
        self.driver.deploy(name)
        return {"EndpointArn": endpoint["EndpointArn"]}

    def update(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer UpdateEndpoint: the old fleet serves until the new one is healthy."""
        name = params["EndpointName"]
        self._find(name)
        new = self._fleet(name, params["EndpointConfigName"])
        excluded = [
            item["VariantPropertyType"]
            for item in params.get("ExcludeRetainedVariantProperties", [])
        ]
        retains = params.get("RetainAllVariantProperties", False) and RETAINED not in excluded

        def updating(endpoint: Document) -> Document:
            check_settled(endpoint)
            kept = reweighted(new, weights(endpoint)) if retains else new
            changed = endpoint | {
                "EndpointStatus": "Updating",
                "LastModifiedTime": now(),
                "LastDeploymentConfig": params.get("DeploymentConfig"),
                LOCAL: endpoint[LOCAL] | {"Next": kept.to_document()},
            }
            changed.pop("FailureReason", None)
            return changed

        return self._changed(name, updating)

    def update_weights(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer UpdateEndpointWeightsAndCapacities: at once if nothing is to start or end."""
        name = params["EndpointName"]
        generation = secrets.token_hex(4)
        self._find(name)
        desired = {item["VariantName"]: item for item in params["DesiredWeightsAndCapacities"]}

        def updated(endpoint: Document) -> Document:
            check_settled(endpoint)
            new = Fleet.from_document(endpoint[LOCAL]["Fleet"])
            unknown = desired.keys() - {variant.name for variant in new.variants}
            if unknown:
                raise invalid(f"Endpoint {name} has no variant {', '.join(sorted(unknown))}.")
            new = reweighted(new, members(desired, "DesiredWeight"))
            counts = members(desired, "DesiredInstanceCount")
            resizes = resized(new, counts, generation, self.most)
            if resizes.launches() != new.launches():
                return endpoint | {
                    "EndpointStatus": "Updating",
                    "LastModifiedTime": now(),
                    LOCAL: endpoint[LOCAL] | {"Next": resizes.to_document()},
                }
            return endpoint | {
                "ProductionVariants": summaries(resizes),
                "LastModifiedTime": now(),
                LOCAL: endpoint[LOCAL] | {"Fleet": resizes.to_document()},
            }

        return self._changed(name, updated)

    def describe(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer DescribeEndpoint."""
        return self._find(params["EndpointName"])

    def list(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer ListEndpoints."""
        shown, token = page(
            self.resources.all(KIND), params, name="EndpointName", status="EndpointStatus"
        )
        summary = [{member: endpoint[member] for member in SUMMARY} for endpoint in shown]
        return {"Endpoints": summary, "NextToken": token}

    def delete(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer DeleteEndpoint: also of one that is still being created, or updated."""
        name = params["EndpointName"]

        def deleting(endpoint: Document) -> Document:
            if endpoint["EndpointStatus"] == "Deleting":
                raise invalid(f'Cannot delete endpoint "{endpoint["EndpointArn"]}" twice.')
            return endpoint | {"EndpointStatus": "Deleting", "LastModifiedTime": now()}

        if self.resources.change(KIND, name, deleting) is None:
            raise ENDPOINT.missing(name)
        self.driver.delete(name)
        return {}

    def _find(self, name: str) -> Document:
        endpoint = self.resources.find(KIND, name)
        if endpoint is None:
            raise ENDPOINT.missing(name)
        return endpoint

    def _changed(self, name: str, change: Callable[[Document], Document]) -> dict[str, Any]:
        """Change an endpoint and deploy what it is to serve next."""
        endpoint = self.resources.change(KIND, name, change)
        if endpoint is None:
            raise ENDPOINT.missing(name)
        self.driver.deploy(name)
        return {"EndpointArn": endpoint["EndpointArn"]}

    def _fleet(self, endpoint: str, config_name: str) -> Fleet:
        """
        Return what an endpoint of this configuration deploys.

        Raises:
            ApiError: ``ValidationException``, when the configuration, a model or its data is gone.
        """
        config = self.resources.find(ENDPOINT_CONFIG.path, config_name)
        if config is None:
            raise ENDPOINT_CONFIG.missing(config_name)
        found = []
        for variant in config["ProductionVariants"]:
            model = self.resources.find(MODEL.path, variant["ModelName"])
            if model is None:
                raise MODEL.missing(variant["ModelName"])
            models.check_data(self.objects, models.container(model))
            found.append(model)
        return fleet(endpoint, config, found, secrets.token_hex(4), self.most)


def document(params: dict[str, Any], first: Fleet) -> Document:
    """Return the document of a new endpoint."""
    moment = now()
    name = params["EndpointName"]
    return {
        "EndpointName": name,
        "EndpointArn": ENDPOINT.arn(name),
        "EndpointConfigName": first.config,
        "EndpointStatus": "Creating",
        "LastDeploymentConfig": params.get("DeploymentConfig"),
        "CreationTime": moment,
        "LastModifiedTime": moment,
        LOCAL: {
            "Region": region(),
            "Fleet": None,
            "Next": first.to_document(),
            "Retired": [],
            "LogOffsets": {},
        },
    }


def members(desired: Mapping[str, Document], member: str) -> dict[str, Any]:
    """Return one member of what is desired, for the variants that have it."""
    return {name: item[member] for name, item in desired.items() if member in item}


def check_settled(endpoint: Document) -> None:
    """Refuse to change an endpoint that is changing, or that has failed."""
    status, arn = endpoint["EndpointStatus"], endpoint["EndpointArn"]
    if status == "Failed":
        raise invalid(f'Cannot update failed endpoint "{arn}": delete it and create it again.')
    if status != "InService":
        raise invalid(f'Cannot update in-progress endpoint "{arn}".')


def weights(endpoint: Document) -> dict[str, float]:
    """Return the weights of what an endpoint serves, by variant."""
    return {
        variant["VariantName"]: variant["DesiredWeight"]
        for variant in endpoint["ProductionVariants"]
    }
