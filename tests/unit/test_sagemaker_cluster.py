"""Which instance is which, and which data each gets."""

import pytest

from kennel.local.sagemaker.training import cluster, layout

GROUPS = {
    "InstanceGroups": [
        {"InstanceGroupName": "big", "InstanceType": "ml.p3.2xlarge", "InstanceCount": 1},
        {"InstanceGroupName": "small", "InstanceType": "ml.m5.large", "InstanceCount": 2},
    ]
}
NAMES = ["algo-1", "algo-2", "algo-3"]


def channel(*groups, distribution="ShardedByS3Key"):
    named = {"InstanceGroupNames": list(groups)} if groups else {}
    source = {"S3DataDistributionType": distribution, **named}
    return {"ChannelName": "train", "DataSource": {"S3DataSource": source}}


def test_instances_are_numbered_over_all_groups():
    """
    SageMaker calls them algo-1, algo-2, … whatever their groups.
    """
    machines = cluster.instances(GROUPS)

    assert [machine.label for machine in machines] == NAMES
    assert [machine.group for machine in machines] == ["big", "small", "small"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        pytest.param((), [(0, 3), (1, 3), (2, 3)], id="all"),
        pytest.param(("small",), [None, (0, 2), (1, 2)], id="one-group"),
    ],
)
def test_a_sharded_channel_is_shared_among_its_groups(wanted, expected):
    """
    Each receiver has its own share; the others have none.
    """
    machines = cluster.instances(GROUPS)
    receivers = cluster.receivers(machines, channel(*wanted))

    shares = [
        cluster.share(machine, machines, channel(*wanted)) if machine in receivers else None
        for machine in machines
    ]

    assert shares == expected


def test_the_only_receiver_gets_all():
    """
    A share of one is no share.
    """
    machines = cluster.instances(GROUPS)

    assert cluster.share(machines[0], machines, channel("big")) is None


def test_each_host_is_told_of_itself_and_of_all_groups():
    """
    resourceconfig.json, as SageMaker writes it for a heterogeneous cluster.
    """
    config = layout.resource_config(GROUPS, NAMES, 1)

    assert (config["current_host"], config["current_group_name"]) == ("algo-2", "small")
    assert config["current_instance_type"] == "ml.m5.large"
    assert config["instance_groups"] == [
        {
            "instance_group_name": "big",
            "instance_type": "ml.p3.2xlarge",
            "hosts": ["algo-1"],
        },
        {
            "instance_group_name": "small",
            "instance_type": "ml.m5.large",
            "hosts": ["algo-2", "algo-3"],
        },
    ]


def test_a_channel_is_told_to_its_receivers_only():
    """
    inputdataconfig.json has no member for data that the host does not get.
    """
    job = {
        "ResourceConfig": GROUPS,
        "AlgorithmSpecification": {"TrainingInputMode": "File"},
        "InputDataConfig": [channel("small")],
    }

    assert layout.input_data_config(job, 0) == {}
    assert list(layout.input_data_config(job, 1)) == ["train"]
