"""
What an endpoint deploys, as values: a fleet of variants, each with its own launch. Pure.

A fleet holds all that it takes to start it again, since the model and the configuration that it was
made from may be gone by then. Who starts it is driver.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from kennel.contract import STARTUP_TIMEOUT_S
from kennel.local.resources import Document
from kennel.local.sagemaker.hosting import models


@dataclass(frozen=True)
class Variant:
    """One production variant on its way to traffic."""

    name: str
    launch_id: str
    image: str
    environment: dict[str, str]
    model_uri: str  # "" for a container without model data
    is_archive: bool
    weight: float
    instances: int  # as the request asks; local mode runs one
    startup_timeout_s: int
    log_stream: str
    instance_type: str = ""


@dataclass(frozen=True)
class Fleet:
    """All variants of one endpoint configuration."""

    config: str
    variants: tuple[Variant, ...]

    @classmethod
    def from_document(cls, document: Document) -> "Fleet":
        """Return what to_document wrote."""
        variants = tuple(Variant(**variant) for variant in document["variants"])
        return cls(document["config"], variants)

    def to_document(self) -> Document:
        """Return the fleet as it is stored."""
        return asdict(self)

    def launches(self) -> list[str]:
        """Return the ids of its launches."""
        return [variant.launch_id for variant in self.variants]


def fleet(
    endpoint: str, config: Document, known_models: Iterable[Document], generation: str
) -> Fleet:
    """
    Return the fleet of an endpoint configuration.

    Args:
        known_models: The models that its variants name.
        generation: Tells this fleet from others of the same endpoint.
    """
    by_name = {model["ModelName"]: model for model in known_models}
    return Fleet(
        config["EndpointConfigName"],
        tuple(
            variant(endpoint, request, by_name[request["ModelName"]], generation)
            for request in config["ProductionVariants"]
        ),
    )


def variant(endpoint: str, request: Document, model: Document, generation: str) -> Variant:
    """Return one variant of a fleet."""
    container = models.container(model)
    uri, is_archive = models.data(container)
    name = request["VariantName"]
    return Variant(
        name=name,
        launch_id=f"serve-{endpoint}-{name}-{generation}",
        image=container["Image"],
        environment=container.get("Environment", {}),
        model_uri=uri,
        is_archive=is_archive,
        weight=float(request.get("InitialVariantWeight", 1.0)),
        instances=int(request.get("InitialInstanceCount", 1)),
        startup_timeout_s=int(
            request.get("ContainerStartupHealthCheckTimeoutInSeconds", STARTUP_TIMEOUT_S)
        ),
        log_stream=f"{name}/i-{generation}",
        instance_type=request.get("InstanceType", ""),
    )


def summaries(deployed: Fleet) -> list[dict[str, Any]]:
    """Return ProductionVariants, as DescribeEndpoint has them."""
    return [
        {
            "VariantName": variant.name,
            "DeployedImages": [{"SpecifiedImage": variant.image, "ResolvedImage": variant.image}],
            "CurrentWeight": variant.weight,
            "DesiredWeight": variant.weight,
            "CurrentInstanceCount": variant.instances,
            "DesiredInstanceCount": variant.instances,
        }
        for variant in deployed.variants
    ]


def resized(deployed: Fleet, counts: Mapping[str, int]) -> Fleet:
    """Return a fleet with other instance counts for the variants that *counts* names."""
    return replace(
        deployed,
        variants=tuple(
            replace(variant, instances=counts.get(variant.name, variant.instances))
            for variant in deployed.variants
        ),
    )


def reweighted(deployed: Fleet, weights: Mapping[str, float]) -> Fleet:
    """Return a fleet with other weights for the variants that *weights* names."""
    return replace(
        deployed,
        variants=tuple(
            replace(variant, weight=weights.get(variant.name, variant.weight))
            for variant in deployed.variants
        ),
    )
