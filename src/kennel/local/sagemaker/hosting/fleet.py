"""
What an endpoint deploys, as values: a fleet of variants, each with its own launches. Pure.

A fleet holds all that it takes to start it again, since the model and the configuration that it was
made from may be gone by then. Who starts it is driver.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from kennel.contract import STARTUP_TIMEOUT_S
from kennel.local.resources import Document
from kennel.local.sagemaker.hosting import models


@dataclass(frozen=True)
class Variant:
    """One production variant on its way to traffic, or one instance of it."""

    name: str
    launch_id: str  # of its first instance
    image: str
    environment: dict[str, str]
    model_uri: str  # "" for a container without model data
    is_archive: bool
    weight: float
    instances: int  # as the request asks; how many run is the runtime's to say
    startup_timeout_s: int
    log_stream: str
    instance_type: str = ""
    others: tuple[str, ...] = ()  # what tells the further instances' launches from the first's

    def each(self) -> list["Variant"]:
        """Return the variant's instances, each with its own launch and log stream."""
        return [
            self,
            *(
                replace(
                    self,
                    launch_id=f"{self.launch_id}-{other}",
                    log_stream=f"{self.log_stream}-{other}",
                )
                for other in self.others
            ),
        ]


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
        return [one.launch_id for variant in self.variants for one in variant.each()]


def fleet(
    endpoint: str,
    config: Document,
    known_models: Iterable[Document],
    generation: str,
    most: Callable[[str], int],
) -> Fleet:
    """
    Return the fleet of an endpoint configuration.

    Args:
        known_models: The models that its variants name.
        generation: Tells this fleet from others of the same endpoint.
        most: How many instances of an image can run.
    """
    by_name = {model["ModelName"]: model for model in known_models}
    return Fleet(
        config["EndpointConfigName"],
        tuple(
            instanced(variant(endpoint, request, by_name[request["ModelName"]], generation), most)
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


def instanced(one: Variant, most: Callable[[str], int], generation: str = "") -> Variant:
    """
    Return a variant with launches for as many instances as it is to have, one at least.

    Args:
        generation: Tells new instances from any that it has had before.
    """
    wanted = min(one.instances, most(one.image)) - 1
    kept = one.others[: max(0, wanted)]
    new = (f"{generation}{number}" for number in range(len(kept) + 2, wanted + 2))
    return replace(one, others=(*kept, *new))


def resized(
    deployed: Fleet, counts: Mapping[str, int], generation: str, most: Callable[[str], int]
) -> Fleet:
    """Return a fleet with other instance counts for the variants that *counts* names."""
    return replace(
        deployed,
        variants=tuple(
            instanced(replace(one, instances=counts[one.name]), most, f"{generation}-")
            if one.name in counts
            else one
            for one in deployed.variants
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
