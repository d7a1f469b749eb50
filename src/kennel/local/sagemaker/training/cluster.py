"""
The instances that a training job asks for: how many, of which type, and who gets which data. Pure.

The containers on them are the business of hosts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kennel.local.resources import Document

GROUP = "homogeneousCluster"  # SageMaker's name of the one group of a job without groups


@dataclass(frozen=True)
class Instance:
    """One machine; *index* counts from 0, over all groups."""

    index: int
    type: str
    group: str

    @property
    def label(self) -> str:
        """SageMaker's name for it, e.g. ``algo-1``, whatever name the runtime gives it."""
        return f"algo-{self.index + 1}"


def instances(resources: Document) -> list[Instance]:
    """Return the instances of a ResourceConfig, in the order of its groups."""
    kinds = [
        (group.get("InstanceType", ""), name_of(group))
        for group in groups(resources)
        for _ in range(group.get("InstanceCount", 0))
    ]
    return [Instance(index, *kind) for index, kind in enumerate(kinds)]


def groups(resources: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the groups of a ResourceConfig: those that it has, or the one that it stands for."""
    return resources.get("InstanceGroups") or [resources]


def name_of(group: Mapping[str, Any]) -> str:
    """Return the name of a group."""
    return str(group.get("InstanceGroupName", GROUP))


def receivers(machines: list[Instance], channel: Document) -> list[Instance]:
    """Return those that get a channel's data: all, or the groups that it names."""
    wanted = channel["DataSource"]["S3DataSource"].get("InstanceGroupNames")
    return [machine for machine in machines if not wanted or machine.group in wanted]


def distribution(channel: Document) -> str:
    """Return how a channel's objects are shared out among those that get them."""
    source = channel["DataSource"]["S3DataSource"]
    return str(source.get("S3DataDistributionType", "FullyReplicated"))


def share(machine: Instance, machines: list[Instance], channel: Document) -> tuple[int, int] | None:
    """Return which share of a channel's objects a receiver gets, of how many; None: all of them."""
    sharing = receivers(machines, channel)
    if distribution(channel) != "ShardedByS3Key" or len(sharing) == 1:
        return None
    return sharing.index(machine), len(sharing)
