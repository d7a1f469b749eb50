"""What an engine tells is read as values."""

from datetime import UTC, datetime

import pytest

from kennel.engine import connection, values
from kennel.errors import EngineError

INSPECTED = {
    "Id": "0123",
    "Name": "/kennel-x",
    "Image": "sha256:1",
    "Config": {"Labels": None},
    "State": {
        "Status": "exited",
        "ExitCode": 137,
        "OOMKilled": True,
        "Error": "",
        "StartedAt": "2026-01-02T03:04:05.123456789Z",
        "FinishedAt": "0001-01-01T00:00:00Z",
    },
    "NetworkSettings": {"Ports": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "32768"}]}},
}


def test_a_container_is_read():
    """
    Times in UTC to the microsecond, the year 1 as never, the published port as a number.
    """
    found = values.found(INSPECTED)

    assert (found.name, found.labels, found.exit_code) == ("kennel-x", {}, 137)
    assert found.started == datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)
    assert found.finished is None
    assert found.port == 32768
    assert found.out_of_memory
    assert not found.is_running


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        pytest.param("2026-01-01T00:00:01Z", 1, id="whole"),
        pytest.param("2026-01-01T00:00:01.5Z", 1.5, id="short-fraction"),
    ],
)
def test_a_time_has_a_fraction_of_any_length(text, seconds):
    """
    Go leaves zeros out.
    """
    start = datetime(2026, 1, 1, tzinfo=UTC)

    assert (values.moment(text) - start).total_seconds() == seconds


@pytest.mark.parametrize(
    ("name", "registry"),
    [
        ("kennel-train", None),
        ("kennel-train:latest", None),
        ("somebody/image", None),
        ("localhost/image", "localhost"),
        ("localhost:5000/image:1", "localhost:5000"),
        ("1.dkr.ecr.eu-west-1.amazonaws.com/a/b", "1.dkr.ecr.eu-west-1.amazonaws.com"),
    ],
)
def test_a_name_begins_with_its_registry(name, registry):
    """
    As Docker tells it: by a dot, a colon, or localhost.
    """
    assert values.registry(name) == registry


@pytest.mark.parametrize(
    ("config", "gateway"),
    [
        pytest.param(
            [{"Subnet": "172.17.0.0/16", "Gateway": "172.17.0.9"}], "172.17.0.9", id="told"
        ),
        pytest.param([{"Subnet": "172.17.0.0/16"}], "172.17.0.1", id="first"),
        pytest.param([], None, id="none"),
        pytest.param(None, None, id="nothing"),
    ],
)
def test_the_gateway_is_this_machine(config, gateway):
    """
    The first address of the subnet where the engine does not say.
    """
    assert values.gateway({"IPAM": {"Config": config}}) == gateway


def test_the_addresses_of_a_container_are_those_that_it_has():
    """
    One in each network; none in the host's, nor of a container that does not run.
    """
    networks = {"bridge": {"IPAddress": "172.17.0.3"}, "host": {"IPAddress": ""}}

    assert values.addresses({"NetworkSettings": {"Networks": networks}}) == ["172.17.0.3"]
    assert values.addresses({"NetworkSettings": {}}) == []


def test_an_engine_that_is_too_old_is_refused():
    """
    With both versions in the text.
    """
    connection.check_version("1.41", "20.10.0")
    connection.check_version("1.100", "99.0")

    with pytest.raises(EngineError, match=r"is 19\.03\.0, with API 1\.40"):
        connection.check_version("1.40", "19.03.0")
